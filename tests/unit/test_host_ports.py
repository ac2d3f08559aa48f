"""Sockets of the host for published ports (wpod.net.ports)."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator

import pytest

from wpod.errors import ExitCode, InUse, WpodError
from wpod.model.network import Protocol, PublishedPort
from wpod.net import ports


@contextlib.contextmanager
def opened(*wanted: PublishedPort) -> Iterator[list[socket.socket]]:
    sockets = ports.open_sockets(wanted)
    try:
        yield sockets
    finally:
        for one in sockets:
            one.close()


def free(port: int, kind: int = socket.SOCK_STREAM) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def test_sockets_come_in_the_order_asked_for_and_are_not_inherited() -> None:
    wanted = [
        PublishedPort(80, 0, "127.0.0.1"),
        PublishedPort(53, 0, "127.0.0.2", Protocol.UDP),
        PublishedPort(81, 0, "::1"),
    ]
    with opened(*wanted) as sockets:
        assert [one.type for one in sockets] == [socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_STREAM]
        assert [one.getsockname()[0] for one in sockets] == ["127.0.0.1", "127.0.0.2", "::1"]
        assert [one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for one in sockets] == [1, 0, 1]
        assert not any(os.get_inheritable(one.fileno()) for one in sockets)


def test_no_address_means_both_versions_of_ip() -> None:
    with opened(PublishedPort(80, 0)) as (one,):
        port = one.getsockname()[1]
        for address in ("127.0.0.1", "::1"):
            socket.create_connection((address, port), timeout=10).close()


def test_an_ipv6_address_does_not_take_ipv4_s_port() -> None:
    with opened(PublishedPort(80, 0, "::")) as (one,):
        assert free(one.getsockname()[1])


def test_a_port_that_is_chosen_is_free_afterwards() -> None:
    chosen = ports.choose_free(PublishedPort(80, 0, "127.0.0.1"))
    assert chosen > 0
    assert free(chosen)


@pytest.mark.parametrize("protocol", Protocol)
def test_a_port_in_use_is_named_with_its_holder_and_opens_none(protocol: Protocol) -> None:
    kind = socket.SOCK_STREAM if protocol is Protocol.TCP else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if protocol is Protocol.TCP:
            taken.listen()
        port = taken.getsockname()[1]
        first = ports.choose_free(PublishedPort(1, 0, "127.0.0.1", protocol))
        wanted = [PublishedPort(1, first, "127.0.0.1", protocol), PublishedPort(2, port, "127.0.0.1", protocol)]
        with pytest.raises(InUse) as caught:
            ports.open_sockets(wanted)
        assert f"127.0.0.1:{port}/{protocol.value} is in use by " in caught.value.message
        assert f"(pid {os.getpid()})" in caught.value.message
        assert caught.value.code == ExitCode.FAILED
        assert free(first, kind)


def test_an_address_that_the_host_does_not_have() -> None:
    with pytest.raises(WpodError, match=r"no address 192\.0\.2\.1"):
        ports.open_sockets([PublishedPort(80, 0, "192.0.2.1")])


def refusing(number: int, *, family: int | None = None) -> type[socket.socket]:
    """Sockets that the host lets nobody bind, or nobody with this version of IP."""

    class Refused(socket.socket):
        def bind(self, address: object) -> None:
            if family is None or self.family == family:
                raise OSError(number, os.strerror(number))
            super().bind(address)  # type: ignore[arg-type]

    return Refused


def test_without_ipv6_there_is_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wpod.net.ports.socket.socket", refusing(errno.EADDRNOTAVAIL, family=socket.AF_INET6))
    with opened(PublishedPort(80, 0)) as (one,):
        assert one.family == socket.AF_INET
    with pytest.raises(WpodError, match="no address ::1"):
        ports.open_sockets([PublishedPort(80, 0, "::1")])


def test_a_privileged_port_is_refused_with_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wpod.net.ports.socket.socket", refusing(errno.EACCES))
    with pytest.raises(WpodError) as caught:
        ports.open_sockets([PublishedPort(80, 80, "127.0.0.1")])
    assert "127.0.0.1:80/tcp can't be opened by a user" in caught.value.message
    assert "ip_unprivileged_port_start=80" in (caught.value.hint or "")


def test_whatever_else_the_host_says_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wpod.net.ports.socket.socket", refusing(errno.ENOBUFS))
    with pytest.raises(WpodError, match=r"\*:80/tcp can't be opened: No buffer space"):
        ports.open_sockets([PublishedPort(1, 80)])
