"""The alphabet of the screen: lines of spans, cells, and amounts.

Names, images, labels and commands come from others: `clean` (and `fit`, which begins with it) lets through nothing
that a terminal could take for anything but characters in cells.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

Span = tuple[str, str]  # text, role; a role `a|b` is the colour of a on that of b
Line = tuple[Span, ...]
Align = Literal["left", "right", "middle"]

UNKNOWN = "-"
_UNITS = ("B", "K", "M", "G", "T", "P", "E")
_MARKS = 2  # combining marks on one character; more are no writing
# What takes one cell on every terminal, for the short way: Latin, punctuation, arrows, boxes, blocks, Braille.
_SINGLE = re.compile("[ -~¡-¬®-˿‐-‧←-⇿─-◼⠀-⣿]*").fullmatch
# What is printable by Unicode, but takes as many cells as the terminal sees fit: jamo, selectors, tones of skin, signs
# that Unicode 16 made wide; and spacing marks (category Mc).
_FICKLE = re.compile(
    "[\u115f-\u11ff\u3164\uffa0\u180b-\u180f\u2630-\u2637\u268a-\u268f\u4dc0-\u4dff\ud7b0-\ud7ff\ufe00-\ufe0f"
    "\U0001d300-\U0001d37f\U0001f3fb-\U0001f3ff\U000e0100-\U000e01ef]"
).match
_SPELLED = {"×": "x", "±": "+", "…": "~"}


def clean(text: str, ascii_only: bool = False) -> str:
    """The text in one line, with `?` for each character that is no plain character in a cell.

    That is: control characters, escapes, ends of lines, what turns the direction of writing, what is invisible,
    private or unassigned, halves of surrogates, the third mark on one letter, and what terminals give different widths.
    `ascii_only`: all but ASCII too, though signs of our own have one that is like them. Every blank is a plain one.
    """
    if text.isascii():
        if text.isprintable():
            return text
    elif not ascii_only and _SINGLE(text):
        return text
    kept = []
    marks = _MARKS  # there is nothing to put a mark on
    for character in unicodedata.normalize("NFC", text):
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if category == "Zs":
            kept.append(" ")
        elif marks > _MARKS or category == "Mc" or not character.isprintable() or _FICKLE(character):
            kept.append("?")
        else:
            kept.append(_SPELLED.get(character, "?") if ascii_only and character > "~" else character)
    return "".join(kept)


def width(text: str) -> int:
    """How many cells clean text takes."""
    if text.isascii() or _SINGLE(text):
        return len(text)
    return sum(map(_cells, text))


def _cells(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def fit(text: str, cells: int, align: Align = "left", ascii_only: bool = False) -> str:
    """The text, cleaned, in exactly so many cells: filled with blanks, or cut with `…` (`~` in ASCII) for its last."""
    if cells <= 0:
        return ""
    sight = 8 * cells + 8  # more than any writing needs for so many cells: a command may have a megabyte
    kept = clean(text[:sight], ascii_only)
    taken = width(kept)
    if taken > cells or len(text) > sight:
        kept = _head(kept, cells - 1) + ("~" if ascii_only else "…")
        taken = width(kept)
    return _filled(kept, cells - taken, align)


def _filled(text: str, blanks: int, align: Align) -> str:
    if align == "left":
        return text + " " * blanks
    if align == "right":
        return " " * blanks + text
    return " " * (blanks // 2) + text + " " * (blanks - blanks // 2)


def _head(text: str, cells: int) -> str:
    """As much of its beginning as goes into so many cells; a wide character isn't halved."""
    if text.isascii() or _SINGLE(text):
        return text[: max(cells, 0)]
    for index, character in enumerate(text):
        cells -= _cells(character)
        if cells < 0:
            return text[:index]
    return text


def plain(line: Line) -> str:
    """Its text without roles."""
    return "".join([text for text, _ in line])


def line_width(line: Line) -> int:
    """How many cells it takes."""
    return width(plain(line))


def pad(line: Line, cells: int, role: str = "") -> Line:
    """The line with blanks of a role at its end, where it is shorter than that; a longer one as it is."""
    missing = cells - line_width(line)
    return (*line, (" " * missing, role)) if missing > 0 else line


def crop(line: Line, cells: int) -> Line:
    """Its first cells; a shorter one as it is."""
    return cut(line, 0, cells)


def cut(line: Line, start: int, end: int) -> Line:
    """Its cells from `start` up to `end`; a wide character of which one half stays outside becomes a blank."""
    kept: list[Span] = []
    at = 0
    for text, role in line:
        if at >= end:
            break
        span = width(text)
        if at >= start and at + span <= end:
            kept.append((text, role))
        elif at + span > start:
            kept.append((_cut_text(text, start - at, end - at), role))
        at += span
    return tuple(kept)


def _cut_text(text: str, start: int, end: int) -> str:
    if text.isascii() or _SINGLE(text):
        return text[max(start, 0) : end]
    kept = []
    at = 0
    inside = False  # whether the character that a mark stands on is in sight
    for character in text:
        span = _cells(character)
        if span:
            inside = start <= at and at + span <= end
            visible = min(at + span, end) - max(at, start)
            kept.append(character if inside else " " * visible)
        elif inside:
            kept.append(character)
        at += span
    return "".join(kept)


def merged(line: Line) -> Line:
    """The same line, with neighbours of one role in one span and without empty spans."""
    spans: list[Span] = []
    for text, role in line:
        if not text:
            continue
        if spans and spans[-1][1] == role:
            spans[-1] = (spans[-1][0] + text, role)
        else:
            spans.append((text, role))
    return tuple(spans)


def amount(bytes_: int | None) -> str:
    """Bytes in binary units and at most 5 cells: `57.8M`, `101M`, `640K`, `512B`, `0`, `-3.9M`; unknown is `-`.

    Nothing but 0 is `0`.
    """
    if bytes_ is None:
        return UNKNOWN
    if not bytes_:
        return "0"
    if bytes_ < 0:  # one cell less for the digits
        return "-" + _scaled(-bytes_, 9.95, 999.5)
    return _scaled(bytes_, 99.95, 1023.5)


def signed_amount(bytes_per_minute: float | None) -> str:
    """What grows or shrinks in a minute, in at most 5 cells: `+1.2M`, `-3M`, `+101K`; below half a K `0`.

    Unknown is blank: there is no reading yet that it could be told from.
    """
    if bytes_per_minute is None:
        return ""
    if abs(bytes_per_minute) < 512:
        return "0"
    sign = "+" if bytes_per_minute > 0 else "-"
    return sign + _scaled(abs(bytes_per_minute), 9.95, 999.5).replace(".0", "")


def _scaled(value: float, decimal_below: float, unit_below: float) -> str:
    """In the first unit in which it is below that; with one decimal below the other."""
    unit = 0
    while value >= unit_below and unit < len(_UNITS) - 1:
        value /= 1024
        unit += 1
    digits = 1 if unit and value < decimal_below else 0
    return f"{value:.{digits}f}{_UNITS[unit]}"


def exact(bytes_: int | None) -> str:
    """Bytes in groups of three digits: `12,345,678`."""
    return UNKNOWN if bytes_ is None else f"{bytes_:,}"


def age(seconds: float | None) -> str:
    """Whole units that have passed, in at most 4 cells: `12s`, `16m`, `3h`, `5d`, `2y`."""
    if seconds is None:
        return UNKNOWN
    passed = max(int(seconds), 0)
    if passed < 60:
        return f"{passed}s"
    if passed < 3600:
        return f"{passed // 60}m"
    if passed < 86_400:
        return f"{passed // 3600}h"
    days = passed // 86_400
    return f"{days}d" if days < 1000 else f"{days // 365}y"


def percent(value: float | None, digits: int = 1) -> str:
    """Without its sign: `3.1`, `98.0`; from 100 on without decimals."""
    if value is None:
        return UNKNOWN
    short = f"{value:.{digits}f}"
    return short if len(short) <= digits + 3 else f"{value:.0f}"
