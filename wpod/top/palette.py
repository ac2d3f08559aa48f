"""Colours as data: what each role looks like in each theme, and the arithmetic by which a theme is judged."""

from __future__ import annotations

from collections.abc import Mapping

from wpod.frozen import frozen
from wpod.model.memory import Part

PARTS = tuple(part.value for part in Part)
NEAREST_PARTS = 27.0  # of CIE76, also for the colour-blind
LEAST_CONTRAST = 3.0  # of what has an area
LEAST_TEXT_CONTRAST = 4.5

Triple = tuple[float, float, float]
Matrix = tuple[Triple, Triple, Triple]


@frozen
class Theme:
    """`colours` has every role of `ROLES` as `#RRGGBB`; `ground` and `selected` are what lies behind the others."""

    name: str
    dark: bool
    colours: Mapping[str, str]


_DARK_PARTS = {
    "own": "#0271FB", "linear": "#E1FF26", "kernel": "#D99714", "code": "#ADCBFF", "shared": "#11BE6A",
    "helpers": "#FFC9CC", "cache": "#7F868C",
}  # fmt: skip
_LIGHT_PARTS = {
    "own": "#014683", "linear": "#A27F59", "kernel": "#C10000", "code": "#3697CA", "shared": "#001135",
    "helpers": "#A92ADE", "cache": "#7A8187",
}  # fmt: skip

DARK = Theme("dark", True, {
    **_DARK_PARTS, "wasm": _DARK_PARTS["linear"], "native": _DARK_PARTS["own"],
    "ground": "#101418", "text": "#D8DEE4", "title": "#FFFFFF", "dim": "#8B949E", "reserved": "#8B949E",
    "key": "#ADCBFF", "selected": "#1E2A38", "limit": "#FFFFFF", "mark": "#FFFFFF",
    "bad": "#FF6B6B", "warn": "#F2C14E", "good": "#5BD68A",
})  # fmt: skip
LIGHT = Theme("light", False, {
    **_LIGHT_PARTS, "wasm": _LIGHT_PARTS["linear"], "native": _LIGHT_PARTS["own"],
    "ground": "#FFFFFF", "text": "#1B1F24", "title": "#000000", "dim": "#5C6670", "reserved": "#5C6670",
    "key": "#014683", "selected": "#E4EEF8", "limit": "#000000", "mark": "#000000",
    "bad": "#C1121F", "warn": "#8A5A00", "good": "#0B6E3B",
})  # fmt: skip
THEMES = {theme.name: theme for theme in (DARK, LIGHT)}
ROLES = tuple(DARK.colours)


def colours(theme: Theme, role: str) -> tuple[str, str | None]:
    """The colours of the characters and of what is behind them, None where that is what was there before.

    A role may be "" (text) or a pair `a|b`.
    """
    front, _, behind = role.partition("|")
    return theme.colours[front or "text"], theme.colours[behind] if behind else None


# Linear RGB of what is seen by those without one kind of cone: G. M. Machado, M. M. Oliveira, L. A. F. Fernandes,
# "A Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE TVCG 15(6), 2009, severity 1.0.
# The distances in both themes hold for these (in linear RGB); the least is 27.4, in the light one.
BLINDNESSES: Mapping[str, Matrix] = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900),
    ),
}  # fmt: skip

# IEC 61966-2-1 (sRGB): linear RGB to XYZ, and the white of D65.
_XYZ: Matrix = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
_WHITE: Triple = (0.95047, 1.0, 1.08883)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2 of two colours, 1 to 21."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def distance(one: str, other: str, blindness: str = "") -> float:
    """CIE76: how far two colours are from one another in L*a*b*, to those with such a blindness (`BLINDNESSES`)."""
    first, second = _lab(one, blindness), _lab(other, blindness)
    return float(sum((a - b) ** 2 for a, b in zip(first, second, strict=True)) ** 0.5)


def _linear(colour: str) -> Triple:
    values = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values)
    return red, green, blue


def _luminance(colour: str) -> float:
    return _times(_XYZ, _linear(colour))[1]


def _lab(colour: str, blindness: str) -> Triple:
    light = _linear(colour)
    if blindness:
        red, green, blue = _times(BLINDNESSES[blindness], light)
        light = min(max(red, 0.0), 1.0), min(max(green, 0.0), 1.0), min(max(blue, 0.0), 1.0)
    x, y, z = (_root(part / white) for part, white in zip(_times(_XYZ, light), _WHITE, strict=True))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _root(value: float) -> float:
    """The function f of CIE L*a*b*."""
    return float(value ** (1 / 3)) if value > (6 / 29) ** 3 else value / (3 * (6 / 29) ** 2) + 4 / 29


def _times(matrix: Matrix, vector: Triple) -> Triple:
    one, two, three = vector
    first, second, third = (row[0] * one + row[1] * two + row[2] * three for row in matrix)
    return first, second, third
