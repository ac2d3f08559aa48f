"""macvlan and ipvlan on a parent interface of the host, which only root can have; addresses from nobody."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.net.inside import Inside
from tests.net.test_native_networks import PROBE, SLEEP, address_of, started
from tests.support.command import Wpod

_LAN = ("--subnet", "10.221.0.0/24", "--gateway", "10.221.0.1")


@pytest.fixture
def parent(networked: Wpod, host: Inside) -> Iterator[str]:
    """An interface of root's host that leads to a namespace with an address and a server: the gateway of a LAN."""
    if networked.account.uid:
        pytest.skip("only root has interfaces of the host")
    lan = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo up; exec sleep infinity"], stdout=subprocess.PIPE)
    assert lan.stdout is not None
    assert lan.stdout.readline() == b"up\n"
    there = Inside(lan.pid)
    assert (
        host.run("ip", "link", "add", "lan0", "up", "type", "veth", "peer", "eth9", "netns", str(lan.pid)).returncode
        == 0
    )
    for words in (("link", "set", "eth9", "up"), ("addr", "add", "10.221.0.1/24", "dev", "eth9")):
        assert there.run("ip", *words).returncode == 0
    with there:
        there.serve("10.221.0.1", 80)
        yield "lan0"
    host.run("ip", "link", "del", "lan0")
    lan.stdout.close()
    lan.kill()
    lan.wait()


def test_macvlan(networked: Wpod, parent: str) -> None:
    """Containers reach each other and the parent's network with addresses and hardware addresses of their own."""
    networked("network", "create", "-d", "macvlan", "-o", f"parent={parent}", *_LAN, "--opt", "mtu=1400", "lan").ok()
    (shown,) = networked("network", "inspect", "lan").ok().json
    assert (shown["driver"], shown["network_interface"], shown["dns_enabled"]) == ("macvlan", parent, False)
    assert shown["options"] == {"mtu": "1400"}
    first = started(networked, "first", "--network", "lan:mac=92:d0:c6:0a:29:33", "--ip", "10.221.0.50")
    second = started(networked, "second", "--network", "lan")
    assert address_of(networked, "first", "lan") == "10.221.0.50"
    (link,) = json.loads(first.run("ip", "-d", "-j", "link", "show", "eth0").stdout)
    assert (link["address"], link["mtu"]) == ("92:d0:c6:0a:29:33", 1400)
    assert (link["linkinfo"]["info_kind"], link["linkinfo"]["info_data"]["mode"]) == ("macvlan", "bridge")
    with first:
        first.serve("0.0.0.0", 80)
        assert second.fetch("10.221.0.50", 80) == address_of(networked, "second", "lan")
        assert second.fetch("10.221.0.1", 80) == address_of(networked, "second", "lan")
    networked("network", "rm", "lan").fails(2, "first", "second")
    networked("restart", "-t", "0", "first").ok()
    assert address_of(networked, "first", "lan") == "10.221.0.50"
    networked("network", "rm", "-f", "-t", "0", "lan").ok()
    assert networked("ps", "-aq").ok().out == ""


def test_a_running_container_joins_and_leaves_a_macvlan(networked: Wpod, parent: str) -> None:
    networked("network", "create", "-d", "macvlan", "--interface-name", parent, "-o", "mode=private", *_LAN, "lan").ok()
    inside = started(networked, "first", "--network", "bridge")
    for _ in range(2):
        networked("network", "connect", "lan", "first").ok()
        assert inside.fetch("10.221.0.1", 80) == address_of(networked, "first", "lan")
        networked("network", "disconnect", "lan", "first").ok()
        assert inside.fetch("10.221.0.1", 80, patience_seconds=1) is None
        assert [one["ifname"] for one in json.loads(inside.run("ip", "-j", "link").stdout)] == ["lo", "eth0"]


def test_a_port_leads_to_a_bridge_or_is_refused(networked: Wpod, parent: str, host: Inside) -> None:
    networked("network", "create", "-d", "macvlan", "-o", f"parent={parent}", *_LAN, "lan").ok()
    networked("run", "-d", "--network", "lan", "-p", "8123:80", PROBE, *SLEEP).fails(
        125, "on no bridge", "--network bridge"
    )
    assert networked("ps", "-aq").ok().out == ""
    inside = started(networked, "a", "--network", "lan", "--network", "wpod", "-p", "8123:80")
    with inside:
        inside.serve("0.0.0.0", 80)
        assert host.fetch("127.0.0.1", 8123) is not None


def test_a_parent_that_has_gone(networked: Wpod, parent: str, host: Inside) -> None:
    networked("network", "create", "-d", "macvlan", "-o", f"parent={parent}", *_LAN, "lan").ok()
    networked("create", "--name", "first", "--network", "lan", PROBE, *SLEEP).ok()
    host.run("ip", "link", "del", parent)
    networked("start", "first").fails(125, "parent interface lan0 does not exist")
    assert networked("ps", "-q").ok().out == ""


def test_ipvlan(networked: Wpod, parent: str, host: Inside) -> None:
    """Where the kernel has it; elsewhere its refusal names it, and nothing is left."""
    networked("network", "create", "-d", "ipvlan", "-o", f"parent={parent}", "-o", "mode=l2", *_LAN, "lan").ok()
    networked("run", "-d", "--network", "lan", "--mac-address", "92:d0:c6:0a:29:33", PROBE, *SLEEP).fails(125, "ipvlan")
    made = host.run("ip", "link", "add", "link", parent, "name", "try0", "type", "ipvlan").returncode == 0
    if not made:
        networked("run", "-d", "--network", "lan", PROBE, *SLEEP).fails(125, "the kernel refuses the ipvlan")
        assert networked("ps", "-aq").ok().out == ""
        return
    host.run("ip", "link", "del", "try0")
    inside = started(networked, "first", "--network", "lan")
    assert inside.fetch("10.221.0.1", 80) == address_of(networked, "first", "lan")


def test_a_parent_is_refused(networked: Wpod) -> None:
    def refused(*options: str) -> str:
        done = networked("network", "create", *options, "lan").exits(125)
        assert done.err.count("error:") == 1
        return done.err

    if networked.account.uid:
        for driver in ("macvlan", "ipvlan"):
            assert f"the driver {driver} needs root" in refused("-d", driver, *_LAN)
        return
    assert "parent interface nosuch does not exist" in refused("-d", "macvlan", "-o", "parent=nosuch", *_LAN)
    assert "DHCP is not supported" in refused("-d", "macvlan", "-o", "parent=lo")
    assert "unknown macvlan mode" in refused("-d", "macvlan", "-o", "mode=l2", *_LAN)
    assert "unknown ipvlan mode" in refused("-d", "ipvlan", "-o", "mode=bridge", *_LAN)
    assert "unsupported macvlan network option" in refused("-d", "macvlan", "-o", "vlan=4", *_LAN)
    assert "two parents" in refused("-d", "macvlan", "-o", "parent=lo", "--interface-name", "eth0", *_LAN)
    assert "--dns" in refused("-d", "macvlan", "-o", "parent=lo", "--dns", "192.0.2.1", *_LAN)
    assert "interface of this machine" in refused("--interface-name", "lo")


def test_nobody_gives_addresses(networked: Wpod) -> None:
    """An interface without an address, which the container's own program may give it."""
    networked("network", "create", "--ipam-driver", "none", "bare").ok()
    (shown,) = networked("network", "inspect", "bare").ok().json
    assert (shown["ipam_options"], shown["subnets"], shown["dns_enabled"]) == ({"driver": "none"}, [], False)
    first, second = started(networked, "first", "--network", "bare"), started(networked, "second", "--network", "bare")
    links = json.loads(first.run("ip", "-j", "-4", "addr", "show", "eth0").stdout)
    assert [one.get("addr_info", []) for one in links if one] in ([], [[]])
    networked("run", "-d", "--network", "bare", "-p", "8124:80", PROBE, *SLEEP).fails(125, "address")
    networked("run", "-d", "--network", "bare:ip=10.1.2.3", PROBE, *SLEEP).fails(125, "no subnet")
    if not networked.account.uid:
        for inside, address in ((first, "10.222.0.2"), (second, "10.222.0.3")):
            assert inside.run("ip", "addr", "add", f"{address}/24", "dev", "eth0").returncode == 0
        with first:
            first.serve("10.222.0.2", 80)
            assert second.fetch("10.222.0.2", 80) == "10.222.0.3"


def test_options_of_a_bridge(networked: Wpod) -> None:
    options = ("-o", "metric=42", "-o", "mtu=1300", "--route", "198.51.100.0/24,10.223.0.9,7", "-o", "isolate=true")
    networked("network", "create", "--subnet", "10.223.0.0/24", *options, "one").ok()
    networked("network", "create", "--subnet", "10.224.0.0/24", "-o", "no_default_route=1", "two").ok()
    routes = json.loads(started(networked, "a", "--network", "one").run("ip", "-j", "route").stdout)
    kept = {one["dst"]: (one["gateway"], one["metric"]) for one in routes if "gateway" in one}
    assert kept == {"default": ("10.223.0.1", 42), "198.51.100.0/24": ("10.223.0.9", 7)}
    (link,) = json.loads(
        Inside(int(networked.field("a", "{{.State.Pid}}"))).run("ip", "-j", "link", "show", "eth0").stdout
    )
    assert link["mtu"] == 1300
    routes = json.loads(started(networked, "b", "--network", "two").run("ip", "-j", "route").stdout)
    assert [one["dst"] for one in routes] == ["10.224.0.0/24"]
