"""Tar archives byte by byte (POSIX ustar and pax, GNU long names): what no honest writer would make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

BLOCK = 512
FILE, HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
END = bytes(2 * BLOCK)


@dataclass(frozen=True)
class Header:
    """The fields of a ustar header; `size_field` and `checksum` override what would be right."""

    name: bytes
    kind: bytes = FILE
    size: int = 0
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = 1_700_000_000
    target: bytes = b""
    device: tuple[int, int] = (0, 0)
    prefix: bytes = b""
    magic: bytes = b"ustar\x0000"
    size_field: bytes | None = None
    checksum: int | None = None

    def encode(self) -> bytes:
        def number(value: int, width: int) -> bytes:
            digits = f"{value:0{width - 1}o}".encode()
            return digits + b"\0" if len(digits) < width else b"\x80" + value.to_bytes(width - 1, "big")

        head = b"".join(
            (
                self.name[:100].ljust(100, b"\0"), number(self.mode, 8), number(self.uid, 8), number(self.gid, 8),
                (self.size_field or number(self.size, 12)).ljust(12, b"\0"), number(self.mtime, 12), b" " * 8,
                self.kind, self.target[:100].ljust(100, b"\0"), self.magic, bytes(64),
                number(self.device[0], 8), number(self.device[1], 8), self.prefix.ljust(155, b"\0"), bytes(12),
            )
        )  # fmt: skip
        found = sum(head) if self.checksum is None else self.checksum
        return head[:148] + f"{found:06o}".encode() + b"\0 " + head[156:]


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


@dataclass(frozen=True)
class Entry:
    """One member: header, content, and the pax records before it."""

    name: str
    content: bytes = b""
    kind: bytes = FILE
    target: str = ""
    mode: int = 0o644
    owner: tuple[int, int] = (0, 0)
    device: tuple[int, int] = (0, 0)
    pax: Mapping[str, bytes] = field(default_factory=dict)

    def encode(self) -> bytes:
        name, target = self.name.encode("utf-8", "surrogateescape"), self.target.encode()
        head = b""
        if len(name) > 100:
            head += extension(b"L", name + b"\0")
        if len(target) > 100:
            head += extension(b"K", target + b"\0")
        if self.pax:
            head += extension(b"x", records(self.pax))
        header = Header(name, self.kind, len(self.content), self.mode, *self.owner, target=target, device=self.device)
        return head + header.encode() + padded(self.content)


def extension(kind: bytes, data: bytes) -> bytes:
    """An extended header: pax (x, g) or GNU's long names (L, K)."""
    return Header(b"extension", kind, len(data)).encode() + padded(data)


def records(values: Mapping[str, bytes]) -> bytes:
    """pax records, each with its length in front."""
    found = b""
    for key, value in values.items():
        rest = b" " + key.encode() + b"=" + value + b"\n"
        length = len(rest) + 1
        while len(str(length)) + len(rest) != length:
            length += 1
        found += str(length).encode() + rest
    return found


def archive(*members: Entry | bytes) -> bytes:
    """Members one after the other (bytes as they are) and the end."""
    return b"".join(one if isinstance(one, bytes) else one.encode() for one in members) + END


def directory(name: str, mode: int = 0o755, **more: object) -> Entry:
    return Entry(name, kind=DIRECTORY, mode=mode, **more)  # type: ignore[arg-type]


def symlink(name: str, target: str) -> Entry:
    return Entry(name, kind=SYMLINK, target=target, mode=0o777)


def hard_link(name: str, target: str) -> Entry:
    return Entry(name, kind=HARD_LINK, target=target)


def file(name: str, content: bytes = b"content", mode: int = 0o644, **more: object) -> Entry:
    return Entry(name, content, mode=mode, **more)  # type: ignore[arg-type]
