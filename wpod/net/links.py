"""Netlink messages (rtnetlink(7)) that make bridges, and the links, addresses and routes of containers.

Theory of operation. pyroute2 knows the messages, but importing it takes longer than all the rest of `wpod run -d`. So
the messages of a network are made once, for a container that doesn't exist, with values that no real one has; they
are kept in a file, and each container's are made of them by replacing those values by its own. Both have the same
length, so no length inside a message changes. `wpod-network apply` sends them (docs/formats.md, "Link messages").
"""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Sequence

from wpod.errors import WpodError
from wpod.frozen import frozen
from wpod.model.network import Driver, Lease, Network
from wpod.net import host_routes
from wpod.plan.network_options import MODES, is_set

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSION = 1
# Counts the changes of what is made here, for messages are kept.
TEMPLATE_VERSION = 3
_HEADER = f"wpod-links {VERSION}"
# Bridges have an index of their own choice, so that nobody has to ask for it: far above what the kernel counts up.
_BRIDGE_INDEX = 1 << 30
SHARED_INTERFACE = "eth0"
_FIRST_INDEX = 2  # of a container's interfaces; 1 is lo
_LINK_FLAG_UP = 1
_NO_DETECTION = 2  # IFA_F_NODAD: a fresh address of a private network needn't be asked for, which takes a second
_CREATE = 0x605  # NLM_F_REQUEST, ACK, CREATE, EXCL
_CHANGE = 0x005  # NLM_F_REQUEST, ACK
_NEW_LINK, _DELETE_LINK, _NEW_ADDRESS, _DELETE_ADDRESS, _NEW_ROUTE, _NEW_RULE = 16, 17, 20, 21, 24, 32
_LOCAL_ROUTE = 2  # RTN_LOCAL
RELAY_MARK = 0x77706F64  # what the holder sends in a client's name (rust/network/src/connect.rs)
RETURN_MARK = 0x77706F65  # the answers; another one, or what is sent would be routed here as well
_RELAY_TABLE = 77

# What stands for a container's own values in the messages of a network. None occurs in a real message: an address of
# class E, a unique local prefix that is not random, a name of all 15 characters.
_NAME = b"wpod-veth-name0"
_PEER = b"wpod-peer-name0"
_MAC = bytes.fromhex("0277706f6431")
_ADDRESS4 = bytes([241, 226, 211, 196])
_ADDRESS6 = bytes.fromhex("fd9b8c7d6e5f40312213ac0bcd1ade2b")
_PID = 0x7FF1E2D3


@frozen
class Message:
    """One message: sent `here` (where links of the network are) or in the container's namespace.

    `name` is what it makes, for errors; `tolerated` the error number that is as good as success (0 for none);
    `pid_offset` where the number of the container's process belongs, -1 for nowhere.
    """

    here: bool
    name: str
    content: bytes
    tolerated: int = 0
    pid_offset: int = -1


def bridge_index(network: Network) -> int:
    """The interface index that this network's bridge has."""
    return _BRIDGE_INDEX + network.number


def to_text(messages: Sequence[Message]) -> str:
    """As `wpod-network apply` reads them."""
    lines = [_HEADER]
    for one in messages:
        where = "here" if one.here else "there"
        lines.append(f"{where} {one.name} {one.tolerated} {one.pid_offset} {one.content.hex()}")
    return "\n".join(lines) + "\n"


def from_text(text: str) -> list[Message]:
    """Raises ValueError for anything that `to_text` didn't write."""
    header, *lines = text.splitlines()
    if header != _HEADER:
        raise ValueError("not link messages of this version")
    messages = []
    for line in lines:
        where, name, tolerated, pid_offset, content = line.split(" ")
        messages.append(Message(where == "here", name, bytes.fromhex(content), int(tolerated), int(pid_offset)))
    return messages


def bridge(network: Network) -> list[Message]:
    """Makes a network's bridge with the gateways' addresses; what is there already is left alone."""
    index = bridge_index(network)
    data: list[tuple[str, Any]] = [("IFLA_BR_FORWARD_DELAY", 0)]
    vlan = network.option("vlan")
    if vlan:  # the bridge itself and each port that comes are in it, untagged
        data += [("IFLA_BR_VLAN_FILTERING", 1), ("IFLA_BR_VLAN_DEFAULT_PVID", int(vlan))]
    info = {"attrs": [("IFLA_INFO_KIND", "bridge"), ("IFLA_INFO_DATA", {"attrs": data})]}
    attributes = [("IFLA_IFNAME", network.interface), *_mtu(network), ("IFLA_LINKINFO", info)]
    messages = [Message(True, "bridge", _link(index, attributes, _CREATE), errno.EEXIST)]
    for subnet in network.subnets:
        if subnet.gateway:
            length = ipaddress.ip_network(subnet.subnet).prefixlen
            content = _address(index, f"{subnet.gateway}/{length}")
            messages.append(Message(True, "gateway", content, errno.EEXIST))
    messages.append(Message(True, "bridge-up", _link(index, [], _CHANGE, up=True)))
    return messages


def remove_link(name: str) -> Message:
    """Takes a link away; one that isn't there is done already."""
    attributes = [("IFLA_IFNAME", name)]
    return Message(True, "link", _encoded("link", {"index": 0}, attributes, _DELETE_LINK, _CHANGE), errno.ENODEV)


def remove_bridge(network: Network) -> Message:
    """Takes a network's bridge away, by its index: a link of its name may be somebody else's."""
    return Message(True, "bridge", _encoded("link", {"index": bridge_index(network)}, [], _DELETE_LINK, _CHANGE),
                   errno.ENODEV)  # fmt: skip


def remove_interface(network: Network, lease: Lease) -> Message:
    """Takes a container's interface away: by the end on the bridge, or in the container where there is no other end."""
    if network.is_bridge:
        return remove_link(link_name(lease))
    attributes = [("IFLA_IFNAME", lease.interface)]
    return Message(False, "link", _encoded("link", {"index": 0}, attributes, _DELETE_LINK, _CHANGE), errno.ENODEV)


def shared(network: Network) -> list[Message]:
    """The interface of the namespace that the wasm containers of a network share; see `filled`.

    It has no address of its own: each container brings one (`own_address`), and binds its sockets to it.
    """
    messages = [Message(False, "loopback", _link(1, [], _CHANGE, up=True)), *_interface(network, _FIRST_INDEX)]
    name = [("IFLA_IFNAME", SHARED_INTERFACE)]
    messages.append(Message(False, "interface", _link(_FIRST_INDEX, name, _CHANGE, up=True)))
    for subnet in network.subnets:
        messages.append(Message(False, "subnet", _on_link(subnet.subnet), errno.EEXIST))
    return messages + _routes(network, _FIRST_INDEX, 100)


def own_address(network: Network, *, present: bool) -> list[Message]:
    """The address of a wasm container that doesn't exist, brought to the shared interface or taken away (`filled`)."""
    messages = []
    for subnet in network.subnets:
        four = ipaddress.ip_network(subnet.subnet).version == 4
        address = ipaddress.ip_address(_ADDRESS4 if four else _ADDRESS6)
        kind, flags = (_NEW_ADDRESS, _CREATE) if present else (_DELETE_ADDRESS, _CHANGE)
        content = _address(_FIRST_INDEX, f"{address}/{address.max_prefixlen}", kind, flags)
        messages.append(Message(False, "address", content, errno.EEXIST if present else errno.EADDRNOTAVAIL))
    return messages


def relay_routes() -> list[Message]:
    """Brings what carries the mark of relayed connections to this machine itself, whoever it is for (ip-rule(8))."""
    messages = []
    for family in (2, 10):
        rule = {"family": family, "table": _RELAY_TABLE, "action": 1}
        attributes = [("FRA_FWMARK", RETURN_MARK), ("FRA_TABLE", _RELAY_TABLE), ("FRA_PRIORITY", _RELAY_TABLE)]
        messages.append(Message(True, "rule", _encoded("rule", rule, attributes, _NEW_RULE, _CREATE), errno.EEXIST))
        route = {"family": family, "table": _RELAY_TABLE, "proto": 4, "scope": 254, "type": _LOCAL_ROUTE}
        content = _encoded("route", route, [("RTA_OIF", 1)], _NEW_ROUTE, _CREATE)
        messages.append(Message(True, "relay-route", content, errno.EEXIST))
    return messages


def template(network: Network, interface: str, position: int) -> list[Message]:
    """The messages of a container that doesn't exist, `position` counting its networks from 0; see `filled`."""
    index = _FIRST_INDEX + position
    messages = [] if position else [Message(False, "loopback", _link(1, [], _CHANGE, up=True))]
    messages += _interface(network, index)
    messages.append(Message(False, "interface", _link(index, [("IFLA_IFNAME", interface)], _CHANGE, up=True)))
    for subnet in network.subnets:
        block = ipaddress.ip_network(subnet.subnet)
        own = ipaddress.ip_address(_ADDRESS4 if block.version == 4 else _ADDRESS6)
        messages.append(Message(False, "address", _address(index, f"{own}/{block.prefixlen}")))
    return messages + _routes(network, index, 100 + position)


def _routes(network: Network, index: int, metric: int) -> list[Message]:
    """The default routes through the gateways, which an internal network hasn't, and the network's own ones."""
    messages = []
    if not network.internal and not is_set(network.option("no_default_route")):
        metric = int(network.option("metric") or metric)
        messages += [
            Message(False, "route", _route(subnet.gateway, index, metric), errno.EEXIST)
            for subnet in network.subnets
            if subnet.gateway
        ]
    for one in network.routes:
        content = _route(one.gateway, index, one.metric, one.destination)
        messages.append(Message(False, "route", content, errno.EEXIST))
    return messages


def _interface(network: Network, index: int) -> list[Message]:
    return _veth(network, index) if network.is_bridge else [_on_parent(network, index)]


def _on_parent(network: Network, index: int) -> Message:
    """A macvlan or ipvlan on the parent interface, made in the container's namespace at once, with a known index.

    ipvlan has the parent's hardware address.
    """
    mode, kind = network.option("mode"), network.driver.value
    if network.driver is Driver.MACVLAN:
        data: list[tuple[str, Any]] = [("IFLA_MACVLAN_MODE", mode or "bridge")]
        address = [("IFLA_ADDRESS", _mac(_MAC))]
    else:
        data, address = [("IFLA_IPVLAN_MODE", MODES[Driver.IPVLAN].index(mode or "l2"))], []
    info = {"attrs": [("IFLA_INFO_KIND", kind), ("IFLA_INFO_DATA", {"attrs": data})]}
    attributes = [
        ("IFLA_IFNAME", _NAME.decode()),
        ("IFLA_LINK", host_routes.parent_index(network.interface)),
        ("IFLA_NET_NS_PID", _PID),
        *address,
        *_mtu(network),
        ("IFLA_LINKINFO", info),
    ]
    made = _link(index, attributes, _CREATE)
    mark = _PID.to_bytes(4, "little")
    _check_marks((made, mark), (made, _NAME), *(((made, _MAC),) if address else ()))
    return Message(True, kind, made, 0, made.index(mark))


def _mtu(network: Network) -> list[tuple[str, int]]:
    mtu = network.option("mtu")
    return [("IFLA_MTU", int(mtu))] if mtu else []


def _check_marks(*pairs: tuple[bytes, bytes]) -> None:
    """Each message has its mark once. Raises WpodError."""
    if any(content.count(mark) != 1 for content, mark in pairs):
        raise WpodError("the link messages of a network can't be made: pyroute2 writes them in another way")


def _veth(network: Network, index: int) -> list[Message]:
    """A veth on the bridge, whose other end is moved into the container's namespace, where it gets a known index.

    Made there at once, the index would be any: the kernel heeds a wish for the peer's only beside one for the first.
    What an interrupted start has left is taken away before.
    """
    mtu = _mtu(network)
    # Otherwise the kernel makes as many queues as the machine has processors, a kilobyte each, at both ends.
    queues = [("IFLA_NUM_TX_QUEUES", 1), ("IFLA_NUM_RX_QUEUES", 1)]
    peer = {"attrs": [("IFLA_IFNAME", _PEER.decode()), ("IFLA_ADDRESS", _mac(_MAC)), *mtu, *queues]}
    info = {"attrs": [("IFLA_INFO_KIND", "veth"), ("IFLA_INFO_DATA", {"attrs": [("VETH_INFO_PEER", peer)]})]}
    attributes = [
        ("IFLA_IFNAME", _NAME.decode()),
        ("IFLA_MASTER", bridge_index(network)),
        *mtu,
        *queues,
        ("IFLA_LINKINFO", info),
    ]
    made = _link(0, attributes, _CREATE, up=True)
    destination = [("IFLA_IFNAME", _PEER.decode()), ("IFLA_NET_NS_PID", _PID), ("IFLA_NEW_IFINDEX", index)]
    moved = _link(0, destination, _CHANGE)
    mark = _PID.to_bytes(4, "little")
    _check_marks((moved, mark), *((made, one) for one in (_NAME, _PEER, _MAC)))
    return [
        remove_link(_NAME.decode()),
        Message(True, "veth", made),
        Message(True, "interface", moved, 0, moved.index(mark)),
    ]


def filled(messages: Sequence[Message], lease: Lease) -> list[Message]:
    """The messages of one container, of those of its network."""
    name = link_name(lease).encode()
    values = {_NAME: name, _PEER: b"vetp" + name[4:]}
    if lease.mac:
        values[_MAC] = bytes.fromhex(lease.mac.replace(":", ""))
    for address in lease.addresses:
        packed = ipaddress.ip_address(address.partition("/")[0]).packed
        values[_ADDRESS4 if len(packed) == 4 else _ADDRESS6] = packed
    made = []
    for one in messages:
        content = one.content
        for mark, value in values.items():
            content = content.replace(mark, value)
        made.append(Message(one.here, one.name, content, one.tolerated, one.pid_offset))
    return made


def link_name(lease: Lease) -> str:
    """The veth's name beside the bridge: 15 characters that tell container and interface apart."""
    import zlib

    return f"veth{lease.container_id[:7]}{zlib.crc32(lease.network.encode()) & 0xFFFF:04x}"


def _mac(packed: bytes) -> str:
    return ":".join(f"{byte:02x}" for byte in packed)


def _link(index: int, attributes: list[tuple[str, Any]], flags: int, *, up: bool = False) -> bytes:
    state = {"flags": _LINK_FLAG_UP, "change": _LINK_FLAG_UP} if up else {}
    return _encoded("link", {"index": index, **state}, attributes, _NEW_LINK, flags)


def _address(index: int, text: str, kind: int = _NEW_ADDRESS, message_flags: int = _CREATE) -> bytes:
    address, _, length = text.partition("/")
    four = ":" not in address
    fields = {
        "family": 2 if four else 10,
        "prefixlen": int(length),
        "index": index,
        "flags": 0 if four else _NO_DETECTION,
    }
    attributes: list[tuple[str, Any]] = [("IFA_LOCAL", address)] if four else []
    attributes.append(("IFA_ADDRESS", address))
    return _encoded("address", fields, attributes, kind, message_flags)


def _route(gateway: str, index: int, metric: int, destination: str = "") -> bytes:
    """The route to a destination in CIDR form; "" is the default route."""
    address, _, length = destination.partition("/")
    fields = {"family": 10 if ":" in gateway else 2, "dst_len": int(length or 0), "table": 254, "proto": 4, "type": 1}
    attributes: list[tuple[str, Any]] = [("RTA_DST", address)] if address else []
    attributes += [("RTA_GATEWAY", gateway), ("RTA_OIF", index), ("RTA_PRIORITY", metric)]
    return _encoded("route", fields, attributes, _NEW_ROUTE, _CREATE)


def _on_link(subnet: str) -> bytes:
    """The route to a subnet itself, for an interface whose addresses stand for themselves alone."""
    block = ipaddress.ip_network(subnet)
    four = block.version == 4
    fields = {"family": 2 if four else 10, "table": 254, "proto": 4, "type": 1, "dst_len": block.prefixlen}
    fields |= {"scope": 253} if four else {}
    attributes = [("RTA_DST", str(block.network_address)), ("RTA_OIF", _FIRST_INDEX)]
    return _encoded("route", fields, attributes, _NEW_ROUTE, _CREATE)


def _encoded(what: str, fields: dict[str, Any], attributes: list[tuple[str, Any]], type_: int, flags: int) -> bytes:
    from pyroute2.netlink.rtnl.fibmsg import fibmsg
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
    from pyroute2.netlink.rtnl.rtmsg import rtmsg

    kinds: dict[str, Any] = {"link": ifinfmsg, "address": ifaddrmsg, "route": rtmsg, "rule": fibmsg}
    message = kinds[what]()
    for name, value in fields.items():
        message[name] = value
    message["attrs"] = attributes
    message["header"]["type"] = type_
    message["header"]["flags"] = flags
    message["header"]["sequence_number"] = 1
    message.encode()
    return bytes(message.data)
