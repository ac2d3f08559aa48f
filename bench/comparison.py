"""The experiment that the field knows: memory and start-up of 10, 100 and 400 idle containers, whoever manages them.

All of them do the same: print a line and wait. They are started one after another, each until its line is in its log
(or all of them by one command, where the manager has one), and read by os_memory.py. Everything takes turns: at each
number of containers, each contestant once, then each a second time, so that a drift of the machine hits all alike.
"""

from __future__ import annotations

import contextlib
import os
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from bench import commands, contestants, figures, os_memory
from bench.contestants import Contestant
from bench.figures import Figure, Scale, Section, Table
from bench.managers import Started
from bench.os_memory import Cost, Load, Starts
from bench.workplace import Workplace

NAME = "comparison"
_TITLE = "Memory and start-up of idle containers"
# How many containers, and how often. 400 of everything take six minutes, so the slow ones have one turn with as many.
_REPEATS = {Scale.FULL: {10: 3, 100: 2, 400: 2}, Scale.GUARD: {100: 3}, Scale.QUICK: {4: 2}}
_SLOW_FROM = 400
# Not counted, before everything else: what the kernel and the programs keep ready for later is there then.
_WARM_UP = {Scale.FULL: 5, Scale.GUARD: 5, Scale.QUICK: 2}


@dataclass(frozen=True)
class Sample:
    """One row of containers: what they cost, and how long each command and each line took."""

    cost: Cost
    started: tuple[Started, ...]

    @property
    def command_milliseconds(self) -> float:
        """Mean time per container until the command had returned."""
        return sum(one.command_seconds for one in self.started) * 1000 / self.cost.containers

    @property
    def line_milliseconds(self) -> float:
        """Mean time per container until its line was in its log, too."""
        return sum(one.line_seconds for one in self.started) * 1000 / self.cost.containers

    def as_json(self) -> dict[str, Any]:
        return {
            **self.cost.as_json(),
            "command_ms_per_container": round(self.command_milliseconds, 2),
            "line_ms_per_container": round(self.line_milliseconds, 2),
            "command_ms": [round(one.command_seconds * 1000, 1) for one in self.started],
            "line_ms": [round(one.line_seconds * 1000, 1) for one in self.started],
        }


@dataclass(frozen=True)
class Row:
    """So many containers of one contestant."""

    contestant: Contestant
    count: int

    @property
    def name(self) -> str:
        return f"{self.contestant.label}, {self.count}"


AnyRow = TypeVar("AnyRow", bound=Row)


def in_turns(rows: list[AnyRow], repeats: int, skipped: list[str]) -> dict[str, list[Sample]]:
    """Each row that often, by its name. One that fails is named in `skipped` and taken out of `rows`."""
    samples: dict[str, list[Sample]] = {}
    for _ in range(repeats):
        for row in list(rows):
            try:
                samples.setdefault(row.name, []).append(sample_of(row.contestant, row.count))
            except commands.CommandFailed as error:
                skipped.append(f"{row.name}: {error}")
                rows.remove(row)
    return samples


Samples = dict[tuple[str, int], list[Sample]]


def measure(place: Workplace, scale: Scale) -> Section:
    """Every contestant at every number. What fails is skipped by name, with its complaint."""
    if os.geteuid() != 0:
        return Section(NAME, _TITLE, skipped=("only root can drop the kernel's caches",))
    skipped: list[str] = []
    with contextlib.ExitStack() as stack:
        wanted = contestants.DENSE if scale is Scale.GUARD else contestants.ALL
        entered = list(contestants.enter(place, stack, wanted, skipped))
        samples = take(entered, _REPEATS[scale], _WARM_UP[scale], skipped)
    return section_of(NAME, _TITLE, samples, skipped)


def take(entered: list[Contestant], repeats: dict[int, int], warm_up: int, skipped: list[str]) -> Samples:
    """All in turns. One that fails is named in `skipped` and left out from there on."""
    left = list(entered)
    samples: Samples = {}
    for count, turn in _rounds(repeats, warm_up):
        for contestant in list(left):
            if contestant.slow and count >= _SLOW_FROM and turn > 0:
                continue
            try:
                sample = sample_of(contestant, count)
            except commands.CommandFailed as error:
                skipped.append(f"{contestant.label} with {count}: {error}")
                left.remove(contestant)
                continue
            samples.setdefault((contestant.label, count), []).append(sample)
    for contestant in entered:
        if warm_up not in repeats:
            samples.pop((contestant.label, warm_up), None)
    return samples


def _rounds(repeats: dict[int, int], warm_up: int) -> Iterator[tuple[int, int]]:
    yield warm_up, 0
    for count, times in repeats.items():
        yield from ((count, number) for number in range(times))


def sample_of(contestant: Contestant, count: int) -> Sample:
    """Start `count` containers, read, and remove them. Raises CommandFailed."""
    started: list[Started] = []

    def warm_up() -> None:
        at_once = contestant.starts is Starts.AT_ONCE
        for number in (1,) if at_once else range(contestant.kinds):
            contestant.start(number)
        contestant.remove(contestant.kinds)

    load = Load(
        count,
        lambda number: started.append(contestant.start(number)),
        contestant.remove,
        starts=contestant.starts,
        surroundings=contestant.surroundings,
        warm_up=warm_up,
        kinds=contestant.kinds,
        helpers=contestant.helpers,
    )
    return Sample(os_memory.measure(load), tuple(started))


def section_of(name: str, title: str, samples: Samples, skipped: list[str]) -> Section:
    """Figures, tables and raw data of what was taken."""
    found: list[Figure] = []
    for (label, count), row in samples.items():
        found += _figures(label, count, row)
    raw: dict[str, Any] = {}
    for (label, count), row in samples.items():
        raw.setdefault(label, {})[str(count)] = [sample.as_json() for sample in row]
    return Section(name, title, tuple(found), tuple(skipped), raw, _tables(found, samples))


MEMORY, COMMAND, LINE, FILES = "memory", "command returned", "line in the log", "mapped file pages"


def name_of(label: str, count: int, what: str) -> str:
    """The name of a figure."""
    return f"{label}, {count}: {what}"


def _figures(label: str, count: int, row: list[Sample]) -> list[Figure]:
    def figure(what: str, unit: str, value: Callable[[Sample], float], rows: list[Sample], note: str = "") -> Figure:
        return figures.of_repeats(name_of(label, count, what), [value(sample) for sample in rows], unit, note=note)

    # Others that began or ended beside it spoil a reading, not a time.
    calm = [sample for sample in row if not sample.cost.doubt]
    doubt = "" if calm else f"doubtful: {row[0].cost.doubt}"
    return [
        figure(MEMORY, "kB", lambda sample: sample.cost.total, calm or row, doubt),
        figure(FILES, "kB", lambda sample: sample.cost.file_pss, calm or row, doubt),
        figure(COMMAND, "ms", lambda sample: sample.command_milliseconds, row),
        figure(LINE, "ms", lambda sample: sample.line_milliseconds, row),
    ]


def _tables(found: list[Figure], samples: Samples) -> tuple[Table, ...]:
    by_name = {figure.name: figure for figure in found}
    labels = list(dict.fromkeys(label for label, _ in samples))
    counts = sorted({count for _, count in samples})

    def cell(label: str, count: int, what: str) -> str:
        figure = by_name.get(name_of(label, count, what))
        if figure is None:
            return ""
        spread = f" ({figures.interval(figure)})" if len(samples[label, count]) > 1 else ""
        return f"{figures.number(figure.value)}{spread}{'?' if figure.note else ''}"

    def table(title: str, what: str) -> Table:
        headings = ("", *(f"{count} containers" for count in counts))
        return Table(title, (headings, *((label, *(cell(label, count, what) for count in counts)) for label in labels)))

    repeats = ", ".join(f"{_times(samples, count)} with {count}" for count in counts)
    spread = f"median of repeats (up to {repeats}), least and greatest in brackets where there are several"
    return (
        table(
            f"OS memory per container in kB, {spread}; a question mark where others began or ended beside it", MEMORY
        ),
        *_daemons(samples),
        table("Mapped file pages per container beside it, in kB", FILES),
        table("Start-up per container in ms until its line was in its log", LINE),
        table("Start-up per container in ms until the command had returned", COMMAND),
    )


def _times(samples: Samples, count: int) -> int:
    return max(len(row) for (_, number), row in samples.items() if number == count)


def _daemons(samples: Samples) -> tuple[Table, ...]:
    """What of the memory above is the daemon's, in all and not per container."""
    rows = [
        (f"{label} with {count}", f"{statistics.median(sample.cost.daemon_kB for sample in row):.0f} kB")
        for (label, count), row in samples.items()
        if row[0].cost.daemon_processes
    ]
    return (
        (Table("Of that, the daemon alone before the first container, in all", (("", "daemon"), *rows)),)
        if rows
        else ()
    )
