"""Subnets, addresses and hardware addresses of networks: checks, and the choice of free ones. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable

from wpod.errors import InUse, UsageError
from wpod.frozen import frozen
from wpod.model.network import Network, Subnet

AnyNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
AnyAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

DEFAULT_SUBNET = "10.88.0.0/16"
# containers.conf(5), default_subnet_pools: a network without --subnet gets the lowest free /24 of these.
_POOL_FIRST = int(ipaddress.IPv4Address("10.89.0.0"))
_POOL_END = int(ipaddress.IPv4Address("10.255.255.0"))
_POOL_STEP = 256
_LONGEST_PREFIX = {4: 30, 6: 126}


@frozen
class SubnetRequest:
    """--subnet with the --gateway and --ip-range that belong to it; "" where not given."""

    subnet: str
    gateway: str = ""
    ip_range: str = ""


def parse_subnet(text: str) -> AnyNetwork:
    """A subnet in CIDR form; host bits are dropped, as podman does. Raises UsageError."""
    address, _, length = text.partition("/")
    try:
        if "%" in address or not (length.isascii() and length.isdigit()):  # ipaddress takes zones and masks as well
            raise ValueError
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise UsageError(f"{text!r:.80} is not a subnet in CIDR form, such as 10.90.0.0/24") from None
    if network.prefixlen > _LONGEST_PREFIX[network.version]:
        raise UsageError(f"the subnet {network} has no room for a gateway and a container")
    if network.is_multicast or network.is_loopback or network.network_address.is_unspecified:
        raise UsageError(f"the subnet {network} can't be one of containers")
    return network


def parse_address(text: str) -> AnyAddress:
    """Raises UsageError."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise UsageError(f"{text!r:.80} is not an IP address") from None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        raise UsageError(f"{text!r:.80} has a zone, which an address of a container can't have")
    return address


def check_subnet(request: SubnetRequest) -> Subnet:
    """One subnet of a new network, with its gateway: the one that was given, else the first address.

    Raises UsageError for addresses outside of it.
    """
    network = parse_subnet(request.subnet)
    gateway = parse_address(request.gateway) if request.gateway else network.network_address + 1
    if gateway not in network or gateway in _reserved(network):
        raise UsageError(f"the gateway {gateway} is not an address of the subnet {network}")
    first, last = _range(network, request.ip_range) if request.ip_range else ("", "")
    return Subnet(str(network), str(gateway), first, last)


def _range(network: AnyNetwork, text: str) -> tuple[str, str]:
    """--ip-range: a subnet of the subnet, or FIRST-LAST."""
    first: AnyAddress
    last: AnyAddress
    if "-" in text:
        low, _, high = text.partition("-")
        first, last = parse_address(low.strip()), parse_address(high.strip())
    else:
        try:
            part = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise UsageError(f"the IP range {text!r:.80} is neither a subnet nor FIRST-LAST") from None
        first, last = part.network_address, part.broadcast_address
    if first not in network or last not in network or int(first) > int(last):
        raise UsageError(f"the IP range {text!r:.80} does not lie in the subnet {network}")
    return str(first), str(last)


def free_subnet(taken: Iterable[AnyNetwork]) -> Subnet:
    """The lowest /24 of the pool that overlaps with none of these. Raises InUse where there is none left."""
    spans = sorted(
        (int(one.network_address), int(one.broadcast_address))
        for one in taken
        if isinstance(one, ipaddress.IPv4Network)
    )
    candidate = _POOL_FIRST
    for first, last in spans:
        if first >= candidate + _POOL_STEP:
            break
        if last >= candidate:
            candidate = (last // _POOL_STEP + 1) * _POOL_STEP
    if candidate > _POOL_END:
        raise InUse("no subnet is left for another network", hint="give one with --subnet")
    return check_subnet(SubnetRequest(f"{ipaddress.IPv4Address(candidate)}/24"))


def local_ipv6_subnet(chance: bytes) -> Subnet:
    """A unique local /64 (RFC 4193) of five bytes of chance."""
    number = (0xFD << 120) | (int.from_bytes(chance[:5], "big") << 80)
    return check_subnet(SubnetRequest(f"{ipaddress.IPv6Address(number)}/64"))


def overlapping(subnet: Subnet, networks: Iterable[Network]) -> Network | None:
    """The network that has addresses of this subnet already."""
    wanted = ipaddress.ip_network(subnet.subnet)
    for network in networks:
        if any(wanted.overlaps(ipaddress.ip_network(one.subnet)) for one in network.subnets):
            return network
    return None


def choose_address(network: Network, subnet: Subnet, taken: Collection[str], wanted: str = "") -> str:
    """An address with its prefix length: the wanted one, or the lowest that nobody has.

    `taken` are addresses without prefix length. Raises UsageError (outside the subnet) and InUse (taken, or none left).
    """
    block = ipaddress.ip_network(subnet.subnet)
    used = {int(ipaddress.ip_address(one)) for one in taken if ipaddress.ip_address(one).version == block.version}
    reserved = {int(one) for one in _reserved(block)}
    if subnet.gateway:
        reserved.add(int(ipaddress.ip_address(subnet.gateway)))
    if wanted:
        address = parse_address(wanted)
        if address not in block or int(address) in reserved:
            raise UsageError(f"{address} is not an address that network {network.name} ({block}) can give")
        if int(address) in used:
            raise InUse(f"the address {address} of network {network.name} is in use")
        return f"{address}/{block.prefixlen}"
    first = int(ipaddress.ip_address(subnet.first)) if subnet.first else int(block.network_address)
    last = int(ipaddress.ip_address(subnet.last)) if subnet.last else int(block.broadcast_address)
    for number in range(first, last + 1):
        if number not in used and number not in reserved:
            return f"{type(block.network_address)(number)}/{block.prefixlen}"
    raise InUse(
        f"network {network.name} has no free address in {subnet.subnet}", hint="remove containers, or use another"
    )


def _reserved(network: AnyNetwork) -> tuple[AnyAddress, ...]:
    """The addresses of the subnet itself and of all in it; IPv6 has the first alone (the routers', RFC 4291, 2.6.1)."""
    if network.version == 6:
        return (network.network_address,)
    return (network.network_address, network.broadcast_address)


def hardware_address(chance: bytes) -> str:
    """A locally administered unicast address of six bytes of chance, as aa:bb:…"""
    first = chance[0] & 0xFC | 0x02
    return ":".join(f"{byte:02x}" for byte in (first, *chance[1:6]))


def parse_hardware_address(text: str) -> str:
    """In lower case with colons. Raises UsageError."""
    parts = text.replace("-", ":").split(":")
    if len(parts) != 6 or not all(len(part) == 2 and part.strip("0123456789abcdefABCDEF") == "" for part in parts):
        raise UsageError(f"{text!r:.80} is not a hardware address such as 92:d0:c6:0a:29:33")
    if int(parts[0], 16) & 1:
        raise UsageError(f"{text:.80} is a multicast address, which an interface can't have")
    return ":".join(parts).lower()
