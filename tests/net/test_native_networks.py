"""Native containers on networks: addresses, names, isolation, published ports, and what goes when they end."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from tests.net.inside import Inside
from tests.support.command import Wpod, eventually
from tests.support.networks import free_port
from wpod import paths

PROBE = "localhost/probe-native"
SLEEP = ("idle",)


def started(wpod: Wpod, name: str, *options: str) -> Inside:
    """A running container, and the inside of its network namespace."""
    wpod("run", "-d", "--name", name, *options, PROBE, *SLEEP).ok()
    return Inside(int(wpod.field(name, "{{.State.Pid}}")))


def address_of(wpod: Wpod, name: str, network: str) -> str:
    """The IPv4 address that the kernel has on the interface which `inspect` names for the network."""
    told = wpod.field(name, f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}')
    links = json.loads(Inside(int(wpod.field(name, "{{.State.Pid}}"))).run("ip", "-j", "-4", "addr").stdout)
    assert told in [address["local"] for link in links for address in link.get("addr_info", ())]
    return told


def test_the_default_network(networked: Wpod) -> None:
    """Two containers reach each other by address; each finds its own in /etc/hosts; lo is up."""
    first, second = started(networked, "a", "--network", "bridge"), started(networked, "b", "--network", "bridge")
    address = address_of(networked, "a", "wpod")
    hosts = networked("exec", "a", "/main", "read", "/etc/hosts").ok().out
    assert hosts.splitlines()[-1].split() == [address, networked.field("a", "{{.Config.Hostname}}"), "a"]
    with first:
        first.serve("0.0.0.0", 80)
        assert second.fetch(address, 80) == address_of(networked, "b", "wpod")
        assert first.fetch("127.0.0.1", 80) == "127.0.0.1"


def test_the_host_has_a_name(networked: Wpod, host: Inside) -> None:
    """It leads to what the host offers to its neighbours, and not to what it offers to itself alone."""
    inside = started(networked, "a")
    lines = networked("exec", "a", "/main", "read", "/etc/hosts").ok().out.splitlines()
    (line,) = [one.split() for one in lines if "internal" in one]
    assert line[1:] == ["host.containers.internal", "host.docker.internal"]
    open_port, own_port = free_port(), free_port()
    with host:
        host.serve("0.0.0.0", open_port)
        host.serve("127.0.0.1", own_port)
        assert inside.fetch(line[0], open_port) is not None
        for address in (line[0], "169.254.1.1", "169.254.1.2", networked.field("a", "{{.NetworkSettings.Gateway}}")):
            assert inside.fetch(address, own_port, patience_seconds=1) is None
    networked("run", "-d", "--name", "b", "--add-host", "db:host-gateway", PROBE, *SLEEP).ok()
    assert f"{line[0]}\tdb\n" in networked("exec", "b", "/main", "read", "/etc/hosts").ok().out
    networked("network", "create", "--internal", "inner").ok()
    networked("run", "-d", "--name", "c", "--network", "inner", PROBE, *SLEEP).ok()
    hosts = networked("exec", "c", "/main", "read", "/etc/hosts").ok().out
    assert ("internal" in hosts) == (networked.account.uid == 0)


def test_networks_are_isolated(networked: Wpod) -> None:
    for name, *options in (("one",), ("two",), ("inner", "--internal")):
        networked("network", "create", *options, name).ok()
    server, same = started(networked, "a", "--network", "one"), started(networked, "b", "--network", "one")
    other, both = (
        started(networked, "c", "--network", "two"),
        started(networked, "d", "--network", "one", "--network", "two"),
    )
    inner, inner_too = started(networked, "e", "--network", "inner"), started(networked, "f", "--network", "inner")
    with server, inner_too:
        server.serve("0.0.0.0", 80)
        inner_too.serve("0.0.0.0", 80)
        address = address_of(networked, "a", "one")
        assert same.fetch(address, 80) is not None
        assert both.fetch(address, 80) is not None
        assert other.fetch(address, 80, patience_seconds=1) is None
        assert inner.fetch(address, 80, patience_seconds=1) is None
        assert inner.fetch(address_of(networked, "f", "inner"), 80) is not None


def test_names_on_a_network(networked: Wpod) -> None:
    """Name, alias and short ID lead to a container as long as it runs."""
    networked("network", "create", "named").ok()
    inside = started(networked, "a", "--network", "named:alias=web")
    started(networked, "b", "--network", "named", "--network-alias", "db")
    gateway = networked("network", "inspect", "-f", "{{(index .Subnets 0).Gateway}}", "named").ok().line
    own, other = address_of(networked, "a", "named"), address_of(networked, "b", "named")
    short = networked.field("b", "{{.Id}}")[:12]
    eventually(lambda: inside.look_up("db.dns.podman", gateway) == [other])
    assert [inside.look_up(f"{name}.dns.podman", gateway) for name in ("a", "web", "b", short)] == [
        [own],
        [own],
        [other],
        [other],
    ]
    resolver = networked("exec", "a", "/main", "read", "/etc/resolv.conf").ok().out
    assert f"nameserver {gateway}\n" in resolver
    networked("rm", "-f", "-t", "0", "b").ok()
    eventually(lambda: inside.look_up("db.dns.podman", gateway) == [])


def test_a_published_port(networked: Wpod, host: Inside) -> None:
    """It leads to the container until that ends, for TCP and UDP; starting again opens it again."""
    port = free_port()
    inside = started(networked, "a", "-p", f"{port}:80", "-p", f"{port}:80/udp")
    with inside:
        inside.serve("0.0.0.0", 80)
        inside.serve_datagrams("0.0.0.0", 80)
        assert host.fetch("127.0.0.1", port) is not None
        answer = host.ask("127.0.0.1", port, b"hello")
        assert answer is not None
        assert answer.endswith(b" hello")
    networked("stop", "-t", "0", "a").ok()
    networked("create", "--name", "other", PROBE, *SLEEP).ok()  # the next command that writes frees what is left
    assert host.fetch("127.0.0.1", port, patience_seconds=1) is None
    networked("start", "a").ok()
    with Inside(int(networked.field("a", "{{.State.Pid}}"))) as again:
        again.serve("0.0.0.0", 80)
        assert host.fetch("127.0.0.1", port) is not None


def test_a_port_that_another_container_has(networked: Wpod) -> None:
    port = free_port()
    started(networked, "a", "-p", f"{port}:80")
    networked("run", "-d", "--name", "b", "-p", f"127.0.0.1:{port}:80", PROBE, *SLEEP).fails(126, str(port), "in use")
    assert networked("ps", "-a", "--format", "{{.Names}}").ok().line == "a"


def test_a_fixed_address_and_what_is_refused(networked: Wpod) -> None:
    networked("network", "create", "--subnet", "10.97.0.0/24", "fixed").ok()
    started(networked, "a", "--network", "fixed", "--ip", "10.97.0.77", "--mac-address", "92:d0:c6:0a:29:33")
    assert address_of(networked, "a", "fixed") == "10.97.0.77"
    link = Inside(int(networked.field("a", "{{.State.Pid}}"))).run("ip", "link", "show", "eth0").stdout
    assert "92:d0:c6:0a:29:33" in link
    for address, word in (("10.97.0.77", "in use"), ("10.98.0.1", "10.97.0.0/24"), ("10.97.0.1", "10.97.0.0/24")):
        networked("run", "-d", "--network", "fixed", "--ip", address, PROBE, *SLEEP).fails(125, address, word)
    networked("run", "--network", "nosuch", PROBE, *SLEEP).fails(125, "nosuch", "not found")
    assert networked("ps", "-aq").ok().line == networked.field("a", "{{.Id}}")[:12]


def test_a_container_that_was_killed_gives_its_address_back(networked: Wpod) -> None:
    networked("network", "create", "--subnet", "10.99.0.0/30", "tiny").ok()
    started(networked, "a", "--network", "tiny")
    networked("run", "-d", "--network", "tiny", PROBE, *SLEEP).fails(125, "no free address")
    os.kill(int(networked.field("a", "{{.State.Pid}}")), signal.SIGKILL)
    networked("wait", "a").ok()
    started(networked, "b", "--network", "tiny")
    assert address_of(networked, "b", "tiny") == "10.99.0.2"


def test_another_container_s_network(networked: Wpod) -> None:
    first = started(networked, "first", "--network", "bridge")
    second = started(networked, "b", "--network", "container:first")
    with first:
        first.serve("127.0.0.1", 8000)
        assert second.fetch("127.0.0.1", 8000) == "127.0.0.1"
    networked("rm", "-f", "-t", "0", "first").ok()
    networked("run", "--rm", "--network", "container:first", PROBE, *SLEEP).fails(125, "no container", "first")


def test_a_network_in_the_foreground(networked: Wpod) -> None:
    """The exit status is the guest's, and the address is free again."""
    out = networked("run", "--rm", "--network", "bridge", PROBE, "list", "/sys/class/net").ok().out
    assert sorted(out.split()) == ["eth0", "lo"]
    networked("run", "--rm", "--network", "bridge", PROBE, "exit", "42").exits(42)
    started(networked, "a", "--network", "bridge")
    assert address_of(networked, "a", "wpod").endswith(".2")


def test_many_started_at_once_have_addresses_and_names_of_their_own(networked: Wpod) -> None:
    networked("network", "create", "crowd").ok()
    names = [f"member-{number}" for number in range(12)]
    running = [networked.start("run", "-d", "--name", name, "--network", "crowd", PROBE, *SLEEP) for name in names]
    for one in running:
        networked.finish(one).ok()
    addresses = {name: address_of(networked, name, "crowd") for name in names}
    assert len(set(addresses.values())) == len(names)
    inside = Inside(int(networked.field(names[0], "{{.State.Pid}}")))
    gateway = networked("network", "inspect", "-f", "{{(index .Subnets 0).Gateway}}", "crowd").ok().line
    for name, address in addresses.items():
        eventually(lambda name=name, address=address: inside.look_up(f"{name}.dns.podman", gateway) == [address])  # type: ignore[misc]
    networked("rm", "-f", "-t", "0", *names).ok()
    assert networked("network", "rm", "crowd").ok().line == "crowd"


def test_connected_and_disconnected_while_it_runs(networked: Wpod) -> None:
    for name in ("near", "far"):
        networked("network", "create", name).ok()
    inside, other = started(networked, "first", "--network", "near"), started(networked, "second", "--network", "far")
    with other:
        other.serve("0.0.0.0", 80)
        address = address_of(networked, "second", "far")
        for _ in range(3):
            assert inside.fetch(address, 80, patience_seconds=1) is None
            networked("network", "connect", "far", "first").ok()
            networked("network", "connect", "far", "first").fails(125, "already connected")
            assert inside.fetch(address, 80) == address_of(networked, "first", "far")
            assert (
                address_of(networked, "first", "far") in networked("exec", "first", "/main", "read", "/etc/hosts").out
            )
            networked("network", "disconnect", "far", "first").ok()
        assert [link["ifname"] for link in json.loads(inside.run("ip", "-j", "link").stdout)] == ["lo", "eth0"]
    networked("network", "disconnect", "far", "first").fails(125, "not connected")
    networked("network", "rm", "near").fails(2, "first")
    networked("network", "rm", "-f", "-t", "0", "near", "far").ok()
    assert networked("ps", "-aq").ok().out == ""


def test_name_servers_of_a_network(networked: Wpod) -> None:
    """The network's own name server asks them, from one moment to the next also for those that run already."""
    networked("network", "create", "--subnet", "10.225.0.0/24", "named").ok()
    networked("network", "create", "--subnet", "10.226.0.0/24", "other").ok()
    inside = started(networked, "a", "--network", "named:ip=10.225.0.10")
    server = started(networked, "b", "--network", "named:ip=10.225.0.53")
    started(networked, "c", "--network", "other:ip=10.226.0.10")
    with server:
        server.serve_names("10.225.0.53", "192.0.2.80")
        networked("network", "update", "--dns-add", "10.225.0.53", "named").ok()
        eventually(lambda: inside.look_up("somewhere.example", "10.225.0.1") == ["192.0.2.80"])
        other = Inside(int(networked.field("c", "{{.State.Pid}}")))
        assert other.look_up("somewhere.example", "10.226.0.1") != ["192.0.2.80"]
        networked("network", "update", "--dns-drop", "10.225.0.53", "named").ok()
        eventually(lambda: inside.look_up("somewhere.example", "10.225.0.1") != ["192.0.2.80"])
        assert inside.look_up("b.dns.podman", "10.225.0.1") == ["10.225.0.53"]


def test_reload_of_single_containers(networked: Wpod) -> None:
    """What somebody took away is there again, and only what belongs to the container's networks."""
    for name in ("one", "two"):
        networked("network", "create", name).ok()
    inside = started(networked, "a", "--network", "one")
    started(networked, "b", "--network", "two")
    networked("create", "--name", "c", "--network", "one", PROBE, *SLEEP).ok()
    started(networked, "d", "--network", "none")
    long = networked.field("a", "{{.Id}}")
    gateway = networked("network", "inspect", "-f", "{{(index .Subnets 0).Gateway}}", "one").ok().line
    assert networked("network", "reload", "a").ok().line == long
    done = networked("network", "reload", "c", "a", "d")
    assert (done.status, done.out) == (125, f"{long}\n")
    assert "c is not running" in done.err
    assert "d is on no network" in done.err
    assert len(networked("network", "reload", "--all").ok().out.split()) == 2
    networked("network", "reload", "--latest").fails(125, "d")
    eventually(lambda: inside.look_up("a.dns.podman", gateway) == [address_of(networked, "a", "one")])


def test_a_killed_connect_is_taken_back_or_recorded(networked: Wpod) -> None:
    """By the next command that writes: what the container has, what is leased and what is recorded are the same."""
    networked("network", "create", "other").ok()
    inside = started(networked, "a")
    for patience_seconds in (0.0, 0.01, 0.03):
        running = networked.start("network", "connect", "other", "a")
        eventually(lambda: _connecting(networked) or running.poll() is not None)  # noqa: B023 - called at once
        time.sleep(patience_seconds)
        running.kill()
        running.communicate()
        networked("rm", "--ignore", "nosuch").ok()
        assert not _connecting(networked)
        links = json.loads(inside.run("ip", "-j", "link").stdout)
        on = networked.field("a", "{{len .NetworkSettings.Networks}}")
        assert on == str(len(links) - 1)
        if on == "1":
            networked("network", "connect", "other", "a").ok()
        networked("network", "disconnect", "other", "a").ok()


def _connecting(wpod: Wpod) -> bool:
    """Whether a command has noted that it is at it, below the runtime directory: root's is the system's."""
    if wpod.account.uid == 0:
        return bool(list(Path(paths.runtime_path(str(wpod.store))).glob("network/connecting-*")))
    return bool(list((wpod.scratch / "runtime").rglob("network/connecting-*")))


def test_a_killed_foreground_container_leaves_no_port(networked: Wpod, host: Inside) -> None:
    """Its record, place and rules go with the next command that writes."""
    port = free_port()
    running = networked.start("run", "--rm", "--name", "a", "-p", f"{port}:80", PROBE, *SLEEP)
    networked.until_running("a")
    os.kill(int(networked.field("a", "{{.State.Pid}}")), signal.SIGKILL)
    running.kill()
    running.communicate()
    published = ("nft", "list", "map", "inet", "wpod", "published_any4")
    # A process of a killed group may hold the state's lock for a moment longer.
    eventually(lambda: networked("rm", "--ignore", "nosuch").ok() and str(port) not in host.run(*published).stdout)
    networked("run", "-d", "--name", "b", "-p", f"{port}:80", PROBE, *SLEEP).ok()
