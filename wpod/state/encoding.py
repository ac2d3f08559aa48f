"""Frozen dataclasses to JSON and back, by their annotations.

Written for the recorded facts only: dataclasses, enums, tuples, string maps, None and scalars. A
missing key takes the field's default, so that a record of an older version can be read; an unknown
key is an error, for it means a newer version wrote it.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import types
import typing
from typing import Any, TypeVar

T = TypeVar("T")


def to_json(value: object) -> str:
    """Compact JSON of a dataclass, tuple or mapping."""
    return json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=True)


def from_json(text: str, kind: type[T]) -> T:
    """The value of this type. Raises ValueError or TypeError where the text doesn't fit it."""
    built = _build(json.loads(text), kind)
    return typing.cast(T, built)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


@functools.cache
def _field_types(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _build(value: Any, kind: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        (inner,) = (option for option in typing.get_args(kind) if option is not type(None))
        return _build(value, inner)
    if origin is tuple:
        arguments = typing.get_args(kind)
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_build(item, arguments[0]) for item in value)
        return tuple(_build(item, part) for item, part in zip(value, arguments, strict=True))
    if origin is not None:  # Mapping[str, str]
        return dict(value)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind[value]
    if dataclasses.is_dataclass(kind):
        hints = _field_types(typing.cast(type, kind))
        unknown = set(value) - set(hints)
        if unknown:
            raise ValueError(f"unknown fields {', '.join(sorted(unknown))}")
        return kind(**{name: _build(item, hints[name]) for name, item in value.items()})  # type: ignore[operator]
    return value
