"""Text above the screen that is longer than it, to be read and closed."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget

from wpod.tui.dialogs import Dialog, plain


class Scrolling(Dialog[None]):
    """A box with one widget that is moved by keys and the wheel; Esc, q, or a click outside closes it."""

    DEFAULT_CSS = """
    Scrolling > VerticalScroll {
        width: 100%;
        max-width: 120;
        height: auto;
        max-height: 100%;
        padding: 0 1;
        border: round $primary;
        background: $surface;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "Close", show=False),
        Binding("j,down", "scroll('down')", "Down", show=False),
        Binding("k,up", "scroll('up')", "Up", show=False),
        Binding("pagedown,space", "scroll('page_down')", "Page down", show=False),
        Binding("pageup", "scroll('page_up')", "Page up", show=False),
        Binding("g", "scroll('home')", "Top", show=False),
        Binding("G", "scroll('end')", "End", show=False),
    ]

    def __init__(self, title: str, content: Widget) -> None:
        super().__init__()
        self._heading, self._content = title, content

    def compose(self) -> ComposeResult:
        """See `textual.widget.Widget.compose`."""
        box = VerticalScroll()
        box.border_title = plain(self._heading).markup
        box.border_subtitle = plain("Esc: close").markup
        with box:
            yield self._content

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def on_click(self, event: events.Click) -> None:
        if self.is_outside(event):
            self.answer(None)

    def action_close(self) -> None:
        self.answer(None)

    def action_scroll(self, where: str) -> None:
        """Move the text as the key of that name does, without an animation."""
        getattr(self.query_one(VerticalScroll), f"scroll_{where}")(animate=False)
