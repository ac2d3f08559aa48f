"""The tables of what is done with networks."""

from __future__ import annotations

from wpod.cli import network_values, values
from wpod.cli.table import Completes, Kind, Option, Positional, Verb, flag
from wpod.cli.verbs.container_options import latest
from wpod.model.network import FILTERS, PRUNE_FILTERS, AddressDriver, Driver

_DRIVERS = tuple(one.value for one in Driver)
_ADDRESS_DRIVERS = tuple(one.value for one in AddressDriver)


def create() -> Verb:
    return Verb(
        ("network", "create"),
        "Create a network",
        "wpod.commands.network.create:execute",
        (
            Option(("driver", "d"), Kind.VALUE, "Driver: bridge, or as root macvlan or ipvlan on a parent interface",
                   values.choice(*_DRIVERS), "DRIVER", "bridge", "", Completes.WORDS, _DRIVERS),
            Option(("subnet",), Kind.LIST, "Subnet in CIDR form (default: the lowest free /24 of 10.89.0.0 and up)",
                   network_values.subnet, "CIDR"),
            Option(("gateway",), Kind.LIST, "Gateway of the subnet before it (default: its first address)",
                   network_values.address, "ADDRESS"),
            Option(("ip-range",), Kind.LIST, "Part of the subnet that is given out: CIDR or FIRST-LAST",
                   values.not_empty, "RANGE"),
            flag("internal", "Nobody on it reaches anything outside of it"),
            flag("ipv6", "Have a subnet of IPv6 as well"),
            flag("disable-dns", "Don't let names lead to the containers on it"),
            Option(("dns",), Kind.COMMAS, "Name server that its own asks (default: the host's)",
                   network_values.address, "ADDRESS"),
            Option(("ipam-driver",), Kind.VALUE, "Who gives out addresses: host-local (wpod does), or none",
                   network_values.address_driver, "DRIVER", "host-local", "no dhcp", Completes.WORDS,
                   _ADDRESS_DRIVERS),
            Option(("route",), Kind.LIST, "Route of its containers: CIDR,GATEWAY[,METRIC]", network_values.route,
                   "ROUTE"),
            Option(("interface-name",), Kind.VALUE,
                   "Name of the bridge (default: wpod and a number), or the parent interface", network_values.interface,
                   "NAME"),
            Option(("opt", "o"), Kind.LIST,
                   "mtu, metric, no_default_route; vlan, isolate (bridge); parent, mode (the others)",
                   network_values.network_option, "KEY=VALUE"),
            Option(("label",), Kind.LIST, "Set a label", values.key_value, "KEY=VALUE"),
            flag("ignore", "No error where a network of this name is there"),
        ),
        (Positional("NAME", 0, 1),),
        examples=(
            "wpod network create backend",
            "wpod network create --subnet 10.90.0.0/24 --internal db",
            "wpod network create -d macvlan -o parent=eth0 --subnet 192.168.1.0/24 lan",
        ),
    )  # fmt: skip


def ls() -> Verb:
    return Verb(
        ("network", "ls"),
        "List networks",
        "wpod.commands.network.ls:execute",
        (
            Option(("filter", "f"), Kind.COMMAS,
                   f"Only those that match, e.g. name=web; keys: {', '.join(FILTERS)}", values.filter_term,
                   "KEY=VALUE"),
            Option(("format",), Kind.VALUE, "json, table, or a Go template", metavar="FORMAT"),
            flag("no-trunc", "Show whole IDs"),
            flag("noheading", "Print no header line"),
            flag("quiet q", "Print only names"),
        ),
    )  # fmt: skip


def inspect() -> Verb:
    return Verb(
        ("network", "inspect"),
        "Show all about networks as JSON",
        "wpod.commands.network.inspect:execute",
        (Option(("format", "f"), Kind.VALUE, "json, or a Go template", metavar="FORMAT", default="json"),),
        (Positional("NETWORK", 1, None, Completes.NETWORKS),),
    )


def rm() -> Verb:
    return Verb(
        ("network", "rm"),
        "Remove networks",
        "wpod.commands.network.rm:execute",
        (
            flag("force f", "Remove the containers on it too, and ignore networks that aren't there"),
            Option(("time", "t"), Kind.VALUE, "Seconds of grace for running containers", values.stop_seconds,
                   "SECONDS", "10"),
        ),
        (Positional("NETWORK", 1, None, Completes.NETWORKS),),
    )  # fmt: skip


def prune() -> Verb:
    return Verb(
        ("network", "prune"),
        "Remove networks that no container is on",
        "wpod.commands.network.prune:execute",
        (
            Option(
                ("filter",),
                Kind.LIST,
                f"Only those that match, e.g. label=test; keys: {', '.join(PRUNE_FILTERS)}",
                values.filter_term,
                "KEY=VALUE",
            ),
            flag("force f", "Don't ask first"),
        ),
    )


def exists() -> Verb:
    return Verb(
        ("network", "exists"),
        "Tell by the exit status whether a network is there (0 yes, 1 no)",
        "wpod.commands.network.exists:execute",
        (),
        (Positional("NETWORK", 1, 1, Completes.NETWORKS),),
    )


def connect() -> Verb:
    return Verb(
        ("network", "connect"),
        "Put a native container on one more network",
        "wpod.commands.network.connect:execute",
        (
            Option(("alias",), Kind.LIST, "Further name of the container on it", values.hostname, "NAME"),
            Option(("ip",), Kind.VALUE, "IPv4 address on it", network_values.ipv4, "ADDRESS"),
            Option(("ip6",), Kind.VALUE, "IPv6 address on it", network_values.ipv6, "ADDRESS"),
            Option(("mac-address",), Kind.VALUE, "Hardware address on it", network_values.hardware_address, "ADDRESS"),
        ),
        (Positional("NETWORK", 1, 1, Completes.NETWORKS), Positional("CONTAINER", 1, 1, Completes.CONTAINERS)),
        examples=("wpod network connect --alias db backend postgres",),
    )


def disconnect() -> Verb:
    return Verb(
        ("network", "disconnect"),
        "Take a container off a network",
        "wpod.commands.network.disconnect:execute",
        (flag("force f", "No error where it isn't on it"),),
        (Positional("NETWORK", 1, 1, Completes.NETWORKS), Positional("CONTAINER", 1, 1, Completes.CONTAINERS)),
    )


def reload() -> Verb:
    return Verb(
        ("network", "reload"),
        "Make bridges, rules, ports and names of running containers anew",
        "wpod.commands.network.reload:execute",
        (flag("all a", "For all containers that run on networks"), latest()),
        (Positional("CONTAINER", 1, None, Completes.RUNNING_CONTAINERS, ("all", "latest")),),
    )


def update() -> Verb:
    return Verb(
        ("network", "update"),
        "Change a network's name servers, also for the containers that run on it",
        "wpod.commands.network.update:execute",
        (
            Option(("dns-add",), Kind.COMMAS, "Name server that its own asks from now on", network_values.address,
                   "ADDRESS"),
            Option(("dns-drop",), Kind.COMMAS, "Name server that it doesn't ask any more", network_values.address,
                   "ADDRESS"),
        ),
        (Positional("NETWORK", 1, 1, Completes.NETWORKS),),
        examples=("wpod network update --dns-add 192.0.2.53 backend",),
    )  # fmt: skip
