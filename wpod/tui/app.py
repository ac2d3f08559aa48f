"""The application of `wpod top`: joins the feed, the model, the views and the dialogs.

Theory of operation. The model (wpod/top/model.py) is all there is to know; a key changes it and draws again. The feed's
thread posts `Arrived`; of several that wait only the newest is taken. While a dialog is open the model is held: rows
don't move under a question, and an action is about what was seen when its key was pressed.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections import deque
from collections.abc import Iterable
from typing import Any

from textual import events
from textual.app import ComposeResult, SystemCommand
from textual.command import CommandPalette
from textual.containers import Horizontal
from textual.message import Message
from textual.screen import Screen
from textual.theme import Theme as TextualTheme

from wpod.errors import UsageError, WpodError
from wpod.frozen import frozen
from wpod.top import palette
from wpod.top.board import Look, status_words
from wpod.top.detail import Tab
from wpod.top.model import Model
from wpod.top.rows import Sort
from wpod.tui import keys
from wpod.tui.detail_actions import DetailActions
from wpod.tui.dialogs import Choice
from wpod.tui.feed import Feed, News, Source, Wish
from wpod.tui.filter_bar import FilterBar
from wpod.tui.help_screen import Help
from wpod.tui.lines import Lines, Styles
from wpod.tui.terminal import Ability
from wpod.tui.views import BoardView, DetailView

_PANEL_FROM = 160
_LEAST_INTERVAL, _MOST_INTERVAL = 0.5, 60.0
_MESSAGE_SECONDS = 6.0
_SWITCH_SECONDS = 0.0005
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@frozen
class Opening:
    """What the application is started with. `root` is the global --root or None."""

    source: Source
    ability: Ability
    interval: float = 1.0
    filter_text: str = ""


class TopApp(DetailActions, inherit_bindings=False):
    """`run` gives the exit status; an error of the feed is in `failure`."""

    CSS = """
    Screen { layers: base; }
    #sides { height: 1fr; }
    #detail { display: none; }
    .-detailed #detail { display: block; }
    .-detailed #board { display: none; }
    .-wide #detail { display: block; width: 79; }
    .-wide #board { display: block; }
    .-ascii Dialog > * { border: ascii $primary; scrollbar-size-vertical: 0; }
    .-ascii CommandPalette #--input, .-ascii CommandPalette CommandList { border: none; scrollbar-size-vertical: 0; }
    .-ascii CommandPalette SearchIcon { display: none; }
    .-ascii CommandPalette * { text-overflow: clip; }
    """
    TITLE = "wpod top"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS = keys.bindings()  # noqa: RUF012

    class Arrived(Message):
        """The feed has something in `inbox`."""

    def __init__(self, opening: Opening) -> None:
        super().__init__()
        self._opening, self.source = opening, opening.source
        self.model = Model()
        self.failure: WpodError | None = None
        self.mistake: Exception | None = None
        self._interval = opening.interval
        self._message = ""
        self._inbox: deque[News] = deque(maxlen=64)
        self._hidden = False
        self._ended = False
        theme_shown = palette.LIGHT if opening.ability.light else palette.DARK
        self._styles = Styles(theme_shown, plain=opening.ability.letters)
        for theme in palette.THEMES.values():
            self.register_theme(_textual_theme(theme))
        self.theme = f"wpod-{'light' if opening.ability.light else 'dark'}"
        self.set_class(opening.ability.ascii_only, "-ascii")
        self._feed = Feed(opening.source, self._told, Wish(frozenset(), interval=opening.interval))
        self._board = BoardView(self.model, self._styles)
        self._detail = DetailView(self.model, self._styles)
        self._filter = FilterBar()

    # --- life

    def compose(self) -> ComposeResult:
        """See `textual.widget.Widget.compose`."""
        with Horizontal(id="sides"):
            yield self._board
            yield self._detail
        yield self._filter

    def on_mount(self) -> None:
        """Everything begins here."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):  # not the main thread: tests
                loop.add_signal_handler(number, self.exit, 128 + number)
        self.theme_changed_signal.subscribe(self, self._change_theme)
        with contextlib.suppress(UsageError):
            self.model.set_filter(self._opening.filter_text)
        self._board.focus()
        self._feed.start()
        self.call_after_refresh(self.draw)

    def on_unmount(self) -> None:
        self._feed.stop()

    def _handle_exception(self, error: Exception) -> None:
        """A mistake of ours: Textual would print a traceback with all local values; `run` raises it instead."""
        if self.is_headless:  # the pilot of a test raises it
            super()._handle_exception(error)
            return
        if self.mistake is None:
            self.mistake = error
        self.exit(1)

    async def on_event(self, event: events.Event) -> None:
        """See `textual.app.App.on_event`.

        Keys of the main screen are answered here, each before the next is looked at: on its way through the widgets a
        `/` would be overtaken by the words that were typed behind it, and these would be keys (ssh sends them at once).
        """
        is_own = isinstance(event, events.Key) and not event.is_forwarded and self.app_focus
        if is_own and len(self.screen_stack) == 1 and not self._filter.is_open:
            assert isinstance(event, events.Key)
            if await self._check_bindings(event.key):
                return
        await super().on_event(event)

    def _told(self, news: News) -> None:
        """In the feed's thread."""
        self._inbox.append(news)
        self.post_message(self.Arrived())

    def on_top_app_arrived(self, _message: Arrived) -> None:
        """Take all that came; draw once."""
        changed = False
        while self._inbox:
            news = self._inbox.popleft()
            if news.error is not None:
                self.failure = news.error
                self.exit(news.error.code)
                return
            if news.over:
                self._ended = True
                self.say("the recording has ended")
            if news.closeup is not None:
                self._detail.closeup = news.closeup
            if news.moment is not None:
                is_first = self.model.moment is None
                changed |= self.model.take(news.moment)
                if is_first and (notice := self.model.notice()):
                    self.say(notice)
        if changed or self._details:
            self.draw()

    # --- drawing

    @property
    def _wide(self) -> bool:
        return self.size.width >= _PANEL_FROM

    @property
    def _details(self) -> bool:
        """Whether something about a single container is on the screen."""
        return self._wide or self._is_detailed

    @property
    def board_width(self) -> int:
        """See `ViewActions`."""
        return self._board.size.width

    def draw(self) -> None:
        """Show the model as it is, and tell the feed whom it shall look at."""
        if not self.screen_stack:  # it is ending
            return
        self._main.set_class(self._wide, "-wide")
        able = self._opening.ability
        size = self._board.size
        if size.width and size.height:
            status = status_words(self.model, self._interval, replays=bool(self.source.replay))
            message = self._message or self._state_words()
            self._board.draw(Look(size.width, size.height, status, able.ascii_only, self._letters, message,
                                  place=self.source.replay))  # fmt: skip
        if self._details and self._detail.size.width:
            self._detail.draw(letters=self._letters, ascii_only=able.ascii_only,
                              panel=self._wide and not self._is_detailed)  # fmt: skip
        self._feed.ask(self._wish())

    @property
    def _letters(self) -> bool:
        return self._opening.ability.letters or bool(self.ansi_color)

    def _state_words(self) -> str:
        words = []
        if self.model.filter_text:
            words.append(f"filter: {self.model.filter_text}")
        if self.model.tags:
            words.append(f"{len(self.model.tags)} tagged")
        if trouble := self.model.trouble():
            words.append(trouble)
        return "   ".join(words)

    def _wish(self) -> Wish:
        row = self.model.selected if self._details else None
        single = row is not None and not row.is_group and not row.vanished
        return Wish(
            fresh=frozenset(self.model.wanted(self._board.rows_shown)),
            closeup=row.key if single and row is not None else "",
            interval=self._interval,
            hidden=self._hidden or self.model.frozen,
        )

    def look_soon(self) -> None:
        """See `ContainerActions`."""
        self._feed.ask(self._wish(), soon=True)

    def on_lines_resized(self) -> None:
        self.draw()

    def say(self, words: str) -> None:
        """A line at the bottom for some seconds."""
        self._message = words
        self.set_timer(_MESSAGE_SECONDS, lambda: self._unsay(words))
        self.draw()

    def _unsay(self, words: str) -> None:
        if self._message == words:
            self._message = ""
            self.draw()

    def _change_theme(self, theme: TextualTheme) -> None:
        self._styles = Styles(palette.DARK if theme.dark else palette.LIGHT, plain=self._letters)
        for view in (self._board, self._detail):
            view.set_theme(self._styles)

    def on_app_blur(self) -> None:
        self._hidden = True
        self._feed.ask(self._wish())

    def on_app_focus(self) -> None:
        self._hidden = False
        self._feed.ask(self._wish(), soon=True)

    # --- moving and looking

    def action_move(self, lines: int) -> None:
        """The cursor, or the page of the detail, goes by so many lines."""
        if self._is_detailed:
            self._detail.scroll_lines(lines)
        else:
            self.model.move(lines)
        self.draw()

    def action_page(self, pages: int) -> None:
        self.action_move(pages * max(1, self._board.table_height - 1))

    def action_end(self, last: bool) -> None:
        self.action_move(1_000_000 if last else -1_000_000)

    def on_board_view_chosen(self, message: BoardView.Chosen) -> None:
        self.model.move_to(message.line)
        self.draw()
        if message.opened:
            self.action_open()

    async def on_lines_asked(self, message: Lines.Asked) -> None:
        await self.run_action(message.action)

    def on_lines_wheel(self, message: Lines.Wheel) -> None:
        self.action_move(message.lines)

    def action_open(self) -> None:
        """Unfold a group, show a container in detail, open the tree of its inspect."""
        row = self.model.selected
        if row is None:
            return
        if self._is_detailed and self._detail.tab is Tab.INSPECT:
            self._open_tree()
        elif row.is_group:
            self.model.unfold(row, unfolded=not row.unfolded)
            self.draw()
        else:
            self._show_detail(self._detail.tab)

    async def action_back(self) -> None:
        """One step back: the detail, then the focused figure, the filter, the tags."""
        if self._is_detailed:
            self._main.remove_class("-detailed")
            self._board.focus()
            self.call_after_refresh(self.draw)
        elif self.model.figure:
            self.model.figure = ""
        elif self.model.filter_text:
            self.model.set_filter("")
        elif self.model.tags:
            self.model.untag()
        self.draw()

    # --- the view

    def action_filter(self) -> None:
        self._filter.open(self.model.filter_text)

    def on_filter_bar_changed(self, message: FilterBar.Changed) -> None:
        with contextlib.suppress(UsageError):  # half a condition: it is being typed
            self.model.set_filter(message.text)
        self.draw()

    def on_filter_bar_accepted(self, message: FilterBar.Accepted) -> None:
        """The filter stays; a wrong one is told."""
        self._board.focus()
        try:
            self.model.set_filter(message.text)
        except UsageError as error:
            self.say(f"error: {error.message}")
        self.draw()

    def on_filter_bar_cancelled(self, message: FilterBar.Cancelled) -> None:
        self._board.focus()
        self.model.set_filter(message.text)
        self.draw()

    def action_choose_sort(self) -> None:
        choice = Choice("Sort by", [(one.value, one.value) for one in Sort], self.model.arrangement.sort.value)
        self.open_dialog(choice, lambda name: self.action_sort(name) if name else None)

    # --- time

    def action_freeze(self) -> None:
        self.model.freeze()
        self.draw()
        self._feed.ask(self._wish(), soon=not self.model.frozen)

    def action_interval(self, factor: float) -> None:
        self._interval = min(_MOST_INTERVAL, max(_LEAST_INTERVAL, self._interval * factor))
        self._feed.ask(self._wish(), soon=True)
        self.draw()

    # --- others

    def action_command_palette(self) -> None:
        """See `textual.app.App.action_command_palette`, whose words are not ASCII."""
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(CommandPalette(placeholder="Search for commands", id="--command-palette"))

    def action_help(self) -> None:
        self.open_dialog(Help(keys.help_rows()))

    async def action_quit(self) -> None:
        self.exit(0)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Everything that a key does, by its name."""
        for one in keys.KEYS:
            if one.words and one.action not in ("command_palette", "move(1)", "move(-1)"):
                yield SystemCommand(f"{one.group}: {one.words}", one.shown, lambda action=one.action: self._run(action))
        for name in palette.THEMES:
            yield SystemCommand(f"Theme: {name}", "colours", lambda name=name: setattr(self, "theme", f"wpod-{name}"))

    def _run(self, action: str) -> None:
        self.call_later(self.run_action, action)


def _textual_theme(theme: palette.Theme) -> TextualTheme:
    colours = theme.colours
    return TextualTheme(
        name=f"wpod-{theme.name}", primary=colours["key"], warning=colours["warn"], error=colours["bad"],
        success=colours["good"], foreground=colours["text"], background=colours["ground"], surface=colours["ground"],
        panel=colours["selected"], dark=theme.dark,
    )  # fmt: skip


def run(opening: Opening) -> int:
    """The whole application; the exit status. Raises WpodError where it couldn't go on."""
    # A key passes the interpreter's lock some ten times; while the feed computes, each costs as long (5 ms usually).
    sys.setswitchinterval(_SWITCH_SECONDS)
    app = TopApp(opening)
    status = app.run()
    if app.failure is not None:
        raise app.failure
    if app.mistake is not None:
        raise app.mistake
    return status if status is not None else (app.return_code or 0)
