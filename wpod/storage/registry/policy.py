"""registries.conf (containers-registries.conf(5)): search list, aliases, mirrors, insecure and blocked registries."""

from __future__ import annotations

import glob
import os
import tomllib
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from wpod import paths
from wpod.errors import NotSupportedYet, RegistryError, UsageError
from wpod.storage.registry import names
from wpod.storage.registry.names import Reference

_MAX_FILE_BYTES = 1 << 20
T = TypeVar("T")


@dataclass(frozen=True)
class Endpoint:
    """One server to ask, with the name to ask for. `insecure`: TLS unverified, plain http as the fallback."""

    reference: Reference
    insecure: bool


@dataclass(frozen=True)
class _Registry:
    prefix: str
    location: str
    insecure: bool = False
    blocked: bool = False
    mirrors: tuple[tuple[str, bool], ...] = ()

    @property
    def is_wildcard(self) -> bool:
        """`*.HOST`: every host below it."""
        return self.prefix.startswith("*.")

    def fits(self, reference: Reference) -> bool:
        if self.is_wildcard:
            return reference.registry.endswith(self.prefix[1:])
        return reference.name == self.prefix or reference.name.startswith(self.prefix + "/")


@dataclass(frozen=True)
class Policy:
    """What registries.conf says. `file` is the one to name in messages."""

    search: tuple[str, ...] = ()
    aliases: dict[str, str] = field(default_factory=dict)
    registries: tuple[_Registry, ...] = ()
    file: str = "/etc/containers/registries.conf"

    def candidates(self, text: str) -> list[Reference]:
        """The full references that a name may mean, in the order to try them. Raises UsageError."""
        reference = names.parse(text)
        if reference.registry:
            return [reference]
        alias = self.aliases.get(reference.repository)
        if alias:
            target = names.parse(alias)
            return [replace(reference, registry=target.registry, repository=target.repository)]
        if not self.search:
            raise UsageError(
                f'short-name "{text}" did not resolve to an alias and no unqualified-search registries are defined'
                f' in "{self.file}"',
                hint="write the name with its registry: HOST/REPOSITORY:TAG",
            )
        return [replace(reference, registry=registry) for registry in self.search]

    def endpoints(self, reference: Reference, tls_verify: bool | None) -> list[Endpoint]:
        """Mirrors first, the registry itself last. `tls_verify` None leaves it to the configuration.

        Raises RegistryError for a blocked registry.
        """
        found = self._match(reference)
        if found is None:
            return [Endpoint(reference, tls_verify is False)]
        if found.blocked:
            raise RegistryError(f"registry {reference.registry} is blocked in {self.file} or its registries.conf.d")
        rest = reference.name.removeprefix(reference.registry if found.is_wildcard else found.prefix)
        places = [*found.mirrors, (found.location, found.insecure)]
        endpoints = []
        for location, insecure in places:
            target = names.parse((location or reference.registry) + rest)
            moved = replace(reference, registry=target.registry, repository=target.repository)
            endpoints.append(Endpoint(moved, insecure if tls_verify is None else not tls_verify))
        return endpoints

    def _match(self, reference: Reference) -> _Registry | None:
        fitting = [entry for entry in self.registries if entry.fits(reference)]
        return max(fitting, key=lambda entry: len(entry.prefix), default=None)


def load() -> Policy:
    """Read registries.conf and registries.conf.d. Raises UsageError that names a file which makes no sense."""
    policy = Policy()
    for path in paths.containers_configuration("registries.conf"):
        if os.path.isfile(path):
            policy = _merge(replace(policy, file=path), path)
            break
    directories = [f"{path}.d" for path in reversed(paths.containers_configuration("registries.conf"))]
    for directory in directories:
        for path in sorted(glob.glob(f"{glob.escape(directory)}/*.conf")):
            policy = _merge(policy, path)
    return policy


class _Table:
    """Typed access to one table of a file."""

    def __init__(self, path: str, content: object) -> None:
        if not isinstance(content, dict):
            raise UsageError(f"{path}: a table was expected, found {content!r:.80}")
        self._path = path
        self._content: dict[str, Any] = content

    def get(self, key: str, kind: type[T], empty: T) -> T:
        """The value of this type, `empty` where absent. Raises UsageError."""
        found = self._content.get(key, empty)
        if not isinstance(found, kind):
            raise UsageError(f"{self._path}: {key} is not a {kind.__name__}")
        return found

    def tables(self, key: str) -> list[_Table]:
        return [_Table(self._path, one) for one in self.get(key, list, [])]

    def place(self, key: str, otherwise: str = "") -> str:
        """A registry, with a namespace or without. Raises UsageError."""
        text = self.get(key, str, otherwise)
        if not _parsed(self._path, key, text).registry:
            raise UsageError(f"{self._path}: {key} {text!r:.80} is not a host with a domain or a port")
        return text


def _parsed(path: str, key: str, text: str) -> Reference:
    try:
        return names.parse(f"{text}/x")
    except (UsageError, NotSupportedYet):
        raise UsageError(f"{path}: {key} {text!r:.80} is not a registry") from None


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as stream:
            return tomllib.loads(stream.read(_MAX_FILE_BYTES).decode())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} can't be read: {error}") from error


def _merge(policy: Policy, path: str) -> Policy:
    found = _Table(path, _read(path))
    aliases = {key: str(value) for key, value in found.get("aliases", dict, {}).items() if value}
    search = found.get("unqualified-search-registries", list, list(policy.search))
    for host in search:
        _parsed(path, "unqualified-search-registries", str(host))
    entries = tuple(_registry(item) for item in found.tables("registry"))
    prefixes = {entry.prefix for entry in entries}
    kept = tuple(entry for entry in policy.registries if entry.prefix not in prefixes)
    return replace(
        policy,
        aliases={**policy.aliases, **aliases},
        search=tuple(map(str, search)),
        registries=kept + entries,
    )


def _registry(item: _Table) -> _Registry:
    prefix = item.get("prefix", str, "")
    wildcard = prefix.startswith("*.")
    location = item.get("location", str, "") if wildcard else item.place("location", prefix)
    return _Registry(
        prefix=prefix or location,
        location=location,
        insecure=item.get("insecure", bool, False),
        blocked=item.get("blocked", bool, False),
        mirrors=tuple((one.place("location"), one.get("insecure", bool, False)) for one in item.tables("mirror")),
    )
