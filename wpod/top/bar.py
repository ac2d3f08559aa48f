"""The memory bar: parts beside each other in one order, so many cells long as the total is on the bar's scale.

Borders between parts and the end are told to half a cell; where there are no colours, to a cell, and the cells are the
parts' letters. A role `a|b` is the colour of a on that of b; `ground` is what is behind everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wpod.enumeration import Enum
from wpod.frozen import frozen
from wpod.model.memory import DEFINITIONS, Breakdown, Part
from wpod.top.text import Line, Span

Segment = tuple[str, str, int]  # letter, role, bytes

GROUND = "ground"
LIMIT_ROLE = "limit"
RESERVED_ROLE = "reserved"
_LETTERED = 3  # cells that a segment has to have before one of them is its letter


@frozen
class BarStyle:
    """What bars are made of. Without `half` a cell is one part's and shows its letter, as `full` isn't used then."""

    full: str
    half: str
    outline: str
    limit: str = "|"


BLOCKS = BarStyle("█", "▌", "·")
LETTERS = BarStyle("", "", ".")


class Scale(Enum):
    """What the full width of a row's bar stands for. The value is what the header of the column says."""

    COMMON = "common scale"
    LIMIT = "of its limit"
    COMPOSITION = "composition"


@frozen
class Marks:
    """What is drawn beside the parts. `reserved` bytes follow the bar as an outline; `limit` is counted from its start.

    A limit beyond the scale isn't drawn.
    """

    limit: int | None = None
    reserved: int = 0


NO_MARKS = Marks()


def segments(breakdown: Breakdown) -> list[tuple[Part, int]]:
    """The parts that are known, in the order of `Part`."""
    return [(part, found) for part, name in _NAMES if (found := getattr(breakdown, name)) is not None]


def row_segments(breakdown: Breakdown) -> list[Segment]:
    """As a row shows it: own, linear, kernel, shared with code in it, then helpers and cache."""
    code, shared = breakdown.code, breakdown.shared
    together = None if code is None and shared is None else (code or 0) + (shared or 0)
    amounts = (breakdown.own, breakdown.linear, breakdown.kernel, together, breakdown.helpers, breakdown.cache)
    return [(letter, role, found) for (letter, role), found in zip(_ROW, amounts, strict=True) if found is not None]


def host_segments(wasm: int | None, native: int | None, helpers: int | None, cache: int | None) -> list[Segment]:
    """The machine's bar: what containers of both kinds, wpod's processes and the page cache take."""
    amounts = (wasm, native, helpers, cache)
    return [(letter, role, found) for (letter, role), found in zip(_HOST, amounts, strict=True) if found is not None]


def reserved(breakdown: Breakdown) -> int:
    """What of the guest's linear memory it never touched."""
    return max((breakdown.linear_size or 0) - (breakdown.linear or 0), 0)


def common_scale(totals: Iterable[int | None]) -> int:
    """The greatest total, or up to an eighth more: it moves in steps, so that not each reading changes every bar."""
    greatest = max((total for total in totals if total is not None), default=0)
    step = max((1 << greatest.bit_length()) >> 4, 1)
    return -(-greatest // step) * step


def scale_bytes(scale: Scale, total: int | None, limit: int | None, common: int) -> int:
    """What the full width of one row's bar stands for; 0 (no bar) where there is no limit or no total."""
    if scale is Scale.COMMON:
        return common
    return (limit if scale is Scale.LIMIT else total) or 0


def bar(
    parts: Sequence[tuple[Part, int]], total_cells: int, scale: int, style: BarStyle = BLOCKS, marks: Marks = NO_MARKS
) -> Line:
    """The bar of parts in so many cells, of which all stand for `scale` bytes. See `bar_of`."""
    return bar_of([(*_LOOKS[part], found) for part, found in parts], total_cells, scale, style, marks)


def bar_of(parts: Sequence[Segment], cells: int, scale: int, style: BarStyle = BLOCKS, marks: Marks = NO_MARKS) -> Line:
    """Exactly `cells` cells: the parts, the reserved outline, blanks; the limit lies on top of them.

    The bar is as long as the total is on the scale, rounded to half a cell (a cell with letters), at least that for any
    total above 0, and never longer than the cells. It is dealt to the parts by largest remainder, and each part above
    0 has some; where it is too short for that, the largest have.
    """
    if cells <= 0:
        return ()
    fine = 2 if style.half else 1
    amounts = [found if found > 0 else 0 for _, _, found in parts]
    total = sum(amounts)
    units = _length(total, cells * fine, scale)
    dealt = deal(amounts, units)
    line = _blocks(parts, dealt, style) if style.half else _letters(parts, dealt)
    used = (units + fine - 1) // fine
    if marks.reserved > 0 and scale > 0:
        end = min(_length(total + marks.reserved, cells, scale), cells)
        if end > used:
            line.append((style.outline * (end - used), RESERVED_ROLE))
            used = end
    if used < cells:
        line.append((" " * (cells - used), ""))
    if marks.limit is not None and 0 < marks.limit <= scale:
        return _with_limit(line, min(marks.limit * cells // scale, cells - 1), style.limit)
    return tuple(line)


def deal(amounts: Sequence[int], units: int) -> list[int]:
    """Units for each amount by largest remainder; their sum is `units`, or 0 if all amounts are 0.

    Each amount above 0 has at least one if there are enough, else the largest have one each. Of two amounts the larger
    never has less.
    """
    total = sum(amounts)
    if not total or units <= 0:
        return [0] * len(amounts)
    places = range(len(amounts))
    if units < len(amounts) - amounts.count(0):
        dealt = [0] * len(amounts)
        for place in sorted(places, key=amounts.__getitem__, reverse=True)[:units]:
            dealt[place] = 1
        return dealt
    dealt = [amount * units // total for amount in amounts]
    left = units - sum(dealt)
    if left:
        rests = sorted([(-(amounts[place] * units % total), place) for place in places])
        for _, place in rests[:left]:
            dealt[place] += 1
    for place in places:
        if amounts[place] and not dealt[place]:  # it gets one from the least of those that have the most
            most = max(dealt)
            dealt[min([(amounts[giver], giver) for giver in places if dealt[giver] == most])[1]] -= 1
            dealt[place] = 1
    return dealt


def _length(total: int, units: int, scale: int) -> int:
    """How many units a total takes on a scale: rounded half up, at least one, at most all."""
    if total <= 0 or scale <= 0:
        return 0
    return min(max((2 * total * units + scale) // (2 * scale), 1), units)


def _blocks(parts: Sequence[Segment], dealt: Sequence[int], style: BarStyle) -> list[Span]:
    """Spans for half cells."""
    spans: list[Span] = []
    left = ""  # the role of the left half of a cell whose right half is still free
    for (letter, role, _), units in zip(parts, dealt, strict=True):
        if not units:
            continue
        free = units
        if left:
            spans.append((style.half, f"{left}|{role}"))
            left = ""
            free -= 1
        full, half = divmod(free, 2)
        if units >= 2 * _LETTERED:
            spans.append((letter, f"{GROUND}|{role}"))
            full -= 1
        if full:
            spans.append((style.full * full, role))
        if half:
            left = role
    if left:
        spans.append((style.half, left))
    return spans


def _letters(parts: Sequence[Segment], dealt: Sequence[int]) -> list[Span]:
    return [(letter * units, role) for (letter, role, _), units in zip(parts, dealt, strict=True) if units]


def _with_limit(spans: Sequence[Span], place: int, sign: str) -> Line:
    """The spans, whose characters are all one cell wide, with the sign on one of them."""
    changed: list[Span] = []
    at = 0
    for text, role in spans:
        inside = place - at
        at += len(text)
        if not 0 <= inside < len(text):
            changed.append((text, role))
            continue
        behind = role.rpartition("|")[2]
        on = f"{LIMIT_ROLE}|{behind}" if behind and role != RESERVED_ROLE else LIMIT_ROLE
        around = ((text[:inside], role), (sign, on), (text[inside + 1 :], role))
        changed += [span for span in around if span[0]]
    return tuple(changed)


def _look(part: Part) -> tuple[str, str]:
    return DEFINITIONS[part].letter, part.value


_NAMES = tuple((part, part.value) for part in Part)
_LOOKS = {part: _look(part) for part in Part}
_ROW = tuple(_LOOKS[part] for part in (Part.OWN, Part.LINEAR, Part.KERNEL, Part.SHARED, Part.HELPERS, Part.CACHE))
_HOST = (("w", "wasm"), ("n", "native"), _LOOKS[Part.HELPERS], _LOOKS[Part.CACHE])
