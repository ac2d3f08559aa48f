"""Servers that open their sockets themselves, built for WAMR's calls and for WasmEdge's, compiled and interpreted."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests import conftest as base
from tests.support import guests, images
from tests.support.account import Account
from tests.support.command import Wpod, eventually
from tests.support.images import ImageSource
from tests.support.networks import free_port

SERVE = {"wamr": ("serve", "0.0.0.0", "8080", "2"), "wasmedge": ("serve", "8080", "2")}


@pytest.fixture(scope="module", params=sorted(SERVE))
def interface(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def image_of(interface: str) -> str:
    return f"localhost/{interface}-server:latest"


@pytest.fixture(scope="module")
def server(interface: str) -> ImageSource:
    if interface == "wamr":
        module = guests.wasm_with_sockets(guests.SOURCES / "sockets.c")
    else:
        module = guests.wasm_from_c(guests.SOURCES / "wasmedge_sockets.c", "-DNEWER")
    return images.with_program(image_of(interface), module, wasm=True)


@pytest.fixture
def wpod(account: Account, places: base.Places, server: ImageSource, archives: base.Archives) -> Iterator[Wpod]:
    """wpod on a store of its own with the server in it, for each account."""
    with base.filled(places.new(account), archives, server) as made:
        yield made


@pytest.mark.parametrize("engine", ["require", "off"])
def test_a_server_runs_unchanged(wpod: Wpod, interface: str, engine: str) -> None:
    """It binds to the container's port, sees the clients' addresses, and ends after the second one."""
    port = free_port()
    words = ("run", "-d", "--name", "s", f"--wasm-aot={engine}", "-p", f"{port}:8080", image_of(interface))
    wpod(*words, *SERVE[interface]).ok()
    eventually(lambda: wpod("logs", "s").ok().out == "serving\n")
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            host, number = client.getsockname()
            assert client.makefile().read() == f"{host}:{number}\n"
    assert wpod("wait", "s").ok().line == "0"


def test_a_port_that_is_not_published_is_refused(wpod: Wpod, interface: str) -> None:
    done = wpod("run", "--rm", image_of(interface), *SERVE[interface])
    assert "serving" not in done.out
    (hint,) = done.err.splitlines()
    assert "-p 8080" in hint


def test_the_hosts_network_is_open(wpod: Wpod, interface: str) -> None:
    port = str(free_port())
    words = [port if word == "8080" else word for word in SERVE[interface]]
    wpod("run", "-d", "--name", "s", "--network", "host", image_of(interface), *words).ok()
    eventually(lambda: wpod("logs", "s").ok().out == "serving\n")
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", int(port)), timeout=30) as client:
            assert client.makefile().read().startswith("127.0.0.1:")
    assert wpod("wait", "s").ok().line == "0"
