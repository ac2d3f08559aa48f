"""A network namespace for a whole session of tests as root: nothing of the machine's own network is touched.

Each test process has one, so that bridges and published ports of tests that run beside don't meet either. It has an
uplink, for pasta connects a user's containers with nothing else; what is sent there is lost. Name servers are
unreachable, so that look-ups fail at once.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_UPLINK = """
ip link set lo up
ip link add uplink type veth peer name nowhere
ip address add 198.51.100.2/24 dev uplink
ip address add 2001:db8:51::2/64 dev uplink nodad
ip link set nowhere up
ip link set uplink up
ip neighbour add 198.51.100.1 lladdr 02:00:00:00:00:01 dev uplink nud permanent
ip neighbour add 2001:db8:51::1 lladdr 02:00:00:00:00:01 dev uplink nud permanent
ip route add default via 198.51.100.1
ip route add default via 2001:db8:51::1
"""
_outside = -1


def enter() -> None:
    """Move this process, and all that it starts from here on, into a new one. Once, as root, in the main thread."""
    global _outside  # noqa: PLW0603 - a process has one network
    if _outside >= 0:
        return
    _outside = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["sh", "-eu", "-c", _UPLINK + _unreachable()], check=True)


def clear() -> None:
    """Take away the bridges and rules that a store of root has left; nobody is on them any more."""
    if _outside < 0:
        return
    for _, name in socket.if_nameindex():
        if name.startswith("wpod"):
            subprocess.run(["ip", "link", "delete", name], check=False)
    subprocess.run(["nft", "delete", "table", "inet", "wpod"], check=False, stderr=subprocess.DEVNULL)


def outside(command: Sequence[str]) -> list[str]:
    """How a command is run in the machine's own network, which has the world behind it."""
    if _outside < 0:
        return list(command)
    return ["nsenter", f"--net=/proc/{os.getpid()}/fd/{_outside}", *command]


def _unreachable() -> str:
    servers = [line.split()[1] for line in Path("/etc/resolv.conf").read_text().splitlines()
               if line.startswith("nameserver ") and not line.split()[1].startswith(("127.", "::1"))]  # fmt: skip
    return "".join(f"ip route add unreachable {server}\n" for server in servers)
