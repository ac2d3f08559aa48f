"""nftables rules of networks: one table in the namespace where the bridges are.

Theory of operation. The rules never change; what networks there are is in sets, what is published in maps (root only:
a user's published ports are sockets of the holder). So a network that comes or goes is one element more or less.
A connection from the machine's own loopback to a published port is routed into a bridge, so what comes from bridges
for the loopback is dropped first of all. Containers of different networks don't reach each other, internal networks
reach nothing, everything else leaves with the address of the machine. What stays on one bridge passes these rules only
where br_netfilter is loaded. A connection that the holder makes in a client's name carries a mark; the answers, which
are for an address that isn't here, are brought back to it by that mark (ip-rule(8), the table 77).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wpod.errors import NoNetworks
from wpod.model.network import Network, PublishedPort
from wpod.net.links import RELAY_MARK, RETURN_MARK
from wpod.net.namespace import NetworkNamespace

TABLE = "inet wpod"
_RULES = f"""
table {TABLE} {{
    set bridges {{ type ifname; }}
    set internal {{ type ifname; }}
    set same {{ type ifname . ifname; }}
    set subnets4 {{ type ipv4_addr; flags interval; }}
    set subnets6 {{ type ipv6_addr; flags interval; }}
    map published4 {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }}
    map published6 {{ type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; }}
    map published_any4 {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
    map published_any6 {{ type inet_proto . inet_service : ipv6_addr . inet_service; }}
    chain forward {{
        type filter hook forward priority filter; policy accept;
        ct state established,related accept
        iifname . oifname @same accept
        iifname @internal drop
        oifname @internal drop
        ct status dnat accept
        iifname @bridges oifname @bridges drop
    }}
    chain guard {{
        type filter hook prerouting priority raw; policy accept;
        iifname @bridges ip daddr 127.0.0.0/8 drop
    }}
    chain leave {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr @subnets4 oifname != @bridges masquerade
        ip6 saddr @subnets6 oifname != @bridges masquerade
        ip saddr 127.0.0.0/8 oifname @bridges masquerade
        ip saddr @subnets4 ct status dnat masquerade
        ip6 saddr @subnets6 ct status dnat masquerade
    }}
    chain publish {{
        type nat hook prerouting priority dstnat; policy accept;
        fib daddr type local jump published
    }}
    chain publish_own {{
        type nat hook output priority -100; policy accept;
        fib daddr type local jump published
    }}
    chain published {{
        dnat ip to ip daddr . meta l4proto . th dport map @published4
        dnat ip6 to ip6 daddr . meta l4proto . th dport map @published6
        dnat ip to meta l4proto . th dport map @published_any4
        dnat ip6 to meta l4proto . th dport map @published_any6
    }}
    chain relay_out {{
        type filter hook output priority mangle; policy accept;
        meta mark {RELAY_MARK:#x} ct mark set meta mark
    }}
    chain relay_back {{
        type filter hook prerouting priority mangle; policy accept;
        ct direction reply ct mark {RELAY_MARK:#x} meta mark set {RETURN_MARK:#x}
    }}
}}
"""


def ensure(namespace: NetworkNamespace) -> None:
    """Load the rules where they aren't loaded yet. Raises MissingProgram, NoNetworks."""
    if namespace.run(["nft", "list", "table", *TABLE.split()]).status != 0:
        _load(namespace, f"add table {TABLE}\nflush table {TABLE}\n{_RULES}")


def add_network(namespace: NetworkNamespace, network: Network) -> None:
    """Let the rules know a network; one that they know already is left as it is."""
    _add(namespace, _of_network(network))


def remove_network(namespace: NetworkNamespace, network: Network) -> None:
    """Let the rules forget a network. What they don't know is done already."""
    _drop(namespace, _of_network(network))


def publish(namespace: NetworkNamespace, ports: Iterable[tuple[PublishedPort, str]]) -> None:
    """Lead each port of the host to the address beside it."""
    _add(namespace, [element for port, target in ports for element in _of_port(port, target)])


def withdraw(namespace: NetworkNamespace, ports: Iterable[tuple[PublishedPort, str]]) -> None:
    """Take back what `publish` did; what isn't there is done already."""
    _drop(namespace, [element for port, target in ports for element in _of_port(port, target)])


def _of_port(port: PublishedPort, target: str) -> list[str]:
    """As elements, each with its set or map; none where port and target are of different versions of IP."""
    version = "6" if ":" in target else "4"
    if port.host_address and (":" in port.host_address) != (version == "6"):
        return []
    key = f"{port.protocol.value} . {port.host_port}"
    name = f"published_any{version}"
    if port.host_address:
        key, name = f"{port.host_address} . {key}", f"published{version}"
    return [f"{name} {{ {key} : {target} . {port.container_port} }}"]


def _of_network(network: Network) -> list[str]:
    name = f'"{network.interface}"'
    found = [f"bridges {{ {name} }}", f"same {{ {name} . {name} }}"]
    if network.internal:
        found.append(f"internal {{ {name} }}")
    found += [f"subnets{6 if ':' in one.subnet else 4} {{ {one.subnet} }}" for one in network.subnets]
    return found


def _add(namespace: NetworkNamespace, elements: Sequence[str]) -> None:
    if elements:
        _load(namespace, "\n".join(f"add element {TABLE} {one}" for one in elements))


def _drop(namespace: NetworkNamespace, elements: Sequence[str]) -> None:
    """Delete elements.

    nft refuses to delete what isn't there, and with it all else of that transaction: so each is added first, which
    changes nothing where it is there, and fails where the key leads elsewhere by now. Then each is tried alone.
    """
    statements = [f"add element {TABLE} {one}\ndelete element {TABLE} {one}" for one in elements]
    if statements and namespace.run(["nft", "-f", "-"], "\n".join(statements).encode()).status != 0:
        for one in statements if len(statements) > 1 else ():
            namespace.run(["nft", "-f", "-"], one.encode())


def _load(namespace: NetworkNamespace, text: str) -> None:
    done = namespace.run(["nft", "-f", "-"], text.encode())
    if done.status != 0:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise NoNetworks(
            f"the firewall rules of networks can't be loaded: {reason[0] if reason else done.complaint}",
            hint="the kernel needs nf_tables with nat, fib and conntrack",
        )
