"""Networks as records: the default one, and what `wpod network` makes, changes and removes."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence

from wpod.errors import CannotEnforce, InUse, NameTaken, NotThere, UsageError
from wpod.formats.state_file import Kind
from wpod.frozen import field, frozen, replace
from wpod.model.container import Container, Status
from wpod.model.network import DEFAULT_NETWORK, Attachment, Driver, Network, NetworkMode, Subnet
from wpod.net import host_routes
from wpod.operations.locks import container_lock
from wpod.plan import addresses
from wpod.queries import containers as queries
from wpod.queries.networks import find
from wpod.storage.store import Store

# What --network means by these is no network (`wpod.cli.network_values`).
_MODES = frozenset(("bridge", "container", "default", "host", "none", "ns", "pasta", "private", "slirp4netns"))


@frozen
class NetworkRequest:
    """What `network create` was asked for; no name and no subnets leave them to wpod."""

    name: str
    subnets: tuple[addresses.SubnetRequest, ...] = ()
    interface: str = ""
    internal: bool = False
    ipv6: bool = False
    dns: bool = True
    options: tuple[tuple[str, str], ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


def ensure_default(store: Store) -> Network:
    """The network that containers join where no other is named, recorded at its first use. Raises StoreError."""
    try:
        return store.networks.find(DEFAULT_NETWORK)
    except NotThere:
        pass
    try:
        return store.networks.insert(lambda number, present: _default(number, present, host_routes.taken()))
    except NameTaken:  # another command was first
        return store.networks.find(DEFAULT_NETWORK)


def _default(number: int, present: Sequence[Network], taken: Sequence[addresses.AnyNetwork]) -> Network:
    """With the usual subnet, or the lowest free one where the host has that one already."""
    used = [*taken, *(addresses.parse_subnet(one.subnet) for network in present for one in network.subnets)]
    usual = addresses.parse_subnet(addresses.DEFAULT_SUBNET)
    if any(usual.overlaps(one) for one in used):
        subnet = addresses.free_subnet(used)
    else:
        subnet = addresses.check_subnet(addresses.SubnetRequest(addresses.DEFAULT_SUBNET))
    interface = _free_interface("wpod0", present)
    return Network(number, DEFAULT_NETWORK, os.urandom(32).hex(), Driver.BRIDGE, interface, time.time_ns(), (subnet,),
                   dns=False)  # fmt: skip


def create(store: Store, request: NetworkRequest) -> Network:
    """Record a network; its bridge is made when somebody starts on it.

    Raises NameTaken, UsageError (a gateway outside of its subnet, overlapping subnets), InUse (no subnet is left).
    """
    if request.name == DEFAULT_NETWORK:
        raise NameTaken(f"network name {request.name} already used")
    if request.name in _MODES:
        raise UsageError(f"a network can't have the name {request.name}: it is a mode of --network")
    taken = host_routes.taken()
    return store.networks.insert(lambda number, present: _made(request, number, present, taken))


def _made(
    request: NetworkRequest, number: int, present: Sequence[Network], taken: Sequence[addresses.AnyNetwork]
) -> Network:
    names = {one.name for one in present}
    name = request.name or next(f"net{index}" for index in range(len(names) + 1) if f"net{index}" not in names)
    if request.interface and request.interface in {one.interface for one in present}:
        raise UsageError(f"interface name {request.interface} is that of another network")
    subnets = _subnets(request, present, taken)
    return Network(
        number=number,
        name=name,
        network_id=os.urandom(32).hex(),
        driver=Driver.BRIDGE,
        interface=request.interface or _free_interface(f"wpod{number}", present),
        created_nanoseconds=time.time_ns(),
        subnets=subnets,
        internal=request.internal,
        ipv6=request.ipv6 or any(":" in one.subnet for one in subnets),
        dns=request.dns,
        options=request.options,
        labels=request.labels,
    )


def _subnets(
    request: NetworkRequest, present: Sequence[Network], taken: Sequence[addresses.AnyNetwork]
) -> tuple[Subnet, ...]:
    """What was given, checked; else the lowest free one. With --ipv6, one of each version at least."""
    chosen: list[Subnet] = []
    default = addresses.parse_subnet(addresses.DEFAULT_SUBNET)  # reserved also before its first use
    used = [default, *taken, *(addresses.parse_subnet(one.subnet) for network in present for one in network.subnets)]
    for wanted in request.subnets:
        subnet = addresses.check_subnet(wanted)
        block = addresses.parse_subnet(subnet.subnet)
        other = addresses.overlapping(subnet, present)
        if other is not None:
            raise UsageError(f"the subnet {block} overlaps with the one of network {other.name}")
        if any(block.overlaps(addresses.parse_subnet(one.subnet)) for one in chosen):
            raise UsageError(f"the subnet {block} overlaps with another one of this network")
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


def _free_interface(wanted: str, present: Sequence[Network]) -> str:
    """The wanted name, or the next number that no network and, as root, nobody on the host has."""
    used = {one.interface for one in present}
    if os.geteuid() == 0:
        used |= host_routes.interfaces()
    number = int(wanted.removeprefix("wpod"))
    while f"wpod{number}" in used:
        number += 1
    return f"wpod{number}"


def remove(store: Store, name_or_id: str, *, force: bool, stop_timeout_seconds: int | None) -> None:
    """Forget a network and take its bridge away; `force` removes the containers on it first.

    Raises NotThere, InUse.
    """
    from wpod.operations.network_site import Site
    from wpod.operations.remove import RemoveOptions, raise_first, remove_together

    network = find(store, name_or_id)
    if network.name == DEFAULT_NETWORK:
        raise UsageError(f"the default network {DEFAULT_NETWORK} can't be removed")
    users = _users(store, network.name)
    if users and not force:
        names = ", ".join(one.record.name for one in users)
        raise InUse(
            f"network {network.name} has associated containers with it: {names}", hint="-f removes them as well"
        )
    options = RemoveOptions(force=True, stop_timeout_seconds=stop_timeout_seconds)
    raise_first(remove_together(store, [one.record.container_id for one in users], options))
    with contextlib.closing(Site(store)) as site:
        site.remove_network(network)
    store.networks.delete(network.name)


def prune(store: Store, names: Sequence[str]) -> list[str]:
    """Remove those of these that no container is on; the names of what was removed."""
    removed = []
    for name in names:
        if name == DEFAULT_NETWORK or _users(store, name):
            continue
        try:
            remove(store, name, force=False, stop_timeout_seconds=None)
        except (InUse, NotThere):  # somebody came, or another command was first
            continue
        removed.append(name)
    return removed


def _users(store: Store, name: str) -> list[Container]:
    """The containers that are on a network, or will be when they are started."""
    found = queries.all_containers(store)
    return [one for one in found if name in {at.network for at in one.record.plan.networking.attachments}]


def connect(store: Store, container_name: str, attachment: Attachment) -> None:
    """Put a container on a network, from now on and at every start.

    Raises NotThere, NameTaken (it is on it already), CannotEnforce.
    """
    from wpod.operations import network_start

    network = (
        ensure_default(store) if attachment.network == DEFAULT_NETWORK else store.networks.find(attachment.network)
    )
    attachment = replace(attachment, network=network.name)
    container = queries.find(store, container_name)
    _check_can_join(container)
    with container_lock(store.paths.container(container.record.container_id)):
        container = queries.find(store, container.record.container_id)
        networking = container.record.plan.networking
        if any(one.network == network.name for one in networking.attachments):
            raise NameTaken(f"container {container.record.name} is already connected to network {network.name}")
        if container.observed.status is Status.RUNNING:
            network_start.connect(store, container, attachment)
        _record(store, container, (*networking.attachments, attachment))


def disconnect(store: Store, container_name: str, network_name: str) -> None:
    """Take a container off a network. Raises NotThere where it isn't on it."""
    from wpod.operations import network_start

    container = queries.find(store, container_name)
    name = network_name if network_name == DEFAULT_NETWORK else store.networks.find(network_name).name
    with container_lock(store.paths.container(container.record.container_id)):
        container = queries.find(store, container.record.container_id)
        attachments = container.record.plan.networking.attachments
        left = tuple(one for one in attachments if one.network != name)
        if len(left) == len(attachments):
            raise NotThere(f"container {container.record.name} is not connected to network {name}")
        if container.observed.status is Status.RUNNING:
            network_start.disconnect(store, container, name)
        _record(store, container, left)


def _check_can_join(container: Container) -> None:
    name, plan = container.record.name, container.record.plan
    if plan.kind is Kind.WASM:
        raise CannotEnforce(f"container {name} is a wasm container: it can't join a network yet")
    if plan.network is not NetworkMode.NETWORKS:
        raise CannotEnforce(
            f"container {name} has --network {plan.network.value}: only one that is on networks can join another",
            hint="create it with --network bridge",
        )


def _record(store: Store, container: Container, attachments: tuple[Attachment, ...]) -> None:
    plan = container.record.plan
    networking = replace(plan.networking, attachments=attachments)
    store.containers.change_plan(container.record.container_id, replace(plan, networking=networking))
