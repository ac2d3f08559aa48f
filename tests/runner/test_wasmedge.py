"""Modules that are built for the sockets of WasmEdge, told apart by the types of what they import."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.runner import launching
from tests.runner.conftest import Start
from tests.runner.launching import Container, Launch
from tests.support.guests import SOURCES, wasm_from_c, wasm_from_text
from tests.support.networks import free_port
from wpod.formats.log_line import Stream

ACCES, AFNOSUPPORT, BADF, FAULT, INVAL, NOPROTOOPT, NOTSOCK, NOTSUP = 2, 5, 8, 21, 28, 50, 57, 58


@pytest.fixture(scope="module", params=["older", "newer"])
def guest(request: pytest.FixtureRequest) -> Path:
    flags = ("-DNEWER",) if request.param == "newer" else ()
    return wasm_from_c(SOURCES / "wasmedge_sockets.c", *flags)


def lines(container: Container) -> list[str]:
    assert container.ready == b"R", container.ready
    assert container.wait() == 0, container.output()
    return container.output(Stream.STDOUT).decode().splitlines()


def anywhere(guest: Path, *words: str, **plan: str) -> Launch:
    extra = [(key.replace("_", "-"), value) for key, value in plan.items()]
    return Launch(guest, arguments=("guest", *words), extra=(("outgoing", "any"), *extra))


def test_a_server_gets_the_published_port(start: Start, guest: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        launch = Launch(guest, arguments=("guest", "serve", "8080", "2"), listen=((listener.fileno(), "8080"),))
        container = start(launch)
        launching.wait_for_output(container, b"serving")
        for _ in range(2):
            with socket.create_connection(listener.getsockname(), timeout=30) as client:
                host, port = client.getsockname()
                assert client.makefile().read() == f"{host}:{port}\n"
    assert lines(container) == ["serving"]


def test_a_client(start: Start, guest: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        port = server.getsockname()[1]
        container = start(anywhere(guest, "from", str(port)))
        connection, client = server.accept()
        with connection:
            connection.sendall(b"served")
        assert lines(container) == [f"127.0.0.1:{client[1]} 127.0.0.1:{port} served"]


def test_a_client_that_may_not(start: Start, guest: Path) -> None:
    container = start(Launch(guest, arguments=("guest", "from", "9")))
    assert lines(container) == [f"connect: {ACCES}"]
    assert b"--network host would allow it" in container.output(Stream.STDERR)


def test_datagrams(start: Start, guest: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.settimeout(30)
        server.bind(("127.0.0.1", 0))
        container = start(anywhere(guest, "ask", str(server.getsockname()[1]), "question"))
        question, client = server.recvfrom(100)
        assert question == b"question"
        server.sendto(b"answer", client)
        assert lines(container) == ["answer 127"]


def test_a_datagram_that_is_cut(start: Start, guest: Path, request: pytest.FixtureRequest) -> None:
    port = free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(30)
        container = start(anywhere(guest, "echo", str(port)))
        launching.wait_for_output(container, b"serving")
        client.sendto(b"0123456789", ("127.0.0.1", port))
        assert lines(container) == ["serving", "8 truncated=1"]
        if "newer" in request.node.name:
            assert client.recvfrom(100) == (b"01234567", ("127.0.0.1", port))


def test_names(start: Start, guest: Path) -> None:
    launch = Launch(
        guest,
        arguments=("guest", "resolve", "web", "http"),
        extra=(("host", "10.0.0.7 web"), ("host", "fd00::9 web")),
    )
    assert lines(start(launch)) == ["2 10.0.0.7:80 fd00..09:80 plain 1 10.0.0.7"]


def test_options(start: Start, guest: Path) -> None:
    (line,) = lines(start(anywhere(guest, "options")))
    assert line == f"reuse=1 time=2.500000 type=2 error=0 device={ACCES}"


def test_hostile_arguments(start: Start, guest: Path) -> None:
    (line,) = lines(start(anywhere(guest, "hostile")))
    assert [int(number) for number in line.split()] == [
        *(FAULT, AFNOSUPPORT, NOTSUP, FAULT, INVAL, FAULT, INVAL, NOTSOCK, BADF),
        *(FAULT, NOTSOCK, FAULT, INVAL, NOPROTOOPT, NOPROTOOPT),
    ]


def test_a_type_that_no_interface_has_is_named(start: Start) -> None:
    text = """(module
      (import "wasi_snapshot_preview1" "sock_bind" (func (param i32 i64) (result i32)))
      (memory (export "memory") 1) (func (export "_start")))"""
    container = start(Launch(wasm_from_text(text)))
    code, cause = container.failure()
    assert code == 126
    assert cause == (
        "the module imports sock_bind with the type (i32, i64) -> i32, which it has in no socket interface"
    )


def test_a_call_that_there_is_not_is_an_unknown_import(start: Start) -> None:
    text = """(module
      (import "wasi_snapshot_preview1" "sock_teleport" (func (param i32) (result i32)))
      (memory (export "memory") 1) (func (export "_start")))"""
    code, cause = start(Launch(wasm_from_text(text))).failure()
    assert (code, "wasi_snapshot_preview1.sock_teleport" in cause) == (126, True)
