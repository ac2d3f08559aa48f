"""Connections that a wasm guest opens itself, by the socket extension of WAMR: where they may go, and what refuses."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from tests import conftest as base
from tests.support import guests, images
from tests.support.account import Account
from tests.support.command import Wpod
from tests.support.images import ImageSource

CLIENT = "localhost/client:latest"
ANSWER = "served"
REFUSED = "connect: Permission denied"


@pytest.fixture(scope="module")
def client() -> ImageSource:
    return images.with_program(CLIENT, guests.wasm_with_sockets(guests.SOURCES / "connect.c"), wasm=True)


@pytest.fixture
def wpod(account: Account, places: base.Places, client: ImageSource, archives: base.Archives) -> Iterator[Wpod]:
    """wpod on a store of its own with the client in it, for each account."""
    with base.filled(places.new(account), archives, client) as made:
        yield made


class Server:
    """Answers every connection on one port of the loopback; counts them."""

    def __init__(self, family: socket.AddressFamily, address: str) -> None:
        self.connections = 0
        self._listener = socket.create_server((address, 0), family=family)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            # A client that goes away early is the test's to notice.
            with connection, contextlib.suppress(OSError):
                connection.recv(16)
                connection.sendall(ANSWER.encode())

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(socket.AF_INET, "127.0.0.1")
    yield made
    made.close()


@pytest.fixture
def wide_server() -> Iterator[Server]:
    made = Server(socket.AF_INET6, "::1")
    yield made
    made.close()


@pytest.mark.parametrize("network", [(), ("--network", "none")], ids=["default", "none"])
def test_refused_with_one_hint(wpod: Wpod, server: Server, network: tuple[str, ...]) -> None:
    target = ("127.0.0.1", str(server.port))
    done = wpod("run", "--rm", *network, CLIENT, *target, *target)
    assert done.status == 1
    assert done.out.splitlines() == [REFUSED, REFUSED]
    (hint,) = done.err.splitlines()
    assert f"127.0.0.1:{server.port}" in hint
    assert "--network host" in hint
    assert server.connections == 0


def test_the_hosts_network_reaches_everything(wpod: Wpod, server: Server, wide_server: Server) -> None:
    done = wpod(
        "run", "--rm", "--network", "host", CLIENT, "127.0.0.1", str(server.port), "::1", str(wide_server.port)
    ).ok()
    assert done.out.splitlines() == [ANSWER, ANSWER]
    assert not done.err


def test_one_port_of_one_address(wpod: Wpod, server: Server, wide_server: Server) -> None:
    allowed, other = str(server.port), str(wide_server.port)
    done = wpod(
        *("run", "--rm", "--network", f"host:allow=127.0.0.1/32:{allowed}", CLIENT),
        *("127.0.0.1", allowed, "::ffff:127.0.0.1", allowed, "0.0.0.0", allowed),
        *("127.0.0.1", other, "127.0.0.2", allowed, "::1", other),
    )
    assert done.out.splitlines() == [ANSWER] * 3 + [REFUSED] * 3
    assert (server.connections, wide_server.connections) == (3, 0)


def test_no_spelling_gets_around_the_pool(wpod: Wpod, server: Server) -> None:
    allow = "host:allow=10.0.0.0/8,allow=0.0.0.0/32,allow=::/0"
    spelt = ("127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0", "::ffff:0.0.0.0")
    targets = [word for address in spelt for word in (address, str(server.port))]
    done = wpod("run", "--rm", "--network", allow, CLIENT, *targets)
    assert done.out.splitlines() == [REFUSED] * len(spelt)
    assert server.connections == 0
