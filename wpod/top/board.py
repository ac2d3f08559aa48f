"""The first screen of `wpod top` as lines: the machine, the table, what is pinned below it, and the selected one.

Four questions are answered without a key: where is the memory, what grows, who is near a limit, does it add up.
"""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Sequence

from wpod.frozen import frozen
from wpod.model.memory import Part, first_to_bite
from wpod.model.sample import HelperSample, HostSample
from wpod.top import columns, figures
from wpod.top.bar import BLOCKS, LETTERS, NO_MARKS, Marks, Segment, bar, bar_of, host_segments, reserved, segments
from wpod.top.columns import Column, Drawing, Layout
from wpod.top.model import Model
from wpod.top.moment import Moment, State
from wpod.top.rows import Row, summed
from wpod.top.text import Line, Span, age, amount, clean, crop, fit, line_width, pad, percent, plain, signed_amount
from wpod.top.text import width as text_width
from wpod.top.verdict import verdict

# What stands in the last line, and what a click on it does (actions of wpod/tui/keys.py).
HINTS = (
    ("Enter detail", "open"), ("/ filter", "filter"), ("M P D sort", "choose_sort"), ("o group", "group"),
    ("l logs", "tab('LOGS')"), ("w why", "why"), ("x act", "menu"), ("? help", "help"),
)  # fmt: skip
_BETWEEN = "  "
KEYS = _BETWEEN.join(words for words, _ in HINTS)
_PINNED = 3
_PLACE_CELLS = 24
_STRIP = 5  # with the line of keys
_ENOUGH_EXPLAINED = 0.95
_FAR_LIMIT = 4  # times the total: parts could not be told from each other
_SHORT = 15  # below this height there is no strip, and nothing pinned but the sum


@frozen
class Look:
    """How the screen is drawn. `status` stands at the right of the first line: LIVE 1s, FROZEN, REPLAY, …

    `place` is what the moments are of, "" for this machine.
    """

    width: int
    height: int
    status: str
    ascii_only: bool = False
    letters: bool = False
    message: str = ""
    keys: str = KEYS
    place: str = ""


class Board:
    """All lines of one moment. `rows_shown` are those of the table that are on the screen."""

    def __init__(self, model: Model, look: Look, top: int = 0) -> None:
        """`top` is the first row of the table that is shown."""
        self._model, self._look = model, look
        self._drawn: Drawing = columns.drawing(model, LETTERS if look.letters else BLOCKS, ascii_only=look.ascii_only)
        self.shape: Layout = columns.layout(model, look.width)
        self.table_height = _table_height(look.height)
        self.top = max(0, min(top, len(model.rows) - self.table_height))
        self.rows_shown = model.rows[self.top : self.top + self.table_height]

    def lines(self) -> list[Line]:
        """As many as the height has, each of exactly the width."""
        look, moment = self._look, self._model.moment
        if moment is None:
            found: list[Line] = [self._header(None), ((" Looking…" if not look.ascii_only else " Looking...", "dim"),)]
        else:
            heading = columns.heading(self.shape, self._model, ascii_only=look.ascii_only)
            found = [self._header(moment), *self._host(moment), heading]
            found += self.table()
            if look.height >= _SHORT:
                found += [_pinned_line(one, self.shape, self._model, self._drawn)
                          for one in pinned(self._model, moment, look.ascii_only)]  # fmt: skip
                found += self._strip()
        found += [()] * (look.height - len(found))
        return [pad(crop(line, look.width), look.width) for line in found[: look.height]]

    def table(self) -> list[Line]:
        """The rows that are shown, filled with empty lines."""
        model = self._model
        if not model.rows:
            return _filled(empty(model, self._look.width), self.table_height)
        lines = []
        for row in self.rows_shown:
            line = columns.row_line(row, self.shape, model, self._drawn)
            lines.append(_under_cursor(line, self._look.width) if row.key == model.cursor else line)
        return _filled(lines, self.table_height)

    def _strip(self) -> list[Line]:
        """About the selected one; the focused figure stands in the place of the numbers and the sentence."""
        lines, model, row = strip(self._model, self._look, self._drawn), self._model, self._model.selected
        if row is not None and (words := figures.explained(row, model.figure, model, self.shape)):
            lines[2:4] = figures.lines_of(words, self._look.width, ascii_only=self._look.ascii_only)
        return lines

    def _header(self, moment: Moment | None) -> Line:
        wasm, native, failed = self._model.counts()
        left: list[Span] = [("wpod top", "title"), (f"  {self._place()}", "dim")]
        middle: list[Span] = [(f"  {wasm} wasm  {native} native", "text")]
        if failed:
            middle.append((f"  {failed} failed", "bad"))
        pressure = moment.host.pressure if moment is not None else None
        right: list[Span] = [(self._look.status, "title" if self._look.status.startswith("LIVE") else "warn")]
        if pressure is not None:
            right.append((f"  PSI {percent(pressure.some_10)}", "warn" if pressure.some_10 >= 1 else "dim"))
        width = self._look.width
        if line_width((*left, *middle, *right)) > width:
            left = left[:1]
        return _spread(tuple(left + middle), tuple(right), width)

    def _place(self) -> str:
        place = self._look.place
        return fit(os.path.basename(place), _PLACE_CELLS).strip() if place else _whereabouts()

    def _host(self, moment: Moment) -> list[Line]:
        host, width = moment.host, self._look.width
        wasm, native = (of_kind(moment, kind) for kind in ("wasm", "native"))
        cells = max(0, width - 2)
        graph = bar_of(host_segments(wasm, native, host.helpers, max(0, host.cache)), cells, max(1, host.used),
                       self._drawn.style)  # fmt: skip
        return [((" ", ""), *graph), self._host_numbers(host, wasm, native)]

    def _host_numbers(self, host: HostSample, wasm: int, native: int) -> Line:
        def shown(value: int) -> str:
            return columns.shown_bytes(value, self._model)

        spans: list[Span] = [
            (f" wasm {shown(wasm)}", "wasm"), (f" native {shown(native)}", "native"),
            (f" helpers {shown(host.helpers)}", "helpers"), (f" cache {shown(host.cache)}", "cache"),
            (" |", "text"), (f" other {shown(host.others)}", "text"), (f" free {shown(host.free)}", "text"),
            (f" adds up {host.explained:.0%}", "good" if host.explained >= _ENOUGH_EXPLAINED else "warn"),
        ]  # fmt: skip
        while line_width(tuple(spans)) > self._look.width and len(spans) > 1:
            del spans[-2]  # what isn't containers stands below the table as well; the sum stays
        return tuple(spans)


def _table_height(height: int) -> int:
    fixed = 4 + (_PINNED + _STRIP if height >= _SHORT else 0)
    return max(1, height - fixed)


def of_kind(moment: Moment, kind: str) -> int:
    """What the running containers of a kind have together, without their helpers."""
    found = [item.memory for item in moment.items if item.facts.kind == kind]
    return sum((one.total or 0) - (one.helpers or 0) for one in found)


def _whereabouts() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        user = str(os.getuid())
    return f"{user}@{os.uname().nodename}"


def _spread(left: Line, right: Line, width: int) -> Line:
    space = width - line_width(left) - line_width(right)
    return (*left, (" " * max(1, space), ""), *right)


def _filled(lines: Sequence[Line], height: int) -> list[Line]:
    return [*lines[:height], *([()] * (height - len(lines)))]


def _under_cursor(line: Line, width: int) -> Line:
    """Colours stay, on the ground of the selection."""
    padded = pad(line, width)
    return tuple((text, role if "|" in role else f"{role or 'text'}|selected") for text, role in padded)


def empty(model: Model, width: int) -> list[Line]:
    """What stands in the place of rows: the way to the first container, or what hides them."""
    if model.filter_text:
        return [(), ((f"   No container matches {model.filter_text!r}: Esc shows all", "dim"),)]
    if model.moment is not None and model.moment.items:
        return [(), (("   None runs: e shows those that have ended", "dim"),)]
    commands = ("wpod run -d --name hello IMAGE            # of a wasm image",
                "wpod run -d --name web -p 8080:80 nginx   # of a native one")  # fmt: skip
    told: list[Line] = [(), (("   No containers yet. Start one:", "text"),), ()]
    return told + [((fit("     " + one, max(0, width)), "title"),) for one in commands]


@frozen
class Pinned:
    """A row that is always there: `growth` is in bytes a minute, `parts` are what its bar is made of."""

    name: str
    role: str
    cpu_percent: float | None
    taken: int
    growth: float | None = None
    parts: tuple[Segment, ...] = ()
    age_seconds: float | None = None


def pinned(model: Model, moment: Moment, ascii_only: bool) -> list[Pinned]:
    """Three rows, so that the sum is on the screen. The last one is a difference, of which nothing else is known."""
    host = moment.host
    processors = sum(one.cpu_percent or 0.0 for one in moment.items)
    helpers = summed(one.cpu_percent for one in moment.helpers)
    rest = host.cpu_percent - processors - (helpers or 0.0) if host.cpu_percent is not None else None
    names = clean(", ".join(helper_names(moment.helpers)), ascii_only) or "none"
    helping = tuple(host_segments(None, None, host.helpers, None))
    oldest = min((one.started_nanoseconds for one in moment.helpers if one.started_nanoseconds), default=None)
    since = (moment.wall_nanoseconds - oldest) / 1e9 if oldest is not None else None
    return [
        Pinned(f"helpers: {names}", "helpers", helpers, host.helpers, model.machine_growth(lambda one: one.helpers),
               helping, since),
        Pinned("not containers", "text", max(0.0, rest) if rest is not None else None, host.others,
               model.machine_growth(lambda one: one.others)),
        Pinned("unattributed", "dim", None, host.unattributed),
    ]  # fmt: skip


def _pinned_line(one: Pinned, shape: Layout, model: Model, drawn: Drawing) -> Line:
    texts = {
        "TOTAL": columns.shown_bytes(one.taken, model),
        "CPU%": percent(one.cpu_percent) if one.cpu_percent is not None else "",
        "±/min": signed_amount(one.growth),
        "AGE": age(one.age_seconds) if one.age_seconds is not None else "",
    }  # fmt: skip

    def cells(those: Sequence[Column]) -> list[Span]:
        return [(" " + fit(texts.get(column.title, ""), column.cells, "right"), one.role) for column in those]

    spans: list[Span] = [(" " + fit(one.name, shape.name + 4, ascii_only=drawn.ascii_only), one.role)]
    spans += cells(shape.before)
    if shape.bar:
        spans += [(" ", ""), *bar_of(one.parts, shape.bar, drawn.common, drawn.style)]
    return (*spans, *cells(shape.behind))


def helper_names(helpers: Sequence[HelperSample]) -> list[str]:
    """Each once, with how many there are of it."""
    counted: dict[str, int] = {}
    for one in helpers:
        counted[one.name] = counted.get(one.name, 0) + 1
    return [name if count == 1 else f"{name} ×{count}" for name, count in sorted(counted.items())]


def hint_at(cell: int) -> str:
    """The action that a click on a cell of the last line asks for, "" for none."""
    start = 1
    for words, action in HINTS:
        if start <= cell < start + len(words):
            return action
        start += len(words) + len(_BETWEEN)
    return ""


def strip(model: Model, look: Look, drawn: Drawing) -> list[Line]:
    """About the selected one: who it is, its bar, its parts in numbers, the most useful sentence; then the keys."""
    row, width = model.selected, look.width
    words, role = (look.message, "warn") if look.message else (look.keys, "dim")
    last: Line = ((" " + clean(words, look.ascii_only), role),)
    rule = "-" if look.ascii_only else "─"
    if row is None or model.moment is None:
        return [((rule * width, "dim"),), (), (), (), last]
    said = verdict(row, model.moment.wall_nanoseconds)
    return [
        _rule(row, width, rule, ascii_only=look.ascii_only),
        ((" ", ""), *whole_bar(row, width - 2, drawn)),
        numbers(row, model, width),
        ((" " + fit(said.words, width - 1, ascii_only=look.ascii_only), said.role),),
        last,
    ]


def _rule(row: Row, width: int, rule: str, *, ascii_only: bool) -> Line:
    facts = row.item.facts
    words = [row.name, facts.image]
    if not row.is_group:
        words += [f"pid {facts.pid}"] if facts.pid else []
        bite = first_to_bite(row.item.limits)
        words += [f"limit {amount(bite.allowed)} ({bite.kind.value})"] if bite else ["no limit"]
    text = clean("  ".join(words), ascii_only)
    cells = min(text_width(text), max(0, width - 6))
    shown = fit(text, cells, ascii_only=ascii_only)
    return ((rule * 2 + " ", "dim"), (shown, "title"), (" " + rule * max(0, width - cells - 4), "dim"))


def whole_bar(row: Row, cells: int, drawn: Drawing) -> Line:
    """All parts of the selected one, on the scale of its limit, or of its total where that is a small part of it."""
    total = row.memory.total
    if total is None:
        return ((" " * cells, ""),)
    bite = first_to_bite(row.item.limits) if not row.is_group else None
    if bite is not None and bite.allowed > _FAR_LIMIT * total:
        bite = None
    marks = Marks(bite.allowed, reserved(row.memory)) if bite is not None else NO_MARKS
    scale = max(total, bite.allowed if bite is not None else 0)
    return bar(segments(row.memory), cells, scale, drawn.style, marks)


def numbers(row: Row, model: Model, width: int) -> Line:
    """Every part that is known, in its colour; where there is no room, those that are 0 are left out."""
    parts = [(part.value, row.memory.part(part), part.value) for part in Part]
    if row.memory.own is not None:
        parts.append(("swap", row.memory.swap, "warn"))
    known = [(name, value, role) for name, value, role in parts if value is not None]
    for shown in (known, [one for one in known if one[1]]):
        line: Line = tuple((f" {name} {columns.shown_bytes(value, model)}", role if value else "dim")
                           for name, value, role in shown)  # fmt: skip
        if line_width(line) <= width:
            break
    return line


def status_words(model: Model, interval: float, *, replays: bool) -> str:
    """The word at the right of the first line."""
    if model.steps_back:
        back = int(model.seconds_back)
        return f"-{back // 60:02d}:{back % 60:02d}"
    if model.frozen:
        return "FROZEN"
    if replays:
        seconds = model.moment.wall_nanoseconds / 1e9 if model.moment is not None else 0
        return f"REPLAY {time.strftime('%H:%M:%S', time.localtime(seconds))}"
    return f"LIVE {interval:g}s"


def text_of(lines: Sequence[Line]) -> str:
    """The lines without colours, for pipes."""
    return "".join(plain(line).rstrip() + "\n" for line in lines)


def running_age(row: Row, now_nanoseconds: int) -> str:
    """How long the oldest of a row runs."""
    started = row.started_nanoseconds
    return age((now_nanoseconds - started) / 1e9) if started and row.state is State.RUNNING else "-"
