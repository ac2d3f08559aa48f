"""Every key of the help screen, on a screen of 80x24 and on the smallest one."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from tests.tui.dialog_stage import BINDINGS, SMALL, WIDE, answers, clicking, driven, keys_help, outside, seen, shown
from wpod.tui.help_screen import help_text


@pytest.mark.parametrize("key", ["escape", "q", "question_mark", "f1"])
def test_help_closes(key: str) -> None:
    app = driven(keys_help, key)
    assert app.answers == [None]
    assert app.reached == 0


def test_help_closes_by_a_click_outside() -> None:
    assert answers(keys_help, act=outside) == [None]
    assert answers(keys_help, act=clicking("VerticalScroll", (5, 5))) == []


@pytest.mark.parametrize("size", [WIDE, SMALL])
def test_help_begins_at_the_top_in_its_groups(size: tuple[int, int]) -> None:
    lines, _ = seen(keys_help, size=size)
    assert "Keys" in lines[0]
    assert "Esc: close" in lines[-1]
    assert "Looking" in lines[1]
    assert "up down j k" in lines[2] and "move" in lines[2]


@pytest.mark.parametrize("size", [WIDE, SMALL])
@pytest.mark.parametrize("keys", [["end"], ["G"], ["space"] * 12, ["pagedown"] * 12])
def test_help_scrolls_to_its_end(size: tuple[int, int], keys: list[str]) -> None:
    async def settle(pilot: Pilot[None]) -> None:
        await pilot.press(*keys)
        await pilot.wait_for_animation()
        await pilot.pause()
        text = "\n".join(shown(pilot.app))
        assert "fits all the same" in text
        await pilot.press("g")
        await pilot.pause()
        assert "Looking" in shown(pilot.app)[1]

    driven(keys_help, act=settle, size=size)


@pytest.mark.parametrize(("down", "up"), [("j", "k"), ("down", "up")])
def test_help_moves_by_lines(down: str, up: str) -> None:
    async def move(pilot: Pilot[None]) -> None:
        await pilot.press(down)
        await pilot.wait_for_animation()
        await pilot.pause()
        assert "up down j k" in shown(pilot.app)[1]
        await pilot.press(up)
        await pilot.wait_for_animation()
        await pilot.pause()
        assert "Looking" in shown(pilot.app)[1]

    driven(keys_help, act=move)


@pytest.mark.parametrize("width", [20, 40, 54, 70, 120])
def test_help_text_keeps_its_width(width: int) -> None:
    short = [(keys, description, group) for keys, description, group in BINDINGS if len(keys) < width]
    lines = help_text(short, width).plain.splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0] == "Looking"
    assert lines.index("Changing") > 30
    assert help_text([], width).plain == ""


def test_a_dialog_keeps_its_place_when_the_terminal_changes() -> None:
    async def shrink(pilot: Pilot[None]) -> None:
        await pilot.resize_terminal(*SMALL)
        await pilot.pause(0.1)
        lines = shown(pilot.app)
        assert len(lines) == 15
        assert max(map(len, lines)) <= 60
        assert "and many" in "\n".join(lines)

    driven(keys_help, act=shrink)
