"""The helper that all containers of a user with networks share: what it serves, when it goes, and when it is killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import conftest as base
from tests.net.inside import Inside
from tests.net.test_native_networks import PROBE, SLEEP, address_of, started
from tests.support import accounts_available, leftovers
from tests.support.command import Wpod, eventually
from tests.support.images import ImageSource
from tests.support.networks import free_port

HOST = Inside(0)
_LISTENER = (
    "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1])));"
    "print('r', flush=True); time.sleep(60)"
)


@pytest.fixture
def wpod(places: base.Places, archives: base.Archives, probe_sources: dict[str, ImageSource]) -> Iterator[Wpod]:
    """wpod of an unprivileged user, on a store of its own."""
    user = next(one for one in accounts_available() if one.uid != 0)
    with base.filled(places.new(user), archives, probe_sources["native"]) as made:
        yield made


def directory(wpod: Wpod) -> Path:
    (found,) = (wpod.scratch / "runtime").rglob("network")
    return found


def holder_of(wpod: Wpod) -> int:
    """The holder's process, as it says itself to its user; 0 where nobody answers."""
    program = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.settimeout(5)\n"
        "s.connect(sys.argv[1]); s.send(b'list'); print(s.recv(4096).split(b'\\0')[1].decode())"
    )
    done = subprocess.run(
        ["python3", "-c", program, str(directory(wpod) / "control")],
        user=wpod.account.uid, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return int(done.stdout) if done.returncode == 0 else 0


def runs(pid: int) -> bool:
    """Whether there is such a process, and not only what is left of it."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    return False


def own_address() -> str:
    """An address of this machine that is not on its loopback."""
    listed = json.loads(subprocess.run(["ip", "-j", "-4", "addr"], capture_output=True, check=True).stdout)
    found = [one["local"] for link in listed for one in link["addr_info"] if one["scope"] == "global"]
    assert found, "this machine has no address: pasta could not connect anything with it"
    return str(found[0])


def test_it_goes_with_the_last_container_and_its_helpers_with_it(wpod: Wpod) -> None:
    started(wpod, "first", "--network", "bridge")
    started(wpod, "second", "--network", "bridge")
    holder, pasta = holder_of(wpod), int((directory(wpod) / "pasta.pid").read_text())
    assert runs(holder)
    assert runs(pasta)
    wpod("rm", "-f", "-t", "0", "first").ok()
    assert holder_of(wpod) == holder
    os.kill(int(wpod.field("second", "{{.State.Pid}}")), signal.SIGKILL)
    eventually(lambda: not runs(holder) and not runs(pasta))


def test_pasta_keeps_no_pages_of_zeroes(wpod: Wpod) -> None:
    """By itself it has 29 MB; test_pasta_pages.py has what still works."""
    started(wpod, "first", "--network", "bridge")
    status = Path(f"/proc/{int((directory(wpod) / 'pasta.pid').read_text())}/status").read_text()
    (own,) = (line for line in status.splitlines() if line.startswith("RssAnon:"))
    assert int(own.split()[1]) < 12 << 10


def test_clients_are_told_apart(wpod: Wpod) -> None:
    """A container sees who it is that comes; one of the host's loopback has no address there, and is the gateway."""
    port = free_port()
    inside = started(wpod, "first", "-p", f"{port}:80", "-p", f"{port}:80/udp")
    with inside:
        inside.serve("0.0.0.0", 80)
        inside.serve_datagrams("0.0.0.0", 80)
        assert HOST.fetch(own_address(), port) == own_address()
        assert HOST.fetch("127.0.0.1", port) == wpod.field("first", "{{.NetworkSettings.Gateway}}")
        assert HOST.ask(own_address(), port, b"x") == f"{own_address()} x".encode()


def test_whose_addresses_are_lost_is_told(wpod: Wpod) -> None:
    """Beside what `port` prints: clients by IPv6 of a container without it, and all of an internal network."""
    port = free_port()
    wpod("network", "create", "--internal", "--subnet", "10.95.0.0/24", "inner").ok()
    wpod("network", "create", "--ipv6", "--subnet", "10.96.0.0/24", "both").ok()
    started(wpod, "four", "-p", f"{port}:80")
    told = wpod("port", "four").ok()
    assert told.line == f"80/tcp -> 0.0.0.0:{port}"
    assert told.err.startswith("note: IPv6 clients of container four are seen as 10.")
    port = free_port()
    with started(wpod, "inner", "--network", "inner", "-p", f"{port}:80") as inside:
        inside.serve("0.0.0.0", 80)
        assert HOST.fetch(own_address(), port) == "10.95.0.1"
    assert wpod("port", "inner", "80").ok().err == (
        "note: clients of container inner are seen as 10.95.0.1: network inner is internal\n"
    )
    started(wpod, "both", "--network", "both", "-p", f"{free_port()}:80")
    started(wpod, "own", "-p", f"127.0.0.1:{free_port()}:80")
    assert wpod("port", "both").ok().err + wpod("port", "own").ok().err == ""
    lost = wpod("info", "--format", "json").ok().json["Wpod"]["Networks"]["ClientAddressesLost"]
    assert any("internal" in one for one in lost)


def test_killed_it_is_there_again_after_the_next_command(wpod: Wpod) -> None:
    """Running containers keep their network, and their ports lead to them again."""
    port = free_port()
    first = started(wpod, "first", "-p", f"{port}:80")
    second = started(wpod, "second", "--network", "bridge")
    with first:
        first.serve("0.0.0.0", 80)
        assert HOST.fetch("127.0.0.1", port) is not None
        killed = holder_of(wpod)
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: HOST.fetch("127.0.0.1", port, patience_seconds=1) is None)
        wpod("create", "--name", "third", PROBE, *SLEEP).ok()
        assert holder_of(wpod) not in (0, killed)
        assert HOST.fetch("127.0.0.1", port) is not None
        assert second.fetch(address_of(wpod, "first", "wpod"), 80) is not None
    wpod("rm", "-f", "-t", "0", "first", "second").ok()
    eventually(lambda: HOST.fetch("127.0.0.1", port, patience_seconds=1) is None)


def test_killed_pasta_is_there_again_after_the_next_command(wpod: Wpod) -> None:
    started(wpod, "first")
    noted = directory(wpod) / "pasta.pid"
    killed = int(noted.read_text())
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: not runs(killed))
    wpod("create", "--name", "second", PROBE, *SLEEP).ok()
    again = int(noted.read_text())
    assert runs(again)
    wpod("rm", "-f", "-t", "0", "first").ok()
    eventually(lambda: not runs(again))


def test_a_killed_command_leaves_no_port_open(wpod: Wpod) -> None:
    """Whoever is killed while it starts a container has opened ports for nobody."""
    started(wpod, "first", "--network", "bridge")
    for patience in (0.02, 0.06, 0.1):
        port = free_port()
        running = wpod.start("run", "-d", "--name", f"k{port}", "-p", f"{port}:80", PROBE, *SLEEP)
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(patience)
        running.kill()
        running.communicate()
        wpod("rm", "-f", "-t", "0", "--ignore", f"k{port}").ok()
        eventually(lambda port=port: not _listens(port))  # type: ignore[misc]
    # A runtime that was still at work when its container was removed may have made its directory again, and a kill in
    # the first moments leaves a staged one.
    wpod("image", "prune", "--force").ok()
    eventually(lambda: wpod("rm", "--ignore", "nosuch").ok() and len(leftovers.containers_of(wpod.store)) == 1)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def test_ports_that_cant_be_had(wpod: Wpod) -> None:
    """One in use is named with who has it, and one that only root may open with what would allow it."""
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        wpod("run", "-d", "-p", f"127.0.0.1:{port}:80", PROBE, *SLEEP).fails(126, f"127.0.0.1:{port}/tcp is in use")
    own = subprocess.Popen(
        ["python3", "-c", _LISTENER, str(port)],
        user=wpod.account.uid,
        group=wpod.account.gid,
        extra_groups=[],
        stdout=subprocess.PIPE,
    )
    try:
        assert own.stdout is not None
        assert own.stdout.read(1) == b"r"
        wpod("run", "-d", "-p", f"{port}:80", PROBE, *SLEEP).fails(126, f"in use by python3 (pid {own.pid})")
    finally:
        own.kill()
        own.communicate()
    wpod("run", "-d", "-p", "1:80", PROBE, *SLEEP).fails(125, "1/tcp", "below 1024", "ip_unprivileged_port_start")
    assert wpod("ps", "-aq").ok().out == ""
