"""YAML as `info` shows it: mappings, lists and scalars of JSON's types, readable, and read back as the same data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from wpod.output import json

# Plain words that YAML 1.1 takes for something else than text.
_OTHER_MEANING = frozenset(("", "y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"))
_PLAIN_MARKS = frozenset("/._-+ ()@=<>%,:'\"[]{}#&*!|?`")
_PLAIN_START = frozenset("/._")


def document(value: Mapping[str, object]) -> str:
    """A block mapping, each line with its newline."""
    return "".join(f"{line}\n" for line in _mapping(value))


def _mapping(value: Mapping[str, object]) -> Iterator[str]:
    for key, item in value.items():
        name = _scalar(key)
        if isinstance(item, Mapping) and item:
            yield f"{name}:"
            yield from (f"  {line}" for line in _mapping(item))
        elif _is_list(item) and item:
            yield f"{name}:"
            yield from _sequence(item)
        else:
            yield f"{name}: {_scalar(item)}"


def _sequence(value: object) -> Iterator[str]:
    assert isinstance(value, Sequence)
    for item in value:
        lines = list(_mapping(item)) if isinstance(item, Mapping) and item else [_scalar(item)]
        yield f"- {lines[0]}"
        yield from (f"  {line}" for line in lines[1:])


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _scalar(value: object) -> str:
    if isinstance(value, str) and _is_plain(value):
        return value
    if isinstance(value, Mapping):
        return "{}"
    if _is_list(value):
        return "[]"
    return json.compact(value)  # every JSON scalar is a YAML one


def _is_plain(text: str) -> bool:
    """Whether text needs no quotes; in doubt it gets them."""
    if text.lower() in _OTHER_MEANING or not (text[0].isalpha() or text[0] in _PLAIN_START):
        return False
    if text.replace(".", "").isdigit() or text.endswith((" ", ":")) or ": " in text or " #" in text:
        return False
    return text.isprintable() and all(character.isalnum() or character in _PLAIN_MARKS for character in text)
