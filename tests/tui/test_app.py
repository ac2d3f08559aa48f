"""Every key of the screen, on recordings; dialogs and actions on real containers are in test_live.py."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot

from tests.top.feed import MEGABYTE, breakdown, item, moment, village
from tests.tui.stage import play, recording, text, until
from wpod.model.sample import HelperSample
from wpod.top.bar import Scale
from wpod.top.board import HINTS
from wpod.top.detail import Closeup, Tab
from wpod.top.model import Columns
from wpod.top.rows import Group, Sort
from wpod.top.text import width as text_width
from wpod.tui import keys
from wpod.tui.app import TopApp
from wpod.tui.feed import Source
from wpod.tui.help_screen import Help
from wpod.tui.terminal import Ability, ability

FORBIDDEN = {"ctrl+a", "ctrl+b", "ctrl+s", "ctrl+q", "ctrl+z"}


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """Some of everything, one moment."""
    helper = HelperSample("pasta", 9, (village()[0].container_id,), MEGABYTE)
    return Source(replay=recording(tmp_path / "file", [moment(village(), 0, [helper])]))


def pressed(source: Source, *names: str, size: tuple[int, int] = (80, 24)) -> TopApp:
    """The application after these keys."""

    async def part(_app: TopApp, pilot: Pilot[int]) -> None:
        for name in names:
            await pilot.press(name)
        await pilot.pause()

    return play(source, part, size)


def test_forbidden_keys_are_not_bound(source: Source) -> None:
    async def part(app: TopApp, _pilot: Pilot[int]) -> None:
        bound = set(app._bindings.key_to_bindings)
        assert not bound & FORBIDDEN
        assert {name for one in keys.KEYS for name in one.keys.split(",")} <= bound

    play(source, part)


def test_every_key_has_its_action() -> None:
    for one in keys.KEYS:
        assert hasattr(TopApp, f"action_{one.action.partition('(')[0]}"), one.action


def test_the_first_screen_is_there(source: Source) -> None:
    async def part(app: TopApp, _pilot: Pilot[int]) -> None:
        assert "api ×40" in text(app)
        assert "REPLAY" in text(app)
        assert "pasta" in text(app)

    play(source, part)


@pytest.mark.parametrize("key", sorted({name for one in keys.KEYS for name in one.keys.split(",")}))
def test_each_key_alone_breaks_nothing(source: Source, key: str) -> None:
    pressed(source, key)


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (40, 10)])
def test_keys_in_any_order_break_nothing(source: Source, size: tuple[int, int]) -> None:
    chosen = random.Random(size[0])
    names = sorted({name for one in keys.KEYS for name in one.keys.split(",")} - {"q", "f10"})
    pressed(source, *chosen.choices(names, k=100), size=size)


@pytest.mark.parametrize(
    ("names", "holds"),
    [
        (["j", "down"], lambda app: app.model.position == 2),
        (["j", "j", "k", "up"], lambda app: app.model.position == 0),
        (["G"], lambda app: app.model.position == len(app.model.rows) - 1),
        (["end", "g"], lambda app: app.model.position == 0),
        (["P"], lambda app: app.model.arrangement.sort is Sort.CPU),
        (["T"], lambda app: app.model.arrangement.sort is Sort.AGE),
        (["D"], lambda app: app.model.arrangement.sort is Sort.GROWTH),
        (["L"], lambda app: app.model.arrangement.sort is Sort.LIMIT),
        (["N", "M"], lambda app: app.model.arrangement.sort is Sort.MEMORY),
        (["I"], lambda app: app.model.arrangement.inverted),
        (["o"], lambda app: app.model.arrangement.group is Group.IMAGE),
        (["e"], lambda app: app.model.arrangement.hides_ended),
        (["v"], lambda app: app.model.columns is Columns.PARTS),
        (["b"], lambda app: app.model.scale is Scale.LIMIT),
        (["u"], lambda app: app.model.exact),
        (["f"], lambda app: not app.model.follows),
        (["space"], lambda app: len(app.model.tags) == 1),
        (["asterisk"], lambda app: len(app.model.tags) == 47),
        (["asterisk", "U"], lambda app: not app.model.tags),
        (["asterisk", "escape"], lambda app: not app.model.tags),
        (["z"], lambda app: app.model.frozen),
        (["m"], lambda app: app.model.baseline is not None),
        (["plus"], lambda app: app._interval == 1.0),
        (["plus", "minus", "minus"], lambda app: app._interval == 0.5),
        (["l"], lambda app: app._detail.tab is Tab.LOGS),
        (["t"], lambda app: app._detail.tab is Tab.PROCESSES),
        (["3"], lambda app: app._detail.tab is Tab.LIMITS),
        (["3", "right_square_bracket"], lambda app: app._detail.tab is Tab.PROCESSES),
        (["3", "left_square_bracket"], lambda app: app._detail.tab is Tab.HISTORY),
        (["enter"], lambda app: app.screen_stack[0].has_class("-detailed")),
        (["enter", "escape"], lambda app: not app.screen_stack[0].has_class("-detailed")),
        (["question_mark"], lambda app: isinstance(app.screen, Help)),
        (["question_mark", "escape"], lambda app: len(app.screen_stack) == 1),
        (["colon"], lambda app: len(app.screen_stack) == 2),
        (["f6", "down", "enter"], lambda app: app.model.arrangement.sort is Sort.CPU),
    ],
)  # fmt: skip
def test_what_keys_do(source: Source, names: list[str], holds: Callable[[TopApp], bool]) -> None:
    async def part(app: TopApp, pilot: Pilot[int]) -> None:
        for name in names:
            await pilot.press(name)
        await until(pilot, lambda: holds(app))

    play(source, part)


def test_typing_a_filter(source: Source) -> None:
    async def part(app: TopApp, pilot: Pilot[int]) -> None:
        await pilot.press("slash", *"kind:native")
        await until(pilot, lambda: app.model.filter_text == "kind:native")
        await pilot.press("enter")
        await pilot.pause()
        assert {row.item.facts.kind for row in app.model.rows} == {"native"}
        await pilot.press("slash", *"xyz", "escape")
        await until(pilot, lambda: app.model.filter_text == "kind:native")
        await pilot.press("escape")
        await until(pilot, lambda: app.model.filter_text == "")

    play(source, part)


def test_words_typed_ahead_are_the_filters(source: Source) -> None:
    """They come in one piece with the key that opens it, as over ssh; `d` alone would open the tree."""

    async def part(app: TopApp, pilot: Pilot[int]) -> None:
        for name in ("slash", "d", "b"):
            app.post_message(events.Key(name, "/" if name == "slash" else name))
        await until(pilot, lambda: app.model.filter_text == "db")
        assert not app.screen_stack[0].has_class("-detailed")

    play(source, part)


def test_a_focused_figure_says_where_it_is_from(source: Source) -> None:
    """Formula and source, for the row under the cursor; a recording has no age."""

    async def part(app: TopApp, pilot: Pilot[int]) -> None:
        app.model.cursor = next(row.key for row in app.model.rows if row.name == "db")
        await pilot.press("tab")
        assert "CPU% 0.5 (its cgroup's counter" in text(app)
        await pilot.press("tab")
        assert "TOTAL 48.7M (see each part): the sum" in text(app)
        await pilot.press("shift+tab", "shift+tab")
        assert app.model.figure == ""
        await pilot.press("shift+tab")
        assert "AGE 1m (the container's record)" in text(app)
        await pilot.press("v")
        assert app.model.figure == ""
        await pilot.press("tab", "tab")
        assert "OWN 41.0M (/proc/PID/smaps): the lesser of Anonymous" in text(app)
        await pilot.press("down")
        assert "OWN" in text(app).splitlines()[-3]
        await pilot.press("escape")
        assert app.model.figure == ""

    play(source, part)


def test_a_wrong_filter_is_told(source: Source) -> None:
    async def part(app: TopApp, pilot: Pilot[int]) -> None:
        await pilot.press("slash", *"state:odd", "enter")
        await until(pilot, lambda: "state:odd is none of" in text(app))

    play(source, part)


def test_a_group_opens_and_closes(source: Source) -> None:
    async def part(app: TopApp, pilot: Pilot[int]) -> None:
        app.model.cursor = next(row.key for row in app.model.rows if row.is_group)
        before = len(app.model.rows)
        for opens, closes in (("right", "left"), ("enter", "enter")):
            await pilot.press(opens)
            assert len(app.model.rows) == before + 40
            await pilot.press(closes)
            assert len(app.model.rows) == before

    play(source, part)


def test_the_mouse_chooses_opens_and_scrolls(source: Source) -> None:
    async def part(app: TopApp, pilot: Pilot[int]) -> None:
        await pilot.click("#board", offset=(5, 6))
        assert app.model.position == 2
        app._board.post_message(events.MouseScrollDown(app._board, 5, 5, 0, 1, 0, False, False, False))
        await until(pilot, lambda: app.model.position == 5)
        app._board.post_message(events.MouseScrollUp(app._board, 5, 5, 0, -1, 0, False, False, False))
        await until(pilot, lambda: app.model.position == 2)
        await pilot.click("#board", offset=(5, 4), times=2)
        await until(pilot, lambda: app.screen_stack[0].has_class("-detailed"))

    play(source, part)


def test_titles_tabs_and_the_line_of_keys_can_be_clicked(source: Source) -> None:
    async def part(app: TopApp, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: app._ended and not app._message)
        await pilot.click("#board", offset=(text(app).splitlines()[3].index("NAME") + 1, 3))
        await until(pilot, lambda: app.model.arrangement.sort is Sort.NAME)
        await pilot.click("#board", offset=(1, 3))
        await until(pilot, lambda: app.model.arrangement.inverted)
        app._unsay(app._message)
        await pilot.pause()
        await pilot.click("#board", offset=(text(app).splitlines()[23].index("? help"), 23))
        await until(pilot, lambda: isinstance(app.screen, Help))
        await pilot.press("escape")
        await pilot.click("#board", offset=(5, 4), times=2)
        await until(pilot, lambda: app._is_detailed and app._detail._lines)
        await pilot.click("#detail", offset=(text(app).splitlines()[0].index("limits"), 0))
        await until(pilot, lambda: app._detail.tab is Tab.LIMITS)
        await pilot.click("#detail", offset=(0, 0))  # the name is no tab
        await pilot.pause()
        assert app._detail.tab is Tab.LIMITS

    play(source, part)


def test_every_word_of_the_last_line_is_an_action() -> None:
    known = {one.action for one in keys.KEYS}
    assert {action for _, action in HINTS} <= known


@pytest.mark.parametrize("key", ["f6", "question_mark", "colon"])
def test_boxes_are_of_ascii_where_nothing_else_may_be_shown(source: Source, key: str) -> None:
    async def part(app: TopApp, pilot: Pilot[int]) -> None:
        await pilot.press(key)
        await until(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.pause()
        strips = app.screen._compositor.render_strips()
        shown = ["".join(segment.text for segment in strip) for strip in strips]
        assert any("+--" in line for line in shown) or key == "colon"  # the palette has no box then
        assert [line for line in shown if not line.isascii()] == []

    play(source, part, ability=Ability(letters=True, ascii_only=True))


@pytest.mark.parametrize("key", ["x", "ctrl+k", "ctrl+d", "w", "d"])
def test_a_recording_cannot_be_changed_or_asked(source: Source, key: str) -> None:
    async def part(app: TopApp, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: app._ended)
        await pilot.press(key)
        await until(pilot, lambda: "a recording" in app._message)
        assert len(app.screen_stack) == 1

    play(source, part)


def test_stepping_through_a_replay(tmp_path: Path) -> None:
    moments = [moment([item("a", memory=breakdown(second * MEGABYTE))], second) for second in range(0, 20, 2)]
    file = recording(tmp_path / "file", moments)

    async def part(app: TopApp, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: app._ended)
        await pilot.press("comma", "comma", "comma")
        await until(pilot, lambda: "-00:06" in text(app))
        await pilot.press("full_stop")
        await until(pilot, lambda: "-00:04" in text(app))
        await pilot.press("0")
        await until(pilot, lambda: "REPLAY" in text(app))

    play(Source(replay=file), part)


def test_wide_screens_have_the_detail_beside(source: Source) -> None:
    async def part(app: TopApp, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: app._detail._lines)
        board = "\n".join("".join(piece for piece, _ in line) for line in app._board._lines)
        detail = "\n".join("".join(piece for piece, _ in line) for line in app._detail._lines)
        assert "api ×40" in board
        assert "processes" in detail

    play(source, part, (200, 60))


def test_resizing(source: Source) -> None:
    async def part(app: TopApp, pilot: Pilot[int]) -> None:
        for size in ((200, 60), (40, 10), (80, 24), (20, 5), (320, 90)):
            await pilot.resize_terminal(*size)
            await pilot.pause(0.05)
            assert app._board.size.height <= size[1]
            await until(pilot, lambda size=size: len(text(app).splitlines()[0]) == app._board.size.width)
            assert len(text(app).splitlines()) == app._board.size.height

    play(source, part)


def test_empty_and_damaged_recordings(tmp_path: Path) -> None:
    file = recording(tmp_path / "file", [moment([])])

    async def part(app: TopApp, _pilot: Pilot[int]) -> None:
        assert "No containers yet" in text(app)

    play(Source(replay=file), part)


@pytest.mark.parametrize(
    ("environment", "encoding", "expected"),
    [
        ({"TERM": "xterm-256color"}, "UTF-8", Ability()),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, "utf-8", Ability()),
        ({"TERM": "xterm"}, "UTF-8", Ability(letters=True)),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "UTF-8", Ability(letters=True)),
        ({"TERM": "xterm-256color"}, "ANSI_X3.4-1968", Ability(letters=True, ascii_only=True)),
        ({"TERM": "xterm-256color", "COLORFGBG": "0;15"}, "UTF-8", Ability(light=True)),
    ],
)  # fmt: skip
def test_what_the_terminal_can(environment: dict[str, str], encoding: str, expected: Ability) -> None:
    assert ability(environment, encoding) == expected


@pytest.mark.parametrize("name", ["db", "a-container-with-a-long-name", "データベース" * 4])
def test_all_pages_are_named_in_the_line_of_a_long_name(tmp_path: Path, name: str) -> None:
    async def part(app: TopApp, pilot: Pilot[int]) -> None:
        for number, page in enumerate(Tab, 1):
            await pilot.press(str(number))
            line = text(app).splitlines()[0]
            assert all(one.value in line for one in Tab)
            assert f"[{page.value}]" in line
            assert text_width(line) <= 80

    play(Source(replay=recording(tmp_path / "file", [moment([item(name)])])), part)


def test_a_log_is_read_from_its_end_and_scrolled_back(source: Source) -> None:
    async def part(app: TopApp, pilot: Pilot[int]) -> None:
        await pilot.press("l")
        row = app.model.selected
        assert row is not None
        app._detail.closeup = Closeup(row.key, (), tuple(f"line {number}" for number in range(300)))
        app.draw()
        assert "line 299" in text(app)
        await pilot.press("k")
        assert "line 299" not in text(app)
        assert "line 298" in text(app)
        await pilot.press("g")
        assert "line 0" in text(app)
        await pilot.press("G")
        assert "line 299" in text(app)

    play(source, part)
