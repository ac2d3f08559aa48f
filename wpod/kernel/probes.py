"""What this kernel offers to confine a process. Asked without changing anything in the asking process."""

from __future__ import annotations

import ctypes
import errno
import functools

_LANDLOCK_CREATE_RULESET = 444  # the same on all architectures
_LANDLOCK_CREATE_RULESET_VERSION = 1
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2


@functools.cache
def landlock_version() -> int:
    """The version of Landlock's interface, 0 where the kernel has none or it is off (landlock(7))."""
    call = _libc().syscall
    call.restype = ctypes.c_long
    nothing, size = ctypes.c_void_p(None), ctypes.c_size_t(0)
    version: int = call(
        ctypes.c_long(_LANDLOCK_CREATE_RULESET), nothing, size, ctypes.c_uint32(_LANDLOCK_CREATE_RULESET_VERSION)
    )
    return max(version, 0)


@functools.cache
def has_seccomp_filters() -> bool:
    """Whether seccomp filters can be installed: a filter at address 0 fails with EFAULT where they are known."""
    nothing = ctypes.c_ulong(0)
    failed = _libc().prctl(
        ctypes.c_int(_PR_SET_SECCOMP), ctypes.c_ulong(_SECCOMP_MODE_FILTER), nothing, nothing, nothing
    )
    return bool(failed) and ctypes.get_errno() == errno.EFAULT


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
