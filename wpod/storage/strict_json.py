"""JSON from strangers: parsed once, strictly, with limits.

Manifests, configs, indexes and archive listings pass through here. Refused: duplicate keys (two readers
would see two documents), NaN and infinities, integers beyond 64 bits, nesting beyond `MAX_DEPTH`, lone
surrogates and NUL in strings, anything that is not UTF-8.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from wpod.errors import InvalidImage

MAX_DEPTH = 64
_MAX_INTEGER = 2**63 - 1


def parse(data: bytes, what: str) -> Any:
    """The document. Raises InvalidImage that begins with `what`."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise InvalidImage(f"{what} has a key twice in one object")
        return found

    def constant(name: str) -> NoReturn:
        raise InvalidImage(f"{what} holds {name}, which is not JSON")

    def number(text: str) -> int:
        value = int(text) if len(text) <= 20 else _MAX_INTEGER + 1
        if abs(value) > _MAX_INTEGER:
            raise InvalidImage(f"{what} holds a number beyond 64 bits")
        return value

    def fraction(text: str) -> float:
        value = float(text)
        if abs(value) > _MAX_INTEGER:
            raise InvalidImage(f"{what} holds a number beyond 64 bits")
        return value

    try:
        document = json.loads(
            data.decode("utf-8"), object_pairs_hook=unique, parse_constant=constant, parse_int=number,
            parse_float=fraction,
        )  # fmt: skip
    except UnicodeDecodeError:
        raise InvalidImage(f"{what} is not UTF-8") from None
    except RecursionError:
        raise InvalidImage(f"{what} is nested too deeply") from None
    except ValueError as error:
        raise InvalidImage(f"{what} is not JSON: {error}") from None
    _check(document, what)
    return document


def _check(document: Any, what: str) -> None:
    level = [document]
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise InvalidImage(f"{what} is nested deeper than {MAX_DEPTH} levels")
        following: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                for key in value:
                    _check_text(key, what)
                following.extend(value.values())
            elif isinstance(value, list):
                following.extend(value)
            elif isinstance(value, str):
                _check_text(value, what)
        level = following


def _check_text(text: str, what: str) -> None:
    if "\0" in text:
        raise InvalidImage(f"{what} has a NUL character in a string")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidImage(f"{what} has half a surrogate pair in a string")


class Fields:
    """Typed access to one JSON object; a missing key or null gives the empty value, a wrong type an error."""

    def __init__(self, value: Any, what: str) -> None:
        if not isinstance(value, dict):
            raise InvalidImage(f"{what} is not a JSON object")
        self.raw: dict[str, Any] = value
        self.what = what

    def _get(self, key: str, kind: type, empty: Any) -> Any:
        value = self.raw.get(key)
        if value is None:
            return empty
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise InvalidImage(f"{self.what}: {key} has the wrong type")
        return value

    def text(self, key: str) -> str:
        """A string, "" where absent."""
        found: str = self._get(key, str, "")
        return found

    def size(self, key: str) -> int:
        """A non-negative integer. Raises InvalidImage where absent."""
        found: int = self._get(key, int, -1)
        if found < 0:
            raise InvalidImage(f"{self.what}: {key} is missing or negative")
        return found

    def object(self, key: str) -> Fields:
        """An object, empty where absent."""
        return Fields(self._get(key, dict, {}), f"{self.what}: {key}")

    def objects(self, key: str, maximum: int) -> list[Fields]:
        """A list of objects. Raises InvalidImage where absent, null or longer than `maximum`."""
        found = self.raw.get(key)
        if not isinstance(found, list):
            raise InvalidImage(f"{self.what}: {key} is missing or not a list")
        if len(found) > maximum:
            raise InvalidImage(f"{self.what}: {key} has {len(found)} entries, more than {maximum}")
        return [Fields(value, f"{self.what}: {key}") for value in found]

    def texts(self, key: str, maximum: int = 100_000) -> tuple[str, ...]:
        """A list of strings, () where absent."""
        found = self._get(key, list, [])
        if len(found) > maximum or not all(isinstance(value, str) for value in found):
            raise InvalidImage(f"{self.what}: {key} is not a list of at most {maximum} strings")
        return tuple(found)

    def string_map(self, key: str) -> dict[str, str]:
        """An object of strings, empty where absent."""
        found = self._get(key, dict, {})
        if not all(isinstance(value, str) for value in found.values()):
            raise InvalidImage(f"{self.what}: {key} has a value that is not a string")
        return dict(found)

    def keys(self, key: str) -> tuple[str, ...]:
        """The keys of an object used as a set, sorted."""
        return tuple(sorted(self._get(key, dict, {})))
