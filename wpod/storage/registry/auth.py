"""Passwords for registries, kept and found as podman does (containers-auth.json(5)).

The most specific entry wins: `HOST/NAMESPACE/REPO`, then its parents, then `HOST`. A password is never
part of a message, a log line or a program's arguments; helpers get the host name on stdin.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from wpod import paths, programs
from wpod.errors import RegistryError, UsageError, WpodError
from wpod.storage.layout import write_atomically

_HELPER = re.compile(r"[A-Za-z0-9._-]+")
_HELPER_SECONDS = 30.0
_MAX_FILE_BYTES = 1 << 20


@dataclass(frozen=True)
class Credentials:
    """A user and a password, or an identity token (then the user is empty). The repr holds neither."""

    user: str
    password: str = field(repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an Authorization header."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


def parse_pair(text: str) -> Credentials:
    """--creds USER:PASSWORD. Raises UsageError, without the text."""
    user, colon, password = text.partition(":")
    if not colon or not user:
        raise UsageError("--creds takes USER:PASSWORD")
    return Credentials(user, password)


def find(registry: str, repository: str = "", authfile: str = "") -> Credentials | None:
    """The credentials for a repository, or None. `authfile` is the only place looked at where it is given.

    Raises UsageError for a file that can't be read or understood, RegistryError for a failing helper.
    """
    for path in [authfile] if authfile else paths.credential_files():
        document = _read(path, required=bool(authfile))
        found = _from_document(document, path, registry, repository)
        if found is not None:
            return found
    return None


def _read(path: str, required: bool = False) -> dict[str, Any]:
    try:
        with open(path, "rb") as stream:
            data = stream.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        if required:
            raise UsageError(f"{path} is not there", hint="wpod login --authfile makes it") from None
        return {}
    except PermissionError as error:
        if required or os.access(os.path.dirname(path), os.X_OK):
            raise UsageError(f"{path} can't be read: {error.strerror}") from None
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} can't be read: {error}") from None
    try:
        document = json.loads(data) if data.strip() else {}
        if not isinstance(document, dict) or not isinstance(document.get("auths", {}), dict):
            raise ValueError("not an object with auths")
        if not isinstance(document.get("credHelpers", {}), dict):
            raise ValueError("credHelpers is not an object")
    except (ValueError, RecursionError):
        raise UsageError(f"{path} is not valid JSON of containers-auth.json(5)") from None
    return document


def _keys(registry: str, repository: str) -> Iterator[str]:
    parts = [registry, *repository.split("/")] if repository else [registry]
    for length in range(len(parts), 0, -1):
        yield "/".join(parts[:length])


def _from_document(document: dict[str, Any], path: str, registry: str, repository: str) -> Credentials | None:
    auths = document.get("auths", {})
    helper = document.get("credHelpers", {}).get(registry) or (
        document.get("credsStore") if registry in auths else None
    )
    for key in (*_keys(registry, repository), f"https://{registry}", f"https://{registry}/v1/"):
        entry = auths.get(key)
        if isinstance(entry, dict) and (entry.get("auth") or entry.get("identitytoken")):
            return _decode(entry, path, key)
    return _from_helper(str(helper), registry) if helper else None


def _decode(entry: dict[str, Any], path: str, key: str) -> Credentials:
    token = str(entry.get("identitytoken") or "")
    try:
        user, colon, password = base64.b64decode(str(entry.get("auth") or ""), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        user, colon, password = "", "", ""
    if not colon and not token:
        raise UsageError(f"{path}: the entry of {key} is not base64 of USER:PASSWORD", hint=f"wpod login {key}")
    return Credentials(user, password.strip("\0"), token)


def _from_helper(name: str, registry: str) -> Credentials | None:
    if not _HELPER.fullmatch(name):
        raise RegistryError(f"the credential helper name {name!r:.80} is invalid")
    program = f"docker-credential-{name}"
    try:
        done = programs.run([program, "get"], stdin=registry.encode(), timeout_seconds=_HELPER_SECONDS)
    except WpodError as error:
        raise RegistryError(f"credential helper {program}: {error.message}") from error
    if done.status != 0:
        if b"not found" in done.stdout + done.stderr:
            return None
        raise RegistryError(f"credential helper {program} failed with exit status {done.status}")
    try:
        answer = json.loads(done.stdout[:_MAX_FILE_BYTES])
        user, secret = answer["Username"], answer["Secret"]
        if not isinstance(user, str) or not isinstance(secret, str):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RegistryError(f"credential helper {program} did not answer in its protocol") from None
    return Credentials("", "", secret) if user == "<token>" else Credentials(user, secret)


def login_file(authfile: str = "") -> str:
    """The file that login and logout change."""
    return authfile or paths.credential_files()[0]


def save(key: str, credentials: Credentials, authfile: str = "") -> str:
    """Remember credentials under a registry (or registry/repository); returns the file. Mode 0600.

    Raises UsageError where the file can't be read or written.
    """
    path = login_file(authfile)
    document = _read(path)
    auths = document.setdefault("auths", {})
    auths[key] = {"auth": credentials.basic.removeprefix("Basic ")}
    _write(path, document)
    return path


def forget(key: str, authfile: str = "") -> bool:
    """Remove the credentials of a registry; False where there were none. Raises UsageError."""
    path = login_file(authfile)
    document = _read(path)
    if key not in document.get("auths", {}):
        return False
    del document["auths"][key]
    _write(path, document)
    return True


def forget_all(authfile: str = "") -> None:
    """Remove all credentials of the file. Raises UsageError."""
    path = login_file(authfile)
    document = _read(path)
    if document.get("auths"):
        document["auths"] = {}
        _write(path, document)


def _write(path: str, document: dict[str, Any]) -> None:
    try:
        os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
        write_atomically(os.path.realpath(path), json.dumps(document, indent="\t").encode() + b"\n")
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}") from error
