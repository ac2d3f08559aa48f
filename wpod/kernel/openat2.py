"""openat2(2): opening below a directory that somebody else filled."""

from __future__ import annotations

import ctypes
import errno
import os
import stat

from wpod.errors import StoreError

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10
_SYSCALL = 437  # the same on all architectures
_ATTEMPTS = 64


class _OpenHow(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]  # noqa: RUF012


_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def open_in_root(root: int, path: str, flags: int, resolve: int = 0) -> int:
    """Open `path` with the directory `root` as its root: `..` and absolute links stay inside. Close-on-exec.

    Raises OSError as open(2), StoreError where the kernel has no openat2 (before Linux 5.6).
    """
    how = _OpenHow(flags | os.O_CLOEXEC, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve)
    name = os.fsencode(path) or b"."
    for _ in range(_ATTEMPTS):  # EAGAIN: a rename happened while `..` was being resolved
        found: int = _libc.syscall(
            ctypes.c_long(_SYSCALL), ctypes.c_int(root), ctypes.c_char_p(name), ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )  # fmt: skip
        if found >= 0:
            return found
        number = ctypes.get_errno()
        if number not in (errno.EAGAIN, errno.EINTR):
            break
    if number == errno.ENOSYS:
        raise StoreError("the kernel has no openat2 system call", hint="Linux 5.6 or newer is needed")
    raise OSError(number, os.strerror(number), path)


def open_inside(root: int, path: str, flags: int) -> int:
    """As `open_in_root` for a path of a guest, absolute or relative to its root."""
    return open_in_root(root, path.lstrip("/") or ".", flags)


def read_inside(root: str, path: str, limit_bytes: int) -> bytes | None:
    """The first `limit_bytes` of a regular file below the directory `root`, None where there is no such file.

    A FIFO or device there is not opened for good, so nothing hangs; links stay inside.
    """
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
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(limit_bytes)


def synchronise(descriptor: int) -> None:
    """syncfs(2): write out everything of this descriptor's file system. Raises OSError."""
    if _libc.syncfs(ctypes.c_int(descriptor)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
