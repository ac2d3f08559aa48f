"""Content by digest, in the form of an OCI image layout (image-spec, image-layout.md).

Theory of operation. A blob is at `oci/blobs/sha256/HEX` only when it is complete, verified against its
digest and size, and synced; it is never changed afterwards (mode 0400). It grows in
`tmp/partial-HEX`, locked by its one writer: a second writer of the same blob waits for the first and
finds the work done, a writer after a killed one hashes what is there and goes on. References (tags)
live in the database, where they change in one transaction; `index.json` stays empty.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator

from wpod.errors import DigestMismatch, InvalidImage, StoreError
from wpod.model.image import Descriptor
from wpod.storage.digests import digest_of, hex_of
from wpod.storage.layout import Layout, store_error, sync_directory

CHUNK_BYTES = 1 << 20
_LOCK_POLL_SECONDS = 0.05


class BlobWriter:
    """A blob that is growing. `offset` bytes are there already; hash and file are in step."""

    def __init__(self, descriptor: int, path: str, expected: Descriptor) -> None:
        self._descriptor = descriptor
        self._path = path
        self._expected = expected
        self._hash = hashlib.sha256()
        self.offset = 0
        self._take_over()

    def _take_over(self) -> None:
        """Hash what an earlier writer left; more than the expected size is rubbish."""
        if os.fstat(self._descriptor).st_size > self._expected.size_bytes:
            self.restart()
            return
        while chunk := os.read(self._descriptor, CHUNK_BYTES):
            self._hash.update(chunk)
            self.offset += len(chunk)

    def restart(self) -> None:
        """Throw away what is there."""
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        self._hash = hashlib.sha256()
        self.offset = 0

    def write(self, chunk: bytes) -> None:
        """Append. Raises DigestMismatch past the expected size, StoreError for a full disk."""
        if self.offset + len(chunk) > self._expected.size_bytes:
            raise DigestMismatch(
                f"blob {self._expected.digest} is longer than the {self._expected.size_bytes} bytes it should have"
            )
        view = memoryview(chunk)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise store_error(error, self._path) from error
        self._hash.update(chunk)
        self.offset += len(chunk)

    def verify(self) -> None:
        """Raises DigestMismatch unless size and digest are as expected."""
        if self.offset != self._expected.size_bytes:
            raise DigestMismatch(
                f"blob {self._expected.digest} has {self.offset} bytes instead of {self._expected.size_bytes}"
            )
        found = f"sha256:{self._hash.hexdigest()}"
        if found != self._expected.digest:
            raise DigestMismatch(f"blob {self._expected.digest} has the digest {found}")


class BlobStore:
    """Reads and writes blobs. Raises StoreError where the file system fails."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    @property
    def layout(self) -> Layout:
        return self._layout

    def path(self, digest: str) -> str:
        """Where the blob is or would be. Raises InvalidImage for a malformed digest."""
        return f"{self._layout.blobs}/{hex_of(digest)}"

    def has(self, digest: str, size_bytes: int | None = None) -> bool:
        """Whether the blob is there, with this size."""
        try:
            found = os.lstat(self.path(digest))
        except OSError:
            return False
        return stat.S_ISREG(found.st_mode) and (size_bytes is None or found.st_size == size_bytes)

    def open(self, digest: str) -> int:
        """A read-only descriptor, which the caller closes. Raises StoreError where the blob is missing."""
        path = self.path(digest)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            hint = "wpod system check --repair removes images with missing parts; then pull again"
            raise StoreError(f"{path} can't be read: {error.strerror}", hint=hint) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise StoreError(f"{path} is not a regular file", hint="wpod system check --repair")
        return descriptor

    def read(self, digest: str, limit_bytes: int) -> bytes:
        """A small blob, verified. Raises InvalidImage over the limit, DigestMismatch where it was damaged."""
        descriptor = self.open(digest)
        with os.fdopen(descriptor, "rb") as stream:
            data = stream.read(limit_bytes + 1)
        if len(data) > limit_bytes:
            raise InvalidImage(f"{self.path(digest)} is larger than {limit_bytes} bytes")
        if digest_of(data) != digest:
            raise DigestMismatch(f"{self.path(digest)} is damaged: its digest is {digest_of(data)}",
                                 hint="wpod system check --repair removes it; then pull again")  # fmt: skip
        return data

    def put(self, data: bytes, media_type: str = "") -> Descriptor:
        """Store bytes made here. Raises StoreError."""
        descriptor = Descriptor(media_type, digest_of(data), len(data))
        with self.writer(descriptor) as writer:
            if writer is not None:
                writer.restart()
                writer.write(data)
        return descriptor

    def ingest(self, expected: Descriptor, chunks: Iterable[bytes]) -> None:
        """Store a stream under an expected digest and size. Raises DigestMismatch, StoreError."""
        with self.writer(expected) as writer:
            if writer is None:
                return
            writer.restart()
            for chunk in chunks:
                writer.write(chunk)

    def replace(self, path: str, digest: str) -> None:
        """Move a file of the store's own file system into place. The caller made it and computed the digest.

        It replaces what is there: a damaged blob is mended so. Raises StoreError.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                os.fsync(descriptor)
                os.fchmod(descriptor, 0o400)
            finally:
                os.close(descriptor)
            os.rename(path, self.path(digest))
            sync_directory(self._layout.blobs)
        except OSError as error:
            raise store_error(error, self.path(digest)) from error

    def adopt(self, path: str, made: Descriptor) -> None:
        """Take over a file made here, in the staging area: complete, synced, hashed by its writer.

        It is moved; where the blob is there already it stays for whoever removes the staging area. Raises StoreError.
        """
        if self.has(made.digest, made.size_bytes):
            return
        self._layout.create()
        try:
            os.chmod(path, 0o400)
            os.rename(path, self.path(made.digest))
            sync_directory(self._layout.blobs)
        except OSError as error:
            raise store_error(error, self.path(made.digest)) from error

    @contextlib.contextmanager
    def writer(
        self, expected: Descriptor, cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[BlobWriter | None]:
        """The one writer of a blob; None where the blob is there (perhaps since just now).

        At the end of the block the blob is verified and put in place; an exception leaves the partial
        file for a later writer, unless it is empty, or a DigestMismatch shows that it is worthless.
        """
        if self.has(expected.digest, expected.size_bytes):
            yield None
            return
        self._layout.create()
        path = f"{self._layout.paths.temporary}/partial-{hex_of(expected.digest)}"
        descriptor = _lock_file(path, cancelled)
        try:
            if self.has(expected.digest, expected.size_bytes):
                os.unlink(path)
                yield None
                return
            writer = BlobWriter(descriptor, path, expected)
            try:
                yield writer
                writer.verify()
                self._finish(descriptor, path, expected.digest)
            except BaseException as error:
                if not writer.offset or _is_worthless(error):
                    with contextlib.suppress(OSError):
                        os.unlink(path)
                raise
        finally:
            os.close(descriptor)

    def _finish(self, descriptor: int, path: str, digest: str) -> None:
        try:
            os.fsync(descriptor)
            os.fchmod(descriptor, 0o400)
            os.rename(path, self.path(digest))
            sync_directory(self._layout.blobs)
        except OSError as error:
            raise store_error(error, self.path(digest)) from error

    def all(self) -> list[str]:
        """Digests of all blobs, sorted; other files in the directory are left out."""
        try:
            names = os.listdir(self._layout.blobs)
        except FileNotFoundError:
            return []
        return sorted(f"sha256:{name}" for name in names if len(name) == 64 and set(name) <= set("0123456789abcdef"))

    def delete(self, digest: str) -> int:
        """Remove a blob; returns the bytes freed. The caller holds the sole lease."""
        path = self.path(digest)
        try:
            size = os.lstat(path).st_size
            os.unlink(path)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise store_error(error, path, "removed") from error
        return size

    def check(self, digest: str) -> str:
        """What is wrong with a blob, "" for nothing: the full hash."""
        found = hashlib.sha256()
        try:
            descriptor = self.open(digest)
        except StoreError as error:
            return error.message
        with os.fdopen(descriptor, "rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                found.update(chunk)
        if f"sha256:{found.hexdigest()}" == digest:
            return ""
        return f"{self.path(digest)} is damaged: its digest is sha256:{found.hexdigest()}"


def _is_worthless(error: BaseException) -> bool:
    """Whether what was written so far is no good to a later writer: wrong, or what fills the disk."""
    if isinstance(error, InvalidImage):
        return True
    cause = error.__cause__ if isinstance(error, StoreError) else error
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)


def _lock_file(path: str, cancelled: Callable[[], bool]) -> int:
    """An exclusive lock on the file of this name, made where missing; waits for another writer."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise store_error(error, path) from error
        try:
            _wait_for_lock(descriptor, path, cancelled)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False)):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the other writer finished and renamed it away


def _wait_for_lock(descriptor: int, path: str, cancelled: Callable[[], bool]) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if cancelled():
                raise StoreError(f"{path} is being written by another process") from None
            time.sleep(_LOCK_POLL_SECONDS)
