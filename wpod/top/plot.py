"""History drawn with characters: parts stacked over time, and one figure in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wpod.frozen import frozen
from wpod.top.bar import LIMIT_ROLE, Segment, common_scale, deal
from wpod.top.text import Line, Span, merged

MARK_ROLE = "mark"
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_BLANK: Span = (" ", "")
_Layer = tuple[str, str, int]  # letter, role, units of height


@frozen
class PlotStyle:
    """What plots are made of: `levels` from 0 to a full cell for one figure; without `fine` areas are letters."""

    fine: bool
    levels: str
    limit: str


BLOCKS = PlotStyle(True, _EIGHTHS[1:], "┄")
LETTERS = PlotStyle(False, "_.:-=+*#", "-")


@frozen
class Frame:
    """What is drawn around the columns: `scale` bytes are the full height (0: the greatest column or the limit).

    `marks` is a character for the place of a column, counted from the left; with marks there is one line more.
    """

    scale: int = 0
    limit: int | None = None
    marks: Mapping[int, str] | None = None


BARE = Frame()


def plot_scale(columns: Sequence[Sequence[Segment] | None], limit: int | None = None) -> int:
    """What the full height has to stand for: every column is inside, and the limit if a quarter of it is reached.

    With a limit far away what is used would be a flat line.
    """
    greatest = max((_total(column) for column in columns if column), default=0)
    return common_scale((greatest, limit if limit is not None and limit <= 4 * greatest else None))


def stacked(
    columns: Sequence[Sequence[Segment] | None], height: int, style: PlotStyle = BLOCKS, frame: Frame = BARE
) -> list[Line]:
    """`height` lines from the top, as many cells wide as there are columns, the newest at the right; then the marks.

    Each column is its parts, the first at the bottom, and as high as its total on the scale, rounded to an eighth of a
    cell (a cell with letters), at least that above 0. Of three parts or more in one cell the two with the most of it
    are seen. None is a blank column. The limit is a line on what is blank or of one part.
    """
    scale = frame.scale or plot_scale(columns, frame.limit)
    line = _limit_row(frame.limit, height, scale)
    drawn = [_column(column, height, scale, style) if column else [_BLANK] * height for column in columns]
    lines: list[Line] = []
    for row in range(height - 1, -1, -1):
        spans = [cells[row] for cells in drawn]
        if row == line:
            spans = [_on_limit(span, style) for span in spans]
        lines.append(merged(tuple(spans)))
    if frame.marks is not None:
        marks = frame.marks
        spans = [(marks[place], MARK_ROLE) if place in marks else _BLANK for place in range(len(columns))]
        lines.append(merged(tuple(spans)))
    return lines


def sparkline(values: Sequence[float | None], width: int, style: PlotStyle = BLOCKS, full: float = 0.0) -> str:
    """One character for each of the last `width` values, the newest at the right; None and what is missing are blank.

    `full` is the highest level, 0 the greatest value. Only 0 and less has the lowest level.
    """
    last = values[-width:] if width > 0 else []
    top = full or max((value for value in last if value is not None), default=0.0)
    return "".join([_level(value, top, style.levels) for value in last]).rjust(max(width, 0))


def _level(value: float | None, top: float, levels: str) -> str:
    if value is None:
        return " "
    if value <= 0 or top <= 0:
        return levels[0]
    highest = len(levels) - 1
    return levels[min(max(round(value / top * highest), 1), highest)]


def _total(column: Sequence[Segment]) -> int:
    return sum([max(found, 0) for _, _, found in column])


def _limit_row(limit: int | None, height: int, scale: int) -> int:
    """The row, counted from the bottom, in which the line is; -1 for none."""
    if limit is None or not 0 < limit <= scale or height <= 0:
        return -1
    return min(limit * height // scale, height - 1)


def _on_limit(span: Span, style: PlotStyle) -> Span:
    """The limit's line in one cell; where two colours meet in it they stay."""
    text, role = span
    if text == " ":
        return style.limit, LIMIT_ROLE
    if text == _EIGHTHS[8] or not style.fine:
        return style.limit, f"{LIMIT_ROLE}|{role}"
    return span


def _column(column: Sequence[Segment], height: int, scale: int, style: PlotStyle) -> list[Span]:
    """Its cells from the bottom."""
    fine = 8 if style.fine else 1
    amounts = [max(found, 0) for _, _, found in column]
    total = sum(amounts)
    if not total or scale <= 0:
        return [_BLANK] * height
    units = min(max((2 * total * height * fine + scale) // (2 * scale), 1), height * fine)
    layers = [
        (letter, role, high)
        for (letter, role, _), high in zip(column, deal(amounts, units), strict=True)
        if high
    ]  # fmt: skip
    if not style.fine:
        cells = [(letter, role) for letter, role, high in layers for _ in range(high)]
        return cells + [_BLANK] * (height - len(cells))
    return _stack(layers, height)


def _stack(layers: Sequence[_Layer], height: int) -> list[Span]:
    """Cells of eighths from the bottom; whole ones at once, those with a border from what is in them."""
    cells: list[Span] = []
    inside: list[tuple[str, int]] = []  # what the cell that isn't full yet holds: role, eighths
    filled = 0
    for _, role, high in layers:
        left = high
        if filled:
            taken = min(left, 8 - filled)
            inside.append((role, taken))
            filled += taken
            left -= taken
            if filled < 8:
                continue
            cells.append(_border(inside))
        full, filled = divmod(left, 8)
        cells += [(_EIGHTHS[8], role)] * full
        inside = [(role, filled)] if filled else []
    if filled:  # the top: as high as all that is in it, in the colour of the most
        cells.append((_EIGHTHS[filled], max(inside, key=lambda one: one[1])[0]))
    return cells + [_BLANK] * (height - len(cells))


def _border(inside: Sequence[tuple[str, int]]) -> Span:
    """A full cell of several parts: the two with the most, the lower one with what it has of the two."""
    if len(inside) > 2:
        most = sorted(range(len(inside)), key=lambda place: inside[place][1], reverse=True)[:2]
        inside = [inside[place] for place in sorted(most)]
    (low, below), (high, above) = inside
    return _EIGHTHS[max(min(round(8 * below / (below + above)), 7), 1)], f"{low}|{high}"
