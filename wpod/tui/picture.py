"""The board as a picture (SVG), for documents: the same lines and colours as on the screen."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from wpod.top import palette
from wpod.top.palette import Theme
from wpod.top.text import Line
from wpod.tui.lines import Styles


def svg(lines: Sequence[Line], width: int, title: str, theme: Theme = palette.DARK) -> str:
    """A document of one picture; the same lines give the same text."""
    styles = Styles(theme)
    console = Console(
        record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor",
        legacy_windows=False,
    )  # fmt: skip
    for line in lines:
        text = Text(end="\n", no_wrap=True, overflow="crop")
        for piece, role in line:
            text.append(piece, styles.of(role))
        console.print(text, highlight=False, soft_wrap=False)
    ground, front = _triple(theme.colours["ground"]), _triple(theme.colours["text"])
    return console.export_svg(title=title, theme=TerminalTheme(ground, front, [ground] * 8), unique_id="wpod-top")


def _triple(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue
