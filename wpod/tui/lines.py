"""A widget that shows lines of spans, and sends to the terminal only those that have changed."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from wpod.top import palette
from wpod.top.palette import Theme
from wpod.top.text import Line

_KEPT_STYLES = 512
_WHEEL_LINES = 3
_AREAS = frozenset((*palette.PARTS, "wasm", "native"))


class Styles:
    """The terminal's styles of roles, each made once. `plain`: parts are letters, which must be easy to read."""

    def __init__(self, theme: Theme, *, plain: bool = False) -> None:
        self._theme = theme
        self._plain = plain
        self._made: dict[str, Style] = {}

    def of(self, role: str) -> Style:
        """The style of a role or a pair of roles."""
        found = self._made.get(role)
        if found is None:
            if len(self._made) >= _KEPT_STYLES:
                self._made.clear()
            shown = "|".join("text" if one in _AREAS else one for one in role.split("|")) if self._plain else role
            front, behind = palette.colours(self._theme, shown)
            bold = role.partition("|")[0] in ("title", "bad", "key")
            found = Style(color=front, bgcolor=behind or self._theme.colours["ground"], bold=bold or None)
            if role.endswith("|selected"):  # seen without colours too
                found += Style(reverse=None, underline=None, bold=True)
            self._made[role] = found
        return found


class Lines(Widget):
    """Shows lines from the top; what is below or beside them is blank."""

    DEFAULT_CSS = """
    Lines {
        height: 1fr;
        width: 1fr;
    }
    """

    class Resized(Message):
        """The widget has another size now, and shows lines that were made for the old one."""

    class Asked(Message):
        """What was clicked stands for an action of the application: a title, a tab, a word of the last line."""

        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    class Wheel(Message):
        """The mouse's wheel asks for so many lines down."""

        def __init__(self, lines: int) -> None:
            super().__init__()
            self.lines = lines

    def __init__(self, styles: Styles, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._styles = styles
        self._lines: list[Line] = []

    def set_theme(self, styles: Styles) -> None:
        """Another theme: everything is drawn anew."""
        self._styles = styles
        self.refresh()

    def show(self, lines: Sequence[Line]) -> None:
        """Show these; only lines that differ are drawn."""
        before, self._lines = self._lines, list(lines)
        width = self.size.width
        changed = [
            Region(0, number, width, 1)
            for number in range(max(len(before), len(self._lines)))
            if _at(before, number) != _at(self._lines, number)
        ]
        if changed:
            self.refresh(*changed)

    def render_line(self, y: int) -> Strip:
        """See `textual.widget.Widget.render_line`."""
        line = _at(self._lines, y)
        of = self._styles.of
        strip = Strip([Segment(text, of(role)) for text, role in line if text])
        return strip.adjust_cell_length(self.size.width, of(""))

    def on_resize(self) -> None:
        self.post_message(self.Resized())

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.post_message(self.Wheel(_WHEEL_LINES))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.post_message(self.Wheel(-_WHEEL_LINES))


def _at(lines: Sequence[Line], number: int) -> Line:
    return lines[number] if number < len(lines) else ()
