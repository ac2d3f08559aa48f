"""Subnets and addresses: what is refused, and what is chosen (wpod.plan.addresses)."""

from __future__ import annotations

import ipaddress

import pytest

from tests.support.networks import network
from wpod.errors import InUse, UsageError
from wpod.model.network import Subnet
from wpod.plan import addresses
from wpod.plan.addresses import SubnetRequest

SUBNETS = {
    # what is given: what it is, or a word of the refusal
    "10.90.0.0/24": "10.90.0.0/24",
    "10.90.0.7/24": "10.90.0.0/24",
    "10.90.0.0/30": "10.90.0.0/30",
    "fd00::/64": "fd00::/64",
    "fd00::/126": "fd00::/126",
    "10.90.0.0": UsageError("CIDR"),
    "10.90.0.0/": UsageError("CIDR"),
    "10.90.0.0/33": UsageError("CIDR"),
    "10.90.0.0/-1": UsageError("CIDR"),
    "10.90.0.0/255.255.255.0": UsageError("CIDR"),
    "10.90.0.0/0.0.0.255": UsageError("CIDR"),
    "10.90.0.0/٢٤": UsageError("CIDR"),
    "10.90.0/24": UsageError("CIDR"),
    "10.090.0.0/24": UsageError("CIDR"),
    "fe80::%eth0/64": UsageError("CIDR"),
    "x\n/24": UsageError(r"'x\n/24'"),
    "": UsageError("CIDR"),
    "10.90.0.0/31": UsageError("no room"),
    "10.90.0.0/32": UsageError("no room"),
    "fd00::/127": UsageError("no room"),
    "0.0.0.0/0": UsageError("can't be one"),
    "::/0": UsageError("can't be one"),
    "0.0.0.0/8": UsageError("can't be one"),
    "127.0.0.0/24": UsageError("can't be one"),
    "224.0.0.0/24": UsageError("can't be one"),
    "ff02::/64": UsageError("can't be one"),
}


@pytest.mark.parametrize(("text", "expected"), SUBNETS.items())
def test_subnets(text: str, expected: str | UsageError) -> None:
    if isinstance(expected, str):
        assert str(addresses.parse_subnet(text)) == expected
        return
    with pytest.raises(UsageError) as caught:
        addresses.parse_subnet(text)
    assert expected.message in caught.value.message
    assert "\n" not in caught.value.message


REQUESTS = {
    SubnetRequest("10.90.0.0/24"): Subnet("10.90.0.0/24", "10.90.0.1"),
    SubnetRequest("fd00::/64"): Subnet("fd00::/64", "fd00::1"),
    SubnetRequest("10.90.0.0/24", "10.90.0.254"): Subnet("10.90.0.0/24", "10.90.0.254"),
    SubnetRequest("10.90.0.0/24", "", "10.90.0.128/25"): Subnet(
        "10.90.0.0/24", "10.90.0.1", "10.90.0.128", "10.90.0.255"
    ),
    SubnetRequest("10.90.0.0/24", "", "10.90.0.5-10.90.0.9"): Subnet(
        "10.90.0.0/24", "10.90.0.1", "10.90.0.5", "10.90.0.9"
    ),
    SubnetRequest("10.90.0.0/24", "10.91.0.1"): "gateway",
    SubnetRequest("10.90.0.0/24", "10.90.0.0"): "gateway",
    SubnetRequest("10.90.0.0/24", "10.90.0.255"): "gateway",
    SubnetRequest("10.90.0.0/24", "fd00::1"): "gateway",
    SubnetRequest("fd00::/64", "fd00::"): "gateway",
    SubnetRequest("10.90.0.0/24", "nowhere"): "IP address",
    SubnetRequest("fd00::/64", "fd00::1%lo"): "zone",
    SubnetRequest("10.90.0.0/24", "", "10.91.0.0/25"): "range",
    SubnetRequest("10.90.0.0/24", "", "10.90.0.0/16"): "range",
    SubnetRequest("10.90.0.0/24", "", "10.90.0.9-10.90.0.5"): "range",
    SubnetRequest("10.90.0.0/24", "", "10.90.0.5-fd00::9"): "range",
    SubnetRequest("10.90.0.0/24", "", "10.90.0.5-x-10.90.0.9"): "IP address",
    SubnetRequest("10.90.0.0/24", "", "10.90.0.5-"): "IP address",
    SubnetRequest("10.90.0.0/24", "", "much"): "range",
}


@pytest.mark.parametrize(("request_", "expected"), REQUESTS.items(), ids=str)
def test_a_subnet_with_its_gateway_and_range(request_: SubnetRequest, expected: Subnet | str) -> None:
    if isinstance(expected, Subnet):
        assert addresses.check_subnet(request_) == expected
    else:
        with pytest.raises(UsageError, match=expected):
            addresses.check_subnet(request_)


FREE = {
    (): "10.89.0.0/24",
    ("10.88.0.0/16",): "10.89.0.0/24",
    ("10.89.0.0/24",): "10.89.1.0/24",
    ("10.89.1.0/24",): "10.89.0.0/24",
    ("10.89.1.0/24", "10.89.0.0/24", "10.89.3.0/24"): "10.89.2.0/24",
    ("10.89.0.77/32",): "10.89.1.0/24",
    ("10.88.0.0/14",): "10.92.0.0/24",
    ("10.89.0.0/16", "10.89.7.0/24"): "10.90.0.0/24",
    ("fd00::/8",): "10.89.0.0/24",
    ("10.89.0.0/16", "10.90.0.0/15", "10.92.0.0/14", "10.96.0.0/11", "10.128.0.0/10", "10.192.0.0/11",
     "10.224.0.0/12", "10.240.0.0/13", "10.248.0.0/14", "10.252.0.0/15", "10.254.0.0/16",
     "10.255.0.0/17"): "10.255.128.0/24",
}  # fmt: skip


@pytest.mark.parametrize(("taken", "expected"), FREE.items())
def test_the_lowest_free_subnet(taken: tuple[str, ...], expected: str) -> None:
    found = addresses.free_subnet([addresses.parse_subnet(one) if "/32" not in one else ipaddress.ip_network(one)
                                   for one in taken])  # fmt: skip
    assert found.subnet == expected
    assert ipaddress.ip_address(found.gateway) == ipaddress.ip_network(expected)[1]


def test_no_subnet_is_left() -> None:
    with pytest.raises(InUse, match="no subnet is left"):
        addresses.free_subnet([ipaddress.ip_network("10.0.0.0/8")])


def test_a_subnet_of_ipv6_is_a_unique_local_one() -> None:
    assert addresses.local_ipv6_subnet(bytes.fromhex("0123456789")) == Subnet(
        "fd01:2345:6789::/64", "fd01:2345:6789::1"
    )


def test_overlapping() -> None:
    a, b = network(1, "10.90.0.0/24"), network(2, "10.91.0.0/16", "fd00::/64")
    assert addresses.overlapping(Subnet("10.91.7.0/24"), [a, b]) == b
    assert addresses.overlapping(Subnet("10.0.0.0/8"), [a, b]) == a
    assert addresses.overlapping(Subnet("fd00::/48"), [a, b]) == b
    assert addresses.overlapping(Subnet("fd01::/48"), [a, b]) is None


def test_the_lowest_free_address() -> None:
    one = network(1, "10.90.0.0/29")
    taken: set[str] = set()
    for last in range(2, 7):  # .0 the subnet, .1 the gateway, .7 all
        chosen = addresses.choose_address(one, one.subnets[0], taken)
        assert chosen == f"10.90.0.{last}/29"
        taken.add(chosen.partition("/")[0])
    with pytest.raises(InUse, match=r"network net1 has no free address in 10\.90\.0\.0/29"):
        addresses.choose_address(one, one.subnets[0], taken)
    assert addresses.choose_address(one, one.subnets[0], taken - {"10.90.0.4"}) == "10.90.0.4/29"


def test_a_range_bounds_what_is_chosen_and_not_what_is_asked_for() -> None:
    one = network(1, "10.90.0.0/24")
    part = Subnet("10.90.0.0/24", "10.90.0.5", "10.90.0.5", "10.90.0.6")
    assert addresses.choose_address(one, part, ()) == "10.90.0.6/24"
    with pytest.raises(InUse, match="no free address"):
        addresses.choose_address(one, part, {"10.90.0.6"})
    assert addresses.choose_address(one, part, {"10.90.0.6"}, "10.90.0.200") == "10.90.0.200/24"


@pytest.mark.parametrize("wanted", ["10.90.0.0", "10.90.0.1", "10.90.0.255", "10.91.0.2", "fd00::2", "x"])
def test_addresses_that_a_network_cant_give(wanted: str) -> None:
    one = network(1, "10.90.0.0/24")
    with pytest.raises(UsageError, match=wanted):
        addresses.choose_address(one, one.subnets[0], (), wanted)


def test_an_address_that_somebody_has() -> None:
    one = network(1, "10.90.0.0/24", "fd00::/64")
    taken = {"10.90.0.9", "fd00::9"}
    for subnet, wanted in zip(one.subnets, ("10.90.0.9", "fd00:0::9"), strict=True):
        with pytest.raises(InUse, match="in use"):
            addresses.choose_address(one, subnet, taken, wanted)
    assert addresses.choose_address(one, one.subnets[1], taken) == "fd00::2/64"


def test_hardware_addresses() -> None:
    assert addresses.hardware_address(b"\xff" * 6) == "fe:ff:ff:ff:ff:ff"
    assert addresses.hardware_address(bytes(6)) == "02:00:00:00:00:00"
    assert addresses.parse_hardware_address("92-D0-C6-0a-29-33") == "92:d0:c6:0a:29:33"
    for text in (
        "",
        "92:d0:c6:0a:29",
        "92:d0:c6:0a:29:3",
        "92:d0:c6:0a:29:33:44",
        "92:d0:c6:0a:29:gg",
        "9٢:d0:c6:0a:29:33",
    ):
        with pytest.raises(UsageError, match="hardware address"):
            addresses.parse_hardware_address(text)
    with pytest.raises(UsageError, match="multicast"):
        addresses.parse_hardware_address("01:00:5e:00:00:01")
