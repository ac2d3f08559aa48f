"""Memory of idle detached containers: wasm and native by wpod, native by crun alone and by podman."""

from __future__ import annotations

import contextlib
import os

from bench import images, managers, os_memory, peers
from bench.figures import Figure, Scale, Section
from bench.managers import Starter
from bench.os_memory import Cost, Load
from bench.workplace import Workplace

NAME = "memory"
_TITLE = "OS memory of an idle detached container"
WASM_GOAL_KB = 400.0
NATIVE_OVER_CRUN_GOAL_KB = 120.0
_COUNTS = {Scale.FULL: 100, Scale.QUICK: 5}


def measure(place: Workplace, scale: Scale) -> Section:
    """Four kinds, each twice in a row; the second time counts. Raises CommandFailed."""
    if os.geteuid() != 0:
        return Section(NAME, _TITLE, skipped=("only root can drop the kernel's caches",))
    count = _COUNTS[scale]
    skipped: list[str] = []
    costs: dict[str, tuple[Cost, Cost]] = {}
    with contextlib.ExitStack() as stack:
        for starter in _starters(place, stack, skipped):
            load = Load(count, starter.start, starter.remove)
            costs[starter.label] = (os_memory.measure(load), os_memory.measure(load))
    raw = {label: [cost.as_json() for cost in pair] for label, pair in costs.items()}
    return Section(NAME, f"{_TITLE} ({count} of them)", _figures(costs), tuple(skipped), raw)


def _starters(place: Workplace, stack: contextlib.ExitStack, skipped: list[str]) -> list[Starter]:
    """Everything is built and started once before the first measurement."""
    found: list[Starter] = []
    try:
        images.require_wasm_compiler(place)
        hello = images.build_example(place, "hello-c")
        images.fill_cache(place, hello)
        found.append(managers.wpod(place, "wpod wasm", hello))
    except images.Missing as missing:
        skipped.append(f"wasm: {missing}")
    try:
        images.require("busybox", "crun")
    except images.Missing as missing:
        skipped.append(f"native: {missing}")
        return found
    busybox = images.build_example(place, "busybox")
    found.append(managers.wpod(place, "wpod native", busybox, managers.IDLE))
    found.append(stack.enter_context(peers.bare_crun(place, busybox)))
    try:
        found.append(stack.enter_context(managers.podman(place, busybox)))
    except images.Missing as missing:
        skipped.append(f"podman: {missing}")
    return found


def _figures(costs: dict[str, tuple[Cost, Cost]]) -> tuple[Figure, ...]:
    goals = {"wpod wasm": WASM_GOAL_KB}
    figures = [figure_of(label, second, goals.get(label)) for label, (_, second) in costs.items()]
    if "wpod native" in costs and "crun native" in costs:
        ours, least = costs["wpod native"][1], costs["crun native"][1]
        note = "wpod native less crun native"
        goal = None if ours.doubt or least.doubt else NATIVE_OVER_CRUN_GOAL_KB
        figures.append(Figure("wpod's own part", ours.total - least.total, "kB", goal, note=note))
    return tuple(figures)


def figure_of(label: str, cost: Cost, goal: float | None = None) -> Figure:
    """A cost as a figure, which isn't judged where the machine was not idle."""
    if cost.doubt:
        return Figure(label, cost.total, "kB", note=f"not judged: {cost.doubt}")
    note = f"{cost.processes // cost.containers} processes; mapped file pages beside it {cost.file_pss:.0f} kB"
    return Figure(label, cost.total, "kB", goal, note=note)
