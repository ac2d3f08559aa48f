"""The two views of a model: the board, and the detail beside it or in its place."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from wpod.top.board import Board, Look, hint_at
from wpod.top.columns import Layout, sort_at
from wpod.top.detail import Closeup, Detail, Page, Tab
from wpod.top.model import Model
from wpod.top.rows import Row
from wpod.top.text import Line, clean, fit, line_width, width
from wpod.tui.lines import Lines, Styles

_NAME_LEAST = 8
_FIRST_ROW = 4  # below the machine's lines and the heading


class BoardView(Lines, can_focus=True):
    """The first screen. The mouse chooses and opens rows; keys are the application's."""

    # A Tab would be the screen's, which has nothing here to go on to.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.figure(1)", show=False),
        Binding("shift+tab", "app.figure(-1)", show=False),
    ]

    class Chosen(Message):
        """A row was clicked; `opened` is a second click."""

        def __init__(self, line: int, *, opened: bool) -> None:
            super().__init__()
            self.line = line
            self.opened = opened

    def __init__(self, model: Model, styles: Styles) -> None:
        super().__init__(styles, id="board")
        self._model = model
        self.top = 0
        self.rows_shown: list[Row] = []
        self.table_height = 1
        self._shape: Layout | None = None
        self._shows_keys = False

    def draw(self, look: Look) -> None:
        """Show the model as it is now, scrolled so that the cursor's row is in sight where the view follows it."""
        board = Board(self._model, look, self.top)
        if self._model.follows or not self.rows_shown:
            position = self._model.position
            top = max(min(board.top, position), position - board.table_height + 1)
            if top != board.top:
                board = Board(self._model, look, top)
        self.top, self.rows_shown, self.table_height = board.top, board.rows_shown, board.table_height
        self._shape, self._shows_keys = board.shape, not look.message
        self.show(board.lines())

    def on_click(self, event: events.Click) -> None:
        """A row, a title, or a word of the last line."""
        line = event.y - _FIRST_ROW
        if 0 <= line < len(self.rows_shown):
            self.post_message(self.Chosen(self.top + line, opened=event.chain > 1))
        elif line == -1 and self._shape is not None and (sort := sort_at(self._shape, event.x)):
            self.post_message(self.Asked(f"sort('{sort.value}')"))
        elif event.y == self.size.height - 1 and self._shows_keys and (action := hint_at(event.x)):
            self.post_message(self.Asked(action))


class DetailView(Lines, can_focus=True):
    """One row in detail: a page of tabs, or all at once as a panel."""

    DEFAULT_CSS = """
    DetailView.-panel {
        width: 79;
    }
    """

    def __init__(self, model: Model, styles: Styles) -> None:
        super().__init__(styles, id="detail")
        self._model = model
        self.closeup: Closeup | None = None
        self.tab = Tab.MEMORY
        self.scrolled = 0
        self._is_panel = False

    def draw(self, *, letters: bool, ascii_only: bool, panel: bool) -> None:
        """Show the selected row."""
        self._is_panel = panel
        row = self._model.selected
        width, height = self.size.width, self.size.height
        if row is None or not width:
            self.show([])
            return
        detail = Detail(self._model, row, self.closeup, Page(width, height - 2, letters, ascii_only))
        if panel:
            self.show(detail.panel())
            return
        lines = detail.lines(self.tab)
        below = max(0, len(lines) - (height - 2))
        self.scrolled = max(0, min(self.scrolled, below))
        first = below - self.scrolled if self._follows_end else self.scrolled
        self.show([self._tabs(row), (), *lines[first : first + height - 2]])

    @property
    def _follows_end(self) -> bool:
        """A log is read from its end, and stays there as it grows."""
        return self.tab is Tab.LOGS

    def _tabs(self, row: Row) -> Line:
        """The name has what the tabs leave of the line."""
        spans: list[tuple[str, str]] = []
        for tab in Tab:
            before = "[" if tab is self.tab else "]" if spans and spans[-1][1] == "key" else " "
            spans.append((before + tab.value, "key" if tab is self.tab else "dim"))
        spans.append(("]" if self.tab is list(Tab)[-1] else " ", "dim"))
        room = max(_NAME_LEAST, self.size.width - line_width(tuple(spans)) - 2)
        name = clean(row.name)
        return ((" " + fit(name, min(width(name), room)) + " ", "title"), *spans)

    def on_click(self, event: events.Click) -> None:
        """A click on a tab opens it."""
        row = self._model.selected
        if event.y or row is None or self._is_panel:
            return
        end = 0
        for tab, (text, _) in zip((None, *Tab), self._tabs(row), strict=False):
            end += width(text)
            if event.x < end:
                if tab is not None:
                    self.post_message(self.Asked(f"tab('{tab.name}')"))
                return

    def scroll_lines(self, lines: int) -> None:
        """Move the page by lines."""
        self.scrolled = max(0, self.scrolled + (-lines if self._follows_end else lines))
