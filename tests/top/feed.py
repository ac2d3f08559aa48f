"""Moments made up for tests: any number of containers of both kinds, in any state."""

from __future__ import annotations

from collections.abc import Iterable

from wpod.frozen import replace
from wpod.model.memory import UNKNOWN, Breakdown, Limit, LimitKind
from wpod.model.sample import HelperSample, HostSample, Pressure, Traffic
from wpod.top.moment import Facts, Item, Moment, State

START = 1_800_000_000_000_000_000
SECOND = 1_000_000_000
MEGABYTE = 1 << 20


def breakdown(own: int = 4 * MEGABYTE, **parts: int | None) -> Breakdown:
    """A native one unless `linear` is given."""
    usual = {"kernel": 80 << 10, "code": 200 << 10, "shared": 300 << 10, "helpers": 100 << 10, "swap": 0}
    return Breakdown(own=own, **{**usual, **parts})


def item(name: str, kind: str = "native", memory: Breakdown | None = None, **facts: object) -> Item:
    """A container that runs since a minute."""
    base = Facts(
        container_id=(name.encode().hex() * 64)[:64],
        name=name,
        kind=kind,
        image=f"localhost/{name.rstrip('0123456789-') or name}:latest",
        command="/bin/serve",
        created_nanoseconds=START - 61 * SECOND,
        started_nanoseconds=START - 60 * SECOND,
        pid=4711,
    )
    made = replace(base, **facts)
    running = made.state is State.RUNNING
    default = breakdown() if kind == "native" else breakdown(60 << 10, linear=128 << 10, linear_size=256 << 10,
                                                             linear_limit=1 << 30, helpers=0)  # fmt: skip
    return Item(
        made,
        (memory if memory is not None else default) if running else UNKNOWN,
        memory_age=0.0 if running else None,
        cpu_percent=0.5 if running else None,
        processes=1 if running else None,
        traffic=Traffic(10, 20, 30, 40) if running else Traffic(),
        rates=Traffic(1, 2, 3, 4) if running else Traffic(),
    )


def limited(one: Item, allowed: int, used: int, kind: LimitKind = LimitKind.CGROUP) -> Item:
    """The same with a limit."""
    return replace(one, limits=(Limit(kind, allowed, used),))


def moment(items: Iterable[Item], seconds: float = 0.0, helpers: Iterable[HelperSample] = ()) -> Moment:
    """So many seconds after the first one."""
    found = tuple(items)
    containers = sum((one.memory.total or 0) - (one.memory.helpers or 0) for one in found)
    helping = sum(one.memory.helpers or 0 for one in found)
    host = HostSample(
        total=16 << 30, free=12 << 30, containers=containers, helpers=helping, others=2 << 30,
        cache=(2 << 30) - containers - helping - 2 * MEGABYTE, swap_total=0, swap_used=0,
        cpu_percent=12.0, processors=2, pressure=Pressure(0.0, 0.0, 0.0, 0.0),
    )  # fmt: skip
    return Moment(found, tuple(helpers), host, START + int(seconds * SECOND), 1.0 if seconds else 0.0)


def village(second: int = 480) -> list[Item]:
    """Some of everything: replicas, one that grows towards its limit, one near it, one killed, one that ended.

    The one that grows has all its memory at second 480.
    """
    replicas = [item(f"api-{number}", "wasm", family="api") for number in range(1, 41)]
    own = 41 * MEGABYTE - (480 - second) * (20 << 10)
    database = limited(item("db", memory=breakdown(own, cache=7 * MEGABYTE)), 77 * MEGABYTE, own + 16 * MEGABYTE)
    report = limited(
        item("report", "wasm", breakdown(4 * MEGABYTE, linear=9 * MEGABYTE, linear_size=12 * MEGABYTE,
                                         linear_limit=14 * MEGABYTE, helpers=0)),
        14 * MEGABYTE, 13 * MEGABYTE, LimitKind.GUEST_PAGES,
    )  # fmt: skip
    killed = item("worker-7", "wasm", state=State.FAILED, exit_code=137, ending="OOM: limit 64MiB", pid=0,
                  finished_nanoseconds=START - 12 * SECOND)  # fmt: skip
    ended = item("task", state=State.ENDED, pid=0, finished_nanoseconds=START - 30 * SECOND)
    created = item("later", "wasm", state=State.CREATED, pid=0, started_nanoseconds=0)
    unreadable = item("broken", state=State.UNREADABLE, pid=0, ending="its state file is damaged")
    return [*replicas, database, report, killed, ended, created, unreadable, item("web", networks=("bridge",))]
