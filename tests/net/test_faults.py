"""What goes wrong with networks: a clear error, or recovery with the next command, and nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.net.inside import Inside
from tests.net.test_native_networks import PROBE, SLEEP, address_of, started
from tests.support.command import Wpod, eventually
from tests.support.networks import free_port


@pytest.fixture
def foreign() -> Iterator[str]:
    """A network namespace that nobody of wpod's has made."""
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo up; exec sleep infinity"], stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"up\n"
        yield f"/proc/{other.pid}/ns/net"
        other.kill()


def links_of(host: Inside) -> set[str]:
    return {one["ifname"] for one in json.loads(host.run("ip", "-j", "link").stdout)}


def test_a_namespace_by_path(networked: Wpod, foreign: str) -> None:
    """Root joins it; a user is told why he can't; what is no network namespace is refused by its name."""
    run = ("run", "--rm", "--network")
    here = networked.scratch
    plain, fifo = here / "file", here / "fifo"
    plain.touch()
    os.mkfifo(fifo)
    networked(*run, f"ns:{here}/none", PROBE, "line", "x").fails(125, f"no network namespace {here}/none")
    for path in (plain, here, Path("/proc/self/ns/pid"), Path("/dev/null")):
        networked(*run, f"ns:{path}", PROBE, "line", "x").fails(125, f"{path} is not a network namespace")
    networked(*run, f"ns:{foreign}", "-p", "8125:80", PROBE, "line", "x").fails(125, "ports can't be published")
    if networked.account.uid:
        networked(*run, f"ns:{foreign}", PROBE, "line", "x").fails(125, foreign)
        assert networked("ps", "-aq").ok().out == ""
        return
    networked(*run, f"ns:{fifo}", PROBE, "line", "x").fails(125, "not a network namespace")
    networked("run", "-d", "--name", "a", "--network", f"ns:{foreign}", PROBE, *SLEEP).ok()
    assert os.stat(f"/proc/{networked.field('a', '{{.State.Pid}}')}/ns/net").st_ino == os.stat(foreign).st_ino
    networked("rm", "-f", "-t", "0", "a").ok()
    assert os.path.exists(foreign)


def test_ipv6_from_end_to_end(networked: Wpod, host: Inside) -> None:
    """Container to container, a published port on [::1], and names."""
    networked("network", "create", "--ipv6", "six").ok()
    port = free_port()
    first = started(networked, "a", "--network", "six", "-p", f"[::1]:{port}:80")
    second = started(networked, "b", "--network", "six")
    address = networked.field("a", '{{(index .NetworkSettings.Networks "six").GlobalIPv6Address}}')
    with first:
        first.serve("::", 80)
        assert second.fetch(address, 80) is not None
        if networked.account.uid:  # root's is a rule, and the kernel routes nothing from ::1 to a bridge
            assert host.fetch("::1", port) is not None
        assert host.fetch("127.0.0.1", port, patience_seconds=1) is None
    gateway = networked("network", "inspect", "-f", "{{(index .Subnets 0).Gateway}}", "six").ok().line
    eventually(lambda: second.look_up("a.dns.podman", gateway) == [address_of(networked, "a", "six")])
    eventually(lambda: second.look_up("a.dns.podman", gateway, six=True) == [address])


def test_a_host_without_ipv6(networked: Wpod, host: Inside) -> None:
    """Ports and networks of IPv4 work as ever (root's own namespace only: a user's host is everybody's)."""
    if networked.account.uid:
        pytest.skip("only root has interfaces of the host")
    switch = "net.ipv6.conf.all.disable_ipv6"
    before = host.run("sysctl", "-n", switch).stdout.strip()
    assert host.run("sysctl", "-w", f"{switch}=1").returncode == 0
    try:
        port = free_port()
        inside = started(networked, "a", "-p", f"{port}:80")
        with inside:
            inside.serve("0.0.0.0", 80)
            assert host.fetch("127.0.0.1", port) is not None
        networked("run", "-d", "-p", f"[::1]:{port + 1}:80", PROBE, *SLEEP).fails(125, "::1")
    finally:
        host.run("sysctl", "-w", f"{switch}={before}")


def test_a_network_record_that_cant_be_read_stops_nobody_else(networked: Wpod) -> None:
    import sqlite3

    for name in ("bad", "good"):
        networked("network", "create", name).ok()
    with contextlib.closing(sqlite3.connect(networked.store / "wpod.db")) as database, database:
        database.execute("UPDATE network SET record = 'no json' WHERE name = 'bad'")
    networked("run", "-d", "--network", "bad", PROBE, *SLEEP).fails(125, "the record of network bad can't be read")
    started(networked, "a", "--network", "good")
    assert networked("ps", "-a", "--format", "{{.Names}}").ok().line == "a"


def test_rounds_of_connect_leave_nothing(networked: Wpod, host: Inside) -> None:
    networked("network", "create", "far").ok()
    inside = started(networked, "a", "--network", "bridge")
    before = links_of(host)
    for _ in range(8):
        networked("network", "connect", "far", "a").ok()
        networked("network", "disconnect", "far", "a").ok()
    assert links_of(host) - before <= {networked("network", "inspect", "-f", "{{.NetworkInterface}}", "far").ok().line}
    assert links_of(inside) == {"lo", "eth0"}
    assert address_of(networked, "a", "wpod").endswith(".2")
    networked("network", "rm", "far").ok()
    assert links_of(host) <= before


def test_killed_at_any_moment(networked: Wpod, host: Inside) -> None:
    """run, connect and network create are killed; the next commands need no repair, and nothing is left after them."""
    networked("network", "create", "near").ok()
    started(networked, "stays", "--network", "near")
    before = links_of(host)
    chance = random.Random(5)  # noqa: S311 - moments, not secrets
    for number in range(6):
        for words in (
            ("run", "-d", "--name", f"k{number}", "--network", "near", PROBE, *SLEEP),
            ("network", "create", f"made{number}"),
            ("network", "connect", "wpod", "stays"),
        ):
            running = networked.start(*words)
            time.sleep(chance.uniform(0.01, 0.4))
            running.kill()
            running.communicate()
        networked("network", "disconnect", "-f", "wpod", "stays").ok()
        networked("rm", "-f", "-t", "0", "--ignore", f"k{number}").ok()
    networked("network", "connect", "wpod", "stays").ok()
    networked("network", "disconnect", "wpod", "stays").ok()
    inside = Inside(int(networked.field("stays", "{{.State.Pid}}")))
    assert links_of(inside) == {"lo", "eth0"}
    assert {one for one in links_of(host) - before if not one.startswith("wpod")} == set()
    fresh = started(networked, "fresh", "--network", "near")
    with inside:
        inside.serve("0.0.0.0", 80)
        assert fresh.fetch(address_of(networked, "stays", "near"), 80) is not None
    networked("rm", "-f", "-t", "0", "-a").ok()
    networked("network", "prune", "-f").ok()
    assert networked("network", "ls", "-q").ok().out == "wpod\n"
    assert {one for one in links_of(host) if one.startswith("veth")} == set()
