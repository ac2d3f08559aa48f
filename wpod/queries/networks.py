"""Networks as they are shown: podman's documents, and a container's part of them."""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Callable, Collection, Sequence

from wpod import times
from wpod.errors import NotThere, StoreError, UsageError, WpodError
from wpod.model import ids
from wpod.model.container import ContainerRecord
from wpod.model.network import (
    DEFAULT_NETWORK,
    FILTERS,
    Driver,
    Lease,
    Network,
    NetworkMode,
    PublishedPort,
    Route,
    Subnet,
)
from wpod.net import host_routes
from wpod.plan import addresses
from wpod.storage.store import Store

# The same for every store, as podman's: sha256 of its name.
_DEFAULT_ID = "652eb223c89af474b5878fb43c403cf5159e365cb20d802c335eba427ec2b8b6"
# When a container sees its network's gateway instead of a client's address.
LOST_TO_ROOT = ("clients of the host's own loopback", "containers that use a published port of the host")
LOST_TO_USERS = (
    "clients of the host's own loopback",
    "containers whose first network is internal",
    "clients by a version of IP that the container has no address of",
    "clients with a link-local IPv6 address",
)


def planned_default(number: int, present: Sequence[Network]) -> Network:
    """The default network as its first use records it, and as it is shown until then.

    With the usual subnet, or the lowest free one where the host or another network has that one already.
    """
    used = [
        *host_routes.taken(),
        *(addresses.parse_subnet(one.subnet) for network in present for one in network.subnets),
    ]
    subnet = addresses.check_subnet(addresses.SubnetRequest(addresses.DEFAULT_SUBNET))
    if any(addresses.parse_subnet(subnet.subnet).overlaps(one) for one in used):
        subnet = addresses.free_subnet(used)
    interface = host_routes.free_bridge("wpod0", {one.interface for one in present})
    return Network(number, DEFAULT_NETWORK, _DEFAULT_ID, Driver.BRIDGE, interface, time.time_ns(), (subnet,), dns=False)


def find(store: Store, name_or_id: str) -> Network:
    """As the table's, and the default network before its first use. Raises NotThere, AmbiguousName, StoreError."""
    try:
        return store.networks.find(name_or_id)
    except NotThere:
        if name_or_id == DEFAULT_NETWORK or (ids.is_id_prefix(name_or_id) and _DEFAULT_ID.startswith(name_or_id)):
            return planned_default(1, store.networks.readable()[0])
        raise


def selected(
    store: Store, terms: Sequence[tuple[str, str]], keys: Collection[str] = FILTERS
) -> tuple[list[Network], list[StoreError]]:
    """Those that fit, and what can't be read: of terms with one key any must hold (of `label!` all), of several keys
    all. Raises UsageError, also for a key that isn't one of these.
    """
    wrong = next((key for key, _ in terms if key not in keys), None)
    if wrong is not None:
        raise UsageError(f"invalid filter {wrong!r:.80}: must be one of {', '.join(keys)}")
    found, problems = store.networks.readable()
    if DEFAULT_NETWORK not in {one.name for one in found}:
        found = sorted([*found, planned_default(1, found)], key=lambda one: one.name)
    for key in dict.fromkeys(key for key, _ in terms):
        tests = [_test(store, key, value) for known, value in terms if known == key]
        enough = all if key == "label!" else any
        found = [one for one in found if enough(test(one) for test in tests)]
    return found, problems


def _test(store: Store, key: str, value: str) -> Callable[[Network], bool]:
    """What tells whether a network fits. Raises UsageError for a value that can't be."""
    if key == "name":
        return lambda network: value in network.name
    if key == "id":
        return lambda network: network.network_id.startswith(value)
    if key == "driver":
        return lambda network: network.driver.value == value
    if key == "until":
        moment = times.parse_moment(value)
        return lambda network: network.created_nanoseconds < moment
    if key == "dangling":
        if value not in ("true", "false", "1", "0"):
            raise UsageError(f"invalid dangling filter value {value!r:.80}: must be true or false")
        used, wanted = _used(store), value in ("true", "1")
        return lambda network: (network.name not in used) == wanted
    name, equals, content = value.partition("=")
    without = key == "label!"
    return lambda network: (name in network.labels and (not equals or network.labels[name] == content)) is not without


def _used(store: Store) -> set[str]:
    """The networks that a container is on, or will be when it is started."""
    records, _ = store.containers.readable()
    return {at.network for record in records for at in record.plan.networking.attachments}


def document(network: Network) -> dict[str, object]:
    """podman's keys of `network inspect`."""
    return {
        "name": network.name,
        "id": network.network_id,
        "driver": network.driver.value,
        "network_interface": network.interface,
        "created": times.rfc3339(network.created_nanoseconds),
        "subnets": [_subnet(one) for one in network.subnets],
        "ipv6_enabled": network.ipv6,
        "internal": network.internal,
        "dns_enabled": network.dns,
        **({"labels": dict(network.labels)} if network.labels else {}),
        **({"options": dict(network.options)} if network.options else {}),
        **({"network_dns_servers": list(network.dns_servers)} if network.dns_servers else {}),
        **({"routes": [_route(one) for one in network.routes]} if network.routes else {}),
        "ipam_options": {"driver": network.address_driver.value},
    }


def _route(route: Route) -> dict[str, object]:
    return {"destination": route.destination, "gateway": route.gateway, "metric": route.metric}


def fields(network: Network) -> dict[str, object]:
    """The same for templates, which podman writes with the names of its Go fields."""
    subnets = []
    for one in network.subnets:
        found: dict[str, object] = {"Subnet": one.subnet, "Gateway": one.gateway, "LeaseRange": None}
        if one.first:
            found["LeaseRange"] = {"StartIP": one.first, "EndIP": one.last}
        subnets.append(found)
    return {
        "Name": network.name, "ID": network.network_id, "Driver": network.driver.value,
        "NetworkInterface": network.interface, "Created": times.rfc3339(network.created_nanoseconds),
        "Subnets": subnets, "IPv6Enabled": network.ipv6, "Internal": network.internal, "DNSEnabled": network.dns,
        "Labels": dict(network.labels), "Options": dict(network.options),
        "IPAMOptions": {"driver": network.address_driver.value}, "NetworkDNSServers": list(network.dns_servers),
        "Routes": [
            {"Destination": one.destination, "Gateway": one.gateway, "Metric": one.metric} for one in network.routes
        ],
    }  # fmt: skip


def _subnet(subnet: Subnet) -> dict[str, object]:
    found: dict[str, object] = {"subnet": subnet.subnet, "gateway": subnet.gateway}
    if subnet.first:
        found["lease_range"] = {"start_ip": subnet.first, "end_ip": subnet.last}
    return found


def port_texts(ports: Sequence[PublishedPort]) -> list[str]:
    """`0.0.0.0:8080->80/tcp`, as `ps` shows them."""
    return [f"{published_at(one)}->{one.container_port}/{one.protocol.value}" for one in ports]


def port_documents(ports: Sequence[PublishedPort]) -> list[dict[str, object]] | None:
    """The key Ports of `ps --format json`."""
    return [
        {"host_ip": one.host_address, "container_port": one.container_port, "host_port": one.host_port, "range": 1,
         "protocol": one.protocol.value}
        for one in ports
    ] or None  # fmt: skip


def bindings(record: ContainerRecord) -> dict[str, object]:
    """`HostConfig.PortBindings`: by port of the container."""
    found: dict[str, list[dict[str, str]]] = {}
    for one in record.plan.networking.ports:
        entry = {"HostIp": one.host_address, "HostPort": str(one.host_port)}
        found.setdefault(f"{one.container_port}/{one.protocol.value}", []).append(entry)
    return dict(found)


def settings(store: Store, record: ContainerRecord) -> dict[str, object]:
    """`NetworkSettings`: what the container's leases say, empty where it is on no network (any more)."""
    leases = store.networks.leases(record.container_id)
    networks = {lease.network: _endpoint(store, lease) for lease in leases}
    for attachment in record.plan.networking.attachments:
        networks.setdefault(attachment.network, _endpoint(store, Lease(attachment.network, "", "", (), "")))
    exposed = {f"{one.number}/{one.protocol.value}": None for one in record.plan.networking.exposed}
    first = next(iter(networks.values()), _endpoint(store, Lease("", "", "", (), "")))
    shared = ("NetworkID", "DriverOpts", "IPAMConfig", "Links", "Aliases")
    return {
        **{key: value for key, value in first.items() if key not in shared},
        "Bridge": "", "SandboxID": "", "HairpinMode": False, "LinkLocalIPv6Address": "", "LinkLocalIPv6PrefixLen": 0,
        "Ports": {**exposed, **bindings(record)}, "SandboxKey": "",
        "Networks": networks,
    }  # fmt: skip


def _endpoint(store: Store, lease: Lease) -> dict[str, object]:
    four = next((one for one in lease.addresses if ":" not in one), "")
    six = next((one for one in lease.addresses if ":" in one), "")
    return {
        "EndpointID": "", "Gateway": _gateway(store, lease.network, four), "IPAddress": four.partition("/")[0],
        "IPPrefixLen": int(four.partition("/")[2] or 0), "IPv6Gateway": _gateway(store, lease.network, six),
        "GlobalIPv6Address": six.partition("/")[0], "GlobalIPv6PrefixLen": int(six.partition("/")[2] or 0),
        "MacAddress": lease.mac, "NetworkID": lease.network, "DriverOpts": None, "IPAMConfig": None, "Links": None,
        "Aliases": list(lease.aliases),
    }  # fmt: skip


def _gateway(store: Store, network: str, address: str) -> str:
    if not address:
        return ""
    try:
        subnets = store.networks.find(network).subnets
    except WpodError:
        return ""
    own = ipaddress.ip_interface(address).network
    return next((one.gateway for one in subnets if ipaddress.ip_network(one.subnet) == own), "")


def lost_clients(store: Store, record: ContainerRecord) -> str:
    """Which clients of its published ports a user's container doesn't see the addresses of, "" where it sees all.

    The holder connects in a client's name where that can be (rust/network/src/connect.rs); otherwise from the gateway.
    Root's ports are rules of the kernel, and a wasm container accepts the connections itself. Clients of the host's
    loopback have no address that would mean anything elsewhere, and aren't counted.
    """
    if os.geteuid() == 0 or record.plan.network is not NetworkMode.NETWORKS:
        return ""
    try:
        joined = [find(store, one.network) for one in record.plan.networking.attachments]
    except WpodError:
        return ""
    network = next((one for one in joined if one.is_bridge and one.subnets), None)
    if network is None:
        return ""
    seen = next((one.gateway for one in network.subnets if one.gateway), "the gateway")
    if network.internal:
        return f"clients of container {record.name} are seen as {seen}: network {network.name} is internal"
    versions = {6 if ":" in one.subnet else 4 for one in network.subnets}
    for version in (4, 6):
        if version not in versions and any(_serves(port, version) for port in record.plan.networking.ports):
            without = f"network {network.name} has no IPv{version} subnet"
            return f"IPv{version} clients of container {record.name} are seen as {seen}: {without}"
    return ""


def _serves(port: PublishedPort, version: int) -> bool:
    """Whether clients of this version of IP reach the port."""
    if not port.host_address:
        return version == 4 or os.path.exists("/proc/net/if_inet6")
    return (":" in port.host_address) == (version == 6)


def published_at(port: PublishedPort) -> str:
    """`ADDRESS:PORT` of the host; every address is 0.0.0.0."""
    address = port.host_address or "0.0.0.0"  # noqa: S104 - shown, not bound
    return f"[{address}]:{port.host_port}" if ":" in address else f"{address}:{port.host_port}"
