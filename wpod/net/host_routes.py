"""What the host has addresses and routes of: no network of containers may overlap with it (proc(5), /proc/net)."""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import os
import socket
import struct

from wpod.errors import NotThere
from wpod.plan.addresses import AnyNetwork

_SIOCGIFADDR = 0x8915


def taken() -> list[AnyNetwork]:
    """The host's addresses, and the destinations of its routes but the default ones, which lead everywhere."""
    return [*_routes4(), *_addresses4(), *_routes6()]


def interfaces() -> set[str]:
    """The names of the host's interfaces: this process's own network namespace's, which /sys needn't show."""
    return {name for _, name in socket.if_nameindex()}


def free_bridge(wanted: str, used: set[str]) -> str:
    """The wanted name `wpodN`, or the next that is not used nor, as root, on the host, where the bridges are then."""
    if os.geteuid() == 0:
        used = used | interfaces()
    number = int(wanted.removeprefix("wpod"))
    while f"wpod{number}" in used:
        number += 1
    return f"wpod{number}"


def outward_address() -> str:
    """The IPv4 address of the interface that the host's default route goes through, "" without such a route."""
    wanted = struct.pack("16s24x", _outward_interface4().encode())  # struct ifreq (netdevice(7))
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket,
    ):
        return socket.inet_ntoa(fcntl.ioctl(any_socket, _SIOCGIFADDR, wanted)[20:24])
    return ""


def has_way_out() -> bool:
    """Whether the host has a default route, of any version of IP."""
    return bool(outward_address() or _outward_interface6())


def parent_index(name: str) -> int:
    """The index of an interface of the host; "" means the one of the default route. Raises NotThere."""
    wanted = name or _outward_interface4() or _outward_interface6()
    if not wanted:
        raise NotThere("there is no default route whose interface could be the network's parent", hint="-o parent=NAME")
    try:
        return socket.if_nametoindex(wanted)
    except OSError:
        raise NotThere(f"parent interface {wanted} does not exist") from None


def _outward_interface4() -> str:
    """The interface of the default route of IPv4, "" without one."""
    with contextlib.suppress(OSError), open("/proc/net/route", encoding="utf-8") as file:
        for line in file.readlines()[1:]:
            words = line.split()
            if words[1] == words[7] == "00000000":
                return words[0]
    return ""


def _outward_interface6() -> str:
    """As above, of IPv6; the route on lo is the one that refuses what no other route takes."""
    with contextlib.suppress(OSError), open("/proc/net/ipv6_route", encoding="utf-8") as file:
        for words in map(str.split, file):
            if words[1] == words[3] == "00" and words[9] != "lo":
                return words[9]
    return ""


def _routes4() -> list[AnyNetwork]:
    found: list[AnyNetwork] = []
    with contextlib.suppress(OSError), open("/proc/net/route", encoding="utf-8") as file:
        for line in file.readlines()[1:]:
            words = line.split()
            address, mask = (int.from_bytes(bytes.fromhex(words[index]), "little") for index in (1, 7))
            if mask:
                length = mask.bit_count()
                found.append(ipaddress.IPv4Network((address & mask, length)))
    return found


def _addresses4() -> list[AnyNetwork]:
    """The host's own addresses, which the local table has: an address without a subnet has no route in the main one.

    Those of IPv6 are in /proc/net/ipv6_route.
    """
    found: dict[AnyNetwork, None] = {}
    address = ""
    with contextlib.suppress(OSError), open("/proc/net/fib_trie", encoding="utf-8") as file:
        for line in file:
            words = line.split()
            if words[:1] == ["|--"]:
                address = words[1]
            elif words == ["/32", "host", "LOCAL"]:
                found[ipaddress.IPv4Network(address)] = None
    return list(found)


def _routes6() -> list[AnyNetwork]:
    found: list[AnyNetwork] = []
    with contextlib.suppress(OSError), open("/proc/net/ipv6_route", encoding="utf-8") as file:
        for line in file:
            words = line.split()
            length = int(words[1], 16)
            if length and not words[0].startswith(("fe8", "ff")):
                found.append(ipaddress.IPv6Network((bytes.fromhex(words[0]), length), strict=False))
    return found
