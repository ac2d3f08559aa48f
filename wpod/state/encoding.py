"""Frozen values to JSON and back, by their annotations.

Written for the recorded facts only: classes made by `wpod.frozen`, enums, tuples, string maps, None and
scalars. A missing key takes the field's default, so that a record of an older version can be read; an unknown
key is an error, for it means a newer version wrote it. Annotations are evaluated here, class by class, for
`typing.get_type_hints` is an import of 2 ms that every command would pay.
"""

from __future__ import annotations

import enum
import functools
import json
import sys

from wpod.frozen import field_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    T = TypeVar("T")

_UNION: Any = type(int | None)


def to_json(value: object) -> str:
    """Compact JSON of a frozen value, tuple or mapping."""
    return json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=True)


def from_json(text: str, kind: type[T]) -> T:
    """The value of this type. Raises ValueError or TypeError where the text doesn't fit it."""
    try:
        built: T = _build(json.loads(text), kind)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return built


def _plain(value: Any) -> Any:
    names = field_names(type(value))
    if names is not None:
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, enum.Enum):
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


def _build(value: Any, kind: Any) -> Any:
    if isinstance(kind, _UNION):
        if value is None:
            return None
        (inner,) = (option for option in kind.__args__ if option is not type(None))
        return _build(value, inner)
    origin = getattr(kind, "__origin__", None)
    if origin is tuple:
        if not isinstance(value, list):
            raise TypeError("a list was expected")
        arguments = kind.__args__
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_build(item, arguments[0]) for item in value)
        return tuple(_build(item, part) for item, part in zip(value, arguments, strict=True))
    if origin is not None:  # Mapping[str, str]
        if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
            raise TypeError("a map of texts was expected")
        return value
    if field_names(kind) is not None:
        return _build_object(value, kind)
    if issubclass(kind, enum.Enum):
        if not isinstance(value, str) or value not in kind.__members__:
            raise ValueError(f"no {kind.__name__} is named {value!r:.50}")
        return kind[value]
    if not isinstance(value, kind):
        raise TypeError(f"{kind.__name__} was expected")
    return value


def _build_object(value: Any, kind: Any) -> Any:
    if not isinstance(value, dict):
        raise TypeError(f"{kind.__name__} is not an object")
    hints = _field_types(kind)
    unknown = set(value) - set(hints)
    if unknown:
        raise ValueError(f"unknown fields {', '.join(sorted(unknown))}")
    return kind(**{name: _build(item, hints[name]) for name, item in value.items()})
