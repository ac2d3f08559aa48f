"""One command at a time changes one container: a lock file in the container's own directory."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator

from wpod.errors import NotThere, StoreError, WpodError
from wpod.paths import ContainerPaths

PATIENCE_SECONDS = 30.0
_PAUSE_SECONDS = 0.005


@contextlib.contextmanager
def container_lock(own: ContainerPaths, patience_seconds: float = PATIENCE_SECONDS) -> Iterator[int]:
    """Hold the container's lock (flock(2)); it goes with the process, so kill -9 frees it.

    Gives the descriptor. Raises NotThere where the container was removed meanwhile, WpodError where
    another command holds it for longer than the patience.
    """
    descriptor = _acquire(own, patience_seconds)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def try_lock(own: ContainerPaths) -> int | None:
    """The lock's descriptor where nobody holds it, else None. None as well where there is no lock file."""
    try:
        descriptor = os.open(own.lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


class NewLock:
    """The lock of a container that is being made, held until it is released or the process ends."""

    def __init__(self, own: ContainerPaths) -> None:
        self._descriptor: int | None = create_lock(own)

    def release(self) -> None:
        """Let go; once is enough."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def create_lock(own: ContainerPaths) -> int:
    """Make the lock file of a new container and hold it. The caller closes the descriptor."""
    descriptor = os.open(own.lock, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def _acquire(own: ContainerPaths, patience_seconds: float) -> int:
    deadline = time.monotonic() + patience_seconds
    while True:
        descriptor = _open_lock(own)
        if _locked_in_time(descriptor, deadline):
            if _still_there(descriptor, own):
                return descriptor
            os.close(descriptor)
            continue
        os.close(descriptor)
        raise WpodError(f"another wpod command has been working on this container for {patience_seconds:g} s")


def _open_lock(own: ContainerPaths) -> int:
    try:
        return os.open(own.lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise NotThere("no such container: it was removed meanwhile") from None
    except OSError as error:
        raise StoreError(f"{own.lock} can't be opened: {error.strerror}") from None


def _locked_in_time(descriptor: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EINTR):
                raise StoreError(f"the container can't be locked: {error.strerror}") from None
        if time.monotonic() >= deadline:
            return False
        time.sleep(_PAUSE_SECONDS)


def _still_there(descriptor: int, own: ContainerPaths) -> bool:
    held = os.fstat(descriptor)
    try:
        named = os.stat(own.lock)
    except OSError:
        return False
    return (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino)
