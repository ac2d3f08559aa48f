"""What a wasm container has of networks, as the runner is told it (docs/formats.md, "Launch plan").

Theory of operation. A published port is a listening socket of the host. On a network the container has no namespace of
its own: the runner enters one that the network's wasm containers share (`wpod.operations.wasm_networks`), in which one
address is the container's, and every socket of the guest is bound to it. Where the guest may connect to is said by the
runner's address pool, which can tell why not; what the network leads to is up to the firewall, as for native ones.
"""

from __future__ import annotations

from wpod.formats.launch_plan import Pair
from wpod.model.network import NetworkMode, Protocol
from wpod.plan import etc_files
from wpod.runtime import names
from wpod.runtime.backend import Launch

_NAME_PORT = "53"
_MOST_NAME_SERVERS = 3  # resolv.conf(5)


def pairs(launch: Launch) -> list[Pair]:
    """Sockets, namespaces, addresses, where the guest may connect to, and how names are looked up."""
    plan, joined = launch.record.plan, launch.joined
    found: list[Pair] = [
        ("listen", f"{listener}:{port.container_port}")
        for listener, port in zip(joined.listeners, plan.networking.ports, strict=True)
    ]
    if plan.network is NetworkMode.NONE:
        return found
    if plan.network is NetworkMode.NETWORKS:
        found += [("listen-inside", str(number)) for number in _inside_ports(launch)]
        found += [("own-address", address.partition("/")[0]) for one in joined.leases for address in one.addresses]
    if joined.user_namespace:
        found.append(("user-namespace", joined.user_namespace))
    if joined.shared:
        found.append(("network-namespace", joined.shared))
    if joined.inner >= 0:
        found.append(("network-fd", str(joined.inner)))
    if joined.network_namespace:
        found.append(("held-namespace", joined.network_namespace))
    outgoing = _outgoing(launch)
    found += [("outgoing", entry) for entry in outgoing]
    return found + _name_pairs(launch, outgoing)


def descriptors(launch: Launch) -> tuple[int, ...]:
    """What the runner must inherit of it."""
    joined = launch.joined
    return (*joined.listeners, joined.inner) if joined.inner >= 0 else joined.listeners


def _inside_ports(launch: Launch) -> list[int]:
    """Where other containers find a guest that can't bind by itself: its published and its exposed ports."""
    networking = launch.record.plan.networking
    ports = [one.container_port for one in networking.ports if one.protocol is Protocol.TCP]
    ports += [one.number for one in networking.exposed if one.protocol is Protocol.TCP]
    return list(dict.fromkeys(ports))


def _outgoing(launch: Launch) -> tuple[str, ...]:
    """What --network allows; otherwise everything, but an internal network leads to itself alone."""
    asked = launch.record.plan.networking.outgoing
    if asked or not launch.joined.internal:
        return asked or ("any",)
    import ipaddress

    addresses = [address for one in launch.joined.leases for address in one.addresses]
    return tuple(str(ipaddress.ip_interface(address).network) for address in addresses)


def _may_ask(server: str, outgoing: tuple[str, ...]) -> bool:
    """Whether a name server is where the guest may send to: its questions are the guest's, whoever asks them."""
    if outgoing == ("any",):
        return True
    import ipaddress

    for entry in outgoing:
        block, _, port = entry.removeprefix("[").partition("]:")
        if port in ("", _NAME_PORT) and ipaddress.ip_address(server) in ipaddress.ip_network(block):
            return True
    return False


def _name_pairs(launch: Launch, outgoing: tuple[str, ...]) -> list[Pair]:
    """resolv.conf and hosts as a native container would have them, without name servers that may not be asked."""
    own, servers, others = names.of_launch(launch), [], []
    for line in etc_files.resolv_conf(own, names.host_file("/etc/resolv.conf")).splitlines():
        word, *values = line.split()
        if word == "nameserver":
            servers += [("name-server", value) for value in values[:1] if _may_ask(value, outgoing)]
        elif word in ("search", "options"):
            others += [("search" if word == "search" else "resolver-option", value) for value in values]
    if not launch.record.plan.no_hosts:
        for line in etc_files.hosts(own, names.host_file("/etc/hosts")).splitlines():
            words = line.partition("#")[0].split()
            if len(words) > 1:
                others.append(("host", " ".join(words)))
    return servers[:_MOST_NAME_SERVERS] + others
