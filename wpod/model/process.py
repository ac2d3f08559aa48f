"""One process of a container as a list of processes shows it: numbers and names as inside of it, and here."""

from __future__ import annotations

from collections.abc import Mapping

from wpod.enumeration import Enum
from wpod.frozen import frozen
from wpod.model.memory import UNKNOWN, Breakdown


class Need(Enum):
    """What costs something to find out, and so is read only where it is wanted."""

    MEMORY = "memory"
    HOST_NAMES = "host names"


@frozen
class Identity:
    """A user or a group: its number inside of the container and here, each with its name there, "" for none."""

    inside: int
    host: int
    inside_name: str = ""
    host_name: str = ""


@frozen
class ProcessView:
    """One process. `pid`, `parent` and `group_leader` are numbers of the container's process namespace, 0 for what is
    outside of it; `host_pid` is ours.

    `command` is empty where it has none: a zombie. `terminal` is as below /dev, "" for none. `seccomp` and
    `capabilities` (by the names in /proc/PID/status) are as the kernel has them. `memory` is UNKNOWN unless it was
    wanted and can be read; helpers and cache are never a process's.
    """

    pid: int
    host_pid: int
    parent: int
    group_leader: int
    user: Identity
    real_user: Identity
    group: Identity
    real_group: Identity
    groups: tuple[Identity, ...]
    name: str
    command: tuple[str, ...]
    state: str
    nice: int
    terminal: str
    started_nanoseconds: int
    elapsed_nanoseconds: int
    cpu_nanoseconds: int
    virtual: int
    resident: int
    label: str
    seccomp: str
    capabilities: Mapping[str, int]
    memory: Breakdown = UNKNOWN
