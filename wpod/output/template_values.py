"""How Go prints and judges values (package fmt, %v; text/template's truth), for values made of JSON's types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# Fields that hold maps; every other mapping is a struct: it has fixed fields and prints its values alone.
MAP_FIELDS = frozenset(
    ("Annotations", "ExposedPorts", "GraphOptions", "GraphStatus", "Labels", "Networks", "Options", "Ports",
     "Sysctls", "Tmpfs", "Volumes")
)  # fmt: skip


class GoMap(dict[str, object]):
    """A mapping whose keys are data: prints as `map[k:v]`, a missing key is empty."""


class NilMap(GoMap):
    """A map that isn't there: empty for a template, null in JSON."""


class _NoValue:
    """What a map doesn't have, told from an empty text."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False


NO_VALUE = _NoValue()


class Title(str):
    """A column's title while the header line is rendered: any operation on it gives it back."""

    __slots__ = ()


def marked(name: str, value: object) -> object:
    """The value of a field, as a GoMap where the field holds a map."""
    if name not in MAP_FIELDS or isinstance(value, GoMap):
        return value
    if value is None:
        return NilMap()
    return GoMap(value) if isinstance(value, Mapping) else value


def printed(value: object) -> str:
    """As `{{value}}` prints it."""
    if value is None:
        return "<nil>"
    if value is NO_VALUE:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, GoMap):
        return "map[" + " ".join(f"{key}:{printed(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, Mapping):
        return "{" + " ".join(printed(marked(key, one)) for key, one in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + " ".join(printed(one) for one in value) + "]"
    return str(value)


def truth(value: object) -> bool:
    """Whether `if` takes it: structs always are true, empty things are not."""
    if isinstance(value, Mapping) and not isinstance(value, GoMap):
        return True
    return bool(value)


def _float(value: float) -> str:
    exponent = f"{value:e}".partition("e")[2]
    if value and not -5 < int(exponent) < 21:
        mantissa, _, power = repr(value).partition("e")
        if not power:
            mantissa, _, power = f"{value:e}".partition("e")
            mantissa = mantissa.rstrip("0").rstrip(".")
        return f"{mantissa.removesuffix('.0')}e{power[0] if power[0] in '+-' else '+'}{power.lstrip('+-').zfill(2)}"
    return str(int(value)) if value == int(value) else repr(value)
