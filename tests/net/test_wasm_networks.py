"""wasm containers on networks: addresses and names of their own, beside native ones, and no interface of their own."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests import conftest as base
from tests.contract.test_outgoing import REFUSED
from tests.net.inside import Inside
from tests.net.test_native_networks import address_of as native_address_of
from tests.net.test_native_networks import started
from tests.support import guests, images
from tests.support.command import Wpod, eventually
from tests.support.images import ImageSource
from tests.support.networks import free_port

SERVER, CLIENT, CALLS = "localhost/server:latest", "localhost/client:latest", "localhost/calls:latest"


@pytest.fixture(scope="module")
def wasm_sources() -> tuple[ImageSource, ...]:
    """A server that accepts on what it is given, a client that connects with WAMR's calls, and all else of these."""
    server = guests.wasm_from_c(guests.SOURCES / "server.c")
    exposed = {"ExposedPorts": {"8080/tcp": {}}}
    client = guests.wasm_with_sockets(guests.SOURCES / "connect.c")
    calls = guests.wasm_with_sockets(guests.SOURCES / "sockets.c")
    return (
        images.with_program(SERVER, server, exposed, wasm=True),
        images.with_program(CLIENT, client, wasm=True),
        images.with_program(CALLS, calls, wasm=True),
    )


@pytest.fixture
def mixed(networked: Wpod, archives: base.Archives, wasm_sources: tuple[ImageSource, ...]) -> Wpod:
    """As `networked`, with wasm images as well."""
    base.load(networked, archives, *wasm_sources)
    return networked


def serving(wpod: Wpod, name: str, *options: str) -> str:
    """A running wasm server on networks; its address."""
    wpod("run", "-d", "--name", name, *options, SERVER).ok()
    eventually(lambda: "ready" in wpod("logs", name).ok().out)
    return wpod.field(name, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")


def namespace_of(wpod: Wpod, name: str) -> Inside:
    return Inside(int(wpod.field(name, "{{.State.Pid}}")))


def addresses_in(inside: Inside) -> list[str]:
    """The IPv4 addresses beside the loopback's."""
    links = json.loads(inside.run("ip", "-j", "-4", "addr").stdout)
    return [one["local"] for link in links if link["ifname"] != "lo" for one in link.get("addr_info", ())]


def test_both_kinds_reach_each_other(mixed: Wpod) -> None:
    """An exposed port is found at the container's address; who connects comes from its own."""
    address = serving(mixed, "server", "--network", "bridge")
    native = started(mixed, "native", "--network", "bridge")
    assert native.fetch(address, 8080) == "8080"
    with native:
        native.serve("0.0.0.0", 80)
        there = native_address_of(mixed, "native", "wpod")
        told = mixed("run", "--name", "client", "--network", "bridge", CLIENT, there, "80").ok().out.strip()
        assert told not in (address, there)
        assert told.rpartition(".")[0] == address.rpartition(".")[0]
    assert mixed("run", "--rm", "--network", "bridge", CLIENT, address, "8080").ok().out.strip() == "8080"


def test_names_lead_to_wasm_containers(mixed: Wpod) -> None:
    mixed("network", "create", "named").ok()
    address = serving(mixed, "server", "--network", "named", "--network-alias", "web")
    native = started(mixed, "native", "--network", "named")
    gateway = mixed("network", "inspect", "-f", "{{(index .Subnets 0).Gateway}}", "named").ok().line
    for name in ("server", "web"):
        eventually(lambda name=name: native.look_up(f"{name}.dns.podman", gateway) == [address])  # type: ignore[misc]
    mixed("rm", "-f", "-t", "0", "server").ok()
    eventually(lambda: native.look_up("web.dns.podman", gateway) == [])


def test_a_guest_looks_names_up(mixed: Wpod) -> None:
    """Of others on its network, with and without the domain, its own, and those of --add-host."""
    mixed("network", "create", "named").ok()
    native = started(mixed, "native", "--network", "named:alias=db")
    there = native_address_of(mixed, "native", "named")
    eventually(lambda: native.look_up("db.dns.podman", there.rpartition(".")[0] + ".1") == [there])
    words = (
        "resolve",
        "db",
        "80",
        "resolve",
        "native.dns.podman",
        "80",
        "resolve",
        "own",
        "80",
        "resolve",
        "given",
        "80",
    )
    out = (
        mixed(*("run", "--name", "own", "--network", "named", "--add-host", "given:192.0.2.9"), CALLS, *words)
        .ok()
        .out.splitlines()
    )
    own = out[2].partition(":")[0]
    assert [line.partition(" ")[0] for line in out] == [f"{there}:80", f"{there}:80", f"{own}:80", "192.0.2.9:80"]
    assert own.rpartition(".")[0] == there.rpartition(".")[0]


def test_a_guest_binds_and_sends_datagrams(mixed: Wpod) -> None:
    """A privileged port of its own address, whatever others of the network have bound there."""
    native = started(mixed, "native", "--network", "bridge")
    addresses = []
    for name in ("a", "b"):
        mixed("run", "-d", "--name", name, "--network", "bridge", CALLS, "serve", "0.0.0.0", "80", "1").ok()
        eventually(lambda name=name: mixed("logs", name).ok().out == "serving\n")  # type: ignore[misc]
        addresses.append(mixed.field(name, '{{(index .NetworkSettings.Networks "wpod").IPAddress}}'))
    own = native_address_of(mixed, "native", "wpod")
    for address in addresses:
        assert (native.fetch(address, 80) or "").startswith(own)
    with native:
        native.serve_datagrams("0.0.0.0", 53)
        out = mixed("run", "--rm", "--network", "bridge", CALLS, "ask", own, "53", "hello").ok().out
        address, text, _, source = out.split()
        assert (text, source) == ("hello", f"{own}:53")
        assert address != own


def test_one_namespace_for_all_of_a_network(mixed: Wpod) -> None:
    """The second one finds the first one's; each address goes with its container, and the namespace with the last."""
    mixed("network", "create", "other").ok()
    first, second = serving(mixed, "a", "--network", "bridge"), serving(mixed, "b", "--network", "bridge")
    apart = serving(mixed, "c", "--network", "other")
    inside = namespace_of(mixed, "b")
    spaces = {name: os.stat(f"/proc/{namespace_of(mixed, name).pid}/ns/net").st_ino for name in "abc"}  # noqa: PTH116
    assert spaces["a"] == spaces["b"] != spaces["c"]
    assert sorted(addresses_in(inside)) == sorted([first, second])
    assert addresses_in(namespace_of(mixed, "c")) == [apart]
    mixed("rm", "-f", "-t", "0", "a").ok()
    assert addresses_in(inside) == [second]
    assert inside.fetch(second, 8080) == "8080"
    os.kill(inside.pid, signal.SIGKILL)
    mixed("wait", "b").ok()
    assert serving(mixed, "again", "--network", "bridge") == first
    assert addresses_in(namespace_of(mixed, "again")) == [first]


def test_networks_are_isolated_from_wasm_containers(mixed: Wpod, host: Inside) -> None:
    for name, *options in (("one",), ("two",), ("inner", "--internal")):
        mixed("network", "create", *options, name).ok()
    address = serving(mixed, "server", "--network", "one")
    inner = serving(mixed, "inner-server", "--network", "inner")
    for network, target in (("two", address), ("inner", address), ("one", inner)):
        out = mixed("run", "--rm", "--timeout", "2", "--network", network, CLIENT, target, "8080").out
        assert "8080" not in out
    assert mixed("run", "--rm", "--network", "inner", CLIENT, inner, "8080").ok().out.strip() == "8080"
    assert mixed("run", "--rm", "--network", "inner", CLIENT, address, "8080").exits(1).line == REFUSED
    native = started(mixed, "native", "--network", "two")
    assert native.fetch(address, 8080, patience_seconds=1) is None
    port = free_port()
    with host:
        host.serve("127.0.0.1", port)
        told = mixed("run", "--rm", "--network", "one", CLIENT, "127.0.0.1", str(port)).exits(1)
        assert told.line == REFUSED
        assert "may not connect to 127.0.0.1" in told.err


def test_a_published_port_and_an_address(mixed: Wpod, host: Inside) -> None:
    """The same descriptor of the guest accepts from both; the same port of the host is no conflict."""
    address = serving(mixed, "server", "--network", "bridge", "-p", "127.0.0.1:8080:8080")
    native = started(mixed, "native", "--network", "bridge")
    assert host.fetch("127.0.0.1", 8080) == "8080"
    assert native.fetch(address, 8080) == "8080"
    assert mixed("logs", "server").ok().line == "ready 1"


def test_many_at_once(mixed: Wpod) -> None:
    """By one command, and by several: distinct addresses, one namespace, nothing left."""
    mixed("network", "create", "crowd").ok()
    ids = mixed("run", "-d", "--scale", "8", "--network", "crowd", SERVER).ok().out.split()
    running = [mixed.start("run", "-d", "--network", "crowd", SERVER) for _ in range(6)]
    ids += [mixed.finish(one).ok().line for one in running]
    native = started(mixed, "native", "--network", "crowd")
    found = {mixed.field(one, '{{(index .NetworkSettings.Networks "crowd").IPAddress}}') for one in ids}
    assert len(found) == len(ids)
    for address in found:
        eventually(lambda address=address: native.fetch(address, 8080) == "8080")  # type: ignore[misc]
    spaces = {os.stat(f"/proc/{namespace_of(mixed, one).pid}/ns/net").st_ino for one in ids}  # noqa: PTH116
    assert len(spaces) == 1
    mixed("rm", "-f", "-t", "0", "-a").ok()
    assert mixed("network", "rm", "crowd").ok().line == "crowd"


def test_the_network_of_a_native_container(mixed: Wpod) -> None:
    """container:NAME leads a wasm container into its namespace, the loopback included."""
    native = started(mixed, "native", "--network", "bridge")
    with native:
        native.serve("127.0.0.1", 8000)
        joined = ("run", "--rm", "--network", "container:native", CLIENT, "127.0.0.1", "8000")
        assert mixed(*joined).ok().out.strip() == "127.0.0.1"
    serving(mixed, "server", "--network", "bridge")
    refused = mixed("run", "--rm", "--network", "container:server", "localhost/probe-native", "line", "x")
    refused.fails(125, "server", "wasm")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--network", "bridge", "--network", "other"), "one network only"),
        (("--network", "bridge", "--mac-address", "92:d0:c6:0a:29:33"), "no network interface"),
        (("--network", "bridge:interface_name=x0"), "no network interface"),
        (("--network", "bridge", "--ip", "10.1.1.1"), "10.1.1.1"),
    ],
)
def test_what_a_wasm_container_has_not(mixed: Wpod, options: tuple[str, ...], word: str) -> None:
    mixed("network", "create", "other").ok()
    mixed("run", "-d", *options, SERVER).fails(125, word)
    assert mixed("ps", "-aq").ok().out == ""


def test_it_stays_on_its_network(mixed: Wpod) -> None:
    mixed("network", "create", "other").ok()
    serving(mixed, "server", "--network", "bridge")
    mixed("network", "connect", "other", "server").fails(125, "server", "created")
