"""Frozen value classes: dataclasses whose machinery is made when somebody asks for it.

`dataclasses.dataclass` writes and compiles source for each class, 0.5 to 1 ms a class, and the models of a
container are some thirty: a third of the time of `wpod ps`. A class made here has the same look and manners
(annotations are fields, defaults, keyword and positional arguments, equality, hash, repr, no assignment), and
`dataclasses.replace`, `fields`, `asdict` and `is_dataclass` work on it: the fields they need are made then.
Type checkers see a dataclass (PEP 681). Not supported: inheritance between such classes, __post_init__, slots.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar, dataclass_transform

    T = TypeVar("T")
else:

    def dataclass_transform(**_: object):
        return lambda decorated: decorated


class FrozenError(AttributeError):
    """A field of a frozen value was assigned to: a mistake in the program."""


class _Factory:
    """What `field` leaves in the class: how to make the default of one instance, and whether repr shows it."""

    __slots__ = ("default", "make", "shown")

    def __init__(self, make: Callable[[], Any] | None, default: object, shown: bool) -> None:
        self.make = make
        self.default = default
        self.shown = shown


_MISSING = object()


def field(*, default: Any = _MISSING, default_factory: Any = None, repr: bool = True) -> Any:  # noqa: A002
    """As `dataclasses.field`, with these three parameters."""
    return _Factory(default_factory, default, repr)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(made: type[T]) -> type[T]:
    """Make a class frozen: its own annotations are its fields, in their order."""
    annotations = made.__annotations__
    names = tuple(name for name in annotations if not annotations[name].startswith("ClassVar"))
    defaults = {name: made.__dict__[name] for name in names if name in made.__dict__}
    hidden = {name for name, value in defaults.items() if isinstance(value, _Factory) and not value.shown}

    fields = frozenset(names)
    # In the order of the fields, however they are given; what has no plain default is filled in by `_default`.
    template = {name: defaults.get(name, _MISSING) for name in names}
    without = [(place, name) for place, name in enumerate(names) if not _is_plain(template[name])]
    count = len(names)

    def initialise(self: object, *positional: object, **named: object) -> None:
        # Every field by its name, as records and state files are made, or by its place: no more to be done.
        if not positional and named.keys() == fields:
            self.__dict__.update(named)
            return
        given = len(positional)
        if given == count and not named:
            self.__dict__.update(zip(names, positional, strict=True))
            return
        if given > count or (named and not named.keys().isdisjoint(names[:given])):
            raise TypeError(f"{made.__name__}: an argument too many or twice")
        values = {**template, **dict(zip(names, positional, strict=False)), **named}
        if len(values) != count:
            unknown = sorted(set(values) - fields)
            raise TypeError(f"{made.__name__}: no such field: {', '.join(unknown)}")
        for place, name in without:
            if place >= given and name not in named:
                values[name] = _default(made, name, defaults)
        self.__dict__.update(values)

    def equal(self: object, other: object) -> object:
        return self.__dict__ == other.__dict__ if other.__class__ is self.__class__ else NotImplemented

    def hashed(self: object) -> int:
        return hash(tuple(self.__dict__[name] for name in names))

    def shown(self: object) -> str:
        inner = ", ".join(f"{name}={self.__dict__[name]!r}" for name in names if name not in hidden)
        return f"{made.__name__}({inner})"

    manners: dict[str, object] = {
        "__init__": initialise, "__eq__": equal, "__hash__": hashed, "__repr__": shown, "__setattr__": _refuse,
        "__delattr__": _refuse, "__match_args__": names, "__dataclass_fields__": _Fields(names, defaults),
    }  # fmt: skip
    for name, value in manners.items():
        setattr(made, name, value)
    for name, value in defaults.items():
        if isinstance(value, _Factory):
            delattr(made, name)
    return made


def field_names(kind: type) -> tuple[str, ...] | None:
    """The fields of a class made by `frozen`, in their order; None for any other class."""
    if isinstance(kind.__dict__.get("__dataclass_fields__"), (_Fields, dict)):
        names: tuple[str, ...] = kind.__match_args__  # type: ignore[attr-defined]
        return names
    return None


def replace(value: T, **changes: object) -> T:
    """The same value with other fields; `dataclasses.replace` without its import."""
    return type(value)(**{**value.__dict__, **changes})


def _is_plain(default: object) -> bool:
    return default is not _MISSING and not isinstance(default, _Factory)


def _default(made: type, name: str, defaults: dict[str, Any]) -> object:
    if name not in defaults:
        raise TypeError(f"{made.__name__}: {name} is missing")
    given = defaults[name]
    if not isinstance(given, _Factory):
        return given
    if given.make is not None:
        return given.make()
    if given.default is _MISSING:
        raise TypeError(f"{made.__name__}: {name} is missing")
    return given.default


def _refuse(self: object, name: str, *_: object) -> None:
    raise FrozenError(f"{type(self).__name__}.{name} can't be assigned to")


class _Fields:
    """`__dataclass_fields__`: a real dataclass's fields, made at the first question."""

    def __init__(self, names: tuple[str, ...], defaults: dict[str, Any]) -> None:
        self._names = names
        self._defaults = defaults

    def __get__(self, instance: object, owner: type) -> dict[str, Any]:
        import dataclasses

        content: dict[str, Any] = {"__annotations__": owner.__annotations__, "__module__": owner.__module__}
        for name, given in self._defaults.items():
            if not isinstance(given, _Factory):
                content[name] = given
            elif given.make is not None:
                content[name] = dataclasses.field(default_factory=given.make, repr=given.shown)
            elif given.default is not _MISSING:
                content[name] = dataclasses.field(default=given.default, repr=given.shown)
        twin: Any = dataclasses.dataclass(frozen=True)(type(owner.__name__, (), content))
        fields: dict[str, Any] = twin.__dataclass_fields__
        setattr(owner, "__dataclass_fields__", fields)  # noqa: B010 - the type checker knows no such attribute
        return fields
