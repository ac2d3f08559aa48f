"""What it costs to look: `stats --no-stream` beside podman's, the sampler with hundreds of containers; and whether the
figures add up to what the machine's own counters say.

The sampler is measured alone, in a process that looks once a second as `wpod top` does: 40 containers are wanted (a
screen full), the others come in turns. Its cost is the processor time of that process after its first look.

As a command, for a store that has running containers:

    python -m bench.sampling STORE --seconds 20 --wanted 40
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from bench import commands, figures, images, managers, paired
from bench.figures import Figure, Scale, Section, of_ratio
from bench.managers import IDLE, Manager
from bench.paired import Contestant
from bench.workplace import TOP, Workplace
from wpod.sampling import host
from wpod.sampling.sampler import Sampler
from wpod.storage.store import open_store

NAME = "sampling"
_TITLE = "Looking at containers"
STATS_GOAL = 0.7
COST_GOAL_PERCENT = 5.0
SUM_GOAL_PERCENT = 5.0
_COUNTS = {Scale.FULL: 100, Scale.QUICK: 4}
_MANY = {Scale.FULL: (400, 2000), Scale.QUICK: (6,)}
_TURNS = {Scale.FULL: 10, Scale.QUICK: 2}
_SECONDS = {Scale.FULL: 20, Scale.QUICK: 3}
_SUMS = {Scale.FULL: 3, Scale.QUICK: 1}
_WANTED = 40
_SETTLE_SECONDS = 3.0


def measure(place: Workplace, scale: Scale) -> Section:
    """Raises CommandFailed."""
    skipped: list[str] = []
    found: list[Figure] = []
    raw: dict[str, Any] = {}
    try:
        hello = images.hello(place)
    except images.Missing as missing:
        return Section(NAME, _TITLE, skipped=(str(missing),))
    wasm = managers.wpod(place, "wpod wasm", hello)
    found.append(_sums(place, wasm, scale, raw))
    for count in _MANY[scale]:
        found += _cost(place, wasm, count, _SECONDS[scale], raw)
    try:
        if os.geteuid() != 0:
            raise images.Missing("podman is compared as root only")
        found.append(_beside_podman(place, wasm, scale, raw))
    except images.Missing as missing:
        skipped.append(f"stats: {missing}")
    return Section(NAME, _TITLE, tuple(found), tuple(skipped), raw)


def _sums(place: Workplace, wasm: Manager, scale: Scale, raw: dict[str, Any]) -> Figure:
    """The change of what all processes of the machine have, and the sum that `stats` gives for it."""
    count = _COUNTS[scale]
    rows = []
    for _ in range(_SUMS[scale] + 1):
        before = host.memory().of_processes
        started = 0
        try:
            for number in range(count):
                wasm.start(number)
                started += 1
            time.sleep(_SETTLE_SECONDS)
            after = host.memory().of_processes
            told = json.loads(place.wpod("stats", "--no-stream", "--format", "json"))
        finally:
            wasm.remove(started)
        rows.append((after - before, sum(one["wpod"]["memory"]["total"] for one in told)))
        time.sleep(_SETTLE_SECONDS)
    raw["sums"] = rows
    gaps = [abs(summed - changed) / abs(changed) * 100 for changed, summed in rows[1:]]
    changed, summed = rows[-1]
    note = f"last: stats {summed // 1024} kB, AnonPages + Mapped + PageTables + KernelStack {changed // 1024} kB"
    return figures.of_repeats(f"sum over {count} against the machine's counters", gaps, "%", SUM_GOAL_PERCENT, note)


def _cost(
    place: Workplace, wasm: Manager, count: int, seconds: int, raw: dict[str, Any]
) -> tuple[Figure, ...]:  # fmt: skip
    wasm.start_by_one_command(count)
    try:
        command = (sys.executable, "-m", "bench.sampling", str(place.store), "--seconds", str(seconds))
        told = json.loads(commands.output_of(command, {"PYTHONPATH": str(TOP)}))
    finally:
        wasm.remove_scaled(count)
    raw[f"sampler with {count}"] = told
    goal = COST_GOAL_PERCENT if count <= 400 else None
    note = f"first look {told['first_ms']:.0f} ms, then {told['look_ms']:.0f} ms; {told['rss_kB'] // 1024} MB"
    return (Figure(f"sampler, {count} wasm each second", told["percent"], "%", goal, note=note),)


def _beside_podman(place: Workplace, wasm: Manager, scale: Scale, raw: dict[str, Any]) -> Figure:
    """As many on each side; half of wpod's are wasm. Raises Missing, CommandFailed."""
    count = _COUNTS[scale]
    images.require("podman", "crun", "busybox")
    busybox = images.build_example(place, "busybox")
    native = managers.wpod(place, "wpod native", busybox, IDLE)
    with managers.podman(place, busybox) as podman:
        started = 0
        try:
            wasm.start_by_one_command(count // 2)
            for number in range(count - count // 2):
                native.start(number)
            for number in range(count):
                podman.start(number)
                started += 1
            times = paired.alternate(
                [_stats("wpod", wasm), _stats(podman.label, podman)], _TURNS[scale], warm_up=1
            )  # fmt: skip
        finally:
            podman.remove(started)
            wasm.seconds("rm", "--force", "--all", "--time", "0")
    raw["stats"] = times
    medians = {name: statistics.median(row) * 1000 for name, row in times.items()}
    note = f"medians {medians['wpod']:.0f} and {medians[podman.label]:.0f} ms"
    return of_ratio(
        f"stats --no-stream with {count}", paired.ratio(times["wpod"], times[podman.label]), STATS_GOAL, note
    )


def _stats(name: str, manager: Manager) -> Contestant:
    return Contestant(name, lambda _turn: manager.seconds("stats", "--no-stream"))


def main() -> int:
    """The command: looks, and prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--seconds", type=int, default=20, help="how many looks, one a second (default 20)")
    parser.add_argument("--wanted", type=int, default=_WANTED, help="how many are wanted at each look (default 40)")
    given = parser.parse_args()
    sampler = Sampler(open_store(str(given.store)))
    begin = time.process_time()
    wanted = [one.container_id for one in sampler.tick(()).containers][: given.wanted]
    first = time.process_time() - begin
    used, start = time.process_time(), time.monotonic()
    for _ in range(given.seconds):
        time.sleep(1)
        sampler.tick(wanted)
    used, elapsed = time.process_time() - used, time.monotonic() - start
    print(json.dumps({
        "first_ms": first * 1000, "look_ms": used / given.seconds * 1000, "percent": used / elapsed * 100,
        "rss_kB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }))  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
