"""Whether systemd ends a user's detached containers when the user logs out (loginctl(1), logind.conf(5)).

Theory of operation. What runs below the user's own manager (`user@UID.service`: the user's units, and the scopes of
containers with limits) ends when that manager does, a moment after the last session. What runs in a login session
(`session-N.scope`) is killed with it where logind's KillUserProcesses says so. Neither happens to a user who
lingers, and nothing else depends on a login.
"""

from __future__ import annotations

import os
import pwd

from wpod.kernel import cgroup
from wpod.model.network import NetworkMode
from wpod.model.request import LimitOptions

_LINGERING = "/var/lib/systemd/linger"
_OWN_CGROUP = "/proc/self/cgroup"


def logout_warning(limits: LimitOptions, network: NetworkMode) -> str | None:
    """One line for the user where a container that was just started with these limits may not outlive a logout.

    Looks at files and at this process's own cgroup. None as root, without systemd, outside of a session, and where
    the user lingers.
    """
    uid = os.geteuid()
    if uid == 0 or not cgroup.systemd_runs() or lingers(uid):
        return None
    name = _name(uid)
    own = _own_cgroup()
    in_scope = limits.needs_cgroup and cgroup.made_by_systemd()
    # A session in which a network's helpers run stays open for them, and the manager with it, unless it is killed.
    if f"/user@{uid}.service" in own or (in_scope and network is not NetworkMode.NETWORKS):
        fate = "ends with your last session"
    elif in_scope or "/session-" in own:
        fate = "may end with your session"
    else:
        return None
    return f"lingering is off: this container {fate} (loginctl enable-linger {name} keeps it)"


def lingers(uid: int) -> bool:
    """Whether the user's manager runs without a session, too."""
    return os.path.exists(f"{_LINGERING}/{_name(uid)}")


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _own_cgroup() -> str:
    """This process's path in systemd's hierarchy (cgroups(7)): v2's, or the one named systemd."""
    try:
        with open(_OWN_CGROUP, encoding="utf-8", errors="surrogateescape") as file:
            rows = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return ""
    return next((path for _, names, path in rows if names in ("", "name=systemd")), "")
