"""What each container had in the last minutes: the source of growth, of plots, and of stepping back in time.

Theory of operation. A series is a ring of columns of 32-bit numbers, one for each part and for the processor: 300
places of two seconds are ten minutes, and 11 kB a container. Objects of Python for the same would be ten times that.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence

from wpod.frozen import frozen, replace
from wpod.model.memory import Breakdown, Limit, LimitKind, Part
from wpod.model.sample import NO_TRAFFIC, HelperSample, HostSample
from wpod.top.moment import Facts, Item, Moment

STEP_SECONDS = 2.0
PLACES = 300
_GROWTH_SECONDS = 300.0
_GROWTH_LEAST_SECONDS = 30.0
_ENDS = 3  # readings whose mean is one end of the slope: a single one may be a moment's peak
_UNIT = 1024
_UNKNOWN = 0xFFFFFFFF
_PARTS = tuple(Part)
# What growth is of: not of files that neighbours have mapped as well, for when one of them ends, the shares of the
# others grow, and none took anything. That, or pages of a common template, is all that a wasm container shares; the
# processes of a native one share memory with each other, too.
_GROWING = (Part.OWN, Part.LINEAR, Part.KERNEL)
_GROWING_NATIVE = (*_GROWING, Part.CODE, Part.SHARED)
_CPU, _LIMIT, _TAKEN, _COLUMNS = len(_PARTS), len(_PARTS) + 1, len(_PARTS) + 2, len(_PARTS) + 3


class MarkKind:
    """What a mark in a plot stands for: the character that is drawn."""

    START = "^"
    OOM = "!"
    LIMIT = "="


@frozen
class Point:
    """One place of a series: the parts in bytes, None where unknown; the processor in percent."""

    memory: Breakdown
    cpu_percent: float | None
    limit: int | None


class Series:
    """One container's, or the sum of several. `first` is the number of the step that the oldest place is of."""

    def __init__(self) -> None:
        self._columns = [array("I") for _ in range(_COLUMNS)]
        self.first = 0
        self._packed: tuple[Item | None, list[int]] = (None, [])
        self._slope: tuple[int, int | None, float | None] | None = None
        self.marks: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._columns[0])

    @property
    def end(self) -> int:
        """The step after the newest."""
        return self.first + len(self)

    def put(self, step: int, item: Item, stands_for: int = 1) -> None:
        """What the container has at a step, which stands for so many before it; others left out are unknown."""
        if not len(self):
            self.first = step
        if self._packed[0] is not item:
            self._packed = item, _packed(item)
        values = self._packed[1]
        if step - self.end >= PLACES:  # a suspended machine, a recording that went on later: all before is past
            for column in self._columns:
                del column[:]
            self.first = step - PLACES + 1
        while self.end < step:
            self._append(values if self.end > step - stands_for else [_UNKNOWN] * _COLUMNS)
        self._append(values)
        self.marks = [one for one in self.marks if one[0] >= self.first]

    def _append(self, values: Sequence[int]) -> None:
        for column, value in zip(self._columns, values, strict=True):
            column.append(value)
        if len(self) > PLACES:
            for column in self._columns:
                del column[0]
            self.first += 1

    def point(self, step: int) -> Point | None:
        """What was known at a step; None outside of the series."""
        place = step - self.first
        if not 0 <= place < len(self):
            return None
        values = [_unpacked(column[place]) for column in self._columns]
        parts = {part.value: value for part, value in zip(_PARTS, values, strict=False)}
        cpu, limit = self._columns[_CPU][place], values[_LIMIT]
        return Point(Breakdown(**parts), None if cpu == _UNKNOWN else cpu / 10, limit)

    def column(self, number: int, steps: range) -> list[int]:
        """The packed values of one column at these steps, _UNKNOWN outside of the series."""
        start = max(steps.start, self.first)
        end = max(start, min(steps.stop, self.end))
        known = self._columns[number][start - self.first : end - self.first]
        before = min(start, steps.stop) - steps.start
        return [*([_UNKNOWN] * before), *known, *([_UNKNOWN] * (len(steps) - before - len(known)))]

    def taken(self, step: int) -> int | None:
        """The sum of the parts that growth is of at a step, in bytes."""
        place = step - self.first
        column = self._columns[_TAKEN]
        return _unpacked(column[place]) if 0 <= place < len(column) else None

    def growth(self, since: int | None = None) -> float | None:
        """Bytes a minute that it takes more, over the last five minutes or since a step.

        None before there are 30 s of figures.
        """
        if self._slope is None or self._slope[:2] != (self.end, since):
            self._slope = self.end, since, self._growth(since)
        return self._slope[2]

    def _growth(self, since: int | None) -> float | None:
        end = self.end
        start = max(self.first, end - int(_GROWTH_SECONDS / STEP_SECONDS)) if since is None else max(self.first, since)
        if (end - 1 - start) * STEP_SECONDS < _GROWTH_LEAST_SECONDS:
            return None
        old = self._mean(range(start, start + _ENDS))
        new = self._mean(range(end - _ENDS, end))
        if old is None or new is None:
            return None
        return (new - old) / ((end - _ENDS - start) * STEP_SECONDS / 60)

    def _mean(self, steps: Iterable[int]) -> float | None:
        known = [amount for amount in map(self.taken, steps) if amount is not None]
        return sum(known) / len(known) if known else None


@frozen
class Window:
    """Several series together over some steps: for each step the parts in bytes (None where none is known), and CPU."""

    parts: list[tuple[int, ...] | None]
    cpu_percent: list[float | None]


def window(series: Sequence[Series], steps: range) -> Window:
    """By whole columns: 400 series of 72 steps take 15 ms so, and 250 ms point by point."""
    columns = [_added([one.column(number, steps) for one in series]) for number in range(len(_PARTS))]
    cpu = _added([one.column(_CPU, steps) for one in series])
    return Window(
        [None if values[0] == _UNKNOWN else tuple(0 if value == _UNKNOWN else value * _UNIT for value in values)
         for values in zip(*columns, strict=True)],
        [None if value == _UNKNOWN else value / 10 for value in cpu],
    )  # fmt: skip


def _added(columns: list[list[int]]) -> list[int]:
    """Sums of what is known at each step."""
    if len(columns) == 1:
        return columns[0]
    found = []
    for values in zip(*columns, strict=True):
        missing = values.count(_UNKNOWN)
        found.append(_UNKNOWN if missing == len(values) else sum(values) - missing * _UNKNOWN)
    return found


@frozen
class Around:
    """What was around the containers at one step."""

    wall_nanoseconds: int
    host: HostSample
    helpers: tuple[HelperSample, ...]


class History:
    """The series of all containers. One step is STEP_SECONDS; moments that come sooner add nothing."""

    def __init__(self) -> None:
        self._series: dict[str, Series] = {}
        self._runs: dict[str, tuple[Facts, tuple[int, ...]]] = {}
        self._origin: int | None = None
        self.moments: dict[int, Around] = {}  # ascending
        self.step = -1

    def add(self, moment: Moment) -> None:
        """Take in a moment. Containers that are gone keep their series as long as it reaches back."""
        if self._origin is None:
            self._origin = moment.wall_nanoseconds
        step = int((moment.wall_nanoseconds - self._origin) / 1e9 / STEP_SECONDS)
        if step <= self.step:
            return
        self.step = step
        stands_for = int(moment.interval / STEP_SECONDS) + 2  # looks are never quite even
        self.moments[step] = Around(moment.wall_nanoseconds, moment.host, moment.helpers)
        for item in moment.items:
            self._take(step, item, stands_for)
        oldest = step - PLACES
        for gone in [key for key, one in self._series.items() if one.end <= oldest]:
            del self._series[gone]
            self._runs.pop(gone, None)
        for passed in [key for key in self.moments if key <= oldest]:
            del self.moments[passed]

    def _take(self, step: int, item: Item, stands_for: int) -> None:
        container_id, facts = item.container_id, item.facts
        if item.memory.own is None and container_id not in self._series:
            return
        series = self._series.setdefault(container_id, Series())
        before = self._runs.get(container_id)
        if before is None or before[0] is not facts or item.limits:
            self._runs[container_id] = facts, tuple(one.allowed for one in item.limits)
            if before is not None:
                self._mark(series, step, before, self._runs[container_id])
        series.put(step, item, stands_for)

    def _mark(
        self, series: Series, step: int, before: tuple[Facts, tuple[int, ...]], now: tuple[Facts, tuple[int, ...]]
    ) -> None:
        if now[0].ending.startswith("OOM") and before[0].ending != now[0].ending:
            series.marks.append((step, MarkKind.OOM))
        if before[0].started_nanoseconds != now[0].started_nanoseconds:
            series.marks.append((step, MarkKind.START))
        elif before[1] and now[1] and before[1] != now[1]:
            series.marks.append((step, MarkKind.LIMIT))

    def series(self, container_id: str) -> Series | None:
        """Of one container, None where nothing is known of it."""
        return self._series.get(container_id)

    def growth(self, container_ids: Iterable[str], since: int | None = None) -> float | None:
        """Bytes a minute of all these together; None where none has a slope yet."""
        slopes = [one.growth(since) for one in map(self._series.get, container_ids) if one is not None]
        known = [slope for slope in slopes if slope is not None]
        return sum(known) if known else None

    def machine_growth(self, of: Callable[[HostSample], int], since: int | None = None) -> float | None:
        """As `growth`, of a figure of the machine."""
        start = self.step - int(_GROWTH_SECONDS / STEP_SECONDS) if since is None else since
        steps = [step for step in self.moments if step >= start]
        if not steps or (steps[-1] - steps[0]) * STEP_SECONDS < _GROWTH_LEAST_SECONDS:
            return None
        old, new = steps[:_ENDS], steps[-_ENDS:]
        passed = (sum(new) / len(new) - sum(old) / len(old)) * STEP_SECONDS / 60
        return (self._mean(of, new) - self._mean(of, old)) / passed if passed else None

    def _mean(self, of: Callable[[HostSample], int], steps: Sequence[int]) -> float:
        return sum(of(self.moments[step].host) for step in steps) / len(steps)

    def past(self, moment: Moment, steps_back: int) -> Moment:
        """How it was so many steps ago: who is there now and was there then, with what the series hold."""
        step = self.step - steps_back
        items = []
        for item in moment.items:
            series = self._series.get(item.container_id)
            point = series.point(step) if series is not None else None
            if point is not None and point.memory.own is not None:
                items.append(_of_point(item, point))
        around = self.moments.get(step)
        if around is None:  # no look fell into that step
            return replace(moment, items=tuple(items))
        return replace(moment, items=tuple(items), **around.__dict__)


def _of_point(item: Item, point: Point) -> Item:
    limits = item.limits
    if point.limit is not None and limits:
        limits = (Limit(LimitKind.CGROUP, point.limit, point.memory.total or 0),)
    return Item(item.facts, point.memory, limits=limits, cpu_percent=point.cpu_percent, traffic=NO_TRAFFIC)


def _packed(item: Item) -> list[int]:
    memory = item.memory.__dict__
    found = [_UNKNOWN if (value := memory[part.value]) is None else min(-(-value // _UNIT), _UNKNOWN - 1)
             for part in _PARTS]  # fmt: skip
    cpu = item.cpu_percent
    found.append(_UNKNOWN if cpu is None else max(0, min(int(cpu * 10), _UNKNOWN - 1)))
    allowed = min((one.allowed for one in item.limits), default=None)
    found.append(_UNKNOWN if allowed is None else min(allowed // _UNIT, _UNKNOWN - 1))
    is_native = item.facts.kind != "wasm"
    growing = _GROWING_NATIVE if is_native else _GROWING
    known = [value for part, value in zip(_PARTS, found, strict=False) if part in growing and value != _UNKNOWN]
    files = (item.memory.file_pages or 0) // _UNIT if is_native else 0
    found.append(_UNKNOWN if found[0] == _UNKNOWN else max(0, min(sum(known) - files, _UNKNOWN - 1)))
    return found


def _unpacked(value: int) -> int | None:
    return None if value == _UNKNOWN else value * _UNIT
