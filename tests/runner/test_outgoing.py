"""The socket calls of WAMR's extension with hostile arguments (tests/fixtures/guests/socket_calls.c)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runner.conftest import Start
from tests.runner.launching import Launch
from tests.support.guests import SOURCES, wasm_from_c
from wpod.formats.log_line import Stream

ACCES, AFNOSUPPORT, BADF, CONNREFUSED, FAULT, INVAL, NOTCONN, NOTSOCK, NOTSUP = 2, 5, 8, 14, 21, 28, 53, 57, 58
# What is wrong with a call is told the same way whether the guest may connect or not.
ALWAYS = {
    "open-beyond": FAULT,
    "open-negative": FAULT,
    "open-family": AFNOSUPPORT,
    "open-datagram": 0,
    "open-type": NOTSUP,
    "open": 0,
    "connect-beyond": FAULT,
    "connect-negative": FAULT,
    "connect-kind": AFNOSUPPORT,
    "connect-output": NOTSOCK,
    "bind-beyond": FAULT,
    "bind-kind": AFNOSUPPORT,
    "bind-output": NOTSOCK,
    "bind-descriptor": BADF,
    "accept-early": INVAL,
    "listen-output": NOTSOCK,
    "listen-descriptor": BADF,
    "local-beyond": FAULT,
    "local-output": NOTSOCK,
    "remote": NOTCONN,
    "connect-descriptor": BADF,
    "remote-descriptor": BADF,
    "close": 0,
    "connect-closed": BADF,
}
REFUSED = dict.fromkeys(("connect", "listen"), ACCES)
ANYWHERE = {"connect": CONNREFUSED, "listen": 0}
# The kernel would choose a port of all addresses.
ONE_PORT = {"connect": CONNREFUSED, "listen": ACCES}


@pytest.fixture(scope="module")
def module() -> Path:
    return wasm_from_c(SOURCES / "socket_calls.c")


@pytest.mark.parametrize(
    ("pool", "expected"),
    [((), REFUSED), (("any",), ANYWHERE), (("10.0.0.0/8", "[127.0.0.1/32]:1"), ONE_PORT)],
    ids=["nowhere", "anywhere", "one-port"],
)
def test_hostile_arguments(start: Start, module: Path, pool: tuple[str, ...], expected: dict[str, int]) -> None:
    container = start(Launch(module, extra=tuple(("outgoing", entry) for entry in pool)))
    assert container.ready == b"R", container.ready
    assert container.wait() == 0, container.output()
    lines = container.output(Stream.STDOUT).decode().splitlines()
    assert {name: int(value) for name, _, value in (line.partition("=") for line in lines)} == ALWAYS | expected


@pytest.mark.parametrize("entry", ["", "all", "127.0.0.1", "10.0.0.0/33", "[10.0.0.0/8]:0", "10.0.0.0/8:80"])
def test_a_pool_that_is_none_is_refused(start: Start, module: Path, entry: str) -> None:
    container = start(Launch(module, extra=(("outgoing", entry),)))
    assert b"outgoing" in container.ready
    assert container.wait() == 125
