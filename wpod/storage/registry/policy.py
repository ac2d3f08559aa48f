"""registries.conf (containers-registries.conf(5)): search list, aliases, mirrors, insecure and blocked registries."""

from __future__ import annotations

import glob
import os
import tomllib
from dataclasses import dataclass, field, replace
from typing import Any

from wpod import paths
from wpod.errors import RegistryError, UsageError
from wpod.storage.registry import names
from wpod.storage.registry.names import Reference

_MAX_FILE_BYTES = 1 << 20


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


@dataclass(frozen=True)
class Policy:
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
        rest = reference.name.removeprefix(found.prefix)
        places = [*found.mirrors, (found.location, found.insecure)]
        endpoints = []
        for location, insecure in places:
            target = names.parse(location + rest)
            moved = replace(reference, registry=target.registry, repository=target.repository)
            endpoints.append(Endpoint(moved, insecure if tls_verify is None else not tls_verify))
        return endpoints

    def _match(self, reference: Reference) -> _Registry | None:
        fitting = [
            entry for entry in self.registries
            if reference.name == entry.prefix or reference.name.startswith(entry.prefix + "/")
        ]  # fmt: skip
        return max(fitting, key=lambda entry: len(entry.prefix), default=None)


def load() -> Policy:
    """Read registries.conf and registries.conf.d. Raises UsageError that names a file which is not TOML."""
    policy = Policy()
    for path in paths.containers_configuration("registries.conf"):
        if os.path.isfile(path):
            policy = _merge(replace(policy, file=path), _read(path))
            break
    directories = [f"{path}.d" for path in reversed(paths.containers_configuration("registries.conf"))]
    for directory in directories:
        for path in sorted(glob.glob(f"{glob.escape(directory)}/*.conf")):
            policy = _merge(policy, _read(path))
    return policy


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as stream:
            return tomllib.loads(stream.read(_MAX_FILE_BYTES).decode())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} can't be read: {error}") from error


def _merge(policy: Policy, found: dict[str, Any]) -> Policy:
    aliases = {**policy.aliases, **{str(key): str(value) for key, value in found.get("aliases", {}).items() if value}}
    search = found.get("unqualified-search-registries")
    entries = tuple(_registry(item) for item in found.get("registry", []) if isinstance(item, dict))
    prefixes = {entry.prefix for entry in entries}
    kept = tuple(entry for entry in policy.registries if entry.prefix not in prefixes)
    return replace(
        policy,
        aliases=aliases,
        search=policy.search if search is None else tuple(map(str, search)),
        registries=kept + entries,
    )


def _registry(item: dict[str, Any]) -> _Registry:
    location = str(item.get("location", item.get("prefix", "")))
    mirrors = tuple(
        (str(mirror.get("location", "")), bool(mirror.get("insecure", False))) for mirror in item.get("mirror", [])
    )
    return _Registry(
        prefix=str(item.get("prefix", location)), location=location, insecure=bool(item.get("insecure", False)),
        blocked=bool(item.get("blocked", False)), mirrors=mirrors,
    )  # fmt: skip
