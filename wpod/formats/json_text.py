"""JSON texts that wpod has written itself, read without the module `json`: it imports `re`, 5 ms of each command.

What reads is that module's own scanner (RFC 8259, and NaN and Infinity as there). Texts of others go through
storage/strict_json.py.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def loads(text: str) -> object:
    """As `json.loads`. Raises ValueError where the text is no JSON, RecursionError where it is nested too deeply."""
    try:
        found, end = _scan(text, 0)
    except (StopIteration, SystemError, ValueError):  # SystemError: it looks for the error's class in that module
        end = -1
    if end == len(text):
        return found
    import json  # which says what is wrong, and takes space around a text

    return json.loads(text)


class _Context:
    """What the scanner asks for: the types of the standard module."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


def _scanner() -> Callable[[str, int], tuple[object, int]]:
    try:
        from _json import make_scanner
    except ImportError:  # an interpreter without it
        from json import JSONDecoder

        return JSONDecoder().raw_decode
    context: Any = _Context()
    return make_scanner(context)


_scan = _scanner()
