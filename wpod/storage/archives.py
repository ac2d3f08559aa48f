"""Image archives from strangers: OCI layouts (image-spec, image-layout.md) and docker archives (manifest.json).

Theory of operation. An archive is a stream whose index may come last, so every member that could be a part
of an image is written to a staging directory as it comes, hashed on the way, and known by its name
afterwards. From a directory only what the index names is copied. Staged files that turn out to be blobs are
moved into the store by their digest (`BlobStore.replace`), the rest goes with the staging directory. Nothing in
an archive is followed: a blob is a regular file; docker archives may name a layer by one symbolic link to
another member, compared as text. Limits: `MAX_MEMBERS`, `MAX_IMAGES`, and those of `streams` and `documents`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import posixpath
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from wpod.errors import DigestMismatch, InvalidImage, UsageError
from wpod.kernel import openat2
from wpod.model.image import Descriptor
from wpod.storage.layout import Layout, store_error
from wpod.storage.streams import LayerStream, Readable, open_outer
from wpod.storage.tar import EntryKind, TarEntry, TarReader

MAX_MEMBERS = 20_000
MAX_IMAGES = 1000
_MAX_DEPTH = 3
_CHUNK_BYTES = 1 << 20
_DRAINED_BYTES = 4 << 20
_WASM_MAGIC = b"\0asm"


@dataclass(frozen=True)
class Member:
    """A regular file of the archive, staged at `path`, which the taker may move away."""

    path: str
    digest: str
    size_bytes: int


class Archive(Protocol):
    """Members by name. `what` names the archive in messages."""

    what: str

    def member(self, name: str, limit_bytes: int) -> Member | None:
        """The regular file of this name, None where there is none.

        Raises InvalidImage for anything but a regular file and past the limit.
        """

    def has(self, name: str) -> bool:
        """Whether there is anything of this name."""

    def linked(self, name: str) -> str:
        """The name a symbolic link leads to, one step, as text; other names are themselves."""


@contextlib.contextmanager
def open_archive(layout: Layout, path: str, standard_input: BinaryIO) -> Iterator[Archive]:
    """The archive or layout directory at `path`, or on standard input where that is "".

    The lease is held; what was staged and not moved away is removed at the end. Raises UsageError where it
    can't be opened (nothing of the store is made then), InvalidImage, StoreError.
    """
    if not path:
        with layout.lease(), layout.staging("load") as stage:
            yield _staged(standard_input, stage, "standard input")
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        try:
            with layout.lease(), layout.staging("load") as stage:
                yield _Directory(descriptor, stage, path)
        finally:
            os.close(descriptor)
        return
    with os.fdopen(descriptor, "rb") as stream, layout.lease(), layout.staging("load") as stage:
        yield _staged(stream, stage, path)


class _Source:
    """The file itself, whose read errors are told as such and whose first bytes are kept for a better message."""

    def __init__(self, stream: BinaryIO, what: str) -> None:
        self._stream = stream
        self._what = what
        self.head = b""

    def read(self, size: int, /) -> bytes:
        try:
            data = self._stream.read(size)
        except OSError as error:
            raise UsageError(f"{self._what} can't be read: {error.strerror}") from error
        self.head = self.head or data[:4]
        return data


def _staged(stream: BinaryIO, stage: str, what: str) -> _Stream:
    source = _Source(stream, what)
    archive = _Stream(stage, what)
    try:
        outer = open_outer(source, what)
        archive.take(outer)
        _drain(outer)
    except InvalidImage as error:
        if source.head == _WASM_MAGIC:
            raise InvalidImage(
                f"{what} is a WebAssembly module, not an image archive", hint="make an image of it with wpod build"
            ) from error
        raise
    if not source.head:
        raise InvalidImage(f"{what} is empty")
    return archive


def _drain(stream: LayerStream) -> None:
    """Read the padding, so that the writer of a pipe ends well and a gzip checksum is seen; but not for ever."""
    left = _DRAINED_BYTES
    while left > 0 and (data := stream.read(min(left, _CHUNK_BYTES))):
        left -= len(data)


class _Stream:
    """An archive that was read to its end."""

    def __init__(self, stage: str, what: str) -> None:
        self.what = what
        self._stage = stage
        self._files: dict[str, Member] = {}
        self._links: dict[str, str] = {}
        self._others: set[str] = set()

    def take(self, stream: Readable) -> None:
        """Stage everything. Raises InvalidImage, StoreError."""
        tar = TarReader(stream, self.what)
        for count, entry in enumerate(tar, 1):
            if count > MAX_MEMBERS:
                raise InvalidImage(f"{self.what} has more than {MAX_MEMBERS} entries: it is no image archive")
            name = self._name(entry)
            if not name or entry.kind is EntryKind.DIRECTORY:
                continue
            if self.has(name):
                raise InvalidImage(f"{self.what} has the entry {name[:200]!r} twice")
            if entry.kind is EntryKind.FILE and name.count("/") < _MAX_DEPTH:
                self._files[name] = _stage_file(tar, f"{self._stage}/{count}")
            elif entry.kind is EntryKind.SYMLINK:
                self._links[name] = posixpath.normpath(posixpath.join(posixpath.dirname(name), entry.target))
            else:
                self._others.add(name)

    def _name(self, entry: TarEntry) -> str:
        parts = [part for part in entry.name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise InvalidImage(f"{self.what}: the name {entry.name[:200]!r} leads out of the archive")
        return "/".join(parts)

    def has(self, name: str) -> bool:
        return name in self._files or name in self._links or name in self._others

    def member(self, name: str, limit_bytes: int) -> Member | None:
        found = self._files.get(name)
        if found is None:
            if self.has(name):
                raise _irregular(self.what, name)
            return None
        if found.size_bytes > limit_bytes:
            raise _too_large(self.what, name, limit_bytes)
        return found

    def linked(self, name: str) -> str:
        return self._links.get(name, name)


class _Directory:
    """An image layout that lies there as files."""

    def __init__(self, root: int, stage: str, what: str) -> None:
        self.what = what
        self._root = root
        self._stage = stage
        self._files: dict[str, Member] = {}

    def has(self, name: str) -> bool:
        try:
            os.close(openat2.open_in_root(self._root, name, os.O_PATH | os.O_NOFOLLOW))
        except OSError:
            return False
        return True

    def linked(self, name: str) -> str:
        return name  # links on disk are not followed

    def member(self, name: str, limit_bytes: int) -> Member | None:
        if name in self._files:
            return self._files[name]
        try:
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
            descriptor = openat2.open_in_root(self._root, name, flags, openat2.RESOLVE_NO_SYMLINKS)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):  # a symbolic link, a socket
                raise _irregular(self.what, name) from error
            raise UsageError(f"{self.what}/{name} can't be read: {error.strerror}") from error
        with os.fdopen(descriptor, "rb") as stream:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise _irregular(self.what, name)
            if found.st_size > limit_bytes:
                raise _too_large(self.what, name, limit_bytes)
            bounded = _Bounded(_Source(stream, f"{self.what}/{name}"), found.st_size)
            self._files[name] = _stage_file(bounded, f"{self._stage}/{len(self._files)}")
        return self._files[name]


class _Bounded:
    """No more than what the file had when it was looked at."""

    def __init__(self, source: Readable, left: int) -> None:
        self._source = source
        self._left = left

    def read(self, size: int, /) -> bytes:
        data = self._source.read(min(size, self._left))
        self._left -= len(data)
        return data


def _stage_file(source: Readable, path: str) -> Member:
    found = hashlib.sha256()
    size = 0
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise store_error(error, path) from error
    with os.fdopen(descriptor, "wb", buffering=0) as target:
        while chunk := source.read(_CHUNK_BYTES):
            found.update(chunk)
            size += len(chunk)
            view = memoryview(chunk)
            try:
                while view:
                    view = view[os.write(descriptor, view) :]
            except OSError as error:
                raise store_error(error, target.name) from error
    return Member(path, f"sha256:{found.hexdigest()}", size)


def _irregular(what: str, name: str) -> InvalidImage:
    return InvalidImage(f"{what}: {name[:200]} is not a regular file")


def _too_large(what: str, name: str, limit_bytes: int) -> InvalidImage:
    return InvalidImage(f"{what}: {name[:200]} is larger than {limit_bytes} bytes")


def blob(archive: Archive, descriptor: Descriptor, kind: str) -> Member:
    """The blob of an OCI layout, checked against its descriptor. Raises InvalidImage, DigestMismatch."""
    name = "blobs/sha256/" + descriptor.digest.removeprefix("sha256:")
    found = archive.member(name, descriptor.size_bytes)
    if found is None:
        raise InvalidImage(f"{archive.what}: {kind} {descriptor.digest} is not in the archive")
    if found.size_bytes != descriptor.size_bytes:
        raise DigestMismatch(
            f"{archive.what}: {kind} {descriptor.digest} has {found.size_bytes} bytes"
            f" instead of {descriptor.size_bytes}"
        )
    if found.digest != descriptor.digest:
        raise DigestMismatch(f"{archive.what}: {kind} {descriptor.digest} has the digest {found.digest}")
    return found


def read_small(archive: Archive, name: str, limit_bytes: int) -> bytes | None:
    """A document, None where it isn't there. Raises InvalidImage past the limit."""
    found = archive.member(name, limit_bytes)
    return None if found is None else read_member(found)


def read_member(member: Member) -> bytes:
    """All of a small staged file."""
    try:
        with open(member.path, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise store_error(error, member.path, "read") from error
