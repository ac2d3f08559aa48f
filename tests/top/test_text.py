"""The alphabet of `wpod top`: what may reach the terminal, cells, and amounts."""

from __future__ import annotations

import random
import unicodedata

import pytest

from wpod.top import text
from wpod.top.text import Align, Line

_HOSTILE = (
    "\x1b[31mred", "a\nb", "a\r\tb", "\x07\x00\x7f", "\x9b2J", "\x85",
    "\u202egpj.exe\u202c", "\u2066a\u2069", "\u200fa",
    "\u2028\u2029", "\ufeffx", "a\u200db", "a\u00adb", "\ud800\udc41", "\ue000", "\u0378", "\U000e0041", "\u061c",
)  # fmt: skip


@pytest.mark.parametrize("hostile", _HOSTILE)
@pytest.mark.parametrize("ascii_only", [False, True])
def test_nothing_that_a_terminal_obeys_gets_through(hostile: str, ascii_only: bool) -> None:
    kept = text.clean(hostile, ascii_only)
    assert "?" in kept
    assert kept.isprintable()
    assert not {unicodedata.category(one) for one in kept} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert text.fit(hostile, 30, ascii_only=ascii_only).isprintable()
    assert not ascii_only or kept.isascii()


def test_no_character_of_unicode_gets_through_that_is_not_printable() -> None:
    for start in range(0, 0x110000, 0x1000):
        assert text.clean("x".join(map(chr, range(start, start + 0x1000)))).isprintable()


def test_what_is_plain_stays_as_it_is() -> None:
    for plain in (
        "api ×400",
        "registry.test/library/postgres:16",
        "Größe ● ✗ │ ▌ ⣿ …",
        "データ",
        "ภาษาไทย",
        "שלום",
        "",
    ):
        assert text.clean(plain) == plain


def test_only_ascii_where_nothing_else_can_be_shown() -> None:
    assert text.clean("api ×400 データ", ascii_only=True) == "api x400 ???"


def test_marks_need_a_letter_and_there_are_few_on_it() -> None:
    assert text.clean("\u0301a") == "?a"
    assert text.clean("a\u0301") == "á"
    assert text.clean("x" + "\u0323" * 5) == "x\u0323\u0323???"
    assert text.clean("\u2764\ufe0f") == "\u2764?"
    assert text.clean("a\u00a0b\u3000c") == "a b c"


def test_what_terminals_give_different_widths_does_not_get_through() -> None:
    assert text.clean("\u1100\u1161") == "가"  # composed
    assert text.clean("x\u1161\u4dc0\U0001f3fb\u093f") == "x????"


def test_width_counts_cells() -> None:
    assert text.width("abc") == 3
    assert text.width("データ") == 6
    assert text.width("x\u0323y") == 2
    assert text.width("│▌⣿●") == 4
    assert text.width("") == 0


@pytest.mark.parametrize(
    ("given", "cells", "align", "expected"),
    [
        ("abc", 5, "left", "abc  "), ("abc", 5, "right", "  abc"), ("abc", 6, "middle", " abc  "),
        ("abcdef", 4, "left", "abc…"), ("abcdef", 1, "left", "…"), ("abc", 0, "left", ""), ("abc", -1, "left", ""),
        ("データ", 6, "left", "データ"), ("データ", 5, "left", "デー…"), ("データ", 4, "left", "デ… "),
        ("データ", 4, "right", " デ…"), ("a\nb", 3, "left", "a?b"), ("", 2, "left", "  "),
    ],
)  # fmt: skip
def test_fit_takes_exactly_its_cells(given: str, cells: int, align: Align, expected: str) -> None:
    assert text.fit(given, cells, align) == expected


def test_fit_cuts_in_ascii_too() -> None:
    assert text.fit("abcdef", 4, ascii_only=True) == "abc~"


def test_fit_of_anything_has_its_cells() -> None:
    chance = random.Random(1)
    letters = "ab ─データ\u0323\u0301\x1b\n\u202e가\u1161😀\u200d\ufe0f\u00a0"
    for _ in range(2000):
        given = "".join(chance.choices(letters, k=chance.randrange(30)))
        cells = chance.randrange(20)
        assert text.width(text.fit(given, cells)) == cells


def test_fit_looks_at_the_beginning_of_a_long_text_only() -> None:
    assert text.fit("x" + "\u0301" * 1_000_000, 4) == "x\u0301\u0301??…"


def _random_line(chance: random.Random) -> Line:
    return tuple(
        ("".join(chance.choices("abデ─\u0323", k=chance.randrange(5))), chance.choice(("", "own")))
        for _ in range(chance.randrange(5))
    )


def test_lines_are_padded_and_cropped_to_cells() -> None:
    chance = random.Random(2)
    for _ in range(1000):
        line = _random_line(chance)
        cells = chance.randrange(12)
        assert text.line_width(text.pad(text.crop(line, cells), cells)) == cells
        assert text.crop(line, text.line_width(line)) == line or "" in [one for one, _ in line] or "\u0323" in str(line)


def test_a_cut_through_a_wide_character_leaves_a_blank() -> None:
    line: Line = (("aデb", "own"), ("c", ""))
    assert text.cut(line, 0, 2) == (("a ", "own"),)
    assert text.cut(line, 2, 4) == ((" b", "own"),)
    assert text.cut(line, 1, 5) == (("デb", "own"), ("c", ""))
    assert text.cut((("デ", "own"),), 0, 1) == ((" ", "own"),)


def test_neighbours_of_one_role_are_merged() -> None:
    assert text.merged((("a", "x"), ("", "y"), ("b", "x"), ("c", ""))) == (("ab", "x"), ("c", ""))


_K, _M, _G = 1 << 10, 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("bytes_", "expected"),
    [
        (None, "-"), (0, "0"), (1, "1B"), (512, "512B"), (1023, "1023B"), (1024, "1.0K"), (640 * _K, "640K"),
        (int(3.9 * _M), "3.9M"), (int(57.8 * _M), "57.8M"), (101 * _M, "101M"), (64 * _M, "64.0M"),
        (int(99.96 * _M), "100M"), (1023 * _M, "1023M"), (int(1023.7 * _M), "1.0G"), (int(14.1 * _G), "14.1G"),
        (-3 * _M, "-3.0M"), (-int(57.8 * _M), "-58M"), (-1000 * _M, "-1.0G"), (1 << 50, "1.0P"),
    ],
)  # fmt: skip
def test_amounts(bytes_: int | None, expected: str) -> None:
    assert text.amount(bytes_) == expected


@pytest.mark.parametrize(
    ("slope", "expected"),
    [
        (None, ""), (0.0, "0"), (511.0, "0"), (-511.0, "0"), (1.2 * _M, "+1.2M"), (-3.0 * _M, "-3M"),
        (6.1 * _M, "+6.1M"), (3.0 * _M, "+3M"), (1000.0 * _K, "+1M"), (512.0, "+512B"), (-101.0 * _K, "-101K"),
    ],
)  # fmt: skip
def test_signed_amounts(slope: float | None, expected: str) -> None:
    assert text.signed_amount(slope) == expected


def test_amounts_take_five_cells_at_most() -> None:
    chance = random.Random(4)
    for _ in range(5000):
        bytes_ = int(2 ** chance.uniform(0, 62)) * chance.choice((1, -1))
        assert len(text.amount(bytes_)) <= 5
        assert len(text.signed_amount(float(bytes_))) <= 5
        assert text.amount(bytes_) != "0"


def test_exact_bytes_are_grouped() -> None:
    shown = [text.exact(bytes_) for bytes_ in (12_345_678, 0, None, -1000)]
    assert shown == ["12,345,678", "0", "-", "-1,000"]


def test_ages_take_four_cells_at_most() -> None:
    ages = {0: "0s", 12.7: "12s", 59: "59s", 60: "1m", 16 * 60: "16m", 3599: "59m", 3 * 3600: "3h", 86_399: "23h",
            5 * 86_400: "5d", 999 * 86_400: "999d", 1000 * 86_400: "2y", -5: "0s"}  # fmt: skip
    assert {seconds: text.age(seconds) for seconds in ages} == ages
    assert text.age(None) == "-"


def test_percentages() -> None:
    shown = [text.percent(value) for value in (None, 0.0, 3.14, 98.0, 99.96, 250.04)]
    assert shown == ["-", "0.0", "3.1", "98.0", "100", "250"]
    assert [text.percent(75.4, 0), text.percent(100.0, 0)] == ["75", "100"]
