"""The cache of compiled modules: where a file is, whether it may be used, what can go, what is damaged.

The layout of a file is that of `rust/aot-cache/src/header.rs`. The runner judges a file each time it maps
one; here it is only looked for, so that a start with a filled cache costs two calls of stat(2).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import struct
from collections.abc import Iterable

from wpod import paths
from wpod.errors import StoreError
from wpod.frozen import frozen

SUFFIX = ".waot"
COMPILER = "wpod-aot-compiler"

_HEADER_BYTES = 512
_MAGIC = b"WPODWAOT"
_FORMAT_VERSION = 2
# magic, format version, target, engine's name, module, build, check mode, processor level, optimization
# level, imports; then base address and sizes up to the file's own; then the content's digest.
_FIELDS = struct.Struct("<8sII32s32s32sIIII9Q32s")
_WRITABLE_BY_OTHERS = 0o022


@frozen
class CacheFile:
    """One file of the cache."""

    path: str
    digest: str  # of the wasm module, `sha256:HEX`
    size_bytes: int


@frozen
class CacheHeader:
    """What a file says about itself."""

    module_digest: str
    engine_build: str
    engine: str
    file_bytes: int
    content_digest: str


def cache_path(directory: str, digest: str) -> str:
    """Where the compiled code of the module `digest` (`sha256:HEX`) is or would be."""
    return f"{directory}/{digest.removeprefix('sha256:')}{SUFFIX}"


def find(directory: str, digest: str) -> str | None:
    """The cache file of a module, or None where there is none or the compiler has been replaced since.

    A file that an earlier build wrote may still be good (`compile.ensure_compiled` finds out); one that is
    returned here may still be refused by the runner, which then interprets.
    """
    path = cache_path(directory, digest)
    try:
        written = os.stat(path).st_mtime_ns
        # The change time, for an installation may keep the modification time of the build.
        installed = os.stat(paths.part(COMPILER)).st_ctime_ns
    except (OSError, StoreError):
        return path if os.path.exists(path) else None
    return path if written >= installed else None


def files(directory: str) -> list[CacheFile]:
    """Everything in the cache, in the order of names. A missing directory is an empty cache."""
    found = []
    for entry in _entries(directory):
        name = entry.name
        if name.endswith(SUFFIX) and not name.startswith("."):
            with contextlib.suppress(OSError):
                size = entry.stat(follow_symlinks=False).st_size
                found.append(CacheFile(entry.path, f"sha256:{name.removesuffix(SUFFIX)}", size))
    return sorted(found, key=lambda file: file.path)


def prune(directory: str, keep: Iterable[str]) -> int:
    """Remove what belongs to none of the modules `keep`, and what dead compilers left; the bytes freed.

    What a compiler at work is writing stays, and running containers keep the code they have mapped. Raises
    StoreError where a file can't be removed.
    """
    kept = {digest.removeprefix("sha256:") for digest in keep}
    freed = 0
    for entry in _entries(directory):
        module, _, _ = entry.name.lstrip(".").partition(".")
        temporary = entry.name.startswith(".")
        if module in kept and not temporary:
            continue
        if (temporary or entry.name.endswith(".lock")) and _is_locked(f"{directory}/{module}.lock"):
            continue
        try:
            freed += entry.stat(follow_symlinks=False).st_size
            os.unlink(entry.path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StoreError(f"{entry.path} can't be removed: {error.strerror}") from None
    return freed


def read_header(path: str) -> CacheHeader:
    """The header of a file. Raises StoreError, with the reason, where it isn't a usable one."""
    try:
        with open(path, "rb") as file:
            raw = file.read(_HEADER_BYTES)
    except OSError as error:
        raise StoreError(f"compiled code {path} can't be read: {error.strerror}") from None
    if len(raw) < _HEADER_BYTES:
        raise StoreError(f"compiled code {path} is truncated")
    fields = _FIELDS.unpack_from(raw)
    if fields[0] != _MAGIC or fields[1] != _FORMAT_VERSION:
        raise StoreError(f"compiled code {path} has another format")
    if hashlib.sha256(raw[:-32]).digest() != raw[-32:]:
        raise StoreError(f"compiled code {path} has a damaged header")
    return CacheHeader(
        module_digest=f"sha256:{fields[4].hex()}",
        engine_build=fields[5].hex(),
        engine=fields[3].rstrip(b"\0").decode(errors="replace"),
        file_bytes=fields[11],
        content_digest=fields[-1].hex(),
    )


def check(file: CacheFile) -> str | None:
    """What is wrong with a file, found by reading all of it; None where nothing is."""
    try:
        header = read_header(file.path)
        status = os.stat(file.path, follow_symlinks=False)
        with open(file.path, "rb") as stream:
            stream.seek(_HEADER_BYTES)
            content = hashlib.file_digest(stream, "sha256").hexdigest()
    except StoreError as error:
        return error.message
    except OSError as error:
        return f"compiled code {file.path} can't be read: {error.strerror}"
    if not stat.S_ISREG(status.st_mode) or status.st_mode & _WRITABLE_BY_OTHERS:
        return f"compiled code {file.path} can be written by others"
    if status.st_uid not in (0, os.geteuid()):
        return f"compiled code {file.path} belongs to user {status.st_uid}"
    if header.file_bytes != status.st_size:
        return f"compiled code {file.path} is truncated"
    if header.module_digest != file.digest:
        return f"compiled code {file.path} was compiled from {header.module_digest}"
    if header.content_digest != content:
        return f"compiled code {file.path} is damaged"
    return None


def _entries(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"{directory} can't be read: {error.strerror}") from None


def _is_locked(path: str) -> bool:
    import fcntl

    try:
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
