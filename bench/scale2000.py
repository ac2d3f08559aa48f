"""Whether a wasm container costs the same in a crowd: from 10 to 2000 of them, one by one and by one command."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from bench import comparison, contestants
from bench.comparison import MEMORY, Samples, name_of
from bench.contestants import SCALED, WASM
from bench.figures import Figure, Scale, Section
from bench.workplace import Workplace

NAME = "scale2000"
_TITLE = "Cost of a wasm container from 10 to 2000 of them"
# The most that a container among 2000 may cost, as a multiple of what it costs among 100. Among 10, what is there once
# for all of them weighs too much to be held against.
FLAT_GOAL = 1.05
# A row of 2000 one by one takes a minute and a half.
_REPEATS = {
    Scale.FULL: {10: 3, 100: 2, 400: 2, 1000: 1, 2000: 1},
    Scale.QUICK: {2: 1, 4: 1, 8: 1},
}
_WARM_UP = {Scale.FULL: 5, Scale.QUICK: 1}


def measure(place: Workplace, scale: Scale) -> Section:
    """As the comparison measures, with more containers. Raises CommandFailed where not all of them run."""
    if os.geteuid() != 0:
        return Section(NAME, _TITLE, skipped=("only root can drop the kernel's caches",))
    skipped: list[str] = []
    wanted = [(label, entrance) for label, entrance in contestants.ALL if label in (WASM, SCALED)]
    with contextlib.ExitStack() as stack:
        entered = list(contestants.enter(place, stack, wanted, skipped))
        samples = comparison.take(entered, _REPEATS[scale], _WARM_UP[scale], skipped)
    section = comparison.section_of(NAME, _TITLE, samples, skipped)
    raw: dict[str, Any] = section.raw
    figures = (*flatness(section.figures, samples), *section.figures)
    return Section(NAME, _TITLE, figures, section.skipped, raw, section.tables)


def flatness(found: tuple[Figure, ...], samples: Samples) -> tuple[Figure, ...]:
    """For each contestant: a container's cost among the most, as a multiple of its cost among some."""
    by_name = {figure.name: figure for figure in found}
    counts = sorted({count for _, count in samples})
    some, most = counts[1] if len(counts) > 2 else counts[0], counts[-1]
    ratios: list[Figure] = []
    for label in dict.fromkeys(label for label, _ in samples):
        first, second = (by_name.get(name_of(label, count, MEMORY)) for count in (some, most))
        if first is None or second is None or first.note or second.note:
            continue
        name, note = f"{label}: among {most} to among {some}", f"{second.value:.0f} and {first.value:.0f} kB"
        ratios.append(Figure(name, second.value / first.value, "x", FLAT_GOAL, note=note))
    return tuple(ratios)
