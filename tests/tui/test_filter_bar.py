"""What the line for the filter tells while somebody types in it."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.geometry import Region
from textual.widgets import Input, OptionList

from tests.tui.dialog_stage import SMALL, shown
from wpod.tui.filter_bar import FilterBar


class Bar(App[None]):
    """A filter bar under something that has keys of its own."""

    BINDINGS: ClassVar[list[BindingType]] = [("slash", "filter", ""), ("q", "reached", "")]

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.text = text
        self.heard: list[tuple[str, str]] = []

    def compose(self) -> ComposeResult:
        yield OptionList("one", "two")
        yield FilterBar()

    def action_filter(self) -> None:
        self.query_one(FilterBar).open(self.text)

    def action_reached(self) -> None:
        self.heard.append(("key", "q"))

    def on_filter_bar_changed(self, event: FilterBar.Changed) -> None:
        self.heard.append(("changed", event.text))

    def on_filter_bar_accepted(self, event: FilterBar.Accepted) -> None:
        self.heard.append(("accepted", event.text))

    def on_filter_bar_cancelled(self, event: FilterBar.Cancelled) -> None:
        self.heard.append(("cancelled", event.text))


def heard(*keys: str, text: str = "") -> list[tuple[str, str]]:
    async def run() -> list[tuple[str, str]]:
        app = Bar(text)
        async with app.run_test(size=SMALL) as pilot:
            await pilot.press(*keys)
            await pilot.pause()
        return app.heard

    return asyncio.run(run())


def test_the_filter_is_heard_while_it_is_typed() -> None:
    assert heard("slash", "d", "q", "enter") == [("changed", "d"), ("changed", "dq"), ("accepted", "dq")]


def test_a_filter_given_up_is_the_one_before() -> None:
    assert heard("slash", "b", "escape", text="a") == [("changed", "ab"), ("cancelled", "a")]


def test_opening_alone_changes_nothing() -> None:
    assert heard("slash", "enter", text="kind:wasm") == [("accepted", "kind:wasm")]


def test_a_closed_bar_takes_no_keys() -> None:
    assert heard("q") == [("key", "q")]
    assert heard("slash", "a", "enter", "q")[-1] == ("key", "q")


def test_the_bar_is_the_last_line_while_it_is_open() -> None:
    async def run() -> None:
        app = Bar("x")
        async with app.run_test(size=SMALL) as pilot:
            bar = app.query_one(FilterBar)
            assert (bar.is_open, bar.display) == (False, False)
            await pilot.press("slash")
            await pilot.pause()
            assert bar.is_open
            assert bar.region == Region(0, 14, 60, 1)
            assert shown(app)[14].startswith("/ x")
            await pilot.press("backspace")
            await pilot.pause()
            assert "kind:wasm" in shown(app)[14]
            await pilot.press("escape")
            await pilot.pause()
            assert (bar.is_open, bar.display) == (False, False)
            assert not isinstance(app.focused, Input)

    asyncio.run(run())
