"""Network namespaces that somebody else has made (--network ns:PATH): what is checked before a container joins one."""

from __future__ import annotations

import fcntl
import os

from wpod.errors import CannotEnforce, NotThere, UsageError, WpodError

_KIND = 0xB703  # NS_GET_NSTYPE (ioctl_nsfs(2))
_NETWORK = 0x40000000  # CLONE_NEWNET


def check(path: str) -> None:
    """Raises NotThere, UsageError (no network namespace), CannotEnforce (this user can't join it), WpodError."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise NotThere(
            f"there is no network namespace {path}", hint="ip netns add NAME makes /run/netns/NAME"
        ) from None
    except OSError as error:
        raise WpodError(f"the network namespace {path} can't be opened: {error.strerror}") from None
    try:
        is_one = fcntl.ioctl(opened, _KIND) == _NETWORK
    except OSError:
        is_one = False
    finally:
        os.close(opened)
    if not is_one:
        raise UsageError(f"{path} is not a network namespace", hint="such as /run/netns/NAME or /proc/PID/ns/net")
    if os.geteuid() != 0:
        # A process may enter what its own user namespace, or one below it, owns; a container's is always a new one.
        raise CannotEnforce(
            f"a user's container can't join the network namespace {path}: another user namespace owns it",
            hint="--network container:CONTAINER joins another container's",
        )
