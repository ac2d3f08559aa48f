"""Keep, check and forget the passwords of registries (podman-login(1), podman-logout(1)).

A password is tried at the registry before it is written anywhere, and no message holds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wpod.errors import AccessDenied, RegistryError, UsageError
from wpod.storage.registry import auth, names, policy
from wpod.storage.registry.names import Reference

if TYPE_CHECKING:
    from wpod.storage.registry.auth import Credentials


@dataclass(frozen=True)
class Registry:
    """What is logged in to: a registry, or one repository or namespace of it. `tls_verify` as for pulls."""

    host: str
    repository: str = ""
    authfile: str = ""
    tls_verify: bool | None = None

    @property
    def key(self) -> str:
        """As it stands in the password file."""
        return f"{self.host}/{self.repository}" if self.repository else self.host


def registry(typed: str, authfile: str = "", tls_verify: bool | None = None) -> Registry:
    """HOST[:PORT][/REPOSITORY], with or without https:// before it. Raises UsageError."""
    name = typed.removeprefix("https://").removeprefix("http://").rstrip("/")
    host, _, repository = name.partition("/")
    try:
        parsed = names.parse(f"{host}/{repository or 'name'}")
    except UsageError:
        parsed = None
    if parsed is None or parsed.registry != host or parsed.tag not in ("latest", "") or parsed.digest:
        raise UsageError(f"{typed!r:.200} is not a registry", hint="write it as HOST, HOST:PORT or HOST/NAMESPACE")
    return Registry(host, repository, authfile, tls_verify)


def stored_credentials(where: Registry) -> Credentials | None:
    """What is known for the registry already. Raises UsageError, RegistryError (a credential helper failed)."""
    try:
        return auth.find(where.host, where.repository, where.authfile)
    except UsageError:
        if where.authfile and not _readable(where.authfile):
            return None
        raise


def _readable(path: str) -> bool:
    try:
        with open(path, "rb"):
            return True
    except FileNotFoundError:
        return False
    except OSError:
        return True


def check(where: Registry, credentials: Credentials) -> None:
    """Ask the registry. Raises AccessDenied for a wrong user or password, RegistryError where it can't be asked."""
    from wpod.storage.registry.client import Connection, RegistryClient

    if ":" in credentials.user:
        raise UsageError("a user's name can't hold a colon")
    endpoint = policy.load().endpoints(Reference(where.host, where.repository or "name"), where.tls_verify)[-1]
    try:
        RegistryClient(endpoint, Connection(credentials)).ping()
    except AccessDenied:
        raise AccessDenied(f'logging into "{where.key}": invalid username/password') from None
    except RegistryError as error:
        raise RegistryError(f'logging into "{where.key}": {error.message}', hint=error.hint) from error


def log_in(where: Registry, credentials: Credentials) -> None:
    """Check and keep. Raises as `check`, and UsageError where the file can't be read or written."""
    check(where, credentials)
    auth.save(where.key, credentials, where.authfile)


def log_out(where: Registry) -> None:
    """Forget the password. Raises UsageError where none was kept or the file can't be written."""
    if not auth.forget(where.key, where.authfile):
        known = stored_credentials(where)
        hint = "another file or a credential helper keeps a password for it" if known is not None else None
        raise UsageError(f"not logged into {where.key}", hint=hint)
