"""Sockets of the guest: listeners of several sockets, published ports by bind, own addresses, datagrams."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.runner import launching
from tests.runner.conftest import Start
from tests.runner.launching import Container, Launch
from tests.support.guests import SOURCES, wasm_from_c, wasm_with_sockets
from tests.support.names import NameServer
from wpod.formats.log_line import Stream


@pytest.fixture(scope="module")
def guest() -> Path:
    return wasm_with_sockets(SOURCES / "sockets.c")


class Listeners:
    """Listening sockets of this process, to be handed to a guest."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def make(self, address: str = "127.0.0.1") -> tuple[int, int]:
        """A descriptor and its port."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = self._stack.enter_context(socket.create_server((address, 0), family=family))
        return made.fileno(), made.getsockname()[1]

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def listeners() -> Iterator[Listeners]:
    made = Listeners()
    yield made
    made.close()


def asked(port: int, address: str = "127.0.0.1") -> tuple[str, str]:
    """What the server tells, and the client's own address."""
    with socket.create_connection((address, port), timeout=30) as client:
        host, number = client.getsockname()[:2]
        return client.makefile().read().strip(), f"{host}:{number}"


def lines(container: Container) -> list[str]:
    assert container.ready == b"R", container.ready
    assert container.wait() == 0, container.output()
    return container.output(Stream.STDOUT).decode().splitlines()


def told(start: Start, guest: Path, *words: str, **plan: str | tuple[str, ...]) -> list[str]:
    """The lines of a guest with these arguments; keys of the plan by keyword."""
    extra = [
        (key.replace("_", "-"), value)
        for key, values in plan.items()
        for value in ((values,) if isinstance(values, str) else values)
    ]
    return lines(start(Launch(guest, arguments=("guest", *words), extra=extra)))


def test_sockets_of_one_name_are_one_port(start: Start, listeners: Listeners) -> None:
    """The guest has two descriptors for three sockets, and polls and accepts on them."""
    (one, first), (two, second), (three, other) = listeners.make(), listeners.make(), listeners.make("::1")
    module = wasm_from_c(SOURCES / "server.c")
    container = start(Launch(module, listen=((one, "8080"), (three, "9090"), (two, "8080"))))
    launching.wait_for_output(container, b"ready 2")
    for _ in range(2):
        assert asked(first)[0] == "8080"
        assert asked(second)[0] == "8080"
        assert asked(other, "::1")[0] == "9090"


@pytest.mark.parametrize("count", [1, 3])
def test_a_server_that_binds_gets_the_published_port(
    start: Start, listeners: Listeners, guest: Path, count: int
) -> None:
    """Whatever the address of the host is; the guest sees each client's own."""
    made = [listeners.make() for _ in range(count)]
    launch = Launch(
        guest,
        arguments=("guest", "serve", "0.0.0.0", "8080", str(count + 1)),
        listen=tuple((descriptor, "8080") for descriptor, _ in made),
    )
    container = start(launch)
    launching.wait_for_output(container, b"serving")
    for _, port in (*made, made[0]):
        seen, own = asked(port)
        assert seen == own
    assert container.wait() == 0


def test_clients_of_the_other_version_of_ip(start: Start, listeners: Listeners, guest: Path) -> None:
    """A socket of the guest has the addresses that it has room for."""
    (plain, port), (wide, wide_port) = listeners.make(), listeners.make("::1")
    listen = ((plain, "80"), (wide, "80"))
    container = start(Launch(guest, arguments=("guest", "serve", "0.0.0.0", "80", "2"), listen=listen))
    launching.wait_for_output(container, b"serving")
    seen, own = asked(port)
    assert seen == own
    seen, own = asked(wide_port, "::1")
    assert seen == "0.0.0.0:" + own.rpartition(":")[2]
    assert container.wait() == 0


def test_an_ipv6_server_sees_mapped_addresses(start: Start, listeners: Listeners, guest: Path) -> None:
    descriptor, port = listeners.make()
    listen = ((descriptor, "80"),)
    container = start(Launch(guest, arguments=("guest", "serve", "::", "80", "1"), listen=listen))
    launching.wait_for_output(container, b"serving")
    seen, own = asked(port)
    assert seen == "[::ffff:127.0.0.1]:" + own.rpartition(":")[2]


def test_what_may_be_bound_beside_a_published_port(start: Start, listeners: Listeners, guest: Path) -> None:
    descriptor, _ = listeners.make()
    words = ("bind tcp 0.0.0.0 8080 bind tcp 0.0.0.0 8080 bind tcp 127.0.0.1 8080 bind tcp 0.0.0.0 8081 "
             "bind udp 0.0.0.0 8080").split()  # fmt: skip
    container = start(Launch(guest, arguments=("guest", *words), listen=((descriptor, "8080"),)))
    denied = "bind: Permission denied"
    assert lines(container) == ["0.0.0.0:8080", "bind: Address in use", denied, denied, denied]
    (hint,) = container.output(Stream.STDERR).decode().splitlines()
    assert hint == "wpod: the guest may not listen on 127.0.0.1:8080: -p 8080 would allow it"


def test_a_published_port_can_be_bound_again_after_closing(start: Start, listeners: Listeners, guest: Path) -> None:
    descriptor, _ = listeners.make()
    words = ("bind", "tcp", "0.0.0.0", "8080", "close") * 2
    container = start(Launch(guest, arguments=("guest", *words), listen=((descriptor, "8080"),)))
    assert lines(container) == ["0.0.0.0:8080"] * 2


def test_a_pool_allows_listening(start: Start, guest: Path) -> None:
    addresses = told(
        start,
        guest,
        *"bind tcp 127.0.0.1 0 bind udp 127.0.0.1 0 bind tcp ::1 0 bind tcp 0.0.0.0 0 bind tcp 127.0.0.2 0".split(),
        outgoing=("127.0.0.1/32", "::1/128"),
    )
    assert [line.rpartition(":")[0] for line in addresses[:3]] == ["127.0.0.1", "127.0.0.1", "[::1]"]
    assert addresses[3:] == ["bind: Permission denied"] * 2


def test_everything_is_bound_to_the_own_address(start: Start, guest: Path) -> None:
    """Of a container on a network; 127.0.0.0/8 cannot be its own, so the test's own is another of this machine."""
    own = own_address()
    with socket.create_server((own, 0)) as server:
        port = str(server.getsockname()[1])
        addresses = told(
            start,
            guest,
            *("bind", "tcp", "0.0.0.0", "0", "bind", "udp", "0.0.0.0", "0", "bind", "tcp", own, "0"),
            *("bind", "tcp", "127.0.0.1", "0", "bind", "udp", "192.0.2.1", "0", "bind", "tcp", "::1", "0"),
            *("from", own, port, "from", "127.0.0.1", port, "from", "0.0.0.0", port, "from", "::1", port),
            outgoing="any",
            own_address=own,
        )
    assert [line.rpartition(":")[0] for line in addresses[:3]] == [own] * 3
    assert addresses[3:6] == ["bind: Address not available"] * 3
    assert addresses[6].rpartition(":")[0] == own
    assert addresses[7:] == ["connect: Permission denied"] * 3


def own_address() -> str:
    """An address of this machine that is not of the loopback's block. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address of its own")
        return str(probe.getsockname()[0])


@pytest.mark.parametrize("value", ["", "10.0.0.0/8", "0.0.0.0", "127.0.0.1", "::1", "::ffff:10.0.0.1", "x"])
def test_an_own_address_that_is_none_is_refused(start: Start, guest: Path, value: str) -> None:
    container = start(Launch(guest, extra=(("own-address", value),)))
    assert container.failure() == (125, "the launch plan has a wrong value for own-address")


def test_datagrams_go_both_ways_and_are_cut_at_the_buffers_end(start: Start, guest: Path) -> None:
    launch = Launch(
        guest,
        arguments=("guest", "bind", "udp", "127.0.0.1", "0", "close", "echo", "127.0.0.1", "0", "1"),
        extra=(("outgoing", "127.0.0.0/8"),),
    )
    container = start(launch)
    launching.wait_for_output(container, b"serving")
    port = udp_port(container.process.pid)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(30)
        client.sendto(b"x" * 40, ("127.0.0.1", port))
        assert client.recvfrom(100) == (b"x" * 32, ("127.0.0.1", port))
        own = client.getsockname()[1]
    assert lines(container)[-1] == f"127.0.0.1:{own}"


def udp_port(pid: int) -> int:
    """The port of the one UDP socket that a process has (proc(5))."""
    inodes = {link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir()}
    rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    (row,) = (row for row in rows if f"socket:[{row[9]}]" in inodes)
    return int(row[1].rpartition(":")[2], 16)


def test_datagrams_within_the_pool_and_from_the_own_address(start: Start, guest: Path) -> None:
    own = own_address()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((own, 0))
        server.settimeout(30)
        port = str(server.getsockname()[1])
        launch = Launch(
            guest,
            arguments=("guest", "ask", "127.0.0.1", port, "a", "ask", "192.0.2.1", port, "b", "ask", own, port, "c"),
            extra=(("outgoing", f"{own}/32"), ("own-address", own)),
        )
        container = start(launch)
        question, client = server.recvfrom(10)
        assert (question, client[0]) == (b"c", own)
        server.sendto(b"answer", client)
        refused = "send: Permission denied"
        assert lines(container) == [refused, refused, f"answer from {own}:{port}"]


def test_datagrams_of_a_guest_that_may_use_no_address(start: Start, guest: Path) -> None:
    container = start(Launch(guest, arguments=("guest", "ask", "127.0.0.1", "9", "a")))
    assert lines(container) == ["send: Permission denied"]
    assert b"--network host would allow it" in container.output(Stream.STDERR)


@pytest.fixture
def name_server() -> Iterator[NameServer]:
    """At the port that name servers have, on an address of the loopback's block that this process alone uses."""
    high, low = divmod(os.getpid() % 62500, 250)
    try:
        made = NameServer(f"127.77.{high + 1}.{low + 1}")
    except PermissionError:
        pytest.skip("the port of name servers is not for users here")
    yield made
    made.close()


def test_names(start: Start, guest: Path, name_server: NameServer) -> None:
    name_server.names = {"web.example.org": ["192.0.2.1"], "six.example.org": ["2001:db8::1"], "db": ["192.0.2.9"]}
    found = told(
        start,
        guest,
        *("resolve", "web", "http", "resolve", "six.example.org", "1", "resolve", "db", "", "resolve", "none", ""),
        *("resolve", "listed", "53", "resolve", "::1", "7", "resolve", "a..b", "", "resolve", "web", "nothing"),
        name_server=name_server.address,
        search="example.org",
        host=("10.0.0.7 listed other", "fd00::7 listed"),
        resolver_option=("timeout:2", "attempts:1", "ndots:1"),
    )
    assert found == [
        "192.0.2.1:80 tcp, 192.0.2.1:80 udp",
        "[2001:db8::1]:1 tcp, [2001:db8::1]:1 udp",
        "192.0.2.9:0 tcp, 192.0.2.9:0 udp",
        "resolve: EAI_NONAME ",
        "10.0.0.7:53 tcp, 10.0.0.7:53 udp, [fd00::7]:53 tcp, [fd00::7]:53 udp",
        "[::1]:7 tcp, [::1]:7 udp",
        "resolve: EAI_NONAME ",
        "resolve: EAI_NONAME ",
    ]
    # Names of the list, addresses and what is no name are nobody's business.
    assert {name for name, _ in name_server.asked} == {
        *("web.example.org", "six.example.org", "db.example.org", "db", "none.example.org", "none"),
    }


def test_names_without_a_server_are_refused_with_a_word(start: Start, guest: Path) -> None:
    words = ("resolve", "web.example", "", "resolve", "10.0.0.1", "1", "resolve", "listed", "1")
    container = start(Launch(guest, arguments=("guest", *words), extra=(("host", "10.0.0.7 listed"),)))
    assert lines(container) == [
        "resolve: EAI_SYSTEM Permission denied",
        "10.0.0.1:1 tcp, 10.0.0.1:1 udp",
        "10.0.0.7:1 tcp, 10.0.0.7:1 udp",
    ]
    (hint,) = container.output(Stream.STDERR).decode().splitlines()
    assert hint == "wpod: the guest may not look up web.example: --network bridge would allow it"


def test_a_server_that_says_nothing(start: Start, guest: Path, name_server: NameServer) -> None:
    name_server.silent = True
    (line,) = told(
        start,
        guest,
        *("resolve", "web.example", ""),
        name_server=name_server.address,
        resolver_option=("timeout:1", "attempts:1"),
    )
    assert line == "resolve: EAI_SYSTEM Operation timed out"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("name-server", "dns.example"), ("name-server", ""), ("search", "a b"), ("host", "10.0.0.1")),
        *(("host", "web 10.0.0.1"), ("resolver-option", "ndots:x")),
    ],
)
def test_values_for_names_that_are_none_are_refused(start: Start, guest: Path, key: str, value: str) -> None:
    container = start(Launch(guest, extra=((key, value),)))
    assert container.failure() == (125, f"the launch plan has a wrong value for {key}")
