"""Which place a container gets on each of its networks."""

from __future__ import annotations

import os
from collections.abc import Sequence

from wpod.errors import CannotEnforce
from wpod.formats.state_file import Kind
from wpod.model import ids
from wpod.model.container import ContainerRecord
from wpod.model.network import Attachment, Driver, Lease, Network
from wpod.plan import addresses
from wpod.state.networks import Lookup


def choose(
    record: ContainerRecord, attachments: Sequence[Attachment], lookup: Lookup, position: int = 0
) -> list[Lease]:
    """A place on each network: the addresses that were asked for, or the lowest free ones.

    `position` counts the interfaces that it has already. Raises UsageError, InUse (an address), CannotEnforce.
    """
    made = []
    names = (record.name, ids.short(record.container_id))
    for index, wanted in enumerate(attachments, position):
        network, taken = lookup(wanted.network)
        chosen = _addresses(network, wanted, taken)
        mac = _hardware_address(network, wanted)
        aliases = tuple(dict.fromkeys((*names, *wanted.aliases)))
        interface = wanted.interface or f"eth{index}"
        if record.plan.kind is Kind.WASM:
            interface = mac = ""
        made.append(Lease(network.name, record.container_id, interface, chosen, mac, aliases))
    return made


def _hardware_address(network: Network, wanted: Attachment) -> str:
    if network.driver is Driver.IPVLAN:
        if wanted.mac:
            raise CannotEnforce(f"network {network.name} is an ipvlan: all on it have the parent's hardware address")
        return ""
    return wanted.mac or addresses.hardware_address(os.urandom(6))


def _addresses(network: Network, wanted: Attachment, taken: frozenset[str]) -> tuple[str, ...]:
    chosen: dict[bool, str] = {}
    unused = list(wanted.addresses)
    for subnet in network.subnets:
        six = ":" in subnet.subnet
        if six in chosen:
            continue
        given = next((one for one in unused if (":" in one) == six), "")
        if given:
            unused.remove(given)
        chosen[six] = addresses.choose_address(network, subnet, taken, given)
    if unused:
        raise CannotEnforce(f"network {network.name} has no subnet for the address {unused[0]}")
    return tuple(chosen[six] for six in sorted(chosen))


def free_position(leases: Sequence[Lease]) -> int:
    """The lowest number whose ethN is none of these."""
    used = {one.interface for one in leases}
    return next(number for number in range(len(used) + 1) if f"eth{number}" not in used)
