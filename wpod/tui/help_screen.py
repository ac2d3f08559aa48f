"""The help: all keys and what they do, made from the bindings that are in force."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from wpod.output.streams import visible
from wpod.tui.scrolling import Scrolling

_HELP_WIDTH = 70
_KEYS_WIDTH = 18


class Help(Scrolling):
    """All keys, from (keys, description, group); groups stand in the order in which they come first."""

    DEFAULT_CSS = """
    Help > VerticalScroll {
        max-width: 76;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark,f1", "close", "Close", show=False)]

    def __init__(self, bindings: Iterable[tuple[str, str, str]], title: str = "Keys") -> None:
        super().__init__(title, _Page(tuple(bindings)))


class _Page(Static):
    """The text of the help, broken anew for each width."""

    def __init__(self, bindings: Sequence[tuple[str, str, str]]) -> None:
        super().__init__(help_text(bindings, _HELP_WIDTH))
        self._listed = bindings
        self._broken_for = _HELP_WIDTH

    def on_resize(self, event: events.Resize) -> None:
        if event.size.width != self._broken_for:
            self._broken_for = event.size.width
            self.update(help_text(self._listed, self._broken_for))


def help_text(bindings: Iterable[tuple[str, str, str]], width: int) -> Content:
    """Two columns under the bold name of each group, in lines of at most this width."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for keys, description, group in bindings:
        groups.setdefault(group, []).append((visible(keys), visible(description)))
    longest = max((len(keys) for rows in groups.values() for keys, _ in rows), default=0)
    column = min(longest, _KEYS_WIDTH, max(1, width // 3)) + 2
    parts: list[str | tuple[str, str]] = []
    for group, rows in groups.items():
        parts += ["\n\n" if parts else "", (visible(group), "bold underline")]
        for keys, description in rows:
            broken = textwrap.wrap(description, max(8, width - column)) or [""]
            # Keys that are wider than their column have a line of their own.
            gap = " " * (column - len(keys)) if len(keys) < column else f"\n{' ' * column}"
            parts += ["\n", (keys, "bold"), gap, f"\n{' ' * column}".join(broken)]
    return Content.assemble(*parts)
