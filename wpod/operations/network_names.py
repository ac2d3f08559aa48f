"""Names of a store's containers on their networks: the name server's, and those of /etc/hosts."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence

from wpod.frozen import replace
from wpod.model.container import ContainerRecord
from wpod.model.network import Network
from wpod.net import holder, host_routes
from wpod.net.names import Named, NameServer
from wpod.net.namespace import NetworkNamespace
from wpod.plan import etc_files
from wpod.storage.store import Store


def update(store: Store, namespace: NetworkNamespace, helper: holder.Connection | None) -> None:
    """Tell the name server who is where now; it ends with the helper, where there is one. Raises WpodError."""
    directory = holder.directory(store.paths.run)
    lock = os.open(f"{directory}/names.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        leases = store.networks.leases()
        with_names = {one.name: one for one in store.networks.readable()[0] if one.dns}
        if not with_names and not os.path.isdir(f"{directory}/names"):
            return
        if os.geteuid() != 0 and holder.forwards_names():
            with_names = {name: _through_pasta(one) for name, one in with_names.items()}
        named = [Named(one, one.aliases) for one in leases if one.network in with_names]
        process = NameServer(f"{directory}/names", namespace).update(with_names, named)
        if process is not None:
            try:
                if helper is not None:
                    helper.helper("aardvark-dns", process)
            finally:
                os.close(process)
    finally:
        os.close(lock)


def _through_pasta(network: Network) -> Network:
    """Where a user's host asks a name server of its own loopback, nobody is there in the shared namespace: the name
    server asks through pasta, unless the network has servers of its own.
    """
    return network if network.dns_servers else replace(network, dns_servers=(etc_files.FORWARDED_NAME_SERVER,))


def write_hosts(store: Store, record: ContainerRecord) -> None:
    """/etc/hosts of a running container, in place: it is the very file that the container has."""
    plan = record.plan
    if plan.no_hosts:
        return
    leases = tuple(store.networks.leases(record.container_id))
    names = etc_files.Names(
        hostname=plan.hostname,
        name=record.name,
        mode=plan.network,
        leases=leases,
        host_gateway=host_gateway([store.networks.find(one.network) for one in leases]),
        asked=plan.networking.names,
    )
    with open(f"{store.paths.container(record.container_id).etc}/hosts", "w", encoding="utf-8") as file:
        file.write(etc_files.hosts(names, ""))


def host_gateway(networks: Sequence[Network]) -> str:
    """What leads to the host from a container on these: the bridge, or a user's pasta; "" where nothing does."""
    if os.geteuid() != 0:
        inner = all(one.internal for one in networks)
        return "" if inner else host_routes.outward_address()
    bridges = [one for one in networks if one.is_bridge]
    gateways = [subnet.gateway for one in bridges for subnet in one.subnets if subnet.gateway]
    return next((one for one in gateways if ":" not in one), gateways[0] if gateways else "")


def servers(networks: Sequence[Network]) -> tuple[str, ...]:
    """The gateways of the networks that have names."""
    return tuple(subnet.gateway for one in networks if one.dns for subnet in one.subnets if subnet.gateway)
