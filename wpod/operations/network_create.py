"""What `network create` records: what was asked for, checked against the host and all other networks."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence

from wpod.errors import CannotEnforce, NameTaken, UsageError
from wpod.frozen import field, frozen, replace
from wpod.model.network import DEFAULT_NETWORK, AddressDriver, Driver, Network, Route, Subnet
from wpod.net import host_routes
from wpod.plan import addresses, network_options
from wpod.storage.store import Store

# What --network means by these is no network (`wpod.cli.network_values`).
_MODES = frozenset(("bridge", "container", "default", "host", "none", "ns", "pasta", "private", "slirp4netns"))


@frozen
class NetworkRequest:
    """What `network create` was asked for; no name and no subnets leave them to wpod. `options` as they were typed."""

    name: str
    driver: Driver = Driver.BRIDGE
    address_driver: AddressDriver = AddressDriver.HOST_LOCAL
    subnets: tuple[addresses.SubnetRequest, ...] = ()
    routes: tuple[Route, ...] = ()
    interface: str = ""
    internal: bool = False
    ipv6: bool = False
    dns: bool = True
    dns_servers: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


def create(store: Store, request: NetworkRequest) -> Network:
    """Record a network; its bridge is made when somebody starts on it.

    Raises NameTaken, UsageError (a gateway outside of its subnet, overlapping subnets, options that the driver hasn't),
    NotThere (no such parent), InUse (no subnet is left), CannotEnforce (what a user can't have).
    """
    if request.name == DEFAULT_NETWORK:
        raise NameTaken(f"network name {request.name} already used")
    if request.name in _MODES:
        raise UsageError(f"a network can't have the name {request.name}: it is a mode of --network")
    if request.dns_servers and not (request.dns and request.driver is Driver.BRIDGE):
        raise UsageError("--dns is asked by the network's own name server, and this network has none")
    options = dict(network_options.checked(request.driver, request.options))
    interface = request.interface
    if request.driver is not Driver.BRIDGE:
        interface = _parent(request, options.pop("parent", ""))
    elif os.geteuid() == 0 and interface in host_routes.interfaces():
        raise UsageError(f"interface name {interface} is that of an interface of this machine")
    checked = replace(request, interface=interface, options=tuple(options.items()))
    taken = host_routes.taken()
    return store.networks.insert(lambda number, present: _made(checked, number, present, taken))


def _parent(request: NetworkRequest, given: str) -> str:
    """The parent interface of macvlan and ipvlan, "" for that of the default route at each start."""
    driver = request.driver.value
    if os.geteuid() != 0:
        raise CannotEnforce(
            f"the driver {driver} needs root: a user's networks are in a namespace that has no interface of the host",
            hint="--driver bridge",
        )
    if request.interface and given and request.interface != given:
        raise UsageError(f"--interface-name {request.interface} and --opt parent={given} name two parents")
    parent = given or request.interface
    if parent:
        host_routes.parent_index(parent)
    return parent


def _made(
    request: NetworkRequest, number: int, present: Sequence[Network], taken: Sequence[addresses.AnyNetwork]
) -> Network:
    names = {one.name for one in present}
    name = request.name or next(f"net{index}" for index in range(len(names) + 1) if f"net{index}" not in names)
    bridge = request.driver is Driver.BRIDGE
    if bridge and request.interface and request.interface in {one.interface for one in present if one.is_bridge}:
        raise UsageError(f"interface name {request.interface} is that of another network")
    subnets = _subnets(request, present, taken)
    return Network(
        number=number,
        name=name,
        network_id=os.urandom(32).hex(),
        driver=request.driver,
        interface=request.interface
        or (host_routes.free_bridge(f"wpod{number}", {one.interface for one in present}) if bridge else ""),
        created_nanoseconds=time.time_ns(),
        subnets=subnets,
        internal=request.internal,
        ipv6=request.ipv6 or any(":" in one.subnet for one in subnets),
        # Names are told by the gateways of bridges, so there must be one.
        dns=request.dns and bridge and bool(subnets),
        dns_servers=request.dns_servers,
        options=request.options,
        labels=request.labels,
        address_driver=request.address_driver,
        routes=_routes(request, subnets),
    )


def _subnets(
    request: NetworkRequest, present: Sequence[Network], taken: Sequence[addresses.AnyNetwork]
) -> tuple[Subnet, ...]:
    """What was given, checked; else the lowest free one of a bridge. With --ipv6, one of each version at least."""
    if request.address_driver is AddressDriver.NONE:
        if request.subnets or request.ipv6:
            raise UsageError("--ipam-driver none gives out no addresses: --subnet and --ipv6 contradict it")
        return ()
    if request.driver is not Driver.BRIDGE:
        return _of_parent(request, present)
    chosen: list[Subnet] = []
    default = addresses.parse_subnet(addresses.DEFAULT_SUBNET)  # reserved also before its first use
    used = [default, *taken, *(addresses.parse_subnet(one.subnet) for network in present for one in network.subnets)]
    for wanted in request.subnets:
        subnet = _checked(wanted, chosen, present)
        block = addresses.parse_subnet(subnet.subnet)
        if block.overlaps(default) and not any(one.name == DEFAULT_NETWORK for one in present):
            raise UsageError(f"the subnet {block} overlaps with the one of network {DEFAULT_NETWORK}")
        if any(block.overlaps(one) for one in used):
            raise UsageError(f"the subnet {block} overlaps with one that this machine has an address or a route of")
        chosen.append(subnet)
        used.append(block)
    if not any(":" not in one.subnet for one in chosen) and not (chosen and request.ipv6 is False):
        chosen.insert(0, addresses.free_subnet(used))
    if request.ipv6 and not any(":" in one.subnet for one in chosen):
        chosen.append(addresses.local_ipv6_subnet(os.urandom(5)))
    return tuple(chosen)


def _of_parent(request: NetworkRequest, present: Sequence[Network]) -> tuple[Subnet, ...]:
    """Subnets of macvlan and ipvlan are those of the network that the parent is on, so the host may have them too."""
    if not request.subnets:
        raise UsageError(
            f"{request.driver.value} driver needs at least one subnet specified, DHCP is not supported",
            hint="--subnet, or --ipam-driver none for interfaces without addresses",
        )
    if request.ipv6 and not any(":" in one.subnet for one in request.subnets):
        raise UsageError(f"--ipv6 with the driver {request.driver.value} needs a --subnet of IPv6")
    others = [one for one in present if one.is_bridge or one.interface == request.interface]
    chosen: list[Subnet] = []
    for wanted in request.subnets:
        chosen.append(_checked(wanted, chosen, others))
    return tuple(chosen)


def _checked(wanted: addresses.SubnetRequest, chosen: Sequence[Subnet], others: Sequence[Network]) -> Subnet:
    """One --subnet that overlaps with no other of this network or of those. Raises UsageError."""
    subnet = addresses.check_subnet(wanted)
    block = addresses.parse_subnet(subnet.subnet)
    other = addresses.overlapping(subnet, others)
    if other is not None:
        raise UsageError(f"the subnet {block} overlaps with the one of network {other.name}")
    if any(block.overlaps(addresses.parse_subnet(one.subnet)) for one in chosen):
        raise UsageError(f"the subnet {block} overlaps with another one of this network")
    return subnet


def _routes(request: NetworkRequest, subnets: Sequence[Subnet]) -> tuple[Route, ...]:
    """Each with a gateway that a container of this network reaches. Raises UsageError."""
    blocks = [addresses.parse_subnet(one.subnet) for one in subnets]
    for route in request.routes:
        if not any(addresses.parse_address(route.gateway) in block for block in blocks):
            raise UsageError(
                f"the gateway {route.gateway} of the route to {route.destination} is in no subnet of this network"
            )
    return request.routes
