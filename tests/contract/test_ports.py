"""Published ports of wasm containers: sockets of the host that the guest accepts on, with nobody in between.

Those of native containers, which need a network, are in tests/net.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import conftest as base
from tests.support import guests, images
from tests.support.account import Account
from tests.support.command import Wpod, eventually
from tests.support.images import ImageSource
from tests.support.networks import free_port

SERVER = "localhost/server:latest"


@pytest.fixture(scope="module")
def server() -> ImageSource:
    module = guests.wasm_from_c(guests.SOURCES / "server.c")
    return images.with_program(SERVER, module, {"ExposedPorts": {"8080/tcp": {}, "junk": {}}}, wasm=True)


@pytest.fixture
def wpod(account: Account, places: base.Places, server: ImageSource, archives: base.Archives) -> Iterator[Wpod]:
    """wpod on a store of its own with the server in it, for each account."""
    with base.filled(places.new(account), archives, server) as made:
        yield made


def asked(port: int, address: str = "127.0.0.1") -> str | None:
    """What the server tells; None where nobody listens."""
    try:
        with socket.create_connection((address, port), timeout=10) as client:
            return client.makefile().read().strip()
    except ConnectionRefusedError:
        return None


def test_each_socket_has_its_name(wpod: Wpod) -> None:
    first, second = free_port(), free_port()
    wpod("run", "-d", "--name", "s", "-p", f"{first}:8080", "-p", f"127.0.0.1:{second}:9090", SERVER).ok()
    assert (asked(first), asked(second)) == ("8080", "9090")
    assert wpod("port", "s").ok().out.splitlines() == [
        f"8080/tcp -> 0.0.0.0:{first}",
        f"9090/tcp -> 127.0.0.1:{second}",
    ]
    assert wpod("port", "s", "9090").ok().line == f"127.0.0.1:{second}"
    wpod("port", "s", "1").fails(125, "1")
    assert wpod("ps", "--format", "{{.Ports}}").ok().line == (
        f"0.0.0.0:{first}->8080/tcp, 127.0.0.1:{second}->9090/tcp"
    )
    bindings = wpod("inspect", "s").ok().json[0]["HostConfig"]["PortBindings"]
    assert bindings["9090/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": str(second)}]


def test_ipv6(wpod: Wpod) -> None:
    port, own = free_port(), free_port()
    wpod("run", "-d", "--name", "s", "-p", f"{port}:8080", "-p", f"[::1]:{own}:9090", SERVER).ok()
    assert asked(port, "::1") == "8080"
    assert asked(own, "::1") == "9090"
    assert asked(own) is None


def test_the_port_goes_with_the_container_and_comes_back(wpod: Wpod) -> None:
    port = free_port()
    wpod("run", "-d", "--name", "s", "-p", f"{port}:8080", SERVER).ok()
    wpod("stop", "s").ok()
    assert asked(port) is None
    wpod("start", "s").ok()
    assert asked(port) == "8080"
    wpod("restart", "s").ok()
    assert asked(port) == "8080"
    os.kill(int(wpod.field("s", "{{.State.Pid}}")), signal.SIGKILL)
    wpod("wait", "s").ok()
    assert asked(port) is None


def test_a_port_in_use_is_named_with_who_has_it(wpod: Wpod) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        result = wpod("run", "-d", "-p", f"{port}:8080", SERVER).fails(126, str(port), "in use")
        if wpod.account.uid == os.geteuid():
            assert f"(pid {os.getpid()})" in result.err
        assert wpod("ps", "-aq").ok().out == ""


def test_free_ports_are_chosen(wpod: Wpod) -> None:
    """For -P each exposed port gets one, for -p without a port of the host, too; each of scaled containers its own."""
    wpod("run", "-d", "--name", "s", "-P", "-p", "9090", SERVER).ok()
    lines = dict(line.split(" -> ") for line in wpod("port", "s").ok().out.splitlines())
    assert sorted(lines) == ["8080/tcp", "9090/tcp"]
    assert {asked(int(where.rpartition(":")[2])) for where in lines.values()} == {"8080", "9090"}
    wpod("run", "-d", "--scale", "3", "--name", "k", "-P", SERVER).ok()
    ports = {int(wpod("port", f"k-{number}", "8080").ok().line.rpartition(":")[2]) for number in (1, 2, 3)}
    assert len(ports) == 3
    assert {asked(port) for port in ports} == {"8080"}
    wpod("stop", "k-2").ok()
    assert sorted(asked(port) or "" for port in ports) == ["", "8080", "8080"]
    wpod("run", "-d", "--scale", "2", "-p", f"{free_port()}:8080", SERVER).fails(125, "--scale 2")


def test_a_port_below_those_of_users(wpod: Wpod) -> None:
    start = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if wpod.account.uid == 0 or start < 2:
        wpod("run", "-d", "--name", "s", "-p", "127.0.0.77:900:8080", SERVER).ok()
        assert asked(900, "127.0.0.77") == "8080"
    else:
        wpod("run", "-d", "-p", "127.0.0.77:900:8080", SERVER).fails(125, "900", str(start))


def test_datagrams_are_refused(wpod: Wpod) -> None:
    wpod("run", "-d", "-p", f"{free_port()}:8080/udp", SERVER).fails(125, "tcp")
    assert wpod("ps", "-aq").ok().out == ""


def test_in_the_foreground(wpod: Wpod) -> None:
    port = free_port()
    running = wpod.start("run", "--rm", "--name", "s", "-p", f"{port}:8080", SERVER)
    eventually(lambda: asked(port) == "8080")
    wpod("stop", "s").ok()
    assert wpod.finish(running).status == 143


def holders(port: int) -> set[int]:
    """The processes that have the socket that listens on this port (proc(5): /proc/net/tcp, /proc/PID/fd)."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            words = line.split()
            if int(words[1].rpartition(":")[2], 16) == port and words[3] == "0A":
                inodes.add(f"socket:[{words[9]}]")
    found = set()
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.readlink(descriptor) in inodes:
                found.add(int(descriptor.parts[2]))
    return found


def test_nobody_is_between_the_client_and_the_guest(wpod: Wpod) -> None:
    """The container's only process has the socket, so what is accepted has the client's own address.

    Scaled containers are forked from one process: none keeps the others' sockets.
    """
    port = free_port()
    wpod("run", "-d", "--name", "s", "-p", f"{port}:8080", SERVER).ok()
    assert holders(port) == {int(wpod.field("s", "{{.State.Pid}}"))}
    wpod("run", "-d", "--scale", "2", "--name", "k", "-p", "8080", SERVER).ok()
    for name in ("k-1", "k-2"):
        own = int(wpod("port", name, "8080").ok().line.rpartition(":")[2])
        assert holders(own) == {int(wpod.field(name, "{{.State.Pid}}"))}


def free_pair() -> int:
    """The first of two free ports in a row."""
    while True:
        first = free_port()
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", first + 1)):
            return first


def test_ranges(wpod: Wpod) -> None:
    first = free_pair()
    wpod("run", "-d", "--name", "s", "-p", f"{first}-{first + 1}:8080-8081", SERVER).ok()
    assert [asked(first), asked(first + 1)] == ["8080", "8081"]


def test_what_is_exposed_is_shown_and_published_with_all(wpod: Wpod) -> None:
    """The image's and the user's; an image's word that is no port is passed over. Exposed alone is not published."""
    wpod("run", "-d", "--name", "s", "-P", "--expose", "9090", SERVER).ok()
    lines = dict(line.split(" -> ") for line in wpod("port", "s").ok().out.splitlines())
    answers = {inside: asked(int(where.rpartition(":")[2])) for inside, where in lines.items()}
    assert answers == {"8080/tcp": "8080", "9090/tcp": "9090"}
    wpod("run", "--name", "t", "--expose", "9090", SERVER).exits(3)
    assert wpod("port", "t").ok().out == ""
    shown = wpod("inspect", "t").ok().json[0]
    assert shown["NetworkSettings"]["Ports"] == {"8080/tcp": None, "9090/tcp": None}
    assert shown["HostConfig"]["PortBindings"] == {}


def test_a_removed_container_leaves_no_port(wpod: Wpod) -> None:
    port = free_port()
    wpod("run", "-d", "--rm", "--name", "s", "-p", f"{port}:8080", SERVER).ok()
    assert asked(port) == "8080"
    wpod("stop", "s").ok()
    assert asked(port) is None
    eventually(lambda: wpod("ps", "-aq").ok().out == "")
    wpod("port", "s").fails(125, "s")


def test_a_port_that_was_taken_since_the_creation(wpod: Wpod) -> None:
    """`create` takes no port. `start` ends with 125, as podman's does; the container stays and starts later."""
    port = free_port()
    wpod("create", "--name", "s", "-p", f"{port}:8080", SERVER).ok()
    with socket.create_server(("0.0.0.0", port)):
        wpod("start", "s").fails(125, str(port), "in use")
    wpod("start", "s").ok()
    assert asked(port) == "8080"
    assert wpod("port", "--all").ok().line == f"{wpod.field('s', '{{.Id}}')[:12]}\t8080/tcp -> 0.0.0.0:{port}"
    assert wpod("port", "--latest").ok().line == f"8080/tcp -> 0.0.0.0:{port}"
