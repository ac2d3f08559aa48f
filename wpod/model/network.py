"""Networks: what is recorded about one, what a container asks for, and its place on one."""

from __future__ import annotations

from collections.abc import Mapping

from wpod.enumeration import Enum
from wpod.frozen import field, frozen

# The network that containers join where no other is named; it needs no `network create`.
DEFAULT_NETWORK = "wpod"
# What --filter of `network ls` and of `network prune` knows.
FILTERS = ("dangling", "driver", "id", "label", "label!", "name", "until")
PRUNE_FILTERS = ("label", "label!", "until")


class NetworkMode(Enum):
    """What --network chooses: nothing, the host's, networks of wpod, another container's, or a namespace by path."""

    NONE = "none"
    HOST = "host"
    NETWORKS = "bridge"
    CONTAINER = "container"
    PATH = "ns"


class Driver(Enum):
    """podman-network-create(1), --driver."""

    BRIDGE = "bridge"
    MACVLAN = "macvlan"
    IPVLAN = "ipvlan"


class AddressDriver(Enum):
    """Who gives out a network's addresses: wpod, or nobody (podman-network-create(1), --ipam-driver)."""

    HOST_LOCAL = "host-local"
    NONE = "none"


class Protocol(Enum):
    """What a port can be published for."""

    TCP = "tcp"
    UDP = "udp"


@frozen
class Subnet:
    """`subnet` in CIDR form without host bits. `gateway` is an address in it, "" for none.

    `first` and `last` bound what is given out ("": the whole subnet).
    """

    subnet: str
    gateway: str = ""
    first: str = ""
    last: str = ""


@frozen
class Route:
    """A route that each container of a network gets besides the default one; `destination` in CIDR form."""

    destination: str
    gateway: str
    metric: int = 100


@frozen
class Network:
    """One recorded network. `number` tells it from all others that there ever were; the bridge's index follows from it.

    `interface` is the bridge's name, or the parent interface of macvlan and ipvlan ("": that of the default route).
    `options` are --opt's, `dns_servers` whom its name server asks ((): whom the host asks).
    """

    number: int
    name: str
    network_id: str
    driver: Driver
    interface: str
    created_nanoseconds: int
    subnets: tuple[Subnet, ...]
    internal: bool = False
    ipv6: bool = False
    dns: bool = True
    dns_servers: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    address_driver: AddressDriver = AddressDriver.HOST_LOCAL
    routes: tuple[Route, ...] = ()

    @property
    def is_bridge(self) -> bool:
        """Whether it has a bridge here, with the gateways' addresses, firewall, names and published ports."""
        return self.driver is Driver.BRIDGE

    def option(self, name: str) -> str:
        """What --opt NAME said, "" where it didn't."""
        return dict(self.options).get(name, "")


@frozen
class Attachment:
    """One network that a container shall be on. `addresses` without prefix length; "" and () leave it to wpod."""

    network: str
    addresses: tuple[str, ...] = ()
    mac: str = ""
    interface: str = ""
    aliases: tuple[str, ...] = ()


@frozen
class NetworkWord:
    """One --network. `attachment` is what a mode that joins networks joins; its network is "" for the default one."""

    mode: NetworkMode
    target: str = ""
    attachment: Attachment | None = None
    outgoing: tuple[str, ...] = ()


@frozen
class Lease:
    """A running container's place on a network: from its start (or `network connect`) until it has ended.

    `addresses` with their prefix length (10.88.0.2/16); `interface` is its name in the container. Both `interface` and
    `mac` are "" for a wasm container, whose addresses are some more of the bridge.
    """

    network: str
    container_id: str
    interface: str
    addresses: tuple[str, ...]
    mac: str
    aliases: tuple[str, ...] = ()


@frozen
class Port:
    """A port inside of a container."""

    number: int
    protocol: Protocol = Protocol.TCP


@frozen
class PublishedPort:
    """One port of the host that leads into a container.

    `host_address` "" is every address of the host; `host_port` 0 (in a request only) is any free one.
    """

    container_port: int
    host_port: int
    host_address: str = ""
    protocol: Protocol = Protocol.TCP


@frozen
class NameOptions:
    """How names are looked up inside: resolv.conf's entries, and /etc/hosts (name, address or `host-gateway`)."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()


@frozen
class NetworkOptions:
    """What `run` and `create` were asked for. `mode` None is the default of the container's kind.

    `target` is the container or the path of the modes that name one. `mac` and `addresses` of --mac-address, --ip and
    --ip6 are in the attachments already. `outgoing` is where a wasm guest may connect to (`CIDR[:PORT]`).
    """

    mode: NetworkMode | None = None
    target: str = ""
    attachments: tuple[Attachment, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    publish_all: bool = False
    exposed: tuple[Port, ...] = ()
    outgoing: tuple[str, ...] = ()
    names: NameOptions = field(default_factory=NameOptions)


@frozen
class NetworkPlan:
    """A container's networking, looked up: networks are there, random ports are chosen, `target` is an ID or a path."""

    target: str = ""
    attachments: tuple[Attachment, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    exposed: tuple[Port, ...] = ()
    outgoing: tuple[str, ...] = ()
    names: NameOptions = field(default_factory=NameOptions)
