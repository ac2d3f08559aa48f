"""The store's directories, its lease lock, and the staging area.

Theory of operation. Nothing in the store is created before the first write, so that `wpod images` of a
user who never used wpod leaves no trace. All directories are 0700.

Two locks, both flock, both gone with their process however it ends:

* the **lease**: who brings content in or is about to use some (pull, build, load, unpack, create)
  holds `lock` shared from before the first look-up until the database refers to the content; who
  deletes unreferenced content holds it exclusively. A sweep that can't get it leaves a note
  (`sweep-wanted`), and whoever lets go of the lease last does it.
* each entry of `tmp/` is locked exclusively by its writer. An entry whose lock is free was left by a
  killed process and may be removed (or, for a partial download, gone on with).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator

from wpod.errors import StoreError
from wpod.frozen import frozen
from wpod.paths import StorePaths

# What the database and a rename need when the disk is full; its log grows by some 40 kB a transaction.
RESERVE_BYTES = 512 * 1024
_LAYOUT_FILE = b'{"imageLayoutVersion":"1.0.0"}'
_INDEX_FILE = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'


# A partial download is kept this long for a later pull to go on with.
PARTIAL_AGE_SECONDS = 24 * 3600.0


def store_error(error: OSError, path: str, doing: str = "written") -> StoreError:
    """One clear error for a failed system call on a file of the store."""
    hints = {
        errno.ENOSPC: "the disk is full: wpod image prune, or free space otherwise",
        errno.EDQUOT: "the disk quota is exceeded: wpod image prune, or free space otherwise",
        errno.EROFS: "the store is on a read-only file system; use another one with --root",
        errno.EACCES: "the store belongs to another user; use another one with --root",
    }
    return StoreError(f"{path} can't be {doing}: {error.strerror}", hint=hints.get(error.errno or 0))


@frozen
class Layout:
    """Creates what a write needs; locks."""

    paths: StorePaths

    @property
    def blobs(self) -> str:
        return f"{self.paths.content}/blobs/sha256"

    @property
    def lock_file(self) -> str:
        return f"{self.paths.root}/lock"

    @property
    def sweep_note(self) -> str:
        return f"{self.paths.root}/sweep-wanted"

    def create(self) -> None:
        """Make the directories where they are missing. Raises StoreError."""
        paths = self.paths
        if os.path.exists(f"{paths.content}/index.json") and os.access(paths.root, os.W_OK):
            self.keep_reserve()
            return
        directory = paths.root
        try:
            os.makedirs(os.path.dirname(paths.root), exist_ok=True)
            for directory in (paths.root, paths.content, f"{paths.content}/blobs", self.blobs, paths.unpacked,
                              paths.aot, paths.containers, paths.volumes, paths.temporary):  # fmt: skip
                with contextlib.suppress(FileExistsError):
                    os.mkdir(directory, 0o700)
            write_atomically(f"{paths.content}/oci-layout", _LAYOUT_FILE)
            write_atomically(f"{paths.content}/index.json", _INDEX_FILE)
        except OSError as error:
            raise store_error(error, directory) from error

    @property
    def reserve(self) -> str:
        """A file of RESERVE_BYTES that a removal gives up where the disk is full: forgetting needs room, too."""
        return f"{self.paths.root}/reserve"

    def keep_reserve(self) -> None:
        """Make the reserve where it is missing and there is room in plenty."""
        if os.path.lexists(self.reserve) or self._free_bytes() < 8 * RESERVE_BYTES:
            return
        temporary = f"{self.reserve}.{os.getpid()}"
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
            finally:
                os.close(descriptor)
            os.rename(temporary, self.reserve)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)

    def spend_reserve(self) -> None:
        """Give the reserve up where the disk is as good as full; the next writer that finds room makes it anew."""
        if self._free_bytes() < RESERVE_BYTES:
            with contextlib.suppress(OSError):
                os.unlink(self.reserve)

    def _free_bytes(self) -> int:
        try:
            found = os.statvfs(self.paths.root)
        except OSError:
            return 0
        return found.f_bavail * found.f_frsize

    @contextlib.contextmanager
    def lease(self) -> Iterator[None]:
        """Keep unreferenced content from being swept while this is held; any number may hold it.

        Waits for a sweep under way, which is short. Raises StoreError.
        """
        self.create()
        descriptor = self._open_lock()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def sole_lease(self, wait_seconds: float = 0.0) -> Iterator[bool]:
        """Whether nobody holds a lease; while True is held, content may be deleted."""
        self.create()
        descriptor = self._open_lock()
        deadline = time.monotonic() + wait_seconds
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        yield False
                        return
                    time.sleep(0.02)
                else:
                    yield True
                    return
        finally:
            os.close(descriptor)

    def _open_lock(self) -> int:
        try:
            return os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise store_error(error, self.lock_file, "locked") from error

    @contextlib.contextmanager
    def staging(self, purpose: str) -> Iterator[str]:
        """A new, locked directory in `tmp/`, removed at the end where it is still there (not renamed away)."""
        self.create()
        while True:
            path = f"{self.paths.temporary}/{purpose}-{os.urandom(8).hex()}"
            try:
                os.mkdir(path, 0o700)
                descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # a sweep was quicker than the lock
            except OSError as error:
                raise store_error(error, path, "created") from error
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                break
            os.close(descriptor)
        try:
            yield path
        finally:
            remove_tree(path)
            os.close(descriptor)

    def sweep_staging(self, partial_age_seconds: float = PARTIAL_AGE_SECONDS) -> list[str]:
        """Remove what killed processes left in `tmp/`; partial downloads only when older than this.

        Returns the names removed. Never raises for a single entry: what can't be removed stays.
        """
        return self._stale(partial_age_seconds, remove=True)

    def stale_staging(self) -> list[str]:
        """The names that `sweep_staging` would remove."""
        return self._stale(PARTIAL_AGE_SECONDS, remove=False)

    def _stale(self, partial_age_seconds: float, *, remove: bool) -> list[str]:
        found = []
        try:
            entries = list(os.scandir(self.paths.temporary))
        except (FileNotFoundError, NotADirectoryError):
            return []
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.name.startswith("partial-"):
                    age = time.time() - entry.stat(follow_symlinks=False).st_mtime
                    if age < partial_age_seconds:
                        continue
                if self._is_free(entry, remove):
                    found.append(entry.name)
        return sorted(found)

    @staticmethod
    def _is_free(entry: os.DirEntry[str], remove: bool) -> bool:
        """Whether nobody holds the entry's lock; it is removed under the lock where that is wanted."""
        if entry.is_symlink() or not (entry.is_dir() or entry.is_file()):
            if remove:
                os.unlink(entry.path)
            return True
        descriptor = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not remove:
                return True
            if entry.is_dir(follow_symlinks=False):
                remove_tree(entry.path)
            else:
                os.unlink(entry.path)
            return True
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)


def write_atomically(path: str, data: bytes, mode: int = 0o600) -> None:
    """Replace a file: temporary file beside it, fsync, rename, fsync of the directory. Raises OSError."""
    directory = os.path.dirname(path)
    temporary = f"{directory}/.{os.path.basename(path)}.{os.urandom(6).hex()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_directory(directory)


def sync_directory(path: str) -> None:
    """Make renames in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree(path: str) -> None:
    """Remove a directory tree below a directory of our own, following no link; what is gone is done.

    Directories without write permission are opened up first (an image may hold such). What still
    can't be removed stays for `system check`.
    """
    import shutil

    def open_up(function: object, failed: str, information: object) -> None:
        with contextlib.suppress(OSError):
            parent = os.path.dirname(failed)
            os.chmod(parent, 0o700)
            if os.path.islink(failed) or not os.path.isdir(failed):
                os.unlink(failed)
            else:
                os.chmod(failed, 0o700)
                shutil.rmtree(failed, ignore_errors=True)

    if os.path.islink(path) or not os.path.isdir(path):  # rmtree would open a FIFO and wait
        with contextlib.suppress(OSError):
            os.unlink(path)
        return
    try:
        shutil.rmtree(path, onerror=open_up)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
    except RecursionError:
        _remove_flat(path)


def _remove_flat(path: str) -> None:
    """A tree nested too deeply for recursion (a guest can make one): each directory is moved to the top first."""
    prefix = f"{path}/.{os.urandom(8).hex()}"
    waiting = [path]
    for number, directory in enumerate(waiting):  # grows as it goes
        with contextlib.suppress(OSError):
            os.chmod(directory, 0o700)
            for entry in list(os.scandir(directory)):
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)
                    continue
                os.chmod(entry.path, 0o700)  # `..` changes, which needs the permission to write
                moved = entry.path if directory == path else f"{prefix}-{number}-{len(waiting)}"
                os.rename(entry.path, moved)
                waiting.append(moved)
    for directory in reversed(waiting):
        with contextlib.suppress(OSError):
            os.rmdir(directory)
