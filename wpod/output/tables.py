"""Tables in podman's look: columns of at least 12 characters, two blanks between, nothing cut.

It is Go's tabwriter with podman's settings (minimum 12, padding 2): a cell that a tab ends takes part in its
column's width, the last one of a line doesn't.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_MINIMUM = 12
_PADDING = 2


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, heading: bool = True) -> str:
    """Header and rows, each line with its newline; without heading and rows the text is empty."""
    lines = [list(headers)] if heading else []
    lines += [[one_line(cell) for cell in row] for row in rows]
    return align(lines)


def align(lines: Sequence[Sequence[str]]) -> str:
    """Cells of each line in columns. A column ends where a line has no cell for it (tabwriter's blocks)."""
    if len({len(line) for line in lines}) == 1:  # of most tables: a block for each column
        lengths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        of_each = [*(max(length + _PADDING, _MINIMUM) for length in lengths[:-1]), 0]
        return "".join(["".join(map(str.ljust, line, of_each)) + "\n" for line in lines])
    widths = [[0] * max(len(line) - 1, 0) for line in lines]
    for start, line in enumerate(lines):
        for column in range(len(line) - 1):
            if start and len(lines[start - 1]) - 1 > column:
                continue  # measured with the block that began above
            end = start
            while end < len(lines) and len(lines[end]) - 1 > column:
                end += 1
            width = max(max(len(lines[row][column]) for row in range(start, end)) + _PADDING, _MINIMUM)
            for row in range(start, end):
                widths[row][column] = width
    text = (
        "".join(cell.ljust(width) for cell, width in zip(line, [*width_of, 0], strict=True)) if line else ""
        for line, width_of in zip(lines, widths, strict=True)
    )
    return "".join(f"{line}\n" for line in text)


def one_line(cell: str) -> str:
    """A cell that keeps to its line and column: a newline or tab in a label is shown, not obeyed."""
    if "\n" in cell or "\t" in cell or "\r" in cell:
        return cell.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return cell
