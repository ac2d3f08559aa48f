"""JSON as podman prints it: keys in the given order, integers for sizes, no NaN, always UTF-8."""

from __future__ import annotations

import json

PS_INDENT = 2
LIST_INDENT = 4
INSPECT_INDENT = 5


def document(value: object, indent: int = LIST_INDENT) -> str:
    """Indented, without a newline at the end. Raises ValueError for NaN and infinities."""
    return _clean(json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False))


def compact(value: object) -> str:
    """One line, as `{{json .}}` gives."""
    return _clean(json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False))


def _clean(text: str) -> str:
    """Bytes that weren't UTF-8 (surrogate escapes) become U+FFFD, as in Go: JSON can't hold them."""
    if text.isascii():
        return text
    return "".join(["\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text])
