"""`wpod top` on a stage: the application with a recording in the place of a store, driven by Textual's pilot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from textual.pilot import Pilot

from wpod.top.moment import Moment
from wpod.top.recording import Writer
from wpod.tui.app import Opening, TopApp
from wpod.tui.feed import Source
from wpod.tui.terminal import Ability

PATIENCE_SECONDS = 20.0
Part = Callable[[TopApp, Pilot[int]], Awaitable[None]]


def recording(path: Path, moments: Iterable[Moment]) -> str:
    """A file that can be replayed."""
    with path.open("wb") as file:
        writer = Writer(file)
        for one in moments:
            writer.write(one)
    return str(path)


async def until(pilot: Pilot[int], holds: Callable[[], object]) -> None:
    """Wait until it is so; fails after the patience."""
    for _ in range(int(PATIENCE_SECONDS / 0.02)):
        if holds():
            await pilot.pause()
            return
        await pilot.pause(0.02)
    app = pilot.app
    assert isinstance(app, TopApp)
    raise AssertionError(f"it never became so; {app.screen_stack} shows\n{text(app)}")


def play(
    source: Source, part: Part, size: tuple[int, int] = (80, 24), ability: Ability | None = None, interval: float = 0.5
) -> TopApp:
    """Run the application until the part is over; the first moment is there when it begins.

    Where the application ends before, the part isn't played.
    """

    async def whole() -> TopApp:
        app = TopApp(Opening(source, ability or Ability(), interval))
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.model.moment is not None or app.failure is not None)
            if app.failure is None:
                await part(app, pilot)
        return app

    return asyncio.run(whole())


def text(app: TopApp) -> str:
    """What the board or the detail shows."""
    view = app._detail if app.screen_stack[0].has_class("-detailed") else app._board
    return "\n".join("".join(piece for piece, _ in line) for line in view._lines)
