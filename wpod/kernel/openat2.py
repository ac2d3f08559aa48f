"""openat2(2), which Python doesn't have: opening a path that can't leave a directory.

The kernel resolves every component below the directory, symlinks included, against renames by others
meanwhile. Lexical checks and component walks of our own were rejected: both lose races.
"""

from __future__ import annotations

import ctypes
import enum
import errno
import os

_SYS_OPENAT2 = 437  # the same number on every architecture (asm-generic/unistd.h)
_RESOLVE_NO_MAGICLINKS = 0x02
_ATTEMPTS_UNDER_RENAMES = 128


class Resolve(enum.IntFlag):
    """How the path is held inside the directory (openat2(2))."""

    NO_SYMLINKS = 0x04
    BENEATH = 0x08
    IN_ROOT = 0x10


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_libc = ctypes.CDLL(None, use_errno=True)


def open_inside(directory: int, path: str, flags: int, resolve: Resolve = Resolve.IN_ROOT, mode: int = 0) -> int:
    """A descriptor (close-on-exec) of `path` below the open `directory`.

    With IN_ROOT absolute paths and symlinks start at the directory, as in a chroot. Magic links of
    /proc are never followed. Raises OSError as openat2(2); EAGAIN under renames is tried again.
    """
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve | _RESOLVE_NO_MAGICLINKS)
    encoded = os.fsencode(path)
    number = errno.EAGAIN
    for _ in range(_ATTEMPTS_UNDER_RENAMES):
        descriptor = _libc.syscall(_SYS_OPENAT2, directory, encoded, ctypes.byref(how), ctypes.sizeof(how))
        if descriptor >= 0:
            return int(descriptor)
        number = ctypes.get_errno()
        if number not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(number, os.strerror(number), path)


def read_inside(root: str, path: str, limit_bytes: int) -> bytes | None:
    """A regular file's content below `root` (IN_ROOT); None where there is none.

    At most `limit_bytes` are read; a larger file, a FIFO or a device gives None, so that a hostile image
    can neither hang nor fill the reader.
    """
    import stat

    try:
        directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        descriptor = open_inside(directory, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return None
    finally:
        os.close(directory)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > limit_bytes:
            return None
        return file.read(limit_bytes)
