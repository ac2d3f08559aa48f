"""Memory of the operating system per container, whoever manages it.

The kernel's own counters (/proc/meminfo, proc(5)) are read before and while N containers run; their change
divided by N is what one costs, with all that works for it: its processes, their page tables and kernel stacks,
namespaces, mounts, cgroups, sockets, monitors and helpers. Nothing is attributed and nothing estimated. The
counters are those of pages that can't be dropped (SReclaimable is taken after everything unused has been dropped, and
the kernel's slab caches have been told to give back what is free, as sysfs-kernel-slab describes; otherwise a row of
containers would live on what a greater one has left behind, and seem cheaper by up to a tenth):

    AnonPages + SUnreclaim + SReclaimable + PageTables + KernelStack + Percpu + Shmem

File pages are the kernel's to take back, so they don't count; but a private copy of code or data would hide
there. Therefore the proportional share of mapped file pages of the processes that the starts left behind is
told beside it (`file_pss`). All in kB of 1024 bytes, as in meminfo.

Anything else that starts or ends meanwhile is counted too: use an idle machine, and take the second of two
measurements, for the first fills the kernel's caches. Only root can drop caches. As a command, for any manager:

    python -m bench.os_memory -n 100 --start 'wpod run -d --name c{i} IMAGE' --stop 'wpod rm -f c{i}'
"""

from __future__ import annotations

import argparse
import contextlib
import enum
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import commands

COUNTERS = ("AnonPages", "SUnreclaim", "SReclaimable", "PageTables", "KernelStack", "Percpu", "Shmem")
SETTLE_SECONDS = 3.0
_SLABS = Path("/sys/kernel/slab")
_PATIENCE_SECONDS = 20.0


class Starts(enum.Enum):
    ONE_BY_ONE = "one by one"
    AT_ONCE = "by one command"


@dataclass(frozen=True)
class Load:
    """What is measured: `start(i)` starts container i of `count` detached, `stop(n)` removes the first n of them.

    Both raise CommandFailed. `settle_seconds` pass between the last start and the reading. With Starts.AT_ONCE
    start(n) is called once, and starts n. `surroundings` is entered after the first reading and left at the end: the
    daemon that they need. Then comes `warm_up`, because reading drops the caches: what the programs read from disk
    shall not be in the time of the first start; it leaves nothing. `kinds` kinds of containers take turns, each with as
    many processes as it likes; `helpers` processes more serve all of them.
    """

    count: int
    start: Callable[[int], object]
    stop: Callable[[int], object]
    settle_seconds: float = SETTLE_SECONDS
    starts: Starts = Starts.ONE_BY_ONE
    surroundings: Callable[[], contextlib.AbstractContextManager[object]] | None = None
    warm_up: Callable[[], object] | None = None
    kinds: int = 1
    helpers: int = 0


@dataclass(frozen=True)
class Cost:
    """What one container costs, in kB of 1024 bytes.

    `processes` is how many there are for all of them, `ended_meanwhile` how many others ended between the
    readings: what they had is missing from the second one. A daemon is in all of it; `daemon_kB` tells what it alone
    had, in all, before the first container, and `daemon_processes` how many it is.
    """

    containers: int
    by_counter: dict[str, float]
    file_pss: float
    processes: int
    ended_meanwhile: int
    start_milliseconds: float
    kinds: int = 1
    daemon_kB: float = 0.0  # noqa: N815 - a unit
    daemon_processes: int = 0
    helpers: int = 0

    @property
    def total(self) -> float:
        """The sum of the counters: the figure that is compared."""
        return sum(self.by_counter.values())

    @property
    def doubt(self) -> str:
        """What speaks against the figure, or nothing: the machine was not idle."""
        if self.ended_meanwhile:
            return f"{self.ended_meanwhile} other processes ended meanwhile"
        if (self.processes - self.daemon_processes - self.helpers) * self.kinds % self.containers:
            return f"{self.processes} processes began for {self.containers} containers"
        return ""

    def as_json(self) -> dict[str, object]:
        return {
            "containers": self.containers,
            "kB_per_container": round(self.total, 1),
            "kB_by_counter": {name: round(value, 1) for name, value in self.by_counter.items()},
            "file_pss_kB_per_container": round(self.file_pss, 1),
            "processes": self.processes,
            **({"daemon_kB": self.daemon_kB} if self.daemon_processes else {}),
            "doubt": self.doubt,
            "start_ms_median": round(self.start_milliseconds, 2),
        }


def parse_counters(meminfo: str) -> dict[str, int]:
    """The counters out of the text of /proc/meminfo, in kB. Raises KeyError where one isn't there."""
    rows = dict(line.split(":", 1) for line in meminfo.splitlines() if ":" in line)
    return {name: int(rows[name].split()[0]) for name in COUNTERS}


def parse_file_pss(rollup: str) -> int:
    """Proportional share of file pages out of the text of a smaps_rollup, in kB."""
    return sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss_File:"))


def measure(load: Load) -> Cost:
    """Start the load, read, and remove it again, whatever happens. Raises CommandFailed."""
    others = _processes()
    before = _read_counters()
    with load.surroundings() if load.surroundings else contextlib.nullcontext():
        daemons = (_processes() - others) if load.surroundings else set()
        daemon_kilobytes = sum(_read_counters().values()) - sum(before.values()) if daemons else 0
        if load.warm_up:
            load.warm_up()
        milliseconds: list[float] = []
        started = 0
        try:
            for number in range(load.count) if load.starts is Starts.ONE_BY_ONE else (load.count,):
                begin = time.perf_counter()
                if load.starts is Starts.AT_ONCE:
                    started = load.count  # some of them, where it fails
                load.start(number)
                milliseconds.append((time.perf_counter() - begin) * 1000)
                started = max(started, len(milliseconds))
            time.sleep(load.settle_seconds)
            after = _read_counters()
            now = _processes()
            left = now - others
            file_pss = sum(_file_pss(pid) for pid in left)
        finally:
            load.stop(started)
    _wait_until_gone(left)
    each = 1 if load.starts is Starts.ONE_BY_ONE else load.count
    return Cost(
        load.count,
        {name: (after[name] - before[name]) / load.count for name in COUNTERS},
        file_pss / load.count,
        len(left),
        len(others - now),
        statistics.median(milliseconds) / each,
        load.kinds,
        daemon_kilobytes,
        len(daemons),
        load.helpers,
    )


def _read_counters() -> dict[str, int]:
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")
    for cache in _SLABS.glob("*/shrink"):
        with contextlib.suppress(OSError):  # some have no memory of their own
            cache.write_text("1")
    return parse_counters(Path("/proc/meminfo").read_text())


def _processes() -> set[int]:
    """The processes there are; the kernel's own threads have no executable."""
    return {int(name) for name in os.listdir("/proc") if name.isdigit() and os.path.exists(f"/proc/{name}/exe")}


def _file_pss(pid: int) -> int:
    try:
        return parse_file_pss(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except OSError:  # it has ended
        return 0


def _wait_until_gone(pids: set[int]) -> None:
    """What still ends, or waits for a parent to take note of its end, would be missing from the next reading."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while any(os.path.exists(f"/proc/{pid}") for pid in pids) and time.monotonic() < end:
        time.sleep(0.05)


def _load_of_command(given: argparse.Namespace) -> Load:
    def start(number: int) -> None:
        commands.run(["sh", "-c", given.start.replace("{i}", str(number))])

    def stop(started: int) -> None:
        for number in range(started if given.stop else 0):
            commands.run(["sh", "-c", given.stop.replace("{i}", str(number))])

    return Load(given.n, start, stop, given.settle)


def main() -> int:
    """The command. Prints one JSON object; exit status 1 where a start or a stop failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=100, help="how many containers (default 100)")
    parser.add_argument("--start", required=True, help="shell command that starts container {i} detached")
    parser.add_argument("--stop", default="", help="shell command that removes container {i}")
    parser.add_argument("--settle", type=float, default=SETTLE_SECONDS, help="seconds before the reading (default 3)")
    try:
        cost = measure(_load_of_command(parser.parse_args()))
    except (commands.CommandFailed, PermissionError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(cost.as_json(), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
