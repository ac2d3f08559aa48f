"""The line in which a filter is typed."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label

from wpod.tui.dialogs import plain


class FilterBar(Horizontal):
    """One line at the bottom, hidden until `open`. Says each change, and in the end Accepted or Cancelled.

    It hides itself before it says the last; the focus goes where the receiver puts it.
    """

    DEFAULT_CSS = """
    FilterBar {
        dock: bottom;
        height: 1;
        display: none;
        background: $surface;
    }
    FilterBar.-open {
        display: block;
    }
    FilterBar Label {
        color: $primary;
        text-style: bold;
    }
    FilterBar Input {
        width: 1fr;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel", show=False)]

    class Changed(Message):
        """The text is another one; what is shown may follow it."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Accepted(Message):
        """Enter: the text stays the filter."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Cancelled(Message):
        """Esc: `text` is what it was before."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, hint: str = "words, kind:wasm state:exited total>10M limit>80 grow>0") -> None:
        super().__init__()
        self._hint = hint
        self._before = ""

    def compose(self) -> ComposeResult:
        """See `textual.widget.Widget.compose`."""
        yield Label(plain("/ "))
        yield Input(placeholder=self._hint, select_on_focus=False, compact=True)

    @property
    def is_open(self) -> bool:
        return self.has_class("-open")

    def open(self, text: str = "") -> None:
        """Show the line with this text in it and take the keys."""
        self._before = text
        line = self.query_one(Input)
        with line.prevent(Input.Changed):
            line.value = text
        line.cursor_position = len(text)
        self.add_class("-open")
        self.screen.set_focus(line)  # at once: `focus` comes after keys that are waiting

    def action_cancel(self) -> None:
        self._end(self.Cancelled(self._before))

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.is_open:
            self.post_message(self.Changed(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._end(self.Accepted(event.value))

    def _end(self, said: Message) -> None:
        if self.is_open:
            self.remove_class("-open")
            self.post_message(said)
