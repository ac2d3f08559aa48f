"""Frozen values to JSON and back, by their annotations.

Written for the recorded facts only: classes made by `wpod.frozen`, enums, tuples, string maps, None and
scalars. A missing key takes the field's default, so that a record of an older version can be read; an unknown
key is an error, for it means a newer version wrote it. Annotations are evaluated here, class by class, for
`typing.get_type_hints` is an import of 2 ms that every command would pay.
"""

from __future__ import annotations

import functools
import json
import sys

from wpod.enumeration import Enum
from wpod.formats import json_text
from wpod.frozen import field_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    T = TypeVar("T")

_UNION: Any = type(int | None)


def to_json(value: object) -> str:
    """Compact JSON of a frozen value, tuple or mapping."""
    return json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=True)


def from_json(text: str, kind: type[T]) -> T:
    """The value of this type. Raises ValueError or TypeError where the text doesn't fit it."""
    try:
        described: Any = kind
        built: T = _builder(described)(json_text.loads(text))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return built


def _plain(value: Any) -> Any:
    names = field_names(type(value))
    if names is not None:
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


@functools.cache
def _field_types(kind: type) -> dict[str, Any]:
    """Each field's type: its annotation evaluated where the class was written."""
    names = vars(sys.modules[kind.__module__])
    return {name: eval(text, names) for name, text in kind.__annotations__.items()}  # noqa: S307 - our own source


@functools.cache
def _builder(kind: Any) -> Callable[[Any], Any]:
    """What makes a value of this type of parsed JSON: chosen once for a type, for `ps` reads hundreds of records."""
    if isinstance(kind, _UNION):
        (inner,) = (option for option in kind.__args__ if option is not type(None))
        return _optional(_builder(inner))
    origin = getattr(kind, "__origin__", None)
    if origin is tuple:
        arguments = kind.__args__
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return _tuple_of(_builder(arguments[0]))
        return _tuple_with([_builder(part) for part in arguments])
    if origin is not None:
        return _text_map  # Mapping[str, str]
    if field_names(kind) is not None:
        return _object(kind, {name: _builder(type_) for name, type_ in _field_types(kind).items()})
    return _member(kind) if issubclass(kind, Enum) else _scalar(kind)


def _optional(build: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else build(value)


def _tuple_of(build: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def made(value: Any) -> Any:
        return tuple([build(item) for item in _list(value)])

    return made


def _tuple_with(parts: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def made(value: Any) -> Any:
        return tuple([build(item) for item, build in zip(_list(value), parts, strict=True)])

    return made


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("a list was expected")
    return value


def _text_map(value: Any) -> Any:
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise TypeError("a map of texts was expected")
    return value


def _object(kind: type, builders: dict[str, Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def made(value: Any) -> Any:
        if not isinstance(value, dict):
            raise TypeError(f"{kind.__name__} is not an object")
        if not value.keys() <= builders.keys():
            raise ValueError(f"unknown fields {', '.join(sorted(set(value) - set(builders)))}")
        return kind(**{name: builders[name](item) for name, item in value.items()})

    return made


def _member(kind: Any) -> Callable[[Any], Any]:
    members = kind.__members__

    def made(value: Any) -> Any:
        if not isinstance(value, str) or value not in members:
            raise ValueError(f"no {kind.__name__} is named {value!r:.50}")
        return members[value]

    return made


def _scalar(kind: type) -> Callable[[Any], Any]:
    def made(value: Any) -> Any:
        if not isinstance(value, kind):
            raise TypeError(f"{kind.__name__} was expected")
        return value

    return made
