"""Options of networks (podman-network-create(1), --opt): which driver takes which, and what they can say. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wpod.errors import CannotEnforce, NotSupportedYet, UsageError
from wpod.model.network import Driver

_LARGEST_MTU = 65535
_SMALLEST_MTU = 1280  # what IPv6 needs (RFC 8200, 5)
_LARGEST_VLAN = 4094
_LARGEST_METRIC = (1 << 32) - 1
MODES = {
    Driver.BRIDGE: (),
    Driver.MACVLAN: ("bridge", "private", "vepa", "passthru"),
    Driver.IPVLAN: ("l2", "l3", "l3s"),
}
_TRUE, _FALSE = ("1", "t", "true"), ("0", "f", "false")  # Go's strconv.ParseBool, in lower case
# What podman 5 has beyond these.
_NOT_YET = ("vrf", "host_interface_name", "com.docker.network.bridge.name", "bclim")
_OTHER_NAMES = {"com.docker.network.driver.mtu": "mtu"}


def checked(driver: Driver, options: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The options as they are recorded, the last of each name. Raises UsageError, NotSupportedYet, CannotEnforce."""
    found: dict[str, str] = {}
    for given, value in options:
        name = _OTHER_NAMES.get(given, given)
        check = _CHECKS[driver].get(name)
        if check is None:
            if name in _NOT_YET:
                raise NotSupportedYet(f"the network option {name}")
            known = ", ".join(sorted(_CHECKS[driver]))
            raise UsageError(f"unsupported {driver.value} network option {given!r:.80}: must be one of {known}")
        found[name] = check(driver, value)
    return tuple(found.items())


def is_set(value: str) -> bool:
    """Whether an option that says yes or no says yes."""
    return value.lower() in _TRUE


def _number(name: str, least: int, most: int) -> Callable[[Driver, str], str]:
    def check(_driver: Driver, value: str) -> str:
        if not (value.isascii() and value.isdigit() and len(value) < 11 and least <= int(value) <= most):
            raise UsageError(f"{name} {value!r:.80} of a network must be a number from {least} to {most}")
        return str(int(value))

    return check


def _truth(_driver: Driver, value: str) -> str:
    if value.lower() not in (*_TRUE, *_FALSE):
        raise UsageError(f"a network option that says yes or no can't be {value!r:.80}: must be true or false")
    return "true" if is_set(value) else "false"


def _isolate(driver: Driver, value: str) -> str:
    """Networks are isolated from each other whether it is said or not."""
    if value == "strict":
        return value
    if _truth(driver, value) == "false":
        raise CannotEnforce(
            "containers of different networks never reach each other: isolate=false can't be had",
            hint="a container can be on both: wpod network connect",
        )
    return "true"


def _mode(driver: Driver, value: str) -> str:
    if value not in MODES[driver]:
        raise UsageError(f"unknown {driver.value} mode {value!r:.80}: must be one of {', '.join(MODES[driver])}")
    return value


def _name(_driver: Driver, value: str) -> str:
    """Of an interface; that it is there is looked up where networks are made."""
    if not value:
        raise UsageError("the parent of a network must not be empty")
    return value


_OF_ALL = {
    "mtu": _number("MTU", _SMALLEST_MTU, _LARGEST_MTU),
    "metric": _number("metric", 1, _LARGEST_METRIC),
    "no_default_route": _truth,
}
_CHECKS: dict[Driver, dict[str, Callable[[Driver, str], str]]] = {
    Driver.BRIDGE: {**_OF_ALL, "vlan": _number("vlan ID", 1, _LARGEST_VLAN), "isolate": _isolate},
    Driver.MACVLAN: {**_OF_ALL, "mode": _mode, "parent": _name},
    Driver.IPVLAN: {**_OF_ALL, "mode": _mode, "parent": _name},
}
