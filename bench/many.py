"""Hundreds of containers in the same store: all started by one command, listed, and removed by one command."""

from __future__ import annotations

import contextlib
import os
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench import commands, figures, images, managers, paired
from bench.figures import Figure, Scale, Section, of_ratio
from bench.managers import IDLE, Manager
from bench.paired import Contestant
from bench.workplace import Workplace

NAME = "many"
_TITLE = "Hundreds of containers at once"
START_GOAL_SECONDS = 2.0
REMOVE_GOAL_SECONDS = 3.0
PS_GOAL = 1.0
_COUNTS = {Scale.FULL: 400, Scale.QUICK: 6}
_RUNS = {Scale.FULL: 5, Scale.QUICK: 2}
_TURNS = {Scale.FULL: 20, Scale.QUICK: 2}


class WrongResult(commands.CommandFailed):
    """Something worked, but not on all containers."""


@dataclass(frozen=True)
class _Run:
    """One time: start all, list them, remove all. Seconds."""

    command: float
    lines: float
    removal: float


def measure(place: Workplace, scale: Scale) -> Section:
    """Starts and removals by one command, then `ps` beside podman's. Raises CommandFailed, WrongResult."""
    count = _COUNTS[scale]
    skipped: list[str] = []
    found: list[Figure] = []
    raw: dict[str, Any] = {}
    try:
        hello = images.hello(place)
    except images.Missing as missing:
        return Section(NAME, _TITLE, skipped=(str(missing),))
    found += _started_and_removed(place, managers.wpod(place, "wpod wasm", hello), count, _RUNS[scale], raw)
    try:
        if os.geteuid() != 0:
            raise images.Missing("podman is compared as root only")
        found += _listed(place, hello, count, _TURNS[scale], raw)
    except images.Missing as missing:
        skipped.append(f"ps with {count}: {missing}")
    return Section(NAME, _TITLE, tuple(found), tuple(skipped), raw)


def _started_and_removed(
    place: Workplace, manager: Manager, count: int, times: int, raw: dict[str, Any]
) -> tuple[Figure, ...]:
    """The first time isn't counted."""
    runs = [_run(place, manager, count) for _ in range(times + 1)][1:]
    raw["start and removal"] = [vars(run) for run in runs]
    command = statistics.median(run.command for run in runs)
    lines, removals = [run.lines for run in runs], [run.removal for run in runs]
    started = f"until the line of each is in its log; the command returned after {command:.2f} s; all listed by ps"
    return (
        figures.of_repeats(f"start of {count} wasm by one command", lines, "s", START_GOAL_SECONDS, started),
        figures.of_repeats(f"rm -f -a of {count} wasm", removals, "s", REMOVE_GOAL_SECONDS, "nothing left"),
    )


def _run(place: Workplace, manager: Manager, count: int) -> _Run:
    started = manager.start_by_one_command(count)
    _check_number(place, count, "are listed by ps", "ps", "--quiet")
    removal = manager.seconds("rm", "--force", "--all")
    check_nothing_left(place)
    return _Run(started.command_seconds, started.line_seconds, removal)


def check_nothing_left(place: Workplace) -> None:
    """Neither in the database nor in the store's directory. Raises WrongResult."""
    _check_number(place, 0, "are left", "ps", "--all", "--quiet")
    left = os.listdir(place.store / "containers")
    if left:
        raise WrongResult(f"directories of {len(left)} removed containers are left")


def _check_number(place: Workplace, expected: int, what: str, *command: str) -> None:
    found = len(place.wpod(*command).split())
    if found != expected:
        raise WrongResult(f"{found} containers {what}, not {expected}")


def _listed(place: Workplace, hello: str, count: int, turns: int, raw: dict[str, Any]) -> tuple[Figure, ...]:
    """`ps` with as many containers on each side; on wpod's, half of them are wasm. Raises Missing, CommandFailed."""
    images.require("podman", "crun", "busybox")
    busybox = images.build_example(place, "busybox")
    wasm = managers.wpod(place, "wpod wasm", hello)
    native = managers.wpod(place, "wpod native", busybox, IDLE)
    with managers.podman(place, busybox) as podman:
        wasm.start_by_one_command(count // 2)
        for number in range(count - count // 2):
            native.start(number)
        with _population(podman, count):
            times = paired.alternate([_ps("wpod", wasm), _ps(podman.label, podman)], turns, warm_up=2)
            raw["ps"] = times
            wpod_removal = wasm.seconds("rm", "--force", "--all", "--time", "0")
            check_nothing_left(place)
    medians = {name: statistics.median(row) * 1000 for name, row in times.items()}
    note = f"medians {medians['wpod']:.1f} and {medians[podman.label]:.1f} ms"
    raw["removal of both kinds"] = wpod_removal
    both = f"rm -f -a of {count // 2} wasm and {count - count // 2} native"
    return (
        of_ratio(f"ps with {count}", paired.ratio(times["wpod"], times[podman.label]), PS_GOAL, note),
        Figure(both, wpod_removal, "s", note="once; with --time 0, for sleep ignores SIGTERM as the first process"),
    )


@contextlib.contextmanager
def _population(manager: Manager, count: int) -> Iterator[None]:
    """`count` containers, one after another, as long as this is entered."""
    started = 0
    try:
        for number in range(count):
            manager.start(number)
            started += 1
        yield
    finally:
        manager.remove(started)


def _ps(name: str, manager: Manager) -> Contestant:
    return Contestant(name, lambda _turn: manager.seconds("ps"))
