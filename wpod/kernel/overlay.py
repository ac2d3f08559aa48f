"""Whether this user can mount overlays here: told from files, for a trial mount costs more than a start."""

from __future__ import annotations

import functools
import os

# Since Linux 5.11 overlayfs may be mounted in a user namespace.
_USER_MOUNTS_SINCE = (5, 11)
_SWITCHES = (
    # Debian's and Ubuntu's own switches, and the kernel's limit: the value that forbids user namespaces.
    ("/proc/sys/kernel/unprivileged_userns_clone", "0"),
    ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
    ("/proc/sys/user/max_user_namespaces", "0"),
)


@functools.cache
def native_works() -> bool:
    """The kernel's own overlayfs: as root wherever it is there, as a user inside a user namespace."""
    if os.geteuid() == 0:
        return _known()
    return _known() and _release() >= _USER_MOUNTS_SINCE and user_namespaces_forbidden() is None


@functools.cache
def user_namespaces_forbidden() -> str | None:
    """The file whose setting forbids an unprivileged user to make user namespaces; None: allowed."""
    for path, forbidding in _SWITCHES:
        if _read(path).strip() == forbidding:
            return path
    return None


def _known() -> bool:
    """In the kernel, or a module that the first mount loads, whoever asks for it."""
    if any(line.split()[-1:] == ["overlay"] for line in _read("/proc/filesystems").splitlines()):
        return True
    may_load = _read("/proc/sys/kernel/modules_disabled").strip() == "0"
    return may_load and os.path.exists(f"/lib/modules/{os.uname().release}/kernel/fs/overlayfs")


def _release() -> tuple[int, int]:
    major, minor = [*os.uname().release.split("."), "0"][:2]
    return int(major), int("".join(digit for digit in minor if digit.isdigit()) or 0)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(65536)
    except OSError:
        return ""
