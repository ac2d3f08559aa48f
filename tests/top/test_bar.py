"""The memory bar: as long as the total, every part in sight, always in one order."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import groupby, pairwise

import pytest

from wpod.model.memory import DEFINITIONS, UNKNOWN, Breakdown, Part
from wpod.top import bar as bars
from wpod.top.bar import BLOCKS, LETTERS, BarStyle, Marks, Scale, bar, bar_of, segments
from wpod.top.text import Line, line_width, plain

_M = 1 << 20
_ORDER = "PLKXShc"


def _breakdowns(count: int = 1500) -> Iterator[tuple[Breakdown, int, int]]:
    """A breakdown, the cells and the scale of its bar: mostly larger than the total."""
    chance = random.Random(5)
    for _ in range(count):
        parts = {
            part.value: None if chance.random() < 0.2 else int(chance.choice((0.0, 1.0)) * 2 ** chance.uniform(0, 34))
            for part in Part
        }
        breakdown = Breakdown(**{**parts, "own": parts["own"] or 0})
        total = breakdown.total or 0
        yield breakdown, chance.randrange(1, 90), max(int(total * chance.choice((0.5, 1.0, 1.7, 10.0))), 1)


def _halves(line: Line) -> list[str]:
    """The role that each half of a cell shows, "" for the ground."""
    shown: list[str] = []
    for text, role in line:
        front, _, behind = role.partition("|")
        for character in text:
            if character == "▌":
                shown += [front, behind]
            elif character in _ORDER and behind:
                assert front == "ground"
                shown += [behind, behind]
            else:
                shown += [role, role] if character == "█" else ["", ""]
    return shown


def _expected(total: int, units: int, scale: int) -> int:
    return min(max(int(total * units / scale + 0.5), 1), units) if total else 0


def test_the_bar_is_as_long_as_the_total() -> None:
    for breakdown, cells, scale in _breakdowns():
        total = breakdown.total or 0
        line = bar(segments(breakdown), cells, scale)
        assert line_width(line) == cells
        halves = _halves(line)
        length = len([role for role in halves if role])
        assert length == _expected(total, 2 * cells, scale)
        assert not any(halves[length:])


def test_every_part_is_seen_in_its_order() -> None:
    for breakdown, cells, scale in _breakdowns():
        present = [(part, found) for part, found in segments(breakdown) if found]
        halves = [role for role in _halves(bar(segments(breakdown), cells, scale)) if role]
        seen = [role for role, _ in groupby(halves)]
        assert seen == [part.value for part, _ in present if part.value in seen]
        assert len(seen) == min(len(present), len(halves))
        counts = sorted((found, halves.count(part.value)) for part, found in present)
        for (less, few), (more, many) in pairwise(counts):
            assert few <= many or less == more


def test_letters_are_ascii_and_stand_for_cells() -> None:
    for breakdown, cells, scale in _breakdowns():
        line = bar(segments(breakdown), cells, scale, LETTERS, Marks(scale // 2, 5 * _M))
        assert plain(line).isascii()
        assert line_width(line) == cells
        shown = plain(bar(segments(breakdown), cells, scale, LETTERS))
        assert len(shown) == cells
        assert len(shown.rstrip()) == _expected(breakdown.total or 0, cells, scale)
        assert "".join(sorted(shown.rstrip(), key=_ORDER.index)) == shown.rstrip()


def test_a_segment_of_three_cells_carries_its_letter_once() -> None:
    for breakdown, cells, scale in _breakdowns():
        line = bar(segments(breakdown), cells, scale)
        halves = _halves(line)
        for part in Part:
            letter = DEFINITIONS[part].letter
            assert plain(line).count(letter) == (halves.count(part.value) >= 6)
            if letter in plain(line):
                first = halves.index(part.value)
                assert plain(line).index(letter) == (first + 1) // 2


def test_a_growing_total_never_shortens_the_bar() -> None:
    lengths = [
        len([role for role in _halves(bar([(Part.OWN, total), (Part.KERNEL, total // 7)], 40, 100 * _M)) if role])
        for total in range(0, 130 * _M, _M // 3)
    ]
    assert lengths == sorted(lengths)
    assert lengths[0] == 0
    assert lengths[-1] == 80


def test_of_the_specification() -> None:
    breakdown = Breakdown(own=10, linear=8, kernel=5, code=1, shared=1)
    assert plain(bar_of(bars.row_segments(breakdown), 25, 25, LETTERS)) == "PPPPPPPPPPLLLLLLLLKKKKKSS"
    assert bar([(Part.OWN, 5), (Part.KERNEL, 6)], 6, 12) == (
        ("██", "own"), ("▌", "own|kernel"), ("K", "ground|kernel"), ("█", "kernel"), ("▌", "kernel"),
    )  # fmt: skip
    assert bar([(Part.OWN, 3), (Part.CACHE, 1)], 6, 6) == (
        ("P", "ground|own"), ("██", "own"), ("█", "cache"), ("  ", ""),
    )  # fmt: skip


@pytest.mark.parametrize(("limit", "place"), [(1, 0), (50, 20), (99, 39), (100, 39), (101, None), (0, None)])
@pytest.mark.parametrize("style", [BLOCKS, LETTERS])
def test_the_limit_is_at_its_place(limit: int, place: int | None, style: BarStyle) -> None:
    for own in (0, 30, 100):
        line = bar([(Part.OWN, own)], 40, 100, style, Marks(limit))
        assert line_width(line) == 40
        assert plain(line).find("|") == (-1 if place is None else place)
        if place is not None:
            assert ("|", "limit|own" if place < own * 40 // 100 else "limit") in line


def test_reserved_memory_follows_the_bar_and_counts_nothing() -> None:
    parts = [(Part.OWN, 10), (Part.LINEAR, 5)]
    assert plain(bar(parts, 40, 40, LETTERS, Marks(None, 10))) == "P" * 10 + "L" * 5 + "." * 10 + " " * 15
    assert plain(bar(parts, 40, 40, LETTERS, Marks(None, 1000))) == "P" * 10 + "L" * 5 + "." * 25
    assert plain(bar(parts, 40, 40, LETTERS, Marks(20, 10)))[20] == "|"
    assert ("·" * 10, "reserved") in bar(parts, 40, 40, BLOCKS, Marks(None, 10))
    assert bars.reserved(Breakdown(own=1, linear=3, linear_size=10)) == 7
    assert bars.reserved(UNKNOWN) == bars.reserved(Breakdown(own=1, linear=3, linear_size=2)) == 0


def test_unknown_parts_are_left_out() -> None:
    assert not segments(UNKNOWN)
    assert not bars.row_segments(UNKNOWN)
    assert segments(Breakdown(own=0, cache=4)) == [(Part.OWN, 0), (Part.CACHE, 4)]
    assert bars.row_segments(Breakdown(own=1, shared=4)) == [("P", "own", 1), ("S", "shared", 4)]
    assert plain(bar([], 5, 10)) == plain(bar([(Part.OWN, 3)], 5, 0)) == " " * 5
    assert bar([(Part.OWN, 3)], 0, 10) == ()
    assert plain(bar([(Part.OWN, -3), (Part.KERNEL, 5)], 5, 10, LETTERS)) == "KKK  "


def test_the_machine_has_four_parts() -> None:
    line = bar_of(bars.host_segments(118, 61, 4, None), 20, 183, LETTERS)
    assert plain(line) == "w" * 12 + "n" * 7 + "h"
    assert [role for _, role in line] == ["wasm", "native", "helpers"]


def test_scales() -> None:
    assert bars.scale_bytes(Scale.COMMON, 5, 7, 9) == 9
    assert bars.scale_bytes(Scale.LIMIT, 5, 7, 9) == 7
    assert bars.scale_bytes(Scale.LIMIT, 5, None, 9) == 0
    assert bars.scale_bytes(Scale.COMPOSITION, 5, 7, 9) == 5
    assert bars.scale_bytes(Scale.COMPOSITION, None, 7, 9) == 0
    assert bars.common_scale([]) == bars.common_scale([None, 0]) == 0
    for greatest in range(1, 5000):
        assert greatest <= bars.common_scale([1, None, greatest]) <= greatest * 9 / 8
    assert len({bars.common_scale([total]) for total in range(4096, 8192)}) <= 9


def test_units_are_dealt_to_the_last() -> None:
    chance = random.Random(6)
    for _ in range(3000):
        amounts = [chance.choice((0, 1, 5, 5, 1000, chance.randrange(1 << 40))) for _ in range(chance.randrange(9))]
        units = chance.randrange(30)
        dealt = bars.deal(amounts, units)
        assert sum(dealt) == (units if any(amounts) else 0)
        assert len([one for one in dealt if one]) >= min(units, len([one for one in amounts if one]))
        pairs = sorted(zip(amounts, dealt, strict=True))
        assert all(few <= many or less == more for (less, few), (more, many) in pairwise(pairs))
