"""Memory of idle detached containers, held against its goals: as root and as a user, with limits, Go, native.

comparison.py has the others' figures. Here everything is wpod's, but for crun alone, which a native container of wpod
is held against, and for empty cgroups, whose cost a container with limits may have on top.
"""

from __future__ import annotations

import contextlib
import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench import commands, comparison, contestants, empty_cgroups, figures, images, managers, peers, workplace
from bench.comparison import Sample
from bench.figures import Figure, Scale, Section
from bench.managers import IDLE, Manager
from bench.workplace import Workplace

NAME = "memory"
_TITLE = "OS memory of an idle detached container"
WASM_GOAL_KB = 256.0
ONE_COMMAND_GOAL_KB = 200.0
GO_GOAL_KB = 5 * 1024.0
GO_ONE_COMMAND_GOAL_KB = 1024.0
NATIVE_OVER_CRUN_GOAL_KB = 80.0
_LIMITS = (("--memory", "64m"), ("--cpus", "0.5"), ("--pids-limit", "50"))
_RUNS = {Scale.FULL: 3, Scale.QUICK: 2}  # the first one fills the kernel's caches and isn't counted


@dataclass(frozen=True)
class _Counts:
    """How many containers: of wasm, with limits and native ones, of Go."""

    many: int
    some: int
    few: int


_COUNTS = {Scale.FULL: _Counts(400, 100, 20), Scale.QUICK: _Counts(4, 3, 2)}


@dataclass(frozen=True)
class _Row(comparison.Row):
    """What is measured. `goal` gets the medians of all rows by name, for a goal may be another one's cost and more."""

    goal: Callable[[dict[str, float]], float] | None = None


def _at_most(kilobytes: float) -> Callable[[dict[str, float]], float]:
    return lambda _medians: kilobytes


def measure(place: Workplace, scale: Scale) -> Section:
    """All rows in turns. What can't be measured here is skipped by name."""
    if os.geteuid() != 0:
        return Section(NAME, _TITLE, skipped=("only root can drop the kernel's caches",))
    skipped: list[str] = []
    with contextlib.ExitStack() as stack:
        rows = _rows(place, stack, scale, skipped)
        samples = comparison.in_turns(rows, _RUNS[scale], skipped)
    raw: dict[str, Any] = {name: [sample.as_json() for sample in taken] for name, taken in samples.items()}
    return Section(NAME, _TITLE, _figures(rows, samples, _COUNTS[scale]), tuple(skipped), raw)


Part = Callable[[Workplace, contextlib.ExitStack, _Counts], list[_Row]]


def _rows(place: Workplace, stack: contextlib.ExitStack, scale: Scale, skipped: list[str]) -> list[_Row]:
    """Everything is built and started once before the first measurement."""
    parts: tuple[tuple[str, Part], ...] = (
        ("wasm", _wasm),
        ("wasm as a user", _user),
        ("wasm with limits", _limited),
        ("Go", _go),
        ("native", _native),
        ("native as a user", _user_native),
    )
    rows: list[_Row] = []
    for name, part in parts:
        if scale is Scale.QUICK and part is _go:
            skipped.append(f"{name}: takes the compiler half a minute")
            continue
        try:
            rows += part(place, stack, _COUNTS[scale])
        except (images.Missing, commands.CommandFailed) as reason:
            skipped.append(f"{name}: {reason}")
    return rows


def _both_ways(manager: Manager, count: int, goal_kb: float, one_command_goal_kb: float) -> list[_Row]:
    """The same containers one by one and by one command."""
    return [
        _Row(contestants.one_by_one(manager), count, _at_most(goal_kb)),
        _Row(contestants.by_one_command(manager), count, _at_most(one_command_goal_kb)),
    ]


def _wasm(place: Workplace, _stack: contextlib.ExitStack, counts: _Counts) -> list[_Row]:
    manager = managers.wpod(place, "wpod wasm", images.hello(place))
    return _both_ways(manager, counts.many, WASM_GOAL_KB, ONE_COMMAND_GOAL_KB)


def _of_user(place: Workplace, stack: contextlib.ExitStack, image: str) -> Workplace:
    """The unprivileged account's place, entered once, with an image of root's."""
    inner = stack.enter_context(workplace.of_user(place))
    archive = managers.archive_of(place, image)
    archive.chmod(0o644)
    inner.wpod("load", "--input", str(archive))
    return inner


def _user(place: Workplace, stack: contextlib.ExitStack, counts: _Counts) -> list[_Row]:
    hello = images.hello(place)
    inner = _of_user(place, stack, hello)
    images.fill_cache(inner, hello)
    manager = managers.wpod(inner, "wpod wasm as a user", hello)
    return _both_ways(manager, counts.many, WASM_GOAL_KB, ONE_COMMAND_GOAL_KB)


def _limited(place: Workplace, _stack: contextlib.ExitStack, counts: _Counts) -> list[_Row]:
    """Each limit by itself, and an empty cgroup beside one of its containers."""
    hello = images.hello(place)
    rows: list[_Row] = []
    for option, value in _LIMITS:
        manager = managers.wpod(place, f"wpod wasm {option}", hello, options=(option, value))
        empty = _Row(empty_cgroups.beside(place, manager), counts.some)
        rows += [empty, _Row(contestants.one_by_one(manager), counts.some, _with_cgroup(empty.name))]
    return rows


def _with_cgroup(name: str) -> Callable[[dict[str, float]], float]:
    return lambda medians: WASM_GOAL_KB + max(0.0, medians.get(name, 0.0))  # below nothing is noise


def _go(place: Workplace, _stack: contextlib.ExitStack, counts: _Counts) -> list[_Row]:
    images.require("go")
    image = images.build_example(place, "hello-go")
    images.fill_cache(place, image)
    return _both_ways(managers.wpod(place, "wpod Go", image), counts.few, GO_GOAL_KB, GO_ONE_COMMAND_GOAL_KB)


def _native(place: Workplace, stack: contextlib.ExitStack, counts: _Counts) -> list[_Row]:
    busybox = images.busybox(place)
    ours = managers.wpod(place, "wpod native", busybox, IDLE)
    crun = _Row(contestants.one_by_one(stack.enter_context(peers.bare_crun(place, busybox))), counts.some)
    usual = _Row(contestants.one_by_one(stack.enter_context(peers.usual_crun(place, busybox))), counts.some)
    return [crun, usual, _Row(contestants.one_by_one(ours), counts.some)]


def _user_native(place: Workplace, stack: contextlib.ExitStack, counts: _Counts) -> list[_Row]:
    inner = _of_user(place, stack, images.busybox(place))
    return [_Row(contestants.one_by_one(managers.wpod(inner, "wpod native as a user", "busybox", IDLE)), counts.some)]


def _figures(rows: list[_Row], samples: dict[str, list[Sample]], counts: _Counts) -> tuple[Figure, ...]:
    counted = {row.name: calm_of(samples[row.name]) for row in rows}
    medians = {name: statistics.median(values) for name, values in counted.items() if values}
    found: list[Figure] = []
    for row in rows:
        last = samples[row.name][-1].cost
        values = counted[row.name]
        if not values:
            found.append(Figure(row.name, last.total, "kB", note=f"not judged: {last.doubt}"))
            continue
        note = f"{last.processes / last.containers:.3g} processes; mapped file pages beside it {last.file_pss:.0f} kB"
        found.append(figures.of_repeats(row.name, values, "kB", row.goal(medians) if row.goal else None, note))
    ours = counted.get(f"wpod native, {counts.some}", [])
    for label, what in (
        ("crun native", "with wpod's own bundle"),
        ("crun native, of `crun spec`", "as `crun spec` has it"),
    ):
        least = counted.get(f"{label}, {counts.some}", [])
        if ours and least:
            found.append(_own_part(ours, least, what))
    return tuple(found)


def calm_of(samples: list[Sample]) -> list[float]:
    """The kB that count: without the first run, and without those beside which other processes began or ended."""
    return [sample.cost.total for sample in samples[1:] if not sample.cost.doubt]


def _own_part(ours: list[float], least: list[float], what: str) -> Figure:
    """Of medians; its spread is the widest that both spreads allow."""
    value = statistics.median(ours) - statistics.median(least)
    low, high = min(ours) - max(least), max(ours) - min(least)
    note = f"wpod native less crun {what}"
    return Figure(f"a native container beyond crun {what}", value, "kB", NATIVE_OVER_CRUN_GOAL_KB, low, high, note)
