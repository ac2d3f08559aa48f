"""Every key of the menus, of actions and of columns, on a screen of 80x24 and on the smallest one."""

from __future__ import annotations

import pytest

from tests.tui.dialog_stage import (
    SMALL,
    WIDE,
    Make,
    answers,
    clicking,
    columns,
    driven,
    ended,
    mixed,
    outside,
    running,
    seen,
)
from wpod.tui.actions import Action
from wpod.tui.dialogs import ActionMenu, Choice


@pytest.mark.parametrize(
    ("menu", "keys", "answer"),
    [
        (running, ["t"], [Action.STOP]),
        (running, ["r"], [Action.RESTART]),
        (running, ["k"], [Action.KILL]),
        (running, ["d"], [Action.REMOVE]),
        (running, ["u"], [Action.PULL]),
        (running, ["s"], []),
        (ended, ["s"], [Action.START]),
        (ended, ["t"], []),
        (ended, ["k"], []),
        (mixed, ["s"], [Action.START]),
        (mixed, ["k"], [Action.KILL]),
        (running, ["enter"], [Action.STOP]),  # the first that can be chosen
        (running, ["down", "enter"], [Action.RESTART]),
        (running, ["up", "enter"], [Action.PULL]),
        (ended, ["down", "enter"], [Action.RESTART]),  # over what doesn't fit
        (ended, ["end", "enter"], [Action.PULL]),
        (ended, ["end", "home", "enter"], [Action.START]),
        (running, ["escape"], [None]),
        (running, ["x"], [None]),
        (running, ["f9"], [None]),
        (running, ["q"], []),
    ],
)
def test_menu_keys(menu: Make, keys: list[str], answer: list[Action | None]) -> None:
    app = driven(menu, *keys)
    assert app.answers == answer
    assert app.reached == 0


@pytest.mark.parametrize("size", [WIDE, SMALL])
def test_menu_by_mouse(size: tuple[int, int]) -> None:
    line = {action: (4, number + 1) for number, action in enumerate(Action)}
    assert answers(running, act=clicking("OptionList", line[Action.KILL]), size=size) == [Action.KILL]
    assert answers(running, act=clicking("OptionList", line[Action.START]), size=size) == []
    assert answers(running, act=outside, size=size) == [None]


@pytest.mark.parametrize("size", [WIDE, SMALL])
def test_menu_says_what_does_not_fit(size: tuple[int, int]) -> None:
    lines, chosen = seen(ended, size=size)
    text = "\n".join(lines)
    for words in ("web", "s  Start", "-  Stop        does not run", "d  Remove", "u  Pull image", "Esc: close"):
        assert words in text
    assert chosen == "s  Start"


def test_menu_of_several_says_how_many() -> None:
    text = "\n".join(seen(mixed)[0])
    for words in ("3 containers", "s  Start       1 of 3", "k  Kill        2 of 3", "d  Remove"):
        assert words in text


def test_menu_of_nothing() -> None:
    assert answers(lambda: ActionMenu([]), "s", "d", "enter", "escape") == [None]


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (["enter"], ["cpu"]),
        (["down", "enter"], ["a b!"]),
        (["j", "enter"], ["a b!"]),
        (["up", "enter"], ["name"]),
        (["k", "enter"], ["name"]),
        (["home", "enter"], ["name"]),
        (["g", "enter"], ["name"]),
        (["end", "enter"], ["a b!"]),
        (["G", "enter"], ["a b!"]),
        (["escape"], [None]),
        (["q"], [None]),
        (["x"], []),
    ],
)
def test_choice_keys(keys: list[str], answer: list[str | None]) -> None:
    app = driven(columns, *keys)
    assert app.answers == answer
    assert app.reached == 0


def test_choice_by_mouse() -> None:
    assert answers(columns, act=clicking("OptionList", (4, 3))) == ["a b!"]
    assert answers(columns, act=outside) == [None]


def test_choice_marks_the_present_one() -> None:
    lines, chosen = seen(columns)
    assert chosen == "* CPU"
    assert seen(columns, "up")[1].strip() == "Name"
    assert any("  Name" in line for line in lines)
    assert answers(lambda: columns("nothing of these"), "enter") == ["name"]


def test_a_long_choice_scrolls() -> None:
    def long() -> Choice:
        return Choice("Column", [(str(number), f"Column {number}") for number in range(40)], "30")

    lines, chosen = seen(long, size=SMALL)
    assert len(lines) == 15
    assert "Esc: close" in lines[-1]
    assert chosen == "* Column 30"
    assert answers(long, "G", "enter", size=SMALL) == ["39"]
