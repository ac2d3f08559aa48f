"""The keys of the main screen: one table from which the bindings, the help and the palette are made.

Lower case looks, capitals sort, Ctrl and the menu change something. Ctrl-A, B, S, Q and Z are the terminal's and are
never bound.
"""

from __future__ import annotations

from textual.binding import Binding, BindingType

from wpod.frozen import frozen


@frozen
class Key:
    """`keys` as Textual names them, `shown` as people do. `action` is a method `action_…` of the application."""

    keys: str
    shown: str
    action: str
    words: str
    group: str


_MOVE, _SHOW, _SORT, _ROWS, _DETAIL, _TIME, _CHANGE, _REST = (
    "Move", "What is shown", "Sort", "Rows", "Detail", "Time", "Change", "Others",
)  # fmt: skip

KEYS = (
    Key("down,j", "down j", "move(1)", "next row", _MOVE),
    Key("up,k", "up k", "move(-1)", "row before", _MOVE),
    Key("pagedown", "PgDn", "page(1)", "a page down", _MOVE),
    Key("pageup", "PgUp", "page(-1)", "a page up", _MOVE),
    Key("g,home", "g Home", "end(False)", "first row", _MOVE),
    Key("G,end", "G End", "end(True)", "last row", _MOVE),
    Key("enter", "Enter", "open", "open the row: unfold a group, show a container in detail", _MOVE),
    Key("escape", "Esc", "back", "one step back: detail, filter, tags; never quits", _MOVE),
    Key("slash,f3", "/ F3", "filter", "filter: words, kind:wasm state:exited total>10M limit>80 grow>0 !word", _SHOW),
    Key("h", "h", "helpers", "helpers (pasta, dns, monitors) as rows of their own", _SHOW),
    Key("e", "e", "hide_ended", "hide those that have ended, or show them", _SHOW),
    Key("v", "v", "columns", "next set of columns: memory, parts, work, identity", _SHOW),
    Key("b", "b", "scale", "bars: on a common scale, against the limit, composition", _SHOW),
    Key("u", "u", "exact", "every byte, or short amounts (binary units)", _SHOW),
    Key("tab", "Tab", "figure(1)", "next figure: its formula, source and age; Shift-Tab: the one before", _SHOW),
    Key("shift+tab", "", "figure(-1)", "", _SHOW),
    Key("f", "f", "follow", "follow the row as it moves, or stay where the view is", _SHOW),
    Key("M", "M", "sort('memory')", "by memory", _SORT),
    Key("P", "P", "sort('cpu')", "by processor time", _SORT),
    Key("T", "T", "sort('age')", "by age", _SORT),
    Key("D", "D", "sort('growth')", "by growth", _SORT),
    Key("L", "L", "sort('limit')", "by how full the limit is", _SORT),
    Key("N", "N", "sort('name')", "by name", _SORT),
    Key("I", "I", "invert", "the other way round", _SORT),
    Key("f6", "F6", "choose_sort", "choose what to sort by", _SORT),
    Key("o", "o", "group", "group by none, image, kind, network", _ROWS),
    Key("right", "right", "unfold(True)", "unfold a group", _ROWS),
    Key("left", "left", "unfold(False)", "fold it", _ROWS),
    Key("space", "Space", "tag", "tag the row; actions go to the tagged ones", _ROWS),
    Key("asterisk", "*", "tag_all", "tag all that are shown", _ROWS),
    Key("U", "U", "untag", "untag all", _ROWS),
    Key("l", "l", "tab('LOGS')", "logs, which follow", _DETAIL),
    Key("d", "d", "tab('INSPECT')", "describe: inspect as a tree", _DETAIL),
    Key("w", "w", "why", "why it has that memory, and what to do", _DETAIL),
    Key("t", "t", "tab('PROCESSES')", "process tree", _DETAIL),
    Key("1", "1 to 7", "tab_number(1)", "a page of the detail", _DETAIL),
    *(Key(str(number), "", f"tab_number({number})", "", _DETAIL) for number in range(2, 8)),
    Key("left_square_bracket", "[", "next_tab(-1)", "page before", _DETAIL),
    Key("right_square_bracket", "]", "next_tab(1)", "next page", _DETAIL),
    Key("comma", ",", "step(1)", "back in time", _TIME),
    Key("full_stop", ".", "step(-1)", "forth again", _TIME),
    Key("0", "0", "live", "back to live", _TIME),
    Key("z", "z", "freeze", "freeze the screen, or let it go on", _TIME),
    Key("m", "m", "mark", "mark: ±/min counts from here; again: over 5 minutes", _TIME),
    Key("plus,equals_sign", "+", "interval(2.0)", "look half as often", _TIME),
    Key("minus", "-", "interval(0.5)", "look twice as often", _TIME),
    Key("x,f9", "x F9", "menu", "what can be done: start, stop, restart, kill, remove, pull", _CHANGE),
    Key("ctrl+k", "Ctrl-K", "act('KILL')", "kill", _CHANGE),
    Key("ctrl+d", "Ctrl-D", "act('REMOVE')", "remove", _CHANGE),
    Key("c", "c", "copy", "copy the wpod command for what is shown", _REST),
    Key("colon,ctrl+p", ": Ctrl-P", "command_palette", "palette: everything by its name", _REST),
    Key("question_mark,f1", "? F1", "help", "this help", _REST),
    Key("q,f10", "q F10 Ctrl-C", "quit", "quit", _REST),
)


def bindings() -> list[BindingType]:
    """For the application. Ctrl-C quits whatever has the focus."""
    made: list[BindingType] = [Binding(one.keys, one.action, one.words, show=False) for one in KEYS]
    return [*made, Binding("ctrl+c", "quit", "quit", show=False, priority=True)]


def help_rows() -> list[tuple[str, str, str]]:
    """For the help: keys, words, group."""
    return [(one.shown, one.words, one.group) for one in KEYS if one.shown]
