"""Each theme by computing: parts can be seen and told apart, also by the colour-blind; text can be read."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from wpod.top import palette
from wpod.top.palette import BLINDNESSES, LEAST_CONTRAST, LEAST_TEXT_CONTRAST, NEAREST_PARTS, PARTS, THEMES, Theme

_EVERY = pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
_TEXTS = ("text", "title", "dim", "key", "mark", "limit", "bad", "warn", "good")
_HOST = ("wasm", "native", "helpers", "cache")


@_EVERY
def test_every_role_has_a_colour(theme: Theme) -> None:
    assert set(theme.colours) == set(palette.ROLES) >= {*PARTS, *_HOST, *_TEXTS, "ground", "selected", "reserved"}
    assert all(re.fullmatch("#[0-9A-F]{6}", colour) for colour in theme.colours.values())


@_EVERY
def test_parts_stand_out_from_the_ground(theme: Theme) -> None:
    ratios = {part: palette.contrast(theme.colours[part], theme.colours["ground"]) for part in (*PARTS, *_HOST)}
    assert {part: ratio for part, ratio in ratios.items() if ratio < LEAST_CONTRAST} == {}


@_EVERY
def test_parts_are_seen_in_the_selected_row(theme: Theme) -> None:
    ratios = {part: palette.contrast(theme.colours[part], theme.colours["selected"]) for part in PARTS}
    assert min(ratios.values()) >= 2.5  # there, letters and the order help


@_EVERY
@pytest.mark.parametrize("blindness", ["", *BLINDNESSES])
def test_any_two_parts_can_be_told_apart(theme: Theme, blindness: str) -> None:
    far = {
        pair: palette.distance(theme.colours[pair[0]], theme.colours[pair[1]], blindness)
        for pair in (*combinations(PARTS, 2), *combinations(_HOST, 2))
    }
    assert {pair: distance for pair, distance in far.items() if distance < NEAREST_PARTS} == {}


@_EVERY
@pytest.mark.parametrize("ground", ["ground", "selected"])
def test_text_can_be_read(theme: Theme, ground: str) -> None:
    ratios = {role: palette.contrast(theme.colours[role], theme.colours[ground]) for role in _TEXTS}
    assert {role: ratio for role, ratio in ratios.items() if ratio < LEAST_TEXT_CONTRAST} == {}


def test_roles_and_pairs_have_colours() -> None:
    dark = palette.DARK
    assert palette.colours(dark, "own") == (dark.colours["own"], None)
    assert palette.colours(dark, "own|linear") == (dark.colours["own"], dark.colours["linear"])
    assert palette.colours(dark, "") == (dark.colours["text"], None)


def test_the_arithmetic_gives_known_values() -> None:
    assert palette.contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert palette.contrast("#777777", "#FFFFFF") == pytest.approx(4.478, abs=0.001)
    assert palette.distance("#000000", "#FFFFFF") == pytest.approx(100, abs=0.01)
    of_red_and_green = ((87.73 - 53.24) ** 2 + (-86.18 - 80.09) ** 2 + (83.18 - 67.20) ** 2) ** 0.5  # from tables
    assert palette.distance("#FF0000", "#00FF00") == pytest.approx(of_red_and_green, abs=0.05)
    assert palette.distance("#7F868C", "#7F868C", "tritanopia") == 0
    for blindness in BLINDNESSES:  # greys are seen as they are
        assert palette.distance("#000000", "#FFFFFF", blindness) == pytest.approx(100, abs=0.1)
    assert palette.distance("#FF0000", "#00FF00", "deuteranopia") < palette.distance("#FF0000", "#00FF00") / 2
