"""Where the ports that a container publishes lead to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence

from wpod.errors import NotThere, PortInUse
from wpod.formats.state_file import Kind
from wpod.model.container import ContainerRecord
from wpod.model.network import Lease, PublishedPort
from wpod.storage.store import Store


def led(record: ContainerRecord) -> tuple[PublishedPort, ...]:
    """The ports that must be led to the container; a wasm guest has their sockets itself."""
    return record.plan.networking.ports if record.plan.kind is Kind.NATIVE else ()


def place(store: Store, record: ContainerRecord, leases: Sequence[Lease]) -> Lease | None:
    """Where a container's ports lead to: its place on the first of its networks that is a bridge with addresses."""
    by_network = {one.network: one for one in leases if one.addresses}
    for attachment in record.plan.networking.attachments:
        lease = by_network.get(attachment.network)
        if lease is not None and store.networks.find(lease.network).is_bridge:
            return lease
    return None


def with_addresses(ports: Iterable[PublishedPort], lease: Lease | None) -> list[tuple[PublishedPort, str]]:
    """Each port with each address that it leads to: one of each version of IP."""
    return [(port, address.partition("/")[0]) for port in ports for address in (lease.addresses if lease else ())]


def target(port: PublishedPort, lease: Lease) -> str:
    """Where a published port leads to: the address there, of the port's own version where it has one."""
    plain = [one.partition("/")[0] for one in lease.addresses]
    six = ":" in port.host_address
    address = next((one for one in plain if (":" in one) == six), plain[0])
    return f"[{address}]:{port.container_port}" if ":" in address else f"{address}:{port.container_port}"


def check(store: Store, record: ContainerRecord) -> None:
    """Raises PortInUse where another container on a network has published one of these ports: as root, no socket is
    bound that would tell.
    """
    wanted = record.plan.networking.ports
    for other in {one.container_id for one in store.networks.leases()} if wanted else ():
        if other == record.container_id:
            continue
        with contextlib.suppress(NotThere):
            found = store.containers.find(other)
            for port in wanted:
                if any(_same(port, one) for one in found.plan.networking.ports):
                    where = f"{port.host_address or '*'}:{port.host_port}/{port.protocol.value}"
                    raise PortInUse(f"port {where} is in use by container {found.name}")


def _same(one: PublishedPort, other: PublishedPort) -> bool:
    same = (one.host_port, one.protocol) == (other.host_port, other.protocol)
    return same and (not one.host_address or not other.host_address or one.host_address == other.host_address)
