"""History with characters: heights are the totals, the newest is at the right."""

from __future__ import annotations

import random

import pytest

from wpod.top import plot
from wpod.top.bar import Segment
from wpod.top.plot import BLOCKS, LETTERS, Frame, PlotStyle, sparkline, stacked
from wpod.top.text import line_width, plain

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_ROLES = (("P", "own"), ("K", "kernel"), ("S", "shared"), ("c", "cache"))


def _column(*amounts: int) -> list[Segment]:
    return [(letter, role, found) for (letter, role), found in zip(_ROLES, amounts, strict=False)]


def _cell_roles(lines: list[tuple[tuple[str, str], ...]], place: int) -> list[tuple[str, str]]:
    """The cells of one column from the bottom."""
    return [[(one, role) for text, role in line for one in text][place] for line in reversed(lines)]


def _eighths(lines: list[tuple[tuple[str, str], ...]], place: int) -> int:
    return sum(8 if "|" in role else _EIGHTHS.index(one) for one, role in _cell_roles(lines, place))


def test_columns_are_as_high_as_their_total() -> None:
    chance = random.Random(7)
    for _ in range(300):
        height, scale = chance.randrange(1, 12), chance.randrange(1, 1 << 30)
        columns = [
            _column(*(int(scale * chance.random() ** 3) for _ in _ROLES)) if chance.random() < 0.9 else None
            for _ in range(chance.randrange(1, 20))
        ]
        lines = stacked(columns, height, BLOCKS, Frame(scale))
        assert [line_width(line) for line in lines] == [len(columns)] * height
        for place, column in enumerate(columns):
            total = sum(found for _, _, found in column or ())
            wanted = min(max((2 * total * height * 8 + scale) // (2 * scale), 1), height * 8) if total else 0
            assert _eighths(lines, place) == wanted


def test_parts_lie_on_one_another_in_their_order() -> None:
    assert _cell_roles(stacked([_column(8, 8, 4)], 3, BLOCKS, Frame(24)), 0) == [
        ("█", "own"), ("█", "kernel"), ("▄", "shared"),
    ]  # fmt: skip
    assert _cell_roles(stacked([_column(3, 5, 8)], 2, BLOCKS, Frame(16)), 0) == [("▃", "own|kernel"), ("█", "shared")]
    assert _cell_roles(stacked([_column(4, 1, 3)], 1, BLOCKS, Frame(8)), 0) == [("▅", "own|shared")]
    assert _cell_roles(stacked([_column(1, 2)], 1, BLOCKS, Frame(8)), 0) == [("▃", "kernel")]


def test_letters_are_rows() -> None:
    lines = stacked([_column(2, 1), None, _column(0, 3), _column(1)], 4, LETTERS, Frame(4, 4))
    assert [plain(line) for line in lines] == ["----", "K K ", "P K ", "P KP"]
    assert all(plain(line).isascii() for line in lines)


def test_the_limit_is_a_line_on_what_is_blank_or_of_one_part() -> None:
    lines = stacked([None, _column(8), _column(24), _column(13)], 3, BLOCKS, Frame(24, 8))
    assert [plain(line) for line in lines] == ["  █ ", "┄┄┄▅", " ███"]
    assert _cell_roles(lines, 2)[1] == ("┄", "limit|own")
    assert "┄" not in "".join(map(plain, stacked([_column(8)], 3, BLOCKS, Frame(24, 25))))


def test_marks_have_a_line_of_their_own() -> None:
    lines = stacked([None, _column(1), _column(1)], 2, BLOCKS, Frame(marks={1: "^", 7: "x"}))
    assert len(lines) == 3
    assert lines[-1] == ((" ", ""), ("^", "mark"), (" ", ""))


def test_the_scale_has_the_limit_inside_if_it_is_near() -> None:
    assert plot.plot_scale([_column(100), None, _column(50, 70)]) == 120
    assert plot.plot_scale([_column(100)], 400) >= 400
    assert plot.plot_scale([_column(100)], 401) == plot.plot_scale([_column(100)])
    assert plot.plot_scale([]) == 0
    assert [plain(line) for line in stacked([_column(0), []], 2)] == ["  ", "  "]


@pytest.mark.parametrize("style", [BLOCKS, LETTERS])
def test_sparklines_have_their_width(style: PlotStyle) -> None:
    chance = random.Random(8)
    for _ in range(500):
        values = [chance.choice((None, 0.0, chance.random() * 100)) for _ in range(chance.randrange(30))]
        width = chance.randrange(20)
        drawn = sparkline(values, width, style)
        assert len(drawn) == width
        for value, character in zip(values[-width:] if width else [], drawn[-len(values) :], strict=False):
            assert (character == " ") == (value is None)
            assert value is None or (character == style.levels[0]) == (value <= 0)


def test_sparklines_rise_with_the_values() -> None:
    assert sparkline([None, 0, 1, 4, 7], 6) == "  ▁▂▅█"
    assert sparkline([0, 1, 4, 7, 9], 5, LETTERS, 7.0) == "_.=##"
    assert sparkline([1, 2, 3], 2, full=100.0) == "▂▂"
    assert sparkline([-1.0, 0.0], 2) == "▁▁"
    assert sparkline([], 0) == ""
