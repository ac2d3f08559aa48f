"""A dialog on a stage: what it shows and answers after keys and clicks; and one of each to try."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Static

from wpod.top.moment import Facts, Item, State
from wpod.tui.dialogs import ActionMenu, Choice, Confirm
from wpod.tui.help_screen import Help

WIDE, SMALL = (80, 24), (60, 15)
Act = Callable[[Pilot[None]], Awaitable[object]]
Make = Callable[[], Screen[Any]]


class Host(App[None]):
    """Shows one dialog and keeps what it answers; counts what reaches the screen below."""

    BINDINGS: ClassVar[list[BindingType]] = [(key, "reached", "") for key in "qxyn"]

    def __init__(self, dialog: Screen[Any] | None = None) -> None:
        super().__init__()
        self.dialog = dialog
        self.answers: list[Any] = []
        self.reached = 0

    def compose(self) -> ComposeResult:
        yield Static("below")

    def on_mount(self) -> None:
        if self.dialog is not None:
            self.push_screen(self.dialog, self.answers.append)

    def action_reached(self) -> None:
        self.reached += 1


def shown(app: App[Any]) -> list[str]:
    """The lines on the screen."""
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip).rstrip() for strip in strips]


def chosen_text(app: App[Any]) -> str:
    """What is told from the rest without colours: reversed, or behind a `>`."""
    found = [
        segment.text.strip().removeprefix("> ")
        for strip in app.screen._compositor.render_strips()
        for segment in strip
        if segment.text.startswith("> ") or (segment.style is not None and segment.style.reverse)
    ]
    return "|".join(text for text in found if text)


def driven(make: Make, *keys: str, act: Act | None = None, size: tuple[int, int] = WIDE) -> Host:
    """The application after these keys and this act on a dialog."""

    async def run() -> Host:
        app = Host(make())
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await pilot.press(*keys)
            if act is not None:
                await act(pilot)
            await pilot.pause()
        return app

    return asyncio.run(run())


def answers(make: Make, *keys: str, act: Act | None = None, size: tuple[int, int] = WIDE) -> list[Any]:
    return driven(make, *keys, act=act, size=size).answers


def seen(make: Make, *keys: str, size: tuple[int, int] = WIDE) -> tuple[list[str], str]:
    """The lines and what is chosen, after these keys."""
    found: list[tuple[list[str], str]] = []

    async def look(pilot: Pilot[None]) -> None:
        await pilot.pause()
        found.append((shown(pilot.app), chosen_text(pilot.app)))

    driven(make, *keys, act=look, size=size)
    return found[0]


def clicking(selector: str, offset: tuple[int, int] = (1, 0)) -> Act:
    async def click(pilot: Pilot[None]) -> None:
        await pilot.click(selector, offset=offset)

    return click


async def outside(pilot: Pilot[None]) -> None:
    await pilot.click(offset=(0, 0))


def item(name: str, state: State = State.RUNNING) -> Item:
    return Item(Facts(name * 8, name, "wasm", "localhost/one:1", "", started_nanoseconds=1, state=state))


def few() -> Confirm:
    return Confirm("Kill 2 containers?", ("web", "db"), "wpod kill web db")


def many() -> Confirm:
    names = tuple(f"web-{number}" for number in range(14))
    return Confirm("Kill 14 containers?", names, "wpod kill " + " ".join(names))


def running() -> ActionMenu:
    return ActionMenu([item("web")])


def ended() -> ActionMenu:
    return ActionMenu([item("web", State.ENDED)])


def mixed() -> ActionMenu:
    return ActionMenu([item("web"), item("db", State.ENDED), item("c")])


def columns(present: str = "cpu") -> Choice:
    return Choice("Sort by", [("name", "Name"), ("cpu", "CPU"), ("a b!", "Odd")], present)


BINDINGS = [
    ("up down j k", "move", "Looking"),
    ("x F9", "menu of actions", "Changing"),
    *[(f"k{number}", f"thing {number} " + "and many words more " * 4, "Looking") for number in range(30)],
    ("a very long list of keys that no column holds", "fits all the same", "Changing"),
]


def keys_help() -> Help:
    return Help(BINDINGS)
