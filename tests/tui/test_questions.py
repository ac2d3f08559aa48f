"""Every key of the question before something is destroyed, on a screen of 80x24 and on the smallest one."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from tests.tui.dialog_stage import SMALL, WIDE, answers, clicking, driven, few, item, many, outside, seen
from wpod.top.moment import State
from wpod.tui.actions import Action, targets_of
from wpod.tui.dialogs import Confirm


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (["y"], [True]),
        (["n"], [False]),
        (["escape"], [False]),
        (["enter"], [False]),
        (["tab", "enter"], [True]),
        (["right", "enter"], [True]),
        (["left", "enter"], [True]),
        (["down", "up", "enter"], [False]),
        (["tab", "shift+tab", "enter"], [False]),
        (["q"], []),
        (["x"], []),
    ],
)
def test_confirm_keys(keys: list[str], answer: list[bool]) -> None:
    app = driven(few, *keys)
    assert app.answers == answer
    assert app.reached == 0


@pytest.mark.parametrize(("button", "answer"), [("#yes", True), ("#no", False)])
@pytest.mark.parametrize("size", [WIDE, SMALL])
def test_confirm_by_mouse(button: str, answer: bool, size: tuple[int, int]) -> None:
    assert answers(few, act=clicking(button), size=size) == [answer]


def test_a_click_beside_a_question_is_no_answer() -> None:
    assert answers(few, act=outside) == []
    assert answers(few, act=clicking("#objects")) == []


def test_enter_after_a_click_on_the_text_is_still_no() -> None:
    async def both(pilot: Pilot[None]) -> None:
        await pilot.click("#objects")
        await pilot.press("enter")

    assert answers(few, act=both) == [False]


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (["y"], []),
        (["enter"], []),
        (["1", "4", "enter"], [True]),
        (["1", "4", "y"], [True]),
        (["1", "3", "enter"], []),
        (["1", "4", "0", "enter"], []),
        (["1", "3", "enter", "backspace", "4", "enter"], [True]),
        (["0", "1", "4", "enter"], [True]),
        (["a", "1", "4", "enter"], [True]),
        (["n"], [False]),
        (["1", "4", "n"], [False]),
        (["1", "4", "escape"], [False]),
        (["tab", "enter"], [False]),
        (["tab", "tab", "enter"], []),
        (["1", "4", "tab", "tab", "enter"], [True]),
    ],
)
def test_above_ten_the_number_is_typed(keys: list[str], answer: list[bool]) -> None:
    app = driven(many, *keys)
    assert app.answers == answer
    assert app.reached == 0


def test_above_ten_a_click_needs_the_number() -> None:
    assert answers(many, act=clicking("#yes")) == []
    assert answers(many, "1", "4", act=clicking("#yes")) == [True]
    assert answers(many, act=clicking("#no")) == [False]


def test_ten_are_not_typed() -> None:
    assert answers(lambda: Confirm("?", tuple("abcdefghij"), "wpod kill"), "y") == [True]
    assert answers(lambda: Confirm("?", tuple("abcdefghijk"), "wpod kill"), "y") == []


@pytest.mark.parametrize("size", [WIDE, SMALL])
def test_the_question_says_all_of_it(size: tuple[int, int]) -> None:
    lines, chosen = seen(few, size=size)
    text = "\n".join(lines)
    for words in ("Kill 2 containers?", "web", "db", "wpod kill web db", "No (n)", "Yes (y)"):
        assert words in text
    assert chosen == "No (n)"


@pytest.mark.parametrize("size", [WIDE, SMALL])
def test_of_many_six_are_named(size: tuple[int, int]) -> None:
    lines, _ = seen(many, "1", "3", "enter", size=size)
    text = "\n".join(lines)
    for words in ("Kill 14 containers?", "web-0 ", "web-5 ", "and 8 more", "Not 14. Type 14 to go on: 13", "No (n)",
                  "Yes (y)", "wpod kill web-0 web-1", "web-13"):  # fmt: skip
        assert words in text
    assert sum(line.strip(" │").startswith("web-") for line in lines if "wpod" not in line) >= 6
    assert "╭" in text and "╰" in text


@pytest.mark.parametrize("size", [WIDE, SMALL])
def test_a_long_command_ends_in_dots_within_the_box(size: tuple[int, int]) -> None:
    names = tuple(f"a-rather-long-name-{number}" for number in range(100))
    lines, _ = seen(lambda: Confirm("Kill?", names, "wpod kill " + " ".join(names)), size=size)
    assert any(line.endswith("│") and line.rstrip(" │").endswith("…") for line in lines)
    assert "Yes (y)" in "\n".join(lines)


@pytest.mark.parametrize("count", [2, 100])
def test_the_whole_command_of_a_question_can_be_copied(count: int) -> None:
    names = tuple(f"a-rather-long-name-{number}" for number in range(count))
    command = "wpod kill " + " ".join(names)
    app = driven(lambda: Confirm("Kill?", names, command), "c")
    assert (app.clipboard, app.answers) == (command, [])
    lines, _ = seen(lambda: Confirm("Kill?", names, command), "c")
    assert any("copied" in line for line in lines)


def test_names_are_no_markup() -> None:
    lines, _ = seen(lambda: Confirm("Kill [b]x?", ("[red]a", "b\x1b[2J"), "wpod kill '[red]a'"))
    text = "\n".join(lines)
    for words in ("Kill [b]x?", "[red]a", "b\\x1b[2J", "wpod kill '[red]a'"):
        assert words in text


def test_a_question_about_an_action() -> None:
    targets = targets_of([item("web"), item("db", State.ENDED)])
    text = "\n".join(seen(lambda: Confirm.of(Action.REMOVE, targets, "/srv/s"))[0])
    assert "Remove 2 containers, 1 of them running?" in text
    assert "wpod --root /srv/s rm -f web db" in text
