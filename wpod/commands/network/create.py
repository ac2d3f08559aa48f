"""wpod network create"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode, NameTaken
from wpod.model import ids
from wpod.model.network import AddressDriver, Driver, Route
from wpod.plan.addresses import SubnetRequest


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """Prints the name; without one `netN` is made."""
    from wpod.operations import network_create

    name = ids.check_name(arguments[0], "network") if arguments else ""
    wanted = network_create.NetworkRequest(
        name=name,
        driver=Driver(options.text("driver")),
        address_driver=AddressDriver(options.text("ipam-driver")),
        subnets=_subnets(options),
        routes=options.values("route", Route),
        interface=options.text("interface-name"),
        internal=options.flag("internal"),
        ipv6=options.flag("ipv6"),
        dns=not options.flag("disable-dns"),
        dns_servers=options.texts("dns"),
        options=tuple((str(key), str(value)) for key, value in options.values("opt", tuple)),
        labels={str(key): str(value) for key, value in options.values("label", tuple)},
    )
    try:
        session.output.line(network_create.create(session.store, wanted).name)
    except NameTaken:
        if not options.flag("ignore"):
            raise
        session.output.line(name)
    return ExitCode.SUCCESS


def _subnets(options: Options) -> tuple[SubnetRequest, ...]:
    """The n-th --gateway and --ip-range belong to the n-th --subnet (podman-network-create(1))."""
    from wpod.errors import UsageError

    subnets, gateways, ranges = options.texts("subnet"), options.texts("gateway"), options.texts("ip-range")
    for name, given in (("gateway", gateways), ("ip-range", ranges)):
        if len(given) > len(subnets):
            raise UsageError(f"--{name} needs a --subnet that it belongs to")
    return tuple(
        SubnetRequest(
            subnet,
            gateways[index] if index < len(gateways) else "",
            ranges[index] if index < len(ranges) else "",
        )
        for index, subnet in enumerate(subnets)
    )
