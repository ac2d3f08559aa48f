"""A reader of tar archives from strangers (POSIX ustar and pax, GNU long names).

Written for layers because the standard library's reader takes what a header claims at its word: it reads
an extended header of any size into memory and parses it with backtracking expressions. Here every field
is bounded, nothing is followed, and no file is touched: it yields entries, the unpacker judges them.
Refused by name: GNU sparse files, multi-volume archives, headers with a wrong checksum.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from wpod.enumeration import Enum
from wpod.errors import InvalidImage
from wpod.frozen import field, frozen
from wpod.storage.streams import Readable

BLOCK = 512
MAX_EXTENDED_BYTES = 1 << 20
MAX_NAME_BYTES = 4096
_XATTR = "SCHILY.xattr."
_MAX_SIZE = 1 << 60


class EntryKind(Enum):
    """What an entry is; the values are ustar's type flags."""

    FILE = b"0"
    HARD_LINK = b"1"
    SYMLINK = b"2"
    CHARACTER_DEVICE = b"3"
    BLOCK_DEVICE = b"4"
    DIRECTORY = b"5"
    FIFO = b"6"


_KINDS = {kind.value: kind for kind in EntryKind} | {b"\0": EntryKind.FILE, b"7": EntryKind.FILE}


@frozen
class TarEntry:
    """One member; text as the file system's bytes (surrogateescape). `size` is that of the content that follows."""

    name: str
    kind: EntryKind
    mode: int
    user_id: int
    group_id: int
    size: int
    modified_nanoseconds: int
    target: str = ""
    device: tuple[int, int] = (0, 0)
    xattrs: dict[str, bytes] = field(default_factory=dict)


class TarReader:
    """Yields entries; `read` gives the content of the one last yielded, what is left is skipped."""

    def __init__(self, source: Readable, what: str) -> None:
        self._source = source
        self._what = what
        self._left = 0
        self._padding = 0

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes of the current entry's content. Raises InvalidImage where the archive ends early."""
        size = min(size, self._left)
        if size <= 0:
            return b""
        data = self._source.read(size)
        if len(data) < size:
            raise self._broken("ends early")
        self._left -= size
        return data

    def __iter__(self) -> Iterator[TarEntry]:
        pax: dict[str, str | bytes] = {}
        overall: dict[str, str | bytes] = {}
        while (header := self._next_header()) is not None:
            flag = header[156:157]
            size = self._number(header[124:136])
            if flag in (b"x", b"X"):
                pax.update(self._pax(self._extended(size)))
            elif flag == b"g":
                overall.update(self._pax(self._extended(size)))
            elif flag == b"L":
                pax["path"] = os.fsdecode(self._extended(size).split(b"\0")[0])
            elif flag == b"K":
                pax["linkpath"] = os.fsdecode(self._extended(size).split(b"\0")[0])
            else:
                entry = self._entry(header, size, overall | pax)
                pax = {}
                self._left = entry.size if entry.kind is EntryKind.FILE else 0
                self._padding = -self._left % BLOCK
                yield entry

    def _next_header(self) -> bytes | None:
        self._skip(self._left + self._padding)
        self._left = self._padding = 0
        header = self._source.read(BLOCK)
        if not header or header == bytes(BLOCK):
            return None
        if len(header) < BLOCK:
            raise self._broken("ends early")
        stated = self._number(header[148:156])
        unsigned = sum(header[:148]) + 8 * 32 + sum(header[156:])
        if stated != unsigned:
            signed = unsigned - 256 * sum(byte > 127 for byte in header[:148] + header[156:])
            if stated != signed:
                raise self._broken("has a header with a wrong checksum")
        return header

    def _skip(self, count: int) -> None:
        while count > 0:
            data = self._source.read(min(count, 1 << 20))
            if not data:
                raise self._broken("ends early")
            count -= len(data)

    def _extended(self, size: int) -> bytes:
        if size > MAX_EXTENDED_BYTES:
            raise self._broken(f"has an extended header of more than {MAX_EXTENDED_BYTES} bytes")
        data = self._source.read(size)
        self._skip(-size % BLOCK)
        if len(data) < size:
            raise self._broken("ends early")
        return data

    def _pax(self, data: bytes) -> dict[str, str | bytes]:
        """Records `LENGTH KEY=VALUE LF` (pax, "Extended Header"); extended attributes keep their bytes."""
        found: dict[str, str | bytes] = {}
        position = 0
        while position < len(data) and data[position] != 0:
            blank = data.find(b" ", position, position + 12)
            digits = data[position:blank] if blank > 0 else b""
            if not digits.isdigit():
                raise self._broken("has a malformed extended header")
            end = position + int(digits)
            key, equals, value = data[blank + 1 : end - 1].partition(b"=")
            if not equals or end > len(data) or end <= blank or data[end - 1 : end] != b"\n":
                raise self._broken("has a malformed extended header")
            name = os.fsdecode(key)
            found[name] = value if name.startswith(_XATTR) else os.fsdecode(value)
            position = end
        return found

    def _entry(self, header: bytes, size: int, pax: dict[str, str | bytes]) -> TarEntry:
        name, target = self._names(header, pax)
        kind = _KINDS.get(header[156:157])
        sparse = any(key.startswith("GNU.sparse.") for key in pax)
        if kind is None or sparse:
            what = "a sparse file" if sparse or header[156:157] == b"S" else f"an entry of type {header[156:157]!r}"
            raise self._broken(f"holds {what} ({name[:100]}), which is not supported")
        if kind is EntryKind.FILE and name.endswith("/"):
            kind = EntryKind.DIRECTORY  # old tars have no type for directories
        return TarEntry(
            name=name,
            kind=kind,
            mode=self._number(header[100:108]) & 0o7777,
            user_id=self._identifier(header[108:116], pax.get("uid")),
            group_id=self._identifier(header[116:124], pax.get("gid")),
            size=self._size(size, pax.get("size")),
            modified_nanoseconds=self._time(header[136:148], pax.get("mtime")),
            target=target,
            device=(self._number(header[329:337]), self._number(header[337:345])),
            xattrs={
                key.removeprefix(_XATTR): value
                for key, value in pax.items()
                if isinstance(value, bytes) and key.startswith(_XATTR)
            },
        )

    def _names(self, header: bytes, pax: dict[str, str | bytes]) -> tuple[str, str]:
        name = header[:100].split(b"\0")[0]
        if header[257:263] == b"ustar\0":
            prefix = header[345:500].split(b"\0")[0]
            name = prefix + b"/" + name if prefix else name
        chosen = str(pax.get("path") or os.fsdecode(name))
        target = str(pax.get("linkpath") or os.fsdecode(header[157:257].split(b"\0")[0]))
        for text in (chosen, target):
            if len(os.fsencode(text)) > MAX_NAME_BYTES:
                raise self._broken(f"has a name of more than {MAX_NAME_BYTES} bytes")
            if "\0" in text:
                raise self._broken("has a name with a NUL character")
        return chosen, target

    def _number(self, field_bytes: bytes) -> int:
        """Octal, or GNU's base 256 for what doesn't fit; negative only in the latter."""
        if field_bytes[:1] in (b"\x80", b"\xff"):
            value = int.from_bytes(field_bytes[1:], "big")
            if field_bytes[:1] == b"\xff":
                value -= 1 << (8 * (len(field_bytes) - 1))
        else:
            text = field_bytes.split(b"\0")[0].strip(b" ")
            if not text:
                return 0
            if not all(48 <= byte <= 55 for byte in text):
                raise self._broken("has a header with a malformed number")
            value = int(text, 8)
        if abs(value) > _MAX_SIZE:
            raise self._broken("has a header with a number out of range")
        return value

    def _identifier(self, field_bytes: bytes, override: str | bytes | None) -> int:
        value = self._decimal(override) if override is not None else self._number(field_bytes)
        if not 0 <= value < 2**32 - 1:
            raise self._broken(f"has an owner out of range: {value}")
        return value

    def _size(self, size: int, override: str | bytes | None) -> int:
        value = self._decimal(override) if override is not None else size
        if not 0 <= value <= _MAX_SIZE:
            raise self._broken(f"has an entry with an impossible size: {value}")
        return value

    def _time(self, field_bytes: bytes, override: str | bytes | None) -> int:
        if override is None:
            return self._bounded_time(self._number(field_bytes) * 1_000_000_000)
        seconds, _, fraction = str(override).partition(".")
        nanoseconds = int((fraction + "0" * 9)[:9]) if fraction[:9].isdecimal() else 0
        whole = self._decimal(seconds)
        return self._bounded_time(whole * 1_000_000_000 + (-nanoseconds if seconds.startswith("-") else nanoseconds))

    @staticmethod
    def _bounded_time(value: int) -> int:
        return max(-(2**62), min(2**62, value))

    def _decimal(self, text: str | bytes) -> int:
        shown = str(text)
        if len(shown) > 20 or not shown.removeprefix("-").isdecimal() or not shown.isascii():
            raise self._broken("has a malformed number in an extended header")
        return int(shown)

    def _broken(self, how: str) -> InvalidImage:
        return InvalidImage(f"{self._what}: the tar archive {how}")
