"""The launch plan (docs/formats.md): what the runner and the monitor are told, as a sealed memfd."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable

from wpod.errors import UsageError

VERSION = "1"
_SEALS = 0x1 | 0x2 | 0x4 | 0x8  # F_SEAL_SEAL, _SHRINK, _GROW, _WRITE (fcntl(2)); named in Python 3.13
_F_ADD_SEALS = 1033

Pair = tuple[str, str]


def encode(pairs: Iterable[Pair]) -> bytes:
    """`key NUL value NUL`, the version first; text as the file system's bytes (surrogateescape).

    Raises UsageError for a NUL in a value, which no program argument or path can hold.
    """
    encoded = bytearray()
    for key, value in (("version", VERSION), *pairs):
        data = os.fsencode(value)
        if b"\0" in data:
            raise UsageError(f"a NUL byte in {key.replace('-', ' ')}")
        encoded += key.encode("ascii") + b"\0" + data + b"\0"
    return bytes(encoded)


def decode(data: bytes) -> list[Pair]:
    """The pairs after the version. Raises ValueError for anything that `encode` doesn't write."""
    if not data.endswith(b"\0"):
        raise ValueError("the launch plan is cut short")
    fields = data[:-1].split(b"\0")
    if len(fields) % 2:
        raise ValueError("the launch plan has a key without a value")
    pairs = [(fields[i].decode("ascii"), os.fsdecode(fields[i + 1])) for i in range(0, len(fields), 2)]
    if not pairs or pairs[0] != ("version", VERSION):
        raise ValueError("the launch plan has another version")
    return pairs[1:]


def to_descriptor(*plans: Iterable[Pair]) -> int:
    """A sealed memfd with the plan, or several one after another, at offset 0; the caller closes it."""
    data = b"".join(encode(pairs) for pairs in plans)
    descriptor = os.memfd_create("wpod-launch-plan", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
        os.lseek(descriptor, 0, os.SEEK_SET)
        fcntl.fcntl(descriptor, _F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def volume(source: str, target: str, *, read_only: bool, directory: bool) -> Pair:
    """One `volume` pair: mode, kind, length of the source in bytes (hex), source, target."""
    mode, kind = "ro" if read_only else "rw", "d" if directory else "f"
    return "volume", f"{mode}:{kind}:{len(os.fsencode(source)):08x}:{source}:{target}"
