"""What a benchmark found: figures with their goals, and how they are shown."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.paired import Ratio


class Scale(enum.Enum):
    """How much is measured. QUICK only shows that everything runs; its figures mean nothing."""

    FULL = "full"
    QUICK = "quick"


class Verdict(enum.Enum):
    REACHED = "reached"
    MISSED = "MISSED"
    NONE = ""


@dataclass(frozen=True)
class Figure:
    """One measured value. `goal` is the most that it may be; `low` and `high` are its 90 % interval."""

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
class Section:
    """One benchmark's result. `skipped` names what could not be measured and why; `raw` is all that was read."""

    name: str
    title: str
    figures: tuple[Figure, ...] = ()
    skipped: tuple[str, ...] = ()
    raw: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        figures = [{**asdict(figure), "verdict": figure.verdict.value} for figure in self.figures]
        return {"title": self.title, "figures": figures, "skipped": list(self.skipped), "raw": self.raw}


def of_ratio(name: str, found: Ratio, goal: float | None = None, note: str = "") -> Figure:
    """A ratio as a figure."""
    return Figure(name, found.value, "x", goal, found.low, found.high, note)


_HEADINGS = ("figure", "value", "90 % interval", "goal", "verdict", "")


def _cells(figure: Figure) -> tuple[str, ...]:
    interval = "" if figure.low is None or figure.high is None else f"{_number(figure.low)} – {_number(figure.high)}"
    goal = "" if figure.goal is None else f"≤ {_number(figure.goal)}"
    return (figure.name, f"{_number(figure.value)} {figure.unit}", interval, goal, figure.verdict.value, figure.note)


def _number(value: float) -> str:
    """Three figures are all that a measurement here is good for."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def as_text(section: Section) -> str:
    """For a terminal: the title, a table, and what was skipped."""
    rows = [_HEADINGS, *(_cells(figure) for figure in section.figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([section.title, *(lines if section.figures else []), *_skips(section.skipped, "skipped: "), ""])


def as_markdown(section: Section) -> str:
    """For a file: a heading, a table, and what was skipped."""
    rows = [_HEADINGS, tuple("---" for _ in _HEADINGS), *(_cells(figure) for figure in section.figures)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    table = lines if section.figures else []
    return "\n".join([f"## {section.title}", "", *table, "", *_skips(section.skipped, "- skipped: "), ""])


def _skips(skipped: Sequence[str], prefix: str) -> list[str]:
    return [prefix + reason for reason in skipped]
