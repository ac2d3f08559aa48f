"""`wpod network …` as far as no container runs: records, what is shown of them, and every refusal."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

from tests.support.command import Wpod

_KEYS = {"name", "id", "driver", "network_interface", "created", "subnets", "ipv6_enabled", "internal", "dns_enabled",
         "ipam_options"}  # fmt: skip
# Far from what machines have addresses of.
_SUBNET = "10.217.3.0/24"


def one(wpod: Wpod, name: str) -> Any:
    (found,) = wpod("network", "inspect", name).ok().json
    return found


def names(wpod: Wpod, *options: str) -> list[str]:
    return wpod("network", "ls", "--quiet", *options).ok().out.split()


def test_the_default_network_is_shown_before_its_first_use(fresh: Wpod) -> None:
    assert names(fresh) == ["wpod"]
    shown = one(fresh, "wpod")
    assert set(shown) == _KEYS
    assert shown["subnets"] == [{"subnet": "10.88.0.0/16", "gateway": "10.88.0.1"}]
    assert shown["network_interface"] == "wpod0"
    fresh("network", "exists", "wpod").ok()
    for options in ((), ("--force",)):
        fresh("network", "rm", *options, "wpod").fails(125, "default network")
        fresh("network", "rm", *options, shown["id"]).fails(125, "default network")
    fresh("network", "create", "wpod").fails(125, "already used")
    fresh("network", "prune", "--force").ok()
    assert names(fresh) == ["wpod"]


def test_the_default_network_is_shown_as_it_will_be(fresh: Wpod) -> None:
    """Its usual subnet may be another network's by then; the ID is the same before and after."""
    before = one(fresh, "wpod")
    fresh("network", "create", "--subnet", "10.88.0.0/17", "first").fails(125, "overlaps", "wpod")
    assert one(fresh, before["id"][:12])["id"] == before["id"]
    fresh("network", "update", "--dns-add", "192.0.2.1", "wpod")  # records it, whether or not it likes it
    after = one(fresh, "wpod")
    assert (after["id"], after["subnets"]) == (before["id"], before["subnets"])


def test_all_that_create_records(fresh: Wpod) -> None:
    out = fresh(
        "network", "create", "--subnet", _SUBNET, "--gateway", "10.217.3.9", "--ip-range", "10.217.3.64/26",
        "--subnet", "fd00:217::/64", "--internal", "--disable-dns", "--interface-name", "br-net.1", "--opt", "mtu=1400",
        "--label", "tier=back", "--label", "plain", "web_1.x-y",
    ).ok().line  # fmt: skip
    assert out == "web_1.x-y"
    shown = one(fresh, "web_1.x-y")
    assert set(shown) == {*_KEYS, "labels", "options"}
    assert shown["subnets"] == [
        {
            "subnet": _SUBNET,
            "gateway": "10.217.3.9",
            "lease_range": {"start_ip": "10.217.3.64", "end_ip": "10.217.3.127"},
        },
        {"subnet": "fd00:217::/64", "gateway": "fd00:217::1"},
    ]
    assert (shown["internal"], shown["dns_enabled"], shown["ipv6_enabled"]) == (True, False, True)
    assert (shown["network_interface"], shown["options"]) == ("br-net.1", {"mtu": "1400"})
    assert shown["labels"] == {"tier": "back", "plain": ""}
    by_id = fresh("network", "inspect", "--format", "{{.Name}} {{.NetworkInterface}}", shown["id"][:12]).ok().line
    assert by_id == "web_1.x-y br-net.1"
    assert fresh("inspect", "web_1.x-y").ok().json == [shown]
    assert fresh("inspect", "--type", "network", "web_1.x-y").ok().json == [shown]


def test_what_is_left_to_wpod_is_chosen_apart(fresh: Wpod) -> None:
    made = [fresh("network", "create", "--ipv6", *name).ok().line for name in ((), (), ("x",))]
    assert made == ["net0", "net1", "x"]
    shown = [one(fresh, name) for name in made]
    assert len({each["network_interface"] for each in shown}) == 3
    assert len({each["id"] for each in shown}) == 3
    blocks = [subnet["subnet"] for each in shown for subnet in each["subnets"]]
    assert len(set(blocks)) == 6
    assert [block.startswith("fd") for block in blocks] == [False, True] * 3


def test_ls(fresh_one: Wpod) -> None:
    fresh_one("network", "create", "--label", "tier=back", "zeta").ok()
    fresh_one("network", "create", "--label", "tier=front", "alpha").ok()
    assert names(fresh_one) == ["alpha", "wpod", "zeta"]
    table = fresh_one("network", "ls").ok().out.splitlines()
    assert table[0].split() == ["NETWORK", "ID", "NAME", "DRIVER"]
    assert [line.split()[1:] for line in table[1:]] == [["alpha", "bridge"], ["wpod", "bridge"], ["zeta", "bridge"]]
    assert fresh_one("network", "ls", "--noheading").ok().out.splitlines() == table[1:]
    whole = fresh_one("network", "ls", "--no-trunc", "--noheading").ok().out.splitlines()
    assert [len(line.split()[0]) for line in whole] == [64] * 3
    assert (
        fresh_one("network", "ls", "--format", "{{.Name}}/{{.Driver}}", "--filter", "name=al").ok().line
        == "alpha/bridge"
    )
    found = fresh_one("network", "ls", "--format", "json").ok().json
    assert [each["name"] for each in found] == ["alpha", "wpod", "zeta"]
    for terms, expected in {
        ("name=a",): ["alpha", "zeta"],
        ("label=tier",): ["alpha", "zeta"],
        ("label=tier=back",): ["zeta"],
        ("label=tier=back", "label=tier=front"): ["alpha", "zeta"],
        ("label=tier", "name=alp"): ["alpha"],
        ("driver=bridge",): ["alpha", "wpod", "zeta"],
        ("driver=macvlan",): [],
        (f"id={found[0]['id'][:12]}",): ["alpha"],
        ("label!=tier",): ["wpod"],
        ("label!=tier=back", "label!=tier=front"): ["wpod"],
        ("label!=tier=back",): ["alpha", "wpod"],
        ("dangling=true",): ["alpha", "wpod", "zeta"],
        ("dangling=false",): [],
        ("until=1h", "name=a"): [],
        ("until=2100-01-01", "name=a"): ["alpha", "zeta"],
    }.items():
        assert names(fresh_one, *(word for term in terms for word in ("--filter", term))) == expected, terms
    fresh_one("network", "ls", "--filter", "colour=red").fails(125, "colour")
    fresh_one("network", "ls", "--filter", "dangling=perhaps").fails(125, "dangling", "true or false")
    fresh_one("network", "ls", "--filter", "until=perhaps").fails(125, "perhaps")
    fresh_one("network", "ls", "--quiet", "--format", "json").fails(125, "cannot be used together")


REFUSED = {
    ("--subnet", "10.217.3.0"): "CIDR",
    ("--subnet", "10.217.3.0/31"): "no room",
    ("--subnet", "127.0.0.0/24"): "127.0.0.0/24",
    ("--subnet", "10.88.7.0/24"): "10.88.7.0/24",
    ("--subnet", "10.217.0.0/16"): "network taken",
    ("--subnet", "10.218.0.0/24", "--subnet", "10.218.0.0/25"): "another one of this network",
    ("--subnet", "10.218.0.0/24", "--gateway", "10.219.0.1"): "gateway",
    ("--subnet", "10.218.0.0/24", "--gateway", "10.218.0.255"): "gateway",
    ("--subnet", "10.218.0.0/24", "--ip-range", "10.219.0.0/25"): "range",
    ("--subnet", "10.218.0.0/24", "--ip-range", ""): "ip-range",
    ("--gateway", "10.218.0.1"): "--subnet",
    ("--ip-range", "10.218.0.0/25"): "--subnet",
    ("--driver", "macvlan"): "macvlan",  # as root for want of a subnet
    ("--driver", "ipvlan"): "ipvlan",
    ("--ipam-driver", "dhcp"): "dhcp is not supported",
    ("--ipam-driver", "none", "--subnet", "10.218.0.0/24"): "--subnet",
    ("--ipam-driver", "ours"): "host-local",
    ("--dns", "192.0.2.1", "--disable-dns"): "name server",
    ("--dns", "here"): "address",
    ("--route", "198.51.100.0/24"): "GATEWAY",
    ("--route", "198.51.100.1/24,10.218.0.1"): "host bits",
    ("--route", "198.51.100.0/24,fd00::1"): "versions",
    ("--route", "198.51.100.0/24,10.218.0.1,0"): "metric",
    ("--route", "0.0.0.0/0,10.218.0.1"): "default route",
    ("--subnet", "10.218.0.0/24", "--route", "198.51.100.0/24,10.219.0.1"): "no subnet",
    ("--driver", "overlay"): "overlay",
    ("--opt", "mtu=1"): "MTU",
    ("--opt", "mtu=70000"): "MTU",
    ("--opt", "mtu"): "KEY=VALUE",
    ("--opt", "colour=red"): "mtu",
    ("--opt", "parent=lo"): "parent",
    ("--opt", "vlan=4095"): "vlan",
    ("--opt", "isolate=false"): "isolate=false",
    ("--opt", "isolate=maybe"): "true or false",
    ("--opt", "no_default_route=x"): "true or false",
    ("--opt", "vrf=x"): "vrf is not supported yet",
    ("--interface-name", "a/b"): "interface",
    ("--interface-name", "a" * 16): "15",
    ("--interface-name", "br-taken"): "br-taken",
    ("--label", "=x"): "label",
}


def test_what_create_refuses(fresh_one: Wpod) -> None:
    fresh_one("network", "create", "--subnet", _SUBNET, "--interface-name", "br-taken", "taken").ok()
    for options, words in REFUSED.items():
        fresh_one("network", "create", *options, "x").fails(125, words)
    for name in ("", "-x", "a b", "a/b", "..", "ü", "a\nb", "host", "none", "bridge", "pasta", "default", "container"):
        assert fresh_one("network", "create", "--", name).exits(125).err.count("error:") == 1
    fresh_one("network", "create", "taken").fails(125, "network name taken already used")
    assert fresh_one("network", "create", "--ignore", "taken").ok().line == "taken"
    fresh_one("network", "create", "a", "b").exits(125)
    assert names(fresh_one) == ["taken", "wpod"]


def test_name_servers_of_a_network(fresh: Wpod) -> None:
    fresh("network", "create", "--dns", "192.0.2.1,192.0.2.2", "--dns", "2001:db8::1", "named").ok()
    fresh("network", "create", "--disable-dns", "nameless").ok()
    assert one(fresh, "named")["network_dns_servers"] == ["192.0.2.1", "192.0.2.2", "2001:db8::1"]
    update = ("network", "update")
    assert fresh(*update, "--dns-add", "192.0.2.9", "--dns-drop", "192.0.2.2,192.0.2.77", "named").ok().out == ""
    assert one(fresh, "named")["network_dns_servers"] == ["192.0.2.1", "2001:db8::1", "192.0.2.9"]
    fresh(*update, "--dns-add", "192.0.2.9", one(fresh, "named")["id"][:12]).ok()
    assert one(fresh, "named")["network_dns_servers"] == ["192.0.2.1", "2001:db8::1", "192.0.2.9"]
    fresh(*update, "named").fails(125, "--dns-add")
    fresh(*update, "--dns-add", "x", "named").fails(125, "--dns-add", "address")
    fresh(*update, "--dns-add", "192.0.2.1", "x").fails(125, "network not found: x")
    for name in ("nameless", "wpod"):
        fresh(*update, "--dns-add", "192.0.2.1", name).fails(125, name, "no name server")


def test_routes_and_who_gives_addresses(fresh: Wpod) -> None:
    fresh("network", "create", "--subnet", _SUBNET, "--route", "198.51.100.0/24,10.217.3.7,5", "routed").ok()
    route = {"destination": "198.51.100.0/24", "gateway": "10.217.3.7", "metric": 5}
    assert one(fresh, "routed")["routes"] == [route]
    fresh("network", "create", "--ipam-driver", "none", "bare").ok()
    assert (
        fresh("network", "inspect", "--format", "{{.IPAMOptions.driver}} {{len .Subnets}}", "bare").ok().line
        == "none 0"
    )


def test_what_is_not_there(fresh_one: Wpod) -> None:
    fresh_one("network", "exists", "x").exits(1)
    assert fresh_one("network", "inspect", "x").fails(125, "network not found: x").out == "[]\n"
    fresh_one("network", "rm", "x").fails(1, "network not found: x")
    fresh_one("network", "rm", "--force", "x").ok()
    fresh_one("network", "connect", "x", "c").fails(125, "network not found: x")
    fresh_one("network", "disconnect", "x", "c").fails(125, "no such container")
    fresh_one("network", "connect", "wpod", "c").fails(125, "no such container")
    fresh_one("network", "reload", "c").fails(125, "no such container")
    fresh_one("network", "reload").fails(125)
    assert fresh_one("network", "reload", "--all").ok().out == ""


def test_rm_goes_on_past_what_is_not_there(fresh: Wpod) -> None:
    for name in ("a", "b"):
        fresh("network", "create", name).ok()
    done = fresh("network", "rm", "a", "x", "b")
    assert (done.status, done.out) == (1, "a\nb\n")
    assert names(fresh) == ["wpod"]


def test_prune_takes_what_fits(fresh: Wpod) -> None:
    fresh("network", "create", "--label", "old", "a").ok()
    fresh("network", "create", "b").ok()
    for term in ("name=a", "driver=bridge", "dangling=true"):
        fresh("network", "prune", "--force", "--filter", term).fails(125, "invalid filter")
    assert fresh("network", "prune", "--force", "--filter", "until=1h").ok().out == ""
    assert fresh("network", "prune", "--force", "--filter", "label!=old").ok().out == "b\n"
    fresh("network", "create", "b").ok()
    assert fresh("network", "prune", "--force", "--filter", "label=old").ok().out == "a\n"
    assert fresh("network", "prune", "--force").ok().out == "b\n"
    assert names(fresh) == ["wpod"]


def test_a_record_that_cant_be_read(fresh: Wpod) -> None:
    for name in ("bad", "good"):
        fresh("network", "create", name).ok()
    with closing(sqlite3.connect(fresh.store / "wpod.db")) as database, database:
        database.execute("UPDATE network SET record = ? WHERE name = 'bad'", (json.dumps({"name": "bad"})[:-3],))
    done = fresh("network", "ls", "--quiet").fails(125, "the record of network bad can't be read")
    assert done.out == "good\nwpod\n"
    fresh("network", "inspect", "bad").fails(125, "network bad")
    fresh("network", "inspect", "good").ok()
    fresh("network", "rm", "good").ok()
    assert "the record of network bad" in fresh("system", "check").exits(1).out
    assert "without --force" in fresh("system", "check", "--repair").exits(1).out
    fresh("system", "check", "--repair", "--force").ok()
    assert names(fresh) == ["wpod"]
