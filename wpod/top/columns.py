"""The columns of the table: what each says of a row, how wide it is, and which go first when there is no room."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wpod.frozen import frozen, replace
from wpod.model.memory import NEAR_ITS_LIMIT, Part
from wpod.top.bar import (
    NO_MARKS,
    BarStyle,
    Marks,
    Scale,
    bar_of,
    common_scale,
    reserved,
    row_segments,
    scale_bytes,
)
from wpod.top.model import Columns, Model
from wpod.top.moment import State
from wpod.top.rows import Row, Sort
from wpod.top.text import Align, Line, Span, age, amount, exact, fit, percent, signed_amount

_STALE_TICKS = 3
_SIGNS = {State.RUNNING: "●", State.CREATED: "○", State.ENDED: "■", State.FAILED: "✗", State.UNREADABLE: "?"}
_ASCII_SIGNS = {State.RUNNING: "*", State.CREATED: "o", State.ENDED: ".", State.FAILED: "x", State.UNREADABLE: "?"}
_SIGN_ROLES = {
    State.RUNNING: "good", State.CREATED: "dim", State.ENDED: "dim", State.FAILED: "bad", State.UNREADABLE: "warn",
}  # fmt: skip
_NAME_LEAST, _NAME_MOST = 12, 40
_BAR_LEAST = 8


@frozen
class Drawing:
    """What every line needs: how bars are drawn, whether only ASCII may be, and the scale that is common to all."""

    style: BarStyle
    ascii_only: bool
    common: int


def drawing(model: Model, style: BarStyle, *, ascii_only: bool) -> Drawing:
    """For the rows as they are now."""
    return Drawing(style, ascii_only, common_scale(row.memory.total for row in model.rows))


@frozen
class Column:
    """`cells` is its width without the blank before it. `rank`: the greatest goes first when there is no room.

    `sort` is what a click on its title sorts by.
    """

    title: str
    cells: int
    text: Callable[[Row, Model], Span]
    rank: int = 0
    align: Align = "right"
    sort: Sort | None = None


def sign(row: Row, *, ascii_only: bool) -> Span:
    """The state as a sign."""
    signs = _ASCII_SIGNS if ascii_only else _SIGNS
    return signs[row.state], _SIGN_ROLES[row.state]


def shown_bytes(value: float | None, model: Model) -> str:
    """An amount as the user wants it: short, or every byte."""
    whole = int(value) if value is not None else None
    return exact(whole) if model.exact else amount(whole)


def _cpu(row: Row, _model: Model) -> Span:
    return percent(row.cpu_percent), "text" if row.cpu_percent else "dim"


def _total(row: Row, model: Model) -> Span:
    return shown_bytes(row.memory.total, model), "title"


def _growth(row: Row, _model: Model) -> Span:
    text = signed_amount(row.growth)
    return text, "warn" if text.startswith("+") else "dim"


def _limit(row: Row, _model: Model) -> Span:
    share = row.limit_share
    if share is None:
        return "-", "dim"
    return f"{share * 100:.0f}", "bad" if share > NEAR_ITS_LIMIT else "text"


def _age(row: Row, model: Model) -> Span:
    """How long it runs; since when it has ended, for one that does not."""
    now = model.moment.wall_nanoseconds if model.moment is not None else 0
    facts = row.item.facts
    since = row.started_nanoseconds if row.state is State.RUNNING or row.is_group else facts.finished_nanoseconds
    since = since or facts.created_nanoseconds
    return (age((now - since) / 1e9), "dim") if since else ("-", "dim")


def _part(part: Part) -> Callable[[Row, Model], Span]:
    def text(row: Row, model: Model) -> Span:
        value = row.memory.part(part)
        return shown_bytes(value, model), "text" if value else "dim"

    return text


def _swap(row: Row, model: Model) -> Span:
    return shown_bytes(row.memory.swap, model), "warn" if row.memory.swap else "dim"


def _linear_size(row: Row, model: Model) -> Span:
    return shown_bytes(row.memory.linear_size, model), "dim"


def _processes(row: Row, _model: Model) -> Span:
    count = row.processes
    return ("-" if count is None else f"{count:.0f}"), "text"


def _rate(name: str) -> Callable[[Row, Model], Span]:
    def text(row: Row, model: Model) -> Span:
        value = row.rate(name)
        return shown_bytes(value, model), "text" if value else "dim"

    return text


def _pressure(row: Row, _model: Model) -> Span:
    return percent(row.pressure), "warn" if row.pressure else "dim"


def _identifier(row: Row, _model: Model) -> Span:
    return (f"{len(row.items)} containers" if row.is_group else row.item.container_id[:12]), "dim"


def _state(row: Row, _model: Model) -> Span:
    facts = row.item.facts
    word = row.state.value if row.is_group or row.state is not State.FAILED else f"failed {facts.exit_code}"
    return word, _SIGN_ROLES[row.state]


def _ports(row: Row, _model: Model) -> Span:
    return ("" if row.is_group else row.item.facts.ports), "text"


def _image(row: Row, _model: Model) -> Span:
    return row.item.facts.image, "text"


def _networks(row: Row, _model: Model) -> Span:
    return ",".join(row.item.facts.networks), "dim"


_CPU, _TOTAL = Column("CPU%", 5, _cpu, 3, sort=Sort.CPU), Column("TOTAL", 5, _total, sort=Sort.MEMORY)
_GROWTH, _AGE = Column("±/min", 5, _growth, 4, sort=Sort.GROWTH), Column("AGE", 4, _age, 5, sort=Sort.AGE)
_LIMIT = Column("LIM%", 4, _limit, 2, sort=Sort.LIMIT)
# Columns before the bar and behind it; a set without a bar gives its room to the last column.
_SETS: dict[Columns, tuple[tuple[Column, ...], tuple[Column, ...]]] = {
    Columns.MEMORY: ((_CPU, _TOTAL, _GROWTH), (_LIMIT, _AGE)),
    Columns.PARTS: (
        (
            _TOTAL, Column("OWN", 5, _part(Part.OWN), 1, sort=Sort.OWN),
            Column("LINEAR", 6, _part(Part.LINEAR), 2, sort=Sort.LINEAR),
            Column("RESERV", 6, _linear_size, 8, sort=Sort.RESERVED),
            Column("KERNEL", 6, _part(Part.KERNEL), 3, sort=Sort.KERNEL),
            Column("CODE", 5, _part(Part.CODE), 5, sort=Sort.CODE),
            Column("SHARED", 6, _part(Part.SHARED), 4, sort=Sort.SHARED),
            Column("HELPER", 6, _part(Part.HELPERS), 6, sort=Sort.HELPERS),
            Column("CACHE", 5, _part(Part.CACHE), 7, sort=Sort.CACHE), Column("SWAP", 5, _swap, 9, sort=Sort.SWAP),
        ),
        (Column("LIM%", 4, _limit, 10, sort=Sort.LIMIT),),
    ),
    Columns.WORK: (
        (
            _CPU, _TOTAL, Column("PIDS", 5, _processes, 2, sort=Sort.PROCESSES),
            Column("NET<", 5, _rate("received"), 4, sort=Sort.RECEIVED),
            Column("NET>", 5, _rate("sent"), 5, sort=Sort.SENT), Column("DISK<", 5, _rate("read"), 6, sort=Sort.READ),
            Column("DISK>", 5, _rate("written"), 7, sort=Sort.WRITTEN),
            Column("PSI", 5, _pressure, 8, sort=Sort.PRESSURE),
        ),
        (_AGE,),
    ),
    Columns.IDENTITY: (
        (
            _TOTAL, Column("ID", 14, _identifier, 3, "left"), Column("STATE", 10, _state, 2, "left", Sort.STATE),
            Column("IMAGE", 30, _image, 1, "left", Sort.IMAGE), Column("NETWORKS", 12, _networks, 5, "left"),
            Column("PORTS", 24, _ports, 4, "left"),
        ),
        (),
    ),
}  # fmt: skip


@frozen
class Layout:
    """What fits a width: the name's cells, the columns before the bar and behind it, the bar's cells (0: none)."""

    name: int
    before: tuple[Column, ...]
    behind: tuple[Column, ...]
    bar: int


def layout(model: Model, width: int) -> Layout:
    """Drops columns by their rank until the name has its least and, where the set has a bar, the bar too."""
    before, behind = _SETS[model.columns]
    if width < 60:
        return Layout(max(1, width - 7), (_wide(_TOTAL, model),), (), 0)
    before, behind = (tuple(_wide(one, model) for one in part) for part in (before, behind))
    has_bar = model.columns is Columns.MEMORY
    fixed = 5  # the marker, the kind and the sign with their blanks
    least = _NAME_LEAST + (_BAR_LEAST + 1 if has_bar else 0)
    chosen = [*before, *behind]
    while sum(one.cells + 1 for one in chosen) + fixed + least > width:
        chosen.remove(max(chosen, key=lambda one: one.rank))
    room = width - fixed - sum(one.cells + 1 for one in chosen)
    name = max(_NAME_LEAST, min(_NAME_MOST, room * 45 // 100 if has_bar else room))
    return Layout(
        name, tuple(one for one in before if one in chosen), tuple(one for one in behind if one in chosen),
        max(0, room - name - 1) if has_bar else 0,
    )  # fmt: skip


def _wide(column: Column, model: Model) -> Column:
    """Amounts of every byte need more room."""
    if not model.exact or column.cells > 6 or column.text in (_cpu, _growth, _limit, _age, _processes, _pressure):
        return column
    return replace(column, cells=15)


def heading(shape: Layout, model: Model, *, ascii_only: bool) -> Line:
    """The titles of the columns."""
    spans: list[Span] = [(" " + fit("NAME", shape.name), "key")]
    if shape.name > 0 and not _is_narrow(shape):
        spans.append((" K S", "key"))
    spans += [_title(one, model, ascii_only=ascii_only) for one in shape.before]
    if shape.bar:
        title = "own linear kernel shared" if model.scale is Scale.COMMON else model.scale.value
        spans.append((" " + fit(title, shape.bar), "key"))
    spans += [_title(one, model, ascii_only=ascii_only) for one in shape.behind]
    return tuple(spans)


def sort_at(shape: Layout, cell: int) -> Sort | None:
    """What the title at a cell of the heading sorts by; None where there is none, or none that sorts."""
    places: list[tuple[int, Sort | None]] = [(1 + shape.name, Sort.NAME)]
    if not _is_narrow(shape):
        places.append((len(" K S"), Sort.STATE))
    places += [(one.cells + 1, one.sort) for one in shape.before]
    if shape.bar:
        places.append((shape.bar + 1, Sort.MEMORY))
    places += [(one.cells + 1, one.sort) for one in shape.behind]
    end = 0
    for cells, sort in places:
        end += cells
        if cell < end:
            return sort
    return None


def _title(column: Column, model: Model, *, ascii_only: bool) -> Span:
    role = "key|selected" if column.title == model.figure else "key"
    return " " + fit(column.title, column.cells, column.align, ascii_only), role


def _is_narrow(shape: Layout) -> bool:
    return len(shape.before) == 1 and not shape.behind and not shape.bar


def row_line(row: Row, shape: Layout, model: Model, drawn: Drawing) -> Line:
    """One row of the table."""
    tagged = bool(model.tags) and {item.container_id for item in row.items} <= model.tags
    marker = _marker(row, model, tagged=tagged)
    name = "  " * row.depth + row.name
    dim = row.vanished
    spans: list[Span] = [
        (marker, "warn" if tagged else "dim"), (fit(name, shape.name, ascii_only=drawn.ascii_only), "text"),
    ]  # fmt: skip
    if not _is_narrow(shape):
        text, role = ("-", "dim") if dim else sign(row, ascii_only=drawn.ascii_only)
        spans += [(" ", ""), (row.item.facts.kind[:1], row.item.facts.kind), (" ", ""), (text, role)]
    spans += _cells(shape.before, row, model, drawn)
    if shape.bar:
        spans.append((" ", ""))
        spans += _bar(row, shape.bar, model, drawn)
    spans += _cells(shape.behind, row, model, drawn)
    if dim:
        return tuple((text, "dim") for text, _ in spans)
    return tuple(spans)


def _marker(row: Row, model: Model, *, tagged: bool) -> str:
    if tagged:
        return "*"
    if row.is_group:
        return "v" if row.unfolded else "+"
    return ">" if row.key == model.cursor else " "


def _cells(columns: Sequence[Column], row: Row, model: Model, drawn: Drawing) -> list[Span]:
    spans = []
    stale = _is_stale(row, model)
    for one in columns:
        text, role = one.text(row, model)
        shown = "dim" if stale and role in ("text", "title") else role
        spans.append((" " + fit(text, one.cells, one.align, drawn.ascii_only), shown))
    return spans


def _is_stale(row: Row, model: Model) -> bool:
    """Whether its memory was read more than three looks ago."""
    oldest = max((item.memory_age or 0.0 for item in row.items), default=0.0)
    interval = model.moment.interval if model.moment is not None else 0.0
    return oldest > _STALE_TICKS * max(interval, 2.0)


def _bar(row: Row, cells: int, model: Model, drawn: Drawing) -> Line:
    """The memory bar; for one that doesn't run, why it ended."""
    if row.memory.own is None:
        return _reason(row, cells, drawn)
    limit = None if row.is_group else min((one.allowed for one in row.item.limits), default=None)
    scale = scale_bytes(model.scale, row.memory.total, limit, drawn.common)
    marks = NO_MARKS
    if model.scale is not Scale.COMPOSITION and not row.is_group:
        marks = Marks(limit, reserved(row.memory) if model.scale is Scale.LIMIT else 0)
    return bar_of(row_segments(row.memory), cells, scale, drawn.style, marks)


def _reason(row: Row, cells: int, drawn: Drawing) -> Line:
    facts = row.item.facts
    if row.is_group or row.state is State.RUNNING:
        return ((fit(row.item.problem, cells, ascii_only=drawn.ascii_only), "warn"),)
    if row.state is State.CREATED:
        return ((fit("never started", cells), "dim"),)
    known = row.state is not State.UNREADABLE
    words = f"{facts.exit_code} {facts.ending}" if facts.ending and known else facts.ending or f"exit {facts.exit_code}"
    return ((fit(words, cells, ascii_only=drawn.ascii_only), "bad" if row.state is State.FAILED else "dim"),)
