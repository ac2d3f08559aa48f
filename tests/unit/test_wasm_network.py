"""What the runner is told of a wasm container's networks."""

from __future__ import annotations

import pytest

from wpod.runtime.wasm import network


@pytest.mark.parametrize(
    ("server", "outgoing", "expected"),
    [
        ("192.0.2.53", ("any",), True),
        ("192.0.2.53", (), False),
        ("192.0.2.53", ("192.0.2.0/24",), True),
        ("192.0.2.53", ("[192.0.2.0/24]:53",), True),
        ("192.0.2.53", ("[192.0.2.0/24]:80", "10.0.0.0/8"), False),
        ("2001:db8::53", ("0.0.0.0/0",), False),
        ("2001:db8::53", ("[2001:db8::/32]:53",), True),
        ("192.0.2.53", ("::/0",), False),
    ],
)
def test_only_name_servers_that_the_guest_may_send_to(server: str, outgoing: tuple[str, ...], expected: bool) -> None:
    assert network._may_ask(server, outgoing) is expected
