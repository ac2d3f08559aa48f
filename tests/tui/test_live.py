"""The screen over a real store: containers of both kinds are started, looked at, acted on, and vanish."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.conftest import Archives, Places, filled, load
from tests.support.account import Account
from tests.support.command import Wpod, eventually
from tests.support.images import ImageSource
from tests.tui.stage import play, text, until
from wpod.top.moment import State
from wpod.tui.app import TopApp
from wpod.tui.dialogs import ActionMenu, Confirm
from wpod.tui.feed import Source
from wpod.tui.reading import Text, Tree

KINDS = ("wasm", "native")


@pytest.fixture
def store(
    places: Places,
    root_account: Account,
    archives: Archives,
    probe_sources: dict[str, ImageSource],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Wpod]:
    """A store with both probes, which this process sees as its user does."""
    with filled(places.new(root_account), archives, probe_sources["wasm"]) as wpod:
        load(wpod, archives, probe_sources["native"])
        for name, value in wpod.variables().items():
            monkeypatch.setenv(name, value)
        yield wpod


def made(store: Wpod, sources: dict[str, ImageSource], verb: str, *guest: str) -> list[str]:
    """A container of each kind, called by its kind."""
    for kind in KINDS:
        options = ("-d",) if verb == "run" else ()
        store(verb, *options, "--name", kind, "--network", "none", sources[kind].name, *guest).ok()
    return list(KINDS)


def state_of(app: TopApp, name: str) -> State | None:
    items = app.model.moment.items if app.model.moment is not None else ()
    return next((item.facts.state for item in items if item.facts.name == name), None)


def runs_anew(app: TopApp, name: str, before: int) -> bool:
    """Whether it runs since another moment than that."""
    items = app.model.moment.items if app.model.moment is not None else ()
    return any(item.facts.name == name and item.facts.state is State.RUNNING
               and item.facts.started_nanoseconds not in (0, before) for item in items)  # fmt: skip


async def select(app: TopApp, pilot: Pilot[int], name: str) -> None:
    await until(pilot, lambda: any(row.name == name for row in app.model.rows))
    app.model.cursor = next(row.key for row in app.model.rows if row.name == name)
    app.draw()
    await pilot.pause()


async def answered(app: TopApp, pilot: Pilot[int], key: str, *keys: str) -> None:
    """The menu, an action of it, and what its question wants."""
    await pilot.press("x")
    await until(pilot, lambda: isinstance(app.screen, ActionMenu))
    await pilot.press(key)
    if keys:
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press(*keys)


def test_the_life_of_containers(store: Wpod, probe_sources: dict[str, ImageSource]) -> None:
    """Each action, for both kinds, and what the rows say after it."""
    names = made(store, probe_sources, "create", "idle")

    async def part(app: TopApp, pilot: Pilot[int]) -> None:
        for name in names:
            await select(app, pilot, name)
            assert "never started" in text(app)
            await answered(app, pilot, "s")
            await until(pilot, lambda name=name: state_of(app, name) is State.RUNNING)
            started = app.model.acted_on[0].facts.started_nanoseconds
            await answered(app, pilot, "r", "y")
            await until(pilot, lambda name=name, started=started: runs_anew(app, name, started))
            await answered(app, pilot, "t", "y")
            await until(pilot, lambda name=name: state_of(app, name) in (State.ENDED, State.FAILED))
            await answered(app, pilot, "s")
            await until(pilot, lambda name=name: state_of(app, name) is State.RUNNING)
            await pilot.press("ctrl+k", "n")
            assert state_of(app, name) is State.RUNNING
            await pilot.press("ctrl+k", "y")
            await until(pilot, lambda name=name: state_of(app, name) is State.FAILED)
            assert "137" in text(app)
            await pilot.press("ctrl+d", "y")
            await until(pilot, lambda name=name: state_of(app, name) is None)
            assert any(row.vanished and row.name == name for row in app.model.rows)

    play(Source(root=str(store.store)), part)
    assert store("ps", "-a", "--format", "{{.Names}}").ok().out == ""


def test_what_is_read_of_one(store: Wpod, probe_sources: dict[str, ImageSource]) -> None:
    """Processes, log, inspect and why, for both kinds."""
    names = made(store, probe_sources, "run", "idle")

    async def part(app: TopApp, pilot: Pilot[int]) -> None:
        for name in names:
            await select(app, pilot, name)
            await until(pilot, lambda: app.model.acted_on[0].memory.own is not None)
            await pilot.press("t")
            await until(pilot, lambda: "idle" in text(app) or "wpod-runner" in text(app))
            await pilot.press("1")
            await until(pilot, lambda: "anonymous memory" in text(app))
            await pilot.press("escape", "w")
            await until(pilot, lambda: isinstance(app.screen, Text))
            await pilot.press("escape", "d")
            await until(pilot, lambda: isinstance(app.screen, Tree))
            await pilot.press("escape", "escape")

    play(Source(root=str(store.store)), part)


def test_a_log_follows(store: Wpod, probe_sources: dict[str, ImageSource]) -> None:
    store("run", "-d", "--name", "web", "--network", "none", probe_sources["wasm"].name, "line", "first words").ok()

    async def part(app: TopApp, pilot: Pilot[int]) -> None:
        await select(app, pilot, "web")
        await pilot.press("l")
        await until(pilot, lambda: "first words" in text(app))
        await answered_again(app, pilot)
        await until(pilot, lambda: text(app).count("first words") == 2)
        await pilot.press("g")
        await pilot.press("G")
        assert text(app).count("first words") == 2

    async def answered_again(app: TopApp, pilot: Pilot[int]) -> None:
        await answered(app, pilot, "s")

    play(Source(root=str(store.store)), part)


def test_a_failure_is_told_as_on_the_command_line(store: Wpod, probe_sources: dict[str, ImageSource]) -> None:
    store("create", "--name", "web", "--network", "none", probe_sources["wasm"].name, "idle").ok()

    async def part(app: TopApp, pilot: Pilot[int]) -> None:
        await select(app, pilot, "web")
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, ActionMenu))
        store("rm", "web").ok()  # under the open menu
        await pilot.press("s")
        await until(pilot, lambda: "gone meanwhile" in text(app) or "error:" in text(app))

    play(Source(root=str(store.store)), part)


def test_a_recording_of_a_store_replays(store: Wpod, probe_sources: dict[str, ImageSource], tmp_path: Path) -> None:
    made(store, probe_sources, "run", "idle")
    file = tmp_path / "figures.jsonl"
    recorder = store.start("top", "--record", file, "--interval", "1")
    eventually(lambda: file.exists() and file.read_bytes().count(b"\n") >= 2)
    recorder.terminate()
    store.finish(recorder, ("top",))
    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    assert {one["facts"]["name"] for one in lines[0]["containers"]} == set(KINDS)
    assert file.stat().st_mode & 0o077 == 0

    async def part(app: TopApp, _pilot: Pilot[int]) -> None:
        assert {row.name for row in app.model.rows} == set(KINDS)

    play(Source(replay=str(file)), part)


def test_a_store_that_cannot_be_read_ends_it_with_the_error(tmp_path: Path) -> None:
    (tmp_path / "wpod.db").write_bytes(b"no database at all" * 300)

    async def part(_app: TopApp, _pilot: Pilot[int]) -> None:
        raise AssertionError("there is nothing to show")

    app = play(Source(root=str(tmp_path)), part)
    assert app.failure is not None
    assert app.return_value == 125
