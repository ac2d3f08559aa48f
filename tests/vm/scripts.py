"""What the tests' scripts for the virtual machine have in common."""

from __future__ import annotations

KINDS = ("wasm", "native")
# A process of `visitor`, started by root, without a login session: nothing starts this user's manager.
AS_VISITOR = "setpriv --reuid=visitor --regid=visitor --init-groups --reset-env"


def facts(text: str) -> dict[str, str]:
    """What a script reports: lines `name=value`; others are passed over."""
    rows = (line.partition("=") for line in text.splitlines())
    return {name: value for name, equals, value in rows if equals}


def scopes(user: str) -> str:
    """The directory in which systemd makes a user's scopes (root's: the system's)."""
    if user == "root":
        return "/sys/fs/cgroup/system.slice"
    return "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice"
