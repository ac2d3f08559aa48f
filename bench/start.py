"""Times of commands, each as a ratio to podman's with a native container, in turns."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import images, managers, paired
from bench.figures import Figure, Scale, Section, of_ratio
from bench.managers import Manager
from bench.paired import Contestant
from bench.workplace import Workplace

NAME = "start"
_TITLE = "Times as ratios to podman with a native container"
RUN_DETACHED_GOAL = 0.5
PS_GOAL = 1.0
_LISTED = 20
# The first process of a PID namespace gets SIGTERM only if it handles it.
_STOPPABLE = ("sh", "-c", "trap 'exit 0' TERM; sleep 1000000 & wait")
_GUESTS = Path(__file__).parent / "guests"


@dataclass(frozen=True)
class _Turns:
    counted: int
    warm_up: int


_TURNS = {Scale.FULL: _Turns(20, 3), Scale.GUARD: _Turns(12, 2), Scale.QUICK: _Turns(3, 1)}
_TURNS_OF_LISTING = {Scale.FULL: _Turns(40, 5), Scale.GUARD: _Turns(30, 3), Scale.QUICK: _Turns(3, 1)}


@dataclass(frozen=True)
class _Three:
    """The same command line three times, with guests that idle, or end at once."""

    wasm: Manager
    native: Manager
    podman: Manager


@dataclass(frozen=True)
class _Case:
    """One command: how it is timed for a manager, and what each ratio may be at most."""

    name: str
    three: _Three
    seconds: Callable[[Manager, int], float]
    wasm_goal: float | None = None


def measure(place: Workplace, scale: Scale) -> Section:
    """run -d, run --rm, stop, rm -f and ps. Raises CommandFailed."""
    if os.geteuid() != 0:
        return Section(NAME, _TITLE, skipped=("podman is compared as root only",))
    try:
        images.require("podman", "crun", "busybox")
        images.require_wasm_compiler(place)
    except images.Missing as missing:
        return Section(NAME, _TITLE, skipped=(str(missing),))
    figures: list[Figure] = []
    raw: dict[str, Any] = {}
    busybox = images.build_example(place, "busybox")
    with managers.podman(place, busybox) as podman:
        cases = _cases(place, busybox, podman)
        for case in cases[:1] if scale is Scale.GUARD else cases:
            figures += _compare(case, _TURNS[scale], raw)
        figures.append(_listing(place, busybox, podman, _TURNS_OF_LISTING[scale], raw))
    return Section(NAME, _TITLE, tuple(figures), (), raw)


def _cases(place: Workplace, busybox: str, podman: Manager) -> tuple[_Case, ...]:
    hello = images.build_example(place, "hello-c")
    nothing = images.build_modules(place, "nothing", [images.compile_module(place, _GUESTS / "nothing.c")])
    for image in (hello, nothing):
        images.fill_cache(place, image)

    def three(wasm_image: str, guest: tuple[str, ...]) -> _Three:
        return _Three(
            managers.wpod(place, "wpod wasm", wasm_image),
            managers.wpod(place, "wpod native", busybox, guest),
            Manager(podman.label, podman.command, podman.image, guest, podman.environment),
        )

    idle = three(hello, managers.IDLE)
    return (
        _Case("run -d", idle, _run_detached, RUN_DETACHED_GOAL),
        _Case("run --rm", three(nothing, ("busybox", "true")), _run_attached),
        _Case("stop", three(hello, _STOPPABLE), _stop),
        _Case("rm -f", idle, _remove),
    )


def _run_detached(manager: Manager, turn: int) -> float:
    time = manager.start(turn)
    manager.remove_one(turn)
    return time


def _run_attached(manager: Manager, _turn: int) -> float:
    return manager.seconds("run", "--rm", manager.image, *manager.guest)


def _stop(manager: Manager, turn: int) -> float:
    manager.start(turn)
    time = manager.seconds("stop", manager.name(turn))
    manager.remove_one(turn)
    return time


def _remove(manager: Manager, turn: int) -> float:
    manager.start(turn)
    return manager.remove_one(turn)


def _compare(case: _Case, turns: _Turns, raw: dict[str, Any]) -> list[Figure]:
    def contestant(manager: Manager) -> Contestant:
        return Contestant(manager.label, lambda turn: case.seconds(manager, turn))

    three = case.three
    contestants = [contestant(manager) for manager in (three.wasm, three.native, three.podman)]
    times = paired.alternate(contestants, turns.counted, turns.warm_up)
    raw[case.name] = _raw(times)
    ratios = ((three.wasm, case.wasm_goal), (three.native, None))
    return [_figure(f"{case.name}, {ours.label}", ours, three.podman, times, goal) for ours, goal in ratios]


def _listing(place: Workplace, busybox: str, podman: Manager, turns: _Turns, raw: dict[str, Any]) -> Figure:
    """`ps` with 20 containers running on each side; on wpod's, half of them are wasm."""
    wasm = managers.wpod(place, "wpod wasm", "hello-c")
    native = managers.wpod(place, "wpod native", busybox, managers.IDLE)
    shares = ((wasm, _LISTED // 2), (native, _LISTED // 2), (podman, _LISTED))
    for manager, count in shares:
        for number in range(count):
            manager.start(number)
    contestants = [
        Contestant(name, lambda _turn, manager=manager: manager.seconds("ps"))  # type: ignore[misc]
        for name, manager in (("wpod", wasm), ("podman native", podman))
    ]
    times = paired.alternate(contestants, turns.counted, turns.warm_up)
    for manager, count in shares:
        manager.remove(count)
    raw["ps"] = _raw(times)
    ours = Manager("wpod", wasm.command, wasm.image)
    return _figure(f"ps with {_LISTED}", ours, podman, times, PS_GOAL)


def _figure(name: str, ours: Manager, theirs: Manager, times: dict[str, list[float]], goal: float | None) -> Figure:
    first, second = times[ours.label], times[theirs.label]
    note = f"medians {_milliseconds(first)} and {_milliseconds(second)} ms"
    return of_ratio(name, paired.ratio(first, second), goal, note)


def _milliseconds(times: list[float]) -> str:
    return f"{paired.spread(times).median * 1000:.1f}"


def _raw(times: dict[str, list[float]]) -> dict[str, Any]:
    return {
        name: {"seconds": [round(time, 6) for time in row], **asdict(paired.spread(row))} for name, row in times.items()
    }
