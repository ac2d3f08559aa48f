"""What a figure of the table is: its formula, where it is read, and how old it is. Shown for the focused one."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from wpod.model.memory import DEFINITIONS, SWAP, Definition, Part
from wpod.top.columns import Layout
from wpod.top.model import Model
from wpod.top.rows import Row
from wpod.top.text import Line, clean, fit


def _of(definition: Definition) -> tuple[str, str]:
    return definition.formula, definition.source


# By the title of the column: the formula, and the source. Titles that aren't here are words, which explain themselves.
_TOLD: dict[str, tuple[str, str]] = {
    "TOTAL": (
        "the sum of the parts that are known: own, linear, kernel, code, shared, helpers, cache",
        "see each part",
    ),
    "OWN": _of(DEFINITIONS[Part.OWN]),
    "LINEAR": _of(DEFINITIONS[Part.LINEAR]),
    "KERNEL": _of(DEFINITIONS[Part.KERNEL]),
    "CODE": _of(DEFINITIONS[Part.CODE]),
    "SHARED": _of(DEFINITIONS[Part.SHARED]),
    "HELPER": _of(DEFINITIONS[Part.HELPERS]),
    "CACHE": _of(DEFINITIONS[Part.CACHE]),
    "SWAP": _of(SWAP),
    "RESERV": (
        "the mappings between the linear memory's address and its greatest size, touched or not",
        "/proc/PID/smaps, address and sizes from the state file",
    ),
    "CPU%": ("processor time since the look before, 100 is one processor", "its cgroup's counter, else /proc/PID/stat"),
    "±/min": (
        "the slope of own + linear + kernel (native: + code + shared - files) over five minutes, or since the mark (m)",
        "the history of this screen",
    ),
    "LIM%": (
        "used / allowed, of the limit with the least room left",
        "the guest's pages in the state file; memory cgroup",
    ),
    "AGE": ("since its start; of one that does not run, since its end", "the container's record"),
    "PIDS": ("tasks: processes and threads", "pids.current of its cgroup, else /proc/PID/stat"),
    "NET<": ("bytes received a second since it was read before", "/proc/PID/net/dev"),
    "NET>": ("bytes sent a second since it was read before", "/proc/PID/net/dev"),
    "DISK<": ("bytes read a second since it was read before", "/proc/PID/io"),
    "DISK>": ("bytes written a second since it was read before", "/proc/PID/io"),
    "PSI": ("percent of the last 10 s in which some of its tasks waited for memory", "memory.pressure of its cgroup"),
}
_READ_WITH_MEMORY = frozenset(
    ("TOTAL", "OWN", "LINEAR", "KERNEL", "CODE", "SHARED", "HELPER", "CACHE", "SWAP", "RESERV")
)
_LINES = 2


def focusable(shape: Layout) -> list[str]:
    """The titles of the columns on the screen that have something to tell, from left to right."""
    return [one.title for one in (*shape.before, *shape.behind) if one.title in _TOLD]


def explained(row: Row, title: str, model: Model, shape: Layout) -> str:
    """The figure of a row in that column, its source, its age, and the formula; "" where the column isn't shown."""
    column = next((one for one in (*shape.before, *shape.behind) if one.title == title), None)
    if column is None or title not in _TOLD:
        return ""
    formula, source = _TOLD[title]
    value = column.text(row, model)[0] or "-"
    return f"{title} {value} ({', '.join((source, *_age(row, title)))}): {formula}"


def _age(row: Row, title: str) -> list[str]:
    ages = [item.memory_age for item in row.items if item.memory_age is not None]
    return [f"{max(ages):.0f} s ago"] if ages and title in _READ_WITH_MEMORY else []


def lines_of(words: str, width: int, *, ascii_only: bool) -> Sequence[Line]:
    """Two lines of the strip; what has no room in them stands on the first page of the detail."""
    broken = textwrap.wrap(clean(words, ascii_only), max(1, width - 1)) or [""]
    kept = [*broken[: _LINES - 1], " ".join(broken[_LINES - 1 :])]
    return [((" " + fit(one, max(0, width - 1), ascii_only=ascii_only), "text"),) for one in kept]
