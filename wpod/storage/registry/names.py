"""Image references (the distribution project's grammar) and what short names mean.

A reference is checked against the grammar before any part of it reaches a path, a URL or a program:
`../x`, `--privileged`, look-alike letters and line breaks never get further.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from wpod.errors import NotSupportedYet, UsageError
from wpod.storage.digests import is_digest

_DOMAIN = re.compile(
    r"(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*"
    r"|\[[0-9a-fA-F:]{2,45}\])(?::[0-9]{1,5})?"
)
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_TRANSPORTS = (
    "containers-storage:",
    "dir:",
    "docker-archive:",
    "docker-daemon:",
    "oci-archive:",
    "oci:",
    "ostree:",
    "sif:",
)
LOCAL_REGISTRY = "localhost"


@dataclass(frozen=True)
class Reference:
    """`registry` "" for a short name; `tag` "" where a digest stands alone."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def name(self) -> str:
        """Without tag and digest."""
        return f"{self.registry}/{self.repository}" if self.registry else self.repository

    @property
    def stored(self) -> str:
        """As it stands in the image table: with a digest, the tag is left out."""
        return f"{self.name}@{self.digest}" if self.digest else f"{self.name}:{self.tag}"

    @property
    def remote(self) -> str:
        """What a registry is asked for: the digest, else the tag."""
        return self.digest or self.tag


def parse(text: str) -> Reference:
    """A reference; the tag is `latest` where neither tag nor digest is given. Raises UsageError."""
    rest = text.removeprefix("docker://")
    for transport in _TRANSPORTS:
        if rest.startswith(transport):
            raise NotSupportedYet(f"the transport {transport}", hint="wpod load and wpod save read and write archives")
    name, at, digest = rest.partition("@")
    if at and not is_digest(digest):
        raise _invalid(text, "the digest must be sha256: and 64 lower-case hex digits")
    head, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    name = f"{head}{slash}{last}"
    if colon and not _TAG.fullmatch(tag):
        raise _invalid(text, "a tag has 1 to 128 letters, digits, _, . and -")
    registry, repository = _split_registry(name)
    if registry and not _DOMAIN.fullmatch(registry):
        raise _invalid(text, "the registry is not a host name with an optional port")
    if len(name) > 255:
        raise _invalid(text, "a name has at most 255 characters")
    if not repository or not all(_COMPONENT.fullmatch(part) for part in repository.split("/")):
        hint = " (in lower case)" if repository.lower() != repository else ""
        raise _invalid(text, f"a repository is made of lower-case letters and digits, separated by ., _, - and /{hint}")
    return Reference(registry, repository, tag if colon else ("" if digest else "latest"), digest)


def _split_registry(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == LOCAL_REGISTRY or first != first.lower()):
        return first, rest
    return "", name


def _invalid(text: str, reason: str) -> UsageError:
    return UsageError(f"invalid reference {text!r:.200}: {reason}")


def local(text: str) -> Reference:
    """For names given to builds and tags: `localhost/` where no registry is named. Raises UsageError."""
    reference = parse(text)
    if reference.digest:
        raise UsageError(f"invalid reference {text!r:.200}: a name with a digest can't be given to an image")
    return reference if reference.registry else replace(reference, registry=LOCAL_REGISTRY)
