"""Rows of the table: containers, folded where they are alike, filtered, sorted and grouped."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from wpod.enumeration import Enum
from wpod.frozen import field, frozen
from wpod.model.memory import UNKNOWN, Breakdown, Part
from wpod.top.moment import Item, State

_FOLDED_FROM = 2
_DIGITS = re.compile("([0-9]+)")


class Sort(Enum):
    """What rows are sorted by. The value is shown."""

    MEMORY = "memory"
    CPU = "cpu"
    AGE = "age"
    GROWTH = "growth"
    LIMIT = "limit"
    NAME = "name"
    OWN = "own"
    LINEAR = "linear"
    RESERVED = "reserved"
    KERNEL = "kernel"
    CODE = "code"
    SHARED = "shared"
    HELPERS = "helpers"
    CACHE = "cache"
    SWAP = "swap"
    PROCESSES = "processes"
    RECEIVED = "received"
    SENT = "sent"
    READ = "read"
    WRITTEN = "written"
    PRESSURE = "pressure"
    STATE = "state"
    IMAGE = "image"


_BY_WORDS = (Sort.NAME, Sort.IMAGE)


class Group(Enum):
    """What rows are grouped by. Without a group, replicas are folded."""

    NONE = "none"
    IMAGE = "image"
    KIND = "kind"
    NETWORK = "network"


@frozen
class Row:
    """One line of the table: a container, or several together (`items`; then `key` is no ID).

    `memory` is that of all of them together: what they share is counted once, for each has its share of it.
    `growth` is in bytes a minute. `vanished`: it has gone, and stays for a moment.
    """

    key: str
    name: str
    items: tuple[Item, ...]
    memory: Breakdown = UNKNOWN
    growth: float | None = None
    is_group: bool = False
    unfolded: bool = False
    depth: int = 0
    vanished: bool = False

    @property
    def item(self) -> Item:
        """The container, or one of them."""
        return self.items[0]

    @property
    def cpu_percent(self) -> float | None:
        return summed(item.cpu_percent for item in self.items)

    @property
    def limit_share(self) -> float | None:
        """Of the one that is nearest to its limit."""
        shares = [share for share in (item.limit_share for item in self.items) if share is not None]
        return max(shares, default=None)

    @property
    def processes(self) -> float | None:
        return summed(item.processes for item in self.items)

    @property
    def pressure(self) -> float | None:
        """Percent of the last 10 s in which tasks of the one under most pressure waited for memory."""
        return max((item.pressure.some_10 for item in self.items if item.pressure is not None), default=None)

    def rate(self, name: str) -> float | None:
        """Bytes a second, by the field of `Traffic`."""
        return summed(item.rates.__dict__[name] for item in self.items)

    @property
    def started_nanoseconds(self) -> int:
        """Of the oldest one that was started; 0 where none was."""
        return min((one.facts.started_nanoseconds for one in self.items if one.facts.started_nanoseconds), default=0)

    @property
    def state(self) -> State:
        """The one that needs a look most."""
        found = {item.facts.state for item in self.items}
        return next(one for one in _WORST_FIRST if one in found)


_WORST_FIRST = (State.FAILED, State.UNREADABLE, State.RUNNING, State.CREATED, State.ENDED)


@frozen
class Arrangement:
    """How the rows are to be."""

    sort: Sort = Sort.MEMORY
    inverted: bool = False
    group: Group = Group.NONE
    unfolded: frozenset[str] = field(default_factory=frozenset)
    hides_ended: bool = False


def total_of(breakdowns: Iterable[Breakdown]) -> Breakdown:
    """The sum of each part; unknown where none knows it."""
    known = [one.__dict__ for one in breakdowns if one.own is not None]
    if not known:
        return UNKNOWN
    names = (*(part.value for part in Part), "swap", "linear_size", "linear_limit")
    found: dict[str, int | None] = {}
    for name in names:
        values = [value for value in (one[name] for one in known) if value is not None]
        found[name] = sum(values) if values else None
    return Breakdown(**found)


def summed(values: Iterable[float | None]) -> float | None:
    """The sum of those that are known; None where none is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def arranged(
    items: Sequence[Item], arrangement: Arrangement, growth: Callable[[Iterable[str]], float | None]
) -> list[Row]:
    """The rows. `growth` tells the slope of several containers together, in bytes a minute."""
    if arrangement.hides_ended:
        items = [item for item in items if item.facts.state in (State.RUNNING, State.UNREADABLE)]
    by_key: dict[str, list[Item]] = {}
    for item in items:
        by_key.setdefault(_group_key(item, arrangement.group), []).append(item)
    tops = []
    for key, found in by_key.items():
        if arrangement.group is Group.NONE and len(found) < _FOLDED_FROM:
            tops.append(_single(found[0], growth))
        else:
            slope = growth(item.container_id for item in found)
            name = f"{_group_name(found, arrangement.group)} ×{len(found)}"
            tops.append(Row(key, name, tuple(found), total_of(item.memory for item in found), slope,
                            is_group=True, unfolded=key in arrangement.unfolded))  # fmt: skip
    rows: list[Row] = []
    for row in _sorted(tops, arrangement):
        rows.append(row)
        if row.unfolded:
            rows += _sorted([_single(item, growth, depth=1) for item in row.items], arrangement)
    return rows


def _single(item: Item, growth: Callable[[Iterable[str]], float | None], depth: int = 0) -> Row:
    return Row(item.container_id, item.facts.name, (item,), item.memory, growth((item.container_id,)), depth=depth)


def _group_key(item: Item, group: Group) -> str:
    """Those of one key are one row. It can't be mistaken for an ID: it has a character that no ID has."""
    facts = item.facts
    match group:
        case Group.IMAGE:
            return f"image:{facts.image}"
        case Group.KIND:
            return f"kind:{facts.kind}"
        case Group.NETWORK:
            return f"network:{','.join(facts.networks)}"
    # Failed ones among many that run must be seen: only those of the same state are one row.
    alike = facts.family or f"{facts.image}\0{facts.command}"
    return f"alike:{facts.state.value}:{facts.kind}:{alike}"


def _group_name(found: Sequence[Item], group: Group) -> str:
    facts = found[0].facts
    match group:
        case Group.IMAGE:
            return _short_image(facts.image)
        case Group.KIND:
            return facts.kind
        case Group.NETWORK:
            return ",".join(facts.networks) or "no network"
    return facts.family or _common_name([item.facts.name for item in found]) or _short_image(facts.image)


def _short_image(image: str) -> str:
    """Without registry and directories: `postgres:16`."""
    return image.rsplit("/", 1)[-1] or "none"


def _common_name(names: Sequence[str]) -> str:
    """What numbered names begin with, without what joins the number; "" where they have nothing in common."""
    first, last = min(names), max(names)
    length = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    common = first[:length].rstrip("0123456789").rstrip("-_.")
    rests = [name[len(common) :].lstrip("-_.") for name in names]
    return common if len(common) > 1 and all(rest.isdecimal() for rest in rests) else ""


def _sorted(rows: list[Row], arrangement: Arrangement) -> list[Row]:
    """Greatest first, names from a to z; what isn't known comes last either way."""
    rows.sort(key=lambda row: _natural(row.name))
    if arrangement.sort in _BY_WORDS:
        if arrangement.sort is Sort.IMAGE:
            rows.sort(key=lambda row: _natural(row.item.facts.image))
        return rows[::-1] if arrangement.inverted else rows
    key = _KEYS[arrangement.sort]
    known = [row for row in rows if key(row) is not None]
    rest = [row for row in rows if key(row) is None]
    known.sort(key=lambda row: key(row) or 0, reverse=not arrangement.inverted)
    return known + rest


def _natural(name: str) -> list[tuple[int, str]]:
    """api-2 before api-10."""
    return [(int(word), "") if word.isdecimal() else (-1, word) for word in _DIGITS.split(name)]


_KEYS: dict[Sort, Callable[[Row], float | None]] = {
    Sort.MEMORY: lambda row: row.memory.total,
    Sort.CPU: lambda row: row.cpu_percent,
    Sort.AGE: lambda row: -row.started_nanoseconds if row.started_nanoseconds else None,
    Sort.GROWTH: lambda row: row.growth,
    Sort.LIMIT: lambda row: row.limit_share,
    Sort.OWN: lambda row: row.memory.own,
    Sort.LINEAR: lambda row: row.memory.linear,
    Sort.RESERVED: lambda row: row.memory.linear_size,
    Sort.KERNEL: lambda row: row.memory.kernel,
    Sort.CODE: lambda row: row.memory.code,
    Sort.SHARED: lambda row: row.memory.shared,
    Sort.HELPERS: lambda row: row.memory.helpers,
    Sort.CACHE: lambda row: row.memory.cache,
    Sort.SWAP: lambda row: row.memory.swap,
    Sort.PROCESSES: lambda row: row.processes,
    Sort.RECEIVED: lambda row: row.rate("received"),
    Sort.SENT: lambda row: row.rate("sent"),
    Sort.READ: lambda row: row.rate("read"),
    Sort.WRITTEN: lambda row: row.rate("written"),
    Sort.PRESSURE: lambda row: row.pressure,
    Sort.STATE: lambda row: -_WORST_FIRST.index(row.state),
}
