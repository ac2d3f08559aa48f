"""Digests of modules, remembered beside the unpacked image they are part of.

Unpacked trees never change, so a module in one is hashed once; a module in a volume may change and is
hashed each time.
"""

from __future__ import annotations

import contextlib
import json
import os

from wpod.errors import StoreError

_MEMO_FILE = "module-digests.json"


def module_digest(path: str, memo_directory: str | None) -> str:
    """`sha256:HEX` of the file's bytes. Raises StoreError where it can't be read.

    `memo_directory`: where to remember it; None for a file that may change.
    """
    memo = f"{memo_directory}/{_MEMO_FILE}" if memo_directory else ""
    known = _read_memo(memo)
    if path in known:
        return known[path]
    digest = _hash(path)
    if memo:
        _write_memo(memo, {**known, path: digest})
    return digest


def _hash(path: str) -> str:
    import hashlib

    try:
        with open(path, "rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        raise StoreError(f"module {path} can't be read: {error.strerror}") from None


def _read_memo(memo: str) -> dict[str, str]:
    if not memo:
        return {}
    try:
        with open(memo, "rb") as file:
            content = json.loads(file.read(1024 * 1024))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {path: digest for path, digest in content.items() if isinstance(digest, str) and _looks_right(digest)}


def _looks_right(digest: str) -> bool:
    return len(digest) == 71 and digest.startswith("sha256:") and digest.isascii() and digest[7:].isalnum()


def _write_memo(memo: str, content: dict[str, str]) -> None:
    temporary = f"{memo}.{os.getpid()}"
    # Not being able to remember (read-only store) only costs the next start the hashing.
    with contextlib.suppress(OSError):
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(content, file)
        os.replace(temporary, memo)
