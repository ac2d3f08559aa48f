"""What holds for all dialogs: they fit on the smallest screen, need no colours, and answer once."""

from __future__ import annotations

import asyncio

import pytest
from textual.geometry import Region
from textual.pilot import Pilot

from tests.tui.dialog_stage import (
    SMALL,
    WIDE,
    Host,
    Make,
    answers,
    columns,
    driven,
    few,
    keys_help,
    many,
    mixed,
    running,
    seen,
    shown,
)
from wpod.tui.dialogs import Confirm
from wpod.tui.reading import Tree


@pytest.mark.parametrize("make", [few, many, running, mixed, columns, keys_help])
@pytest.mark.parametrize("size", [WIDE, SMALL])
def test_all_fit(make: Make, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[None]) -> None:
        screen = Region(0, 0, *size)
        for widget in pilot.app.screen.query("Vertical, OptionList, VerticalScroll, Button, Input"):
            assert widget.region.area > 0
            assert widget.region in screen, widget
        assert pilot.app.screen.max_scroll_y == 0

    driven(make, act=look, size=size)


@pytest.mark.parametrize("make", [few, running, columns])
def test_without_colours_the_chosen_is_told(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert seen(make)[1] in ("No (n)", "t  Stop", "* CPU")


def test_two_answers_at_once_are_one() -> None:
    async def twice(pilot: Pilot[None]) -> None:
        dialog = pilot.app.screen
        assert isinstance(dialog, Confirm)
        dialog.action_yes()
        dialog.action_no()

    assert answers(few, act=twice) == [True]


@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_tree_has_signs_that_the_locale_has(ascii_only: bool) -> None:
    found: list[list[str]] = []

    async def run() -> None:
        app = Host()
        app.set_class(ascii_only, "-ascii")
        async with app.run_test(size=WIDE) as pilot:
            app.push_screen(Tree("web", {"Labels": {"caf\u00e9": "\u00fc"}, "Id": "1"}))
            await pilot.pause()
            await pilot.press("down", "enter", "down")
            await pilot.pause()
            found.append([line.strip("\u2502 ") for line in shown(app)[1:-1]])

    asyncio.run(run())
    text = "\n".join(found[0])
    assert text.isascii() == ascii_only
    assert ("caf\\u00e9" in text) == ascii_only
    assert "Labels" in text
