"""Content digests (image-spec, descriptor.md): checked before they are used in a path or a URL."""

from __future__ import annotations

import hashlib

from wpod.errors import InvalidImage
from wpod.model import ids

_ALGORITHM = "sha256:"


def check_digest(digest: object, what: str = "digest") -> str:
    """The digest itself. Raises InvalidImage unless it is `sha256:` and 64 lower-case hex digits.

    sha512, which the specification allows as well, is refused by name: no registry makes it.
    """
    if not isinstance(digest, str) or not is_digest(digest):
        raise InvalidImage(f"{what} {digest!r:.100} is not sha256 with 64 lower-case hex digits")
    return digest


def is_digest(text: str) -> bool:
    """Whether `check_digest` would take it."""
    return text.startswith(_ALGORITHM) and ids.is_full_id(text.removeprefix(_ALGORITHM))


def hex_of(digest: str) -> str:
    """The 64 hex digits. Raises InvalidImage as `check_digest`."""
    return check_digest(digest).removeprefix(_ALGORITHM)


def digest_of(data: bytes) -> str:
    """The sha256 digest of these bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def chain_id(diff_ids: tuple[str, ...]) -> str:
    """The ChainID of a list of layers (image-spec, config.md, "Layer ChainID"), "" for none."""
    chain = ""
    for diff_id in diff_ids:
        chain = digest_of(f"{chain} {diff_id}".encode()) if chain else diff_id
    return chain
