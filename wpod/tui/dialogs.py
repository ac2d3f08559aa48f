"""Questions and menus above the screen that they are about.

Each gives its answer by `dismiss`; None and False mean that nothing shall be done. All fit into 60 columns and 15
lines. The chosen line has a `>`, a focused button is reversed, and what can't be chosen says why: nothing is told by
colour alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, TypeVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from wpod.frozen import frozen
from wpod.output.streams import visible
from wpod.top.moment import Item
from wpod.tui.actions import Action, Target, command_text, fitting, object_names, question, targets_of

Answer = TypeVar("Answer")

_NAMED = 6  # more names than this aren't read
_TYPED_ABOVE = 10
_COMMAND_CHARACTERS = 140  # three lines of the narrowest dialog


def plain(text: str) -> Content:
    """Text as it is: not markup, and without control characters."""
    return Content(visible(text))


class Dialog(ModalScreen[Answer]):
    """What all have in common: a box in the middle, and that an answer counts once."""

    DEFAULT_CSS = """
    Dialog {
        align: center middle;
    }
    """

    AUTO_FOCUS = ""  # each says itself where to begin

    def answer(self, value: Answer | None) -> None:
        """Close with this answer; a second key of somebody who is faster than the screen is lost."""
        if self.is_current:
            self.dismiss(value)

    def is_outside(self, event: events.Click) -> bool:
        """Whether the click was beside the box."""
        widget, _ = self.get_widget_at(event.screen_x, event.screen_y)
        return widget is self


class _Count(Input):
    """Takes digits; letters stay keys of the dialog."""

    def __init__(self, limit: int) -> None:
        super().__init__(restrict="[0-9]*", max_length=limit, select_on_focus=False, compact=True, id="count")

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """See `textual.widget.Widget.check_consume_key`."""
        return character is not None and character.isdigit()

    async def _on_key(self, event: events.Key) -> None:
        if event.is_printable and not (event.character or "").isdigit():
            event.prevent_default()  # Input would swallow it


class Confirm(Dialog[bool]):
    """Asks before something is destroyed. True only for a yes; No has the focus, so a hasty Enter does nothing.

    Above ten objects a yes counts only where their number was typed.
    """

    DEFAULT_CSS = """
    Confirm > Vertical {
        width: 58;
        max-width: 100%;
        height: auto;
        max-height: 100%;
        padding: 0 1;
        border: round $primary;
        background: $surface;
    }
    Confirm #objects {
        text-wrap: nowrap;
        text-overflow: ellipsis;
    }
    Confirm #command {
        max-height: 3;
        color: $text-muted;
    }
    Confirm Horizontal {
        height: 1;
    }
    Confirm #asked.-wrong {
        color: $error;
        text-style: bold;
    }
    Confirm #count {
        width: 8;
    }
    Confirm #buttons {
        align-horizontal: right;
    }
    Confirm Button {
        min-width: 9;
        margin-left: 1;
    }
    Confirm Button:focus {
        text-style: bold reverse;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "yes", "Yes", show=False),
        Binding("n,escape,enter", "no", "No", show=False),  # Enter: where nothing has the focus
        Binding("c", "copy", "Copy the command", show=False),
        Binding("left,up", "app.focus_previous", "Previous", show=False),
        Binding("right,down", "app.focus_next", "Next", show=False),
    ]

    def __init__(self, asked: str, names: Sequence[str], command: str) -> None:
        super().__init__()
        self._asked = asked
        self._names = tuple(names)
        self._command = command
        self._is_typed = len(self._names) > _TYPED_ABOVE

    @classmethod
    def of(cls, action: Action, targets: Sequence[Target], root: str = "") -> Confirm:
        """The question about an action; `root` is the global --root."""
        return cls(question(action, targets), object_names(action, targets), command_text(action, targets, root))

    def compose(self) -> ComposeResult:
        """See `textual.widget.Widget.compose`."""
        box = Vertical()
        box.border_title = plain(self._asked).markup
        box.border_subtitle = "c: copy the command"
        with box:
            yield Static(plain("\n".join(_first(self._names))), id="objects")
            yield Static(plain(f"$ {_cut(self._command)}"), id="command")
            if self._is_typed:
                with Horizontal():
                    yield Label(plain(self._request()), id="asked")
                    yield _Count(len(str(len(self._names))) + 1)
            with Horizontal(id="buttons"):
                yield Button(plain("No (n)"), id="no", compact=True)
                yield Button(plain("Yes (y)"), id="yes", compact=True)

    def on_mount(self) -> None:
        self.query_one("#count" if self._is_typed else "#no").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """As the key of the button's letter."""
        event.stop()
        if event.button.id == "yes":
            self.action_yes()
        else:
            self.action_no()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_yes()

    def action_no(self) -> None:
        self.answer(False)

    def action_copy(self) -> None:
        """The whole command, of which a long one is cut on the screen."""
        self.app.copy_to_clipboard(self._command)
        self.query_one(Vertical).border_subtitle = "copied"

    def action_yes(self) -> None:
        """Answer yes, or say what is missing."""
        if not self._is_typed or self._has_number():
            self.answer(True)
            return
        asked = self.query_one("#asked", Label)
        asked.update(plain(f"Not {len(self._names)}. {self._request()}"))
        asked.add_class("-wrong")
        self.query_one("#count").focus()

    def _has_number(self) -> bool:
        typed = self.query_one("#count", Input).value
        return typed.isdecimal() and int(typed) == len(self._names)

    def _request(self) -> str:
        return f"Type {len(self._names)} to go on: "


def _first(names: Sequence[str]) -> list[str]:
    if len(names) <= _NAMED:
        return list(names)
    return [*names[:_NAMED], f"and {len(names) - _NAMED} more"]


def _cut(command: str) -> str:
    return command if len(command) <= _COMMAND_CHARACTERS else f"{command[:_COMMAND_CHARACTERS]} …"


@frozen
class Line:
    """One line of a list."""

    text: str
    can_be_chosen: bool = True


class ListDialog(Dialog[Answer]):
    """A list of which one line is chosen by arrows and Enter or by the mouse; Esc, or a click outside, is None."""

    DEFAULT_CSS = """
    ListDialog > OptionList, ListDialog > OptionList:focus {
        width: 58;
        max-width: 100%;
        height: auto;
        max-height: 100%;
        padding: 0 1;
        border: round $primary;
        background: $surface;
        background-tint: $surface 0%;
    }
    ListDialog > OptionList > .option-list--option-highlighted,
    ListDialog > OptionList:focus > .option-list--option-highlighted {
        color: $surface;
        background: $foreground;
        text-style: bold;
    }
    ListDialog > OptionList > .option-list--option-disabled {
        color: $text-muted;
        text-style: dim;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Close", show=False)]

    def __init__(self, title: str, lines: Sequence[Line], chosen: int | None = None) -> None:
        super().__init__()
        self._lines = tuple(lines)
        self._chosen = chosen
        self._pointed: int | None = None
        self._title = title

    @property
    def options(self) -> OptionList:
        """The list on the screen."""
        return self.query_one(OptionList)

    def compose(self) -> ComposeResult:
        """See `textual.widget.Widget.compose`."""
        options = OptionList(
            *(Option(self._prompt(number), disabled=not line.can_be_chosen) for number, line in enumerate(self._lines)),
            markup=False,
        )
        options.border_title = plain(self._title).markup
        options.border_subtitle = plain("Enter: choose  Esc: close").markup
        yield options

    def on_mount(self) -> None:
        if self._chosen is not None:
            self.options.highlighted = self._chosen
        self._point()
        self.options.focus()

    def on_option_list_option_highlighted(self) -> None:
        self._point()

    def on_click(self, event: events.Click) -> None:
        if self.is_outside(event):
            self.answer(None)

    def action_cancel(self) -> None:
        self.answer(None)

    def _point(self) -> None:
        """Move the `>` to where the list is."""
        before, self._pointed = self._pointed, self.options.highlighted
        for number in (before, self._pointed):
            if number is not None:
                self.options.replace_option_prompt_at_index(number, self._prompt(number))

    def _prompt(self, number: int) -> Content:
        return plain(f"{'>' if number == self._pointed else ' '} {self._lines[number].text}")


class ActionMenu(ListDialog[Action]):
    """What can be done to these items. What fits none of them is dim and says why; what fits some says how many.

    The caller takes the targets from the items that it gave, not from what the screen shows by then.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(action.key, f"choose('{action.name}')", action.label, show=False) for action in Action),
        Binding("x,f9", "cancel", "Close", show=False),
    ]

    def __init__(self, items: Sequence[Item]) -> None:
        title = targets_of(items)[0].name if len(items) == 1 else f"{len(items)} containers"
        self._fits = {action: len(fitting(action, items)) for action in Action}
        super().__init__(title, [self._line(action, len(items)) for action in Action])

    def action_choose(self, name: str) -> None:
        """A key of an action; nothing happens where it doesn't fit."""
        if self._fits[Action[name]]:
            self.answer(Action[name])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_choose(tuple(Action)[event.option_index].name)

    def _line(self, action: Action, count: int) -> Line:
        fits = self._fits[action]
        note = "" if fits == count else f"{fits} of {count}"
        if not fits:
            note = (action.unfit if count == 1 else "fits none of them") if count else "there is no container"
        return Line(f"{action.key if fits else '-'}  {action.label:<12}{note}".rstrip(), can_be_chosen=fits > 0)


class Choice(ListDialog[str]):
    """One of several things, by its key: the sort column, the grouping, a set of columns. `*` marks the present one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "cancel", "Close", show=False),
        Binding("j", "move('cursor_down')", "Down", show=False),
        Binding("k", "move('cursor_up')", "Up", show=False),
        Binding("g", "move('first')", "First", show=False),
        Binding("G", "move('last')", "Last", show=False),
    ]

    def __init__(self, title: str, options: Iterable[tuple[str, str]], present: str = "") -> None:
        pairs = tuple(options)
        self._keys = tuple(key for key, _ in pairs)
        lines = [Line(f"{'*' if key == present else ' '} {label}") for key, label in pairs]
        super().__init__(title, lines, self._keys.index(present) if present in self._keys else None)

    async def action_move(self, where: str) -> None:
        await self.options.run_action(where)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.answer(self._keys[event.option_index])
