"""Sockets of the host for published ports: bound and listening before anything of a container is made."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Sequence

from wpod.errors import PortInUse, WpodError
from wpod.model.network import Protocol, PublishedPort

_BACKLOG = 4096  # what the kernel cuts down to net.core.somaxconn
_TYPES = {Protocol.TCP: socket.SOCK_STREAM, Protocol.UDP: socket.SOCK_DGRAM}


def open_sockets(ports: Sequence[PublishedPort]) -> list[socket.socket]:
    """One socket for each, in their order: TCP ones listen, UDP ones are bound. All or none.

    Every address of the host means both versions of IP where the host has both. Raises PortInUse for a port that
    somebody else has, WpodError where the host refuses otherwise.
    """
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(contextlib.closing(_open(port))) for port in ports]
        opened.pop_all()
    return sockets


def choose_free(port: PublishedPort) -> int:
    """A port of the host that is free at this moment, from the kernel's own range (ip(7), ip_local_port_range)."""
    chosen = _open(port)
    try:
        number: int = chosen.getsockname()[1]
        return number
    finally:
        chosen.close()


def _open(port: PublishedPort) -> socket.socket:
    family = socket.AF_INET if port.host_address and ":" not in port.host_address else socket.AF_INET6
    try:
        return _bound(port, family)
    except OSError as error:
        no_ipv6 = error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL) and not port.host_address
        if not no_ipv6:
            raise _worded(port, error) from error
    try:
        return _bound(port, socket.AF_INET)
    except OSError as error:
        raise _worded(port, error) from error


def _bound(port: PublishedPort, family: int) -> socket.socket:
    made = socket.socket(family, _TYPES[port.protocol] | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(bool(port.host_address)))
        if port.protocol is Protocol.TCP:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((port.host_address, port.host_port))
        if port.protocol is Protocol.TCP:
            made.listen(_BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


def _worded(port: PublishedPort, error: OSError) -> WpodError:
    where = f"{port.host_address or '*'}:{port.host_port}/{port.protocol.value}"
    if error.errno == errno.EADDRINUSE:
        return PortInUse(f"port {where} is in use{_holder(port)}", hint="choose another, or stop what uses it")
    if error.errno == errno.EACCES:
        first = _first_unprivileged()
        return WpodError(
            f"port {where} can't be opened by a user: it is below {first}",
            hint=f"choose a port from {first} on, or: sysctl net.ipv4.ip_unprivileged_port_start={port.host_port}",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return WpodError(f"port {where} can't be opened: this machine has no address {port.host_address}")
    return WpodError(f"port {where} can't be opened: {error.strerror}")


def _first_unprivileged() -> int:
    try:
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="utf-8") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 1024


def _holder(port: PublishedPort) -> str:
    """` by PROGRAM (pid N)`, where this user may know it: by the socket's inode in /proc/net and /proc/PID/fd."""
    inodes = _inodes(port)
    for pid in os.listdir("/proc") if inodes else ():
        if not pid.isdigit():
            continue
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{name}") in inodes:
                    with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                        return f" by {file.read().strip()} (pid {pid})"
    return ""


def _inodes(port: PublishedPort) -> set[str]:
    """Of the sockets that listen on (TCP) or are bound to (UDP) this port, as /proc/PID/fd names them (proc(5))."""
    found = set()
    listening = {"0A"} if port.protocol is Protocol.TCP else {"07"}
    for suffix in ("", "6"):
        with contextlib.suppress(OSError), open(f"/proc/net/{port.protocol.value}{suffix}", encoding="utf-8") as file:
            for line in file.readlines()[1:]:
                words = line.split()
                if int(words[1].rpartition(":")[2], 16) == port.host_port and words[3] in listening:
                    found.add(f"socket:[{words[9]}]")
    return found
