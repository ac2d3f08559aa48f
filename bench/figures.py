"""What a benchmark found: figures with their goals, and how they are shown."""

from __future__ import annotations

import enum
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.paired import Ratio


class Scale(enum.Enum):
    """How much is measured.

    QUICK only shows that everything runs; its figures mean nothing. GUARD is what guard.py needs: fewer turns and fewer
    contestants, whose figures have the same names.
    """

    FULL = "full"
    GUARD = "guard"
    QUICK = "quick"


class Verdict(enum.Enum):
    REACHED = "reached"
    MISSED = "MISSED"
    NONE = ""


@dataclass(frozen=True)
class Figure:
    """One measured value. `goal` is the most that it may be.

    `low` and `high` are the 90 % interval of a ratio, and the least and the greatest of repeated measurements, whose
    median the value is.
    """

    name: str
    value: float
    unit: str
    goal: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """The value alone is judged, not the interval."""
        if self.goal is None:
            return Verdict.NONE
        return Verdict.REACHED if self.value <= self.goal else Verdict.MISSED


@dataclass(frozen=True)
class Table:
    """A table that shows many figures at a glance; its first row are the headings."""

    title: str
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """One benchmark's result. `skipped` names what could not be measured and why; `raw` is all that was read.

    `tables` are shown instead of those figures that have no goal.
    """

    name: str
    title: str
    figures: tuple[Figure, ...] = ()
    skipped: tuple[str, ...] = ()
    raw: dict[str, Any] = field(default_factory=dict)
    tables: tuple[Table, ...] = ()

    @property
    def shown(self) -> tuple[Figure, ...]:
        """The figures to list one by one."""
        return tuple(figure for figure in self.figures if figure.goal is not None or not self.tables)

    def as_json(self) -> dict[str, Any]:
        figures = [{**asdict(figure), "verdict": figure.verdict.value} for figure in self.figures]
        return {"title": self.title, "figures": figures, "skipped": list(self.skipped), "raw": self.raw}


def of_ratio(name: str, found: Ratio, goal: float | None = None, note: str = "") -> Figure:
    """A ratio as a figure."""
    return Figure(name, found.value, "x", goal, found.low, found.high, note)


def of_repeats(name: str, values: Sequence[float], unit: str, goal: float | None = None, note: str = "") -> Figure:
    """The median of repeated measurements as a figure. Raises ValueError (StatisticsError) without any."""
    return Figure(name, statistics.median(values), unit, goal, min(values), max(values), note)


_HEADINGS = ("figure", "value", "spread", "goal", "verdict", "")


def _cells(figure: Figure) -> tuple[str, ...]:
    goal = "" if figure.goal is None else f"≤ {number(figure.goal)}"
    value = f"{number(figure.value)} {figure.unit}"
    return (figure.name, value, interval(figure), goal, figure.verdict.value, figure.note)


def interval(figure: Figure) -> str:
    """The spread as text, or nothing where it was measured once."""
    return "" if figure.low is None or figure.high is None else f"{number(figure.low)} – {number(figure.high)}"


def number(value: float) -> str:
    """Three figures are all that a measurement here is good for."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def as_text(section: Section) -> str:
    """For a terminal: the title, tables, and what was skipped."""
    lines = [section.title]
    for table in _tables(section):
        lines += [table.title] if table.title else []
        lines += aligned(table.rows)
    return "\n".join([*lines, *_skips(section.skipped, "skipped: "), ""])


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table for a terminal."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    padded = (zip(row, widths, strict=True) for row in rows)
    return ["  ".join(cell.ljust(width) for cell, width in row).rstrip() for row in padded]


def as_markdown(section: Section) -> str:
    """For a file: a heading, tables, and what was skipped."""
    lines = [f"## {section.title}", ""]
    for table in _tables(section):
        lines += [f"{table.title}:", ""] if table.title else []
        lines += [*markdown_rows(table.rows), ""]
    return "\n".join([*lines, *_skips(section.skipped, "- skipped: "), ""])


def markdown_rows(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table whose first row are the headings."""
    headings, *others = rows
    return ["| " + " | ".join(row) + " |" for row in (headings, ["---"] * len(headings), *others)]


def _tables(section: Section) -> list[Table]:
    shown = Table("", (_HEADINGS, *(_cells(figure) for figure in section.shown)))
    return [*section.tables, *([shown] if section.shown else [])]


def _skips(skipped: Sequence[str], prefix: str) -> list[str]:
    return [prefix + reason for reason in skipped]
