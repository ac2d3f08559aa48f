"""Link messages: what they are made of, and how a container's are made of its network's."""

from __future__ import annotations

import struct

import pytest

from wpod.frozen import replace
from wpod.model.network import Driver, Lease, Network, Route, Subnet
from wpod.net import links

SUBNETS = (Subnet("10.89.0.0/24", "10.89.0.1"), Subnet("fd00:3::/64", "fd00:3::1"))
NETWORK = Network(3, "n", "a" * 64, Driver.BRIDGE, "wpod3", 0, SUBNETS)
LEASE = Lease("n", "c" * 64, "eth0", ("10.89.0.7/24", "fd00:3::7/64"), "02:00:00:00:00:07")


def header(message: links.Message) -> tuple[int, int]:
    """Length and type of a netlink message (netlink(7))."""
    length, kind = struct.unpack_from("=IH", message.content)
    return length, kind


def test_each_message_is_whole() -> None:
    messages = [
        *links.bridge(NETWORK),
        *links.template(NETWORK, "eth0", 0),
        *links.relay_routes(),
        *links.shared(NETWORK),
        *links.own_address(NETWORK, present=True),
        *links.own_address(NETWORK, present=False),
        links.remove_link("x"),
        links.remove_bridge(NETWORK),
        links.remove_interface(NETWORK, LEASE),
    ]
    for message in messages:
        assert header(message)[0] == len(message.content), message.name


def test_a_container_s_messages_have_its_own_values() -> None:
    template = links.template(NETWORK, "eth0", 0)
    made = links.filled(template, LEASE)
    assert [one.name for one in made] == [
        "loopback", "link", "veth", "interface", "interface", "address", "address", "route", "route",
    ]  # fmt: skip
    assert [one.here for one in made] == [False, True, True, True, False, False, False, False, False]
    veth = made[2].content
    assert links.link_name(LEASE).encode() in veth
    assert bytes.fromhex("020000000007") in veth
    assert struct.pack("=I", links.bridge_index(NETWORK)) in veth
    assert made[3].pid_offset > 0
    assert b"eth0\0" in made[4].content
    assert bytes([10, 89, 0, 7]) in made[5].content
    assert bytes.fromhex("fd000003000000000000000000000007") in made[6].content
    for before, after in zip(template, made, strict=True):
        assert len(before.content) == len(after.content)


def test_nothing_of_the_template_is_left() -> None:
    for one in links.filled(links.template(NETWORK, "eth0", 0), LEASE):
        for mark in (links._NAME, links._PEER, links._MAC, links._ADDRESS4, links._ADDRESS6):
            assert mark not in one.content, one.name


def test_the_interface_that_wasm_containers_share_has_no_address() -> None:
    made = links.shared(NETWORK)
    assert [one.name for one in made] == [
        "loopback", "link", "veth", "interface", "interface", "subnet", "subnet", "route", "route",
    ]  # fmt: skip
    for message in made:
        assert links._ADDRESS4 not in message.content
        assert links._ADDRESS6 not in message.content


@pytest.mark.parametrize(("present", "kind"), [(True, 20), (False, 21)])
def test_a_wasm_container_brings_its_address_alone(present: bool, kind: int) -> None:
    """RTM_NEWADDR and RTM_DELADDR, of whole addresses: the subnet's route is the shared interface's."""
    lease = Lease("n", "c" * 64, "", LEASE.addresses, "")
    four, six = links.filled(links.own_address(NETWORK, present=present), lease)
    assert [header(one)[1] for one in (four, six)] == [kind, kind]
    assert [one.content[17] for one in (four, six)] == [32, 128]
    assert bytes([10, 89, 0, 7]) in four.content
    assert bytes.fromhex("fd000003000000000000000000000007") in six.content
    assert not four.here


def test_a_second_network_has_another_interface_and_a_worse_route() -> None:
    made = links.filled(links.template(NETWORK, "eth1", 1), LEASE)
    assert "loopback" not in [one.name for one in made]
    index = struct.pack("=I", 3)
    assert all(index in one.content for one in made if one.name not in ("veth", "link"))
    assert struct.pack("=I", 101) in next(one.content for one in made if one.name == "route")


def test_an_internal_network_has_no_route() -> None:
    internal = Network(4, "i", "b" * 64, Driver.BRIDGE, "wpod4", 0, NETWORK.subnets, internal=True)
    assert "route" not in [one.name for one in links.template(internal, "eth0", 0)]


def test_an_interface_on_a_parent() -> None:
    """lo stands for the parent: its index is 1. The modes are the kernel's numbers (linux/if_link.h)."""
    for driver, mode, packed in (
        (Driver.MACVLAN, "", struct.pack("=I", 4)),
        (Driver.MACVLAN, "passthru", struct.pack("=I", 8)),
        (Driver.IPVLAN, "", struct.pack("=H", 0)),
        (Driver.IPVLAN, "l3s", struct.pack("=H", 2)),
    ):
        options = (("mode", mode),) if mode else ()
        network = Network(5, "p", "c" * 64, driver, "lo", 0, SUBNETS, options=options)
        template = links.template(network, "eth0", 0)
        made = links.filled(template, LEASE)
        assert [one.name for one in made[:3]] == ["loopback", driver.value, "interface"]
        assert made[1].here
        assert made[1].pid_offset > 0
        message = made[1].content
        assert driver.value.encode() + b"\0" in message
        assert struct.pack("=HHI", 8, 5, 1) in message  # IFLA_LINK
        assert struct.pack("=HH", 4 + len(packed), 1) + packed in message  # IFLA_*VLAN_MODE
        assert (bytes.fromhex("020000000007") in message) == (driver is Driver.MACVLAN)
        assert all(mark not in message for mark in (links._NAME, links._MAC))
        assert not links.remove_interface(network, LEASE).here


def test_options_of_a_bridge() -> None:
    options = (("vlan", "7"), ("mtu", "1400"), ("metric", "42"))
    routes = (Route("198.51.100.0/24", "10.89.0.9", 5),)
    network = Network(6, "o", "d" * 64, Driver.BRIDGE, "wpod6", 0, SUBNETS, options=options, routes=routes)
    bridge = links.bridge(network)[0].content
    assert struct.pack("=HHBxxx", 5, 7, 1) in bridge  # IFLA_BR_VLAN_FILTERING
    assert struct.pack("=HHHxx", 6, 39, 7) in bridge  # IFLA_BR_VLAN_DEFAULT_PVID
    assert struct.pack("=HHI", 8, 4, 1400) in bridge  # IFLA_MTU
    found = [one.content for one in links.template(network, "eth0", 0) if one.name == "route"]
    metrics = [next(number for number in (42, 5) if struct.pack("=HHI", 8, 6, number) in one) for one in found]
    assert metrics == [42, 42, 5]
    assert bytes([198, 51, 100, 0]) in found[2]
    without = replace(network, options=(("no_default_route", "true"),))
    assert [one.name for one in links.template(without, "eth0", 0)].count("route") == 1


def test_link_names_tell_containers_and_networks_apart() -> None:
    others = [
        Lease("m", LEASE.container_id, "eth1", (), ""),
        Lease("n", "d" * 64, "eth0", (), ""),
    ]
    names = {links.link_name(one) for one in (LEASE, *others)}
    assert len(names) == 3
    assert all(len(name) == len(links._NAME) for name in names)


def test_what_is_written_is_read() -> None:
    made = links.filled(links.template(NETWORK, "eth0", 0), LEASE)
    assert links.from_text(links.to_text(made)) == made


@pytest.mark.parametrize("text", ["", "wpod-links 0\n", "wpod-links 1\nhere x\n", "wpod-links 1\nhere x 0 -1 zz\n"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        links.from_text(text)
