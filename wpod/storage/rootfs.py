"""Copies of trees: the private root of a container, and the start of a tree from a lower one by hard links."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat

from wpod.errors import StoreError
from wpod.frozen import frozen
from wpod.storage.layout import store_error

_FICLONE = 0x40049409
_COPY_BYTES = 1 << 30
_READ_BYTES = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW


@frozen
class TreeSize:
    """Bytes of regular files (each hard-linked file once) and number of entries."""

    total_bytes: int
    entries: int


def copy_tree(source: str, target: str) -> None:
    """A private copy of `source` as the new directory `target`: reflinks where the file system has them.

    Owners, modes, times, extended attributes and hard links inside the tree are kept. Raises StoreError.
    """
    _Copier(share=False).run(source, target)


def link_tree(source: str, target: str) -> None:
    """The same tree again with its files shared (hard links): for trees whose files are never written in place."""
    _Copier(share=True).run(source, target)


def measure(path: str) -> TreeSize:
    """The size of a tree. Raises StoreError."""
    total, entries = 0, 0
    seen: set[int] = set()
    waiting = [path]
    try:
        while waiting:
            for entry in os.scandir(waiting.pop()):
                entries += 1
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    waiting.append(entry.path)
                elif stat.S_ISREG(found.st_mode) and found.st_ino not in seen:
                    seen.add(found.st_ino)
                    total += found.st_size
    except OSError as error:
        raise store_error(error, path, "read") from error
    return TreeSize(total, entries)


class _Copier:
    def __init__(self, share: bool) -> None:
        self._share = share
        self._linked: dict[int, str] = {}

    def run(self, source: str, target: str) -> None:
        self._top = target
        waiting = [(source, target)]
        directories: list[tuple[str, os.stat_result]] = []
        try:
            os.mkdir(target, 0o700)
            while waiting:
                above, below = waiting.pop()
                directories.append((below, os.stat(above, follow_symlinks=False)))
                self._xattrs(above, below)
                for entry in os.scandir(above):
                    path = f"{below}/{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        os.mkdir(path, 0o700)
                        waiting.append((entry.path, path))
                    else:
                        self._file(entry, path)
            for path, found in reversed(directories):
                _apply(path, found)
        except OSError as error:
            raise store_error(error, error.filename2 or error.filename or target) from error

    def _file(self, entry: os.DirEntry[str], path: str) -> None:
        if self._share:
            try:
                os.link(entry.path, path, follow_symlinks=False)
                return
            except OSError as error:
                if error.errno not in (errno.EMLINK, errno.EPERM, errno.EXDEV):
                    raise
        found = entry.stat(follow_symlinks=False)
        if found.st_nlink > 1 and not stat.S_ISLNK(found.st_mode):
            first = self._linked.setdefault(found.st_ino, path)
            if first != path:
                os.link(first, path, follow_symlinks=False)
                return
        if stat.S_ISLNK(found.st_mode):
            os.symlink(os.readlink(entry.path), path)
        elif stat.S_ISREG(found.st_mode):
            _copy_content(entry.path, path)
            if found.st_uid != os.geteuid() or found.st_gid != os.getegid():
                os.chown(path, found.st_uid, found.st_gid)  # before the capabilities, which it clears
            self._xattrs(entry.path, path)
        elif stat.S_ISFIFO(found.st_mode):
            os.mkfifo(path, 0o600)
        elif stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode):
            os.mknod(path, stat.S_IFMT(found.st_mode) | 0o600, found.st_rdev)
        else:
            return  # a socket has no meaning without its process
        _apply(path, found)

    @staticmethod
    def _xattrs(source: str, target: str) -> None:
        for name in os.listxattr(source, follow_symlinks=False):
            if name.startswith("user.") or name == "security.capability":
                with contextlib.suppress(OSError):
                    os.setxattr(target, name, os.getxattr(source, name, follow_symlinks=False), follow_symlinks=False)


def _apply(path: str, found: os.stat_result) -> None:
    own = os.stat(path, follow_symlinks=False)
    if (own.st_uid, own.st_gid) != (found.st_uid, found.st_gid):
        os.chown(path, found.st_uid, found.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(found.st_mode):
        os.chmod(path, stat.S_IMODE(found.st_mode))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns), follow_symlinks=False)


def _copy_content(source: str, target: str) -> None:
    reader = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with contextlib.suppress(OSError):
                fcntl.ioctl(writer, _FICLONE, reader)
                return
            _copy_range(reader, writer)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _copy_range(reader: int, writer: int) -> None:
    try:
        while os.copy_file_range(reader, writer, _COPY_BYTES):
            pass
        return
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
    while chunk := os.read(reader, _READ_BYTES):
        view = memoryview(chunk)
        while view:
            view = view[os.write(writer, view) :]


def remove_copy(path: str) -> None:
    """Remove a private copy. Raises StoreError where something stays."""
    from wpod.storage.layout import remove_tree

    remove_tree(path)
    if os.path.lexists(path):
        raise StoreError(f"{path} can't be removed")
