"""Networks as tests need them: records, and ports of this machine."""

from __future__ import annotations

import socket

from wpod.model.network import Driver, Network
from wpod.plan.addresses import SubnetRequest, check_subnet


def network(number: int, *subnets: str, name: str = "") -> Network:
    """A bridge network `netN` whose gateways are the first addresses."""
    return Network(
        number=number,
        name=name or f"net{number}",
        network_id=f"{number:064x}",
        driver=Driver.BRIDGE,
        interface=f"wpod{number}",
        created_nanoseconds=number,
        subnets=tuple(check_subnet(SubnetRequest(one)) for one in subnets),
    )


def free_port() -> int:
    """A TCP port that is free at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        number: int = probe.getsockname()[1]
        return number
