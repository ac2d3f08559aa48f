"""Compressed streams, decompressed in bounded memory and checked on the way: the one module that imports zstandard.

The compression is told by the first bytes, as podman does: media types lie. Limits: `MAX_LAYER_BYTES`
uncompressed per layer (WPOD_MAX_LAYER_BYTES changes it) and a zstd window of 128 MiB: a bomb ends at the
limit or at a full disk, never in memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import zlib
from collections.abc import Iterator
from typing import Protocol

from wpod.errors import InvalidImage

MAX_LAYER_BYTES = 32 << 30
_CHUNK_BYTES = 256 << 10
_ZSTD_WINDOW_BYTES = 128 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_BZIP2_MAGIC = b"BZh"
_XZ_MAGIC = b"\xfd7zXZ\x00"
_XZ_MEMORY_BYTES = 128 << 20


class Readable(Protocol):
    """A binary file."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes, b"" at the end."""


def layer_limit() -> int:
    """The most bytes a layer may have when unpacked."""
    text = os.environ.get("WPOD_MAX_LAYER_BYTES", "")
    return int(text) if text.isdecimal() else MAX_LAYER_BYTES


class LayerStream:
    """A layer's uncompressed bytes, hashed and counted as they are read.

    Raises InvalidImage for damaged or truncated compression, for rubbish behind it, and past the limit.
    """

    def __init__(self, source: Readable, what: str) -> None:
        self._what = what
        self._limit = layer_limit()
        self._hash = hashlib.sha256()
        self._pending = b""
        self.total_bytes = 0
        self._chunks = _decompress(source, what)

    def read(self, size: int, /) -> bytes:
        """Exactly `size` bytes unless the stream ends before."""
        parts = []
        missing = size
        while missing > 0:
            if not self._pending:
                self._pending = next(self._chunks, b"")
                if not self._pending:
                    break
                self._count(self._pending)
            part, self._pending = self._pending[:missing], self._pending[missing:]
            parts.append(part)
            missing -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _count(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self.total_bytes += len(chunk)
        if self.total_bytes > self._limit:
            raise InvalidImage(
                f"{self._what} unpacks to more than {self._limit} bytes", hint="WPOD_MAX_LAYER_BYTES raises the limit"
            )

    def finish(self) -> str:
        """Read to the end; returns the digest of everything."""
        self._pending = b""
        for chunk in self._chunks:
            self._count(chunk)
        return f"sha256:{self._hash.hexdigest()}"


def _decompress(source: Readable, what: str) -> Iterator[bytes]:
    head = source.read(_CHUNK_BYTES)
    if head.startswith(_GZIP_MAGIC):
        return _gunzip(head, source, what)
    if head.startswith(_ZSTD_MAGIC) or (len(head) > 4 and 0x50 <= head[0] <= 0x5F and head[1:4] == b"\x2a\x4d\x18"):
        return _unzstd(_Rejoined(head, source), what)
    if head.startswith((_BZIP2_MAGIC, _XZ_MAGIC)):
        return _undo_others(head, source, what)
    return _plain(head, source)


def _plain(head: bytes, source: Readable) -> Iterator[bytes]:
    while head:
        yield head
        head = source.read(_CHUNK_BYTES)


def _gunzip(data: bytes, source: Readable, what: str) -> Iterator[bytes]:
    decoder = zlib.decompressobj(wbits=31)
    try:
        while True:
            if not data:
                data = source.read(_CHUNK_BYTES)
                if not data and decoder.eof:
                    return
            if decoder.eof:  # several members one after the other are one stream (RFC 1952, 2.2)
                if not data.startswith(_GZIP_MAGIC[: len(data)]):
                    raise InvalidImage(f"{what} has rubbish behind its gzip data")
                decoder = zlib.decompressobj(wbits=31)
            at_end = not data
            chunk = decoder.decompress(data, _CHUNK_BYTES)
            data = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
            if chunk:
                yield chunk
            elif at_end and not decoder.eof:
                raise InvalidImage(f"{what}: its gzip data ends early")
    except zlib.error as error:
        raise InvalidImage(f"{what}: its gzip data is damaged: {error}") from None


def _undo_others(data: bytes, source: Readable, what: str) -> Iterator[bytes]:
    """bzip2 and xz: what ADD unpacks; layers are never compressed so."""
    import bz2
    import lzma

    is_xz = data.startswith(_XZ_MAGIC)
    try:
        while data:
            decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY_BYTES) if is_xz else bz2.BZ2Decompressor()
            while not decoder.eof:
                if decoder.needs_input and not data and not (data := source.read(_CHUNK_BYTES)):
                    raise InvalidImage(f"{what}: its compressed data ends early")
                chunk, data = decoder.decompress(data, _CHUNK_BYTES), b""
                if chunk:
                    yield chunk
            data = decoder.unused_data.lstrip(b"\0") or source.read(_CHUNK_BYTES)  # xz pads with zeros
    except (lzma.LZMAError, OSError, EOFError) as error:
        raise InvalidImage(f"{what}: its compressed data is damaged: {error}") from None


def _unzstd(source: Readable, what: str) -> Iterator[bytes]:
    import zstandard

    decoder = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    try:
        with contextlib.closing(
            decoder.stream_reader(source, read_size=_CHUNK_BYTES, read_across_frames=True)  # type: ignore[arg-type]
        ) as reader:
            while chunk := reader.read(_CHUNK_BYTES):
                yield chunk
    except zstandard.ZstdError as error:
        raise InvalidImage(f"{what}: its zstd data is damaged: {error}") from None


class _Rejoined:
    """A stream whose first bytes were read already."""

    def __init__(self, head: bytes, rest: Readable) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int = -1, /) -> bytes:
        if not self._head:
            return self._rest.read(size)
        part = self._head if size < 0 else self._head[:size]
        self._head = self._head[len(part) :]
        return part


def open_outer(source: Readable, what: str) -> LayerStream:
    """An archive that may be compressed as a whole (`load`), under the same limits."""
    return LayerStream(source, what)
