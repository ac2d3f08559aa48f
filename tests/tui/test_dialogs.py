"""Every key of every dialog, on a screen of 80x24 and on the smallest one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import pytest
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.geometry import Region
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static

from wpod.top.moment import Facts, Item, State
from wpod.tui.actions import Action, targets_of
from wpod.tui.dialogs import ActionMenu, Choice, Confirm
from wpod.tui.filter_bar import FilterBar
from wpod.tui.help_screen import Help, help_text
from wpod.tui.reading import Tree

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


# Confirm


def few() -> Confirm:
    return Confirm("Kill 2 containers?", ("web", "db"), "wpod kill web db")


def many() -> Confirm:
    names = tuple(f"web-{number}" for number in range(14))
    return Confirm("Kill 14 containers?", names, "wpod kill " + " ".join(names))


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


# ActionMenu


def running() -> ActionMenu:
    return ActionMenu([item("web")])


def ended() -> ActionMenu:
    return ActionMenu([item("web", State.ENDED)])


def mixed() -> ActionMenu:
    return ActionMenu([item("web"), item("db", State.ENDED), item("c")])


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


# Choice


def columns(present: str = "cpu") -> Choice:
    return Choice("Sort by", [("name", "Name"), ("cpu", "CPU"), ("a b!", "Odd")], present)


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


# Help

_BINDINGS = [
    ("up down j k", "move", "Looking"),
    ("x F9", "menu of actions", "Changing"),
    *[(f"k{number}", f"thing {number} " + "and many words more " * 4, "Looking") for number in range(30)],
    ("a very long list of keys that no column holds", "fits all the same", "Changing"),
]


def keys_help() -> Help:
    return Help(_BINDINGS)


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
    short = [(keys, description, group) for keys, description, group in _BINDINGS if len(keys) < width]
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


# What holds for all


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


# FilterBar


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
