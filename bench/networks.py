"""What a published port costs an unprivileged user: memory of containers that have one, and the time of `run -d -p`.

All that works for them counts: the holder, pasta, and what podman starts. wpod's native containers are on the bridge
of the user's, wasm containers get the listening socket.
"""

from __future__ import annotations

import contextlib
import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import commands, comparison, contestants, figures, images, memory, network_peers, paired
from bench.comparison import Sample
from bench.contestants import Contestant
from bench.figures import Figure, Scale, Section, of_ratio
from bench.network_peers import PASTA, SLIRP, WASM, WPOD, Published
from bench.workplace import Workplace

NAME = "networks"
_TITLE = "Published ports of an unprivileged user"
NATIVE_GOAL_KB = 1024.0
WASM_GOAL_KB = 300.0
RUN_GOAL = 0.7
_HELPERS = 2  # the holder and pasta, once for all
_IMPORT = "import of pyroute2"
_RUNS = {Scale.FULL: 4, Scale.GUARD: 3, Scale.QUICK: 2}  # the first one fills the kernel's caches and isn't counted


@dataclass(frozen=True)
class _Counts:
    """How many containers, native and of wasm, and how many turns of each start."""

    native: int
    wasm: int
    turns: int


_COUNTS = {Scale.FULL: _Counts(50, 100, 20), Scale.GUARD: _Counts(50, 100, 12), Scale.QUICK: _Counts(3, 3, 2)}


@dataclass(frozen=True)
class _Row(comparison.Row):
    goal: float | None


def measure(place: Workplace, scale: Scale) -> Section:
    """Memory, then times. Raises CommandFailed."""
    if os.geteuid() != 0:
        return Section(NAME, _TITLE, skipped=("only root can drop the kernel's caches, and start as another user",))
    skipped: list[str] = []
    raw: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        try:
            images.require("pasta", "nft")
            names = (images.busybox(place), images.hello(place))
            inner, (busybox, _) = network_peers.user_place(place, stack, names)
            images.fill_cache(inner, names[1])
        except images.Missing as missing:
            return Section(NAME, _TITLE, skipped=(str(missing),))
        native = network_peers.wpod_published(inner, names[0])
        wasm = network_peers.wasm_published(inner, names[1])
        others = _podmans(inner, busybox, names[0], stack, skipped)
        found = _memory(native, wasm, others, scale, (skipped, raw))
        found += _times(native, wasm, others, _COUNTS[scale].turns, raw)
        found += _share_of_import(place, native, _COUNTS[scale].turns, raw)
    return Section(NAME, _TITLE, tuple(found), tuple(skipped), raw)


def _podmans(
    inner: Workplace, archive: Path, image: str, stack: contextlib.ExitStack, skipped: list[str]
) -> list[Published]:
    try:
        return stack.enter_context(network_peers.podmans(inner, archive, image, skipped=skipped))
    except (images.Missing, commands.CommandFailed) as reason:
        skipped.append(f"podman: {reason}")
        return []


def _memory(
    native: Published, wasm: Published, others: list[Published], scale: Scale, notes: tuple[list[str], dict[str, Any]]
) -> list[Figure]:
    skipped, raw = notes
    counts = _COUNTS[scale]
    ours = Contestant(native.label, native.start_to_line, native.remove, helpers=_HELPERS)
    rows = [
        _Row(ours, counts.native, NATIVE_GOAL_KB),
        _Row(contestants.one_by_one(wasm), counts.wasm, WASM_GOAL_KB),
        *(_Row(contestants.one_by_one(other), counts.native, None) for other in others if scale is not Scale.GUARD),
    ]
    samples = comparison.in_turns(rows, _RUNS[scale], skipped)
    raw["memory"] = {name: [sample.as_json() for sample in taken] for name, taken in samples.items()}
    return [_memory_figure(row, samples[row.name]) for row in rows]


def _memory_figure(row: _Row, taken: list[Sample]) -> Figure:
    values, last = memory.calm_of(taken), taken[-1].cost
    if not values:
        return Figure(row.name, last.total, "kB", note=f"not judged: {last.doubt}")
    note = f"{last.processes} processes for {last.containers}; mapped file pages beside it {last.file_pss:.0f} kB"
    return figures.of_repeats(row.name, values, "kB", row.goal, note)


def _times(
    native: Published, wasm: Published, others: list[Published], turns: int, raw: dict[str, Any]
) -> list[Figure]:
    """One container of each stays, so that its helpers are there."""
    everybody = [native, wasm, *others]
    with contextlib.ExitStack() as stack:
        for containers in everybody:
            stack.enter_context(network_peers.running(containers, turns))
        times = paired.alternate([_start(containers) for containers in everybody], turns, warm_up=2)
    raw["run -d -p"] = times
    found: list[Figure] = []
    for label in (SLIRP, PASTA):
        if label in times:
            found += [_ratio(ours, label, times, goal) for ours, goal in ((WPOD, RUN_GOAL), (WASM, None))]
    return found


def _start(containers: Published) -> paired.Contestant:
    def measure(turn: int) -> float:
        seconds = containers.start(turn)
        containers.remove_one(turn)
        return seconds

    return paired.Contestant(containers.label, measure)


def run_name(ours: str, theirs: str) -> str:
    """The name of a figure: one's time beside the other's."""
    return f"run -d -p, {ours} to {theirs}"


def _ratio(ours: str, theirs: str, times: dict[str, list[float]], goal: float | None) -> Figure:
    medians = [statistics.median(times[label]) * 1000 for label in (ours, theirs)]
    note = f"medians {medians[0]:.1f} and {medians[1]:.1f} ms"
    return of_ratio(run_name(ours, theirs), paired.ratio(times[ours], times[theirs]), goal, note)


def _share_of_import(place: Workplace, native: Published, turns: int, raw: dict[str, Any]) -> list[Figure]:
    """What a start would take longer if it imported what encodes link messages, instead of having them kept."""
    library = place.directory / "prefix" / "lib" / "wpod"
    modules = ", ".join(f"pyroute2.netlink.rtnl.{name}" for name in ("fibmsg", "ifaddrmsg", "ifinfmsg", "rtmsg"))
    interpreter = Path(place.program).read_text().partition("\n")[0].removeprefix("#!").split()

    def python(program: str) -> Callable[[int], float]:
        return lambda _turn: commands.seconds((*interpreter, "-c", program))

    bare = f"import sys; sys.path.insert(0, {str(library)!r})"
    rows = [
        paired.Contestant("bare", python(bare)),
        paired.Contestant(_IMPORT, python(f"{bare}; import {modules}")),
        _start(native),
    ]
    with network_peers.running(native, turns):
        times = paired.alternate(rows, turns, warm_up=2)
    raw[_IMPORT] = times
    more = [with_it - without for with_it, without in zip(times[_IMPORT], times["bare"], strict=True)]
    note = f"{statistics.median(more) * 1000:.0f} ms; of the time of `run -d -p` without it"
    return [of_ratio(_IMPORT, paired.ratio(more, times[native.label]), note=note)]
