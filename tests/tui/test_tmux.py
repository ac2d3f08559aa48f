"""`wpod top` inside tmux, a terminal of its own: it draws, follows the window's size, and gives the shell back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import Wpod
from tests.top.feed import moment, village
from tests.tui.pane import PROMPT, Pane, in_tmux, until
from tests.tui.stage import recording


@pytest.mark.parametrize(
    ("terminal", "locale", "is_plain"),
    [
        ("screen-256color", "C.UTF-8", False),
        ("tmux-256color", "C.UTF-8", False),
        ("linux", "C.UTF-8", False),
        ("vt100", "C", True),
    ],
)
def test_a_session_in_tmux(wpod: Wpod, tmp_path: Path, terminal: str, locale: str, *, is_plain: bool) -> None:
    """Draws, sorts, helps, filters, is resized, and leaves the shell's screen as it was."""
    file = recording(tmp_path / "village.jsonl", [moment(village())])

    def part(pane: Pane) -> None:
        pane.shows(PROMPT)
        pane.type("echo what stood here before")
        pane.press("Enter")
        pane.shows("\nwhat stood here before")
        pane.type(f"{' '.join(wpod.program)} top --replay {file}")
        pane.press("Enter")
        pane.fits(100, 30)
        assert pane.modes == "1 1 0"
        assert any(glyph in pane.text for glyph in "●█▌─×±") != is_plain
        assert pane.text.isascii() == is_plain
        assert ("PPP" in pane.text) == (is_plain or terminal == "linux")  # for want of colours, letters

        pane.press("N")
        pane.shows("sorted by name")
        pane.press("?")
        pane.shows("What is shown")
        pane.press("Escape")
        pane.fits(100, 30)
        pane.filter()
        pane.fits(100, 30)

        before = pane.lines  # but for the last one, on which words stand for some seconds
        for size in ((130, 40), (80, 24), (82, 15), (100, 30)):
            pane.resize(*size)
            pane.fits(*size)
        until(lambda: pane.lines[:-1] == before[:-1], lambda: pane.text)

        pane.press("q")
        until(lambda: pane.modes == "0 0 1", lambda: f"{pane.modes}\n{pane.text}")
        pane.shows("\nwhat stood here before")
        until(lambda: pane.text.rstrip().endswith(f"\n{PROMPT}"), lambda: pane.text)
        assert "adds up" not in pane.text
        pane.type("echo and it is read $((40 + 2))")
        pane.press("Enter")
        pane.shows("and it is read 42")

    in_tmux(wpod, terminal, part, LANG=locale, LC_ALL=locale)
