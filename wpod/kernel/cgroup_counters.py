"""What a container's own cgroup counts (cgroups(7); cgroup-v1/memory.rst and cgroup-v2.rst of the kernel)."""

from __future__ import annotations

import os

from wpod.frozen import frozen
from wpod.kernel import cgroup
from wpod.kernel.cgroup import Hierarchy

_READ_BYTES = 65536
_PEAKS = ("memory.peak", "memory.max_usage_in_bytes")  # of v2 and v1
# What v1 reports for no limit is the greatest multiple of a page that fits; anything near it is none.
_NO_LIMIT = 1 << 60
_MICROSECOND = 1000


@frozen
class MemoryCounters:
    """Bytes. `kernel_beyond` is slab, sockets and the like without page tables and stacks, None where v1 gives only the
    whole, which is `kernel_whole` then. `limit` None: there is none."""

    current: int
    limit: int | None
    swap: int | None
    cache: int
    file: int
    kernel_beyond: int | None
    kernel_whole: int | None
    oom_kills: int


@frozen
class MemoryKill:
    """A kill for want of memory: the most bytes that the cgroup ever had, 0 where the kernel doesn't tell, and its
    limit, None where there is none: it was the machine's memory then."""

    peak: int
    limit: int | None


@frozen
class Directories:
    """Where a container's own cgroups are, by controller; on v2 all are the same directory."""

    memory: str = ""
    cpu: str = ""
    pids: str = ""

    @property
    def any(self) -> bool:
        return bool(self.memory or self.cpu or self.pids)


def own_directories(container_id: str, pid: int) -> Directories:
    """Those of a running container's main process. Empty texts where a controller has none of its own."""
    if cgroup.hierarchy() is Hierarchy.V2:
        place = cgroup.path_of(pid)
        if container_id not in place.rpartition("/")[2]:
            return Directories()
        directory = cgroup.ROOT + place
        there = set(_text(f"{directory}/cgroup.controllers").split())
        return Directories(*(directory if name in there else "" for name in ("memory", "cpu", "pids")))
    found = {path.split("/")[-3]: path for path in cgroup.directories(container_id) if os.path.isdir(path)}
    by_name = {name: path for mount, path in found.items() for name in mount.split(",")}
    return Directories(by_name.get("memory", ""), "", by_name.get("pids", ""))


def memory(directory: str) -> MemoryCounters | None:
    """None where it can't be read, for it has gone."""
    rows = _rows(_text(f"{directory}/memory.stat"))
    if "file" in rows:
        return _memory_v2(directory, rows)
    return _memory_v1(directory, rows) if "cache" in rows else None


def memory_kill(container_id: str) -> MemoryKill | None:
    """Whether the kernel has killed in this container's own cgroup for want of memory; asked when nobody lives in it.

    None where it hasn't, where there is no cgroup, and where systemd made it: that one goes with its last process.
    """
    for directory in cgroup.directories(container_id):
        counters = memory(directory)
        if counters is not None and counters.oom_kills:
            peaks = [peak for name in _PEAKS if (peak := _number(f"{directory}/{name}")) is not None]
            return MemoryKill(max(peaks, default=0), counters.limit)
    return None


def processor_nanoseconds(directory: str) -> int | None:
    """Processor time of all that has ever been in it (v2)."""
    usage = _rows(_text(f"{directory}/cpu.stat")).get("usage_usec")
    return usage * _MICROSECOND if usage is not None else None


def tasks(directory: str) -> int | None:
    """How many tasks there are in it."""
    return _number(f"{directory}/pids.current")


def pressure_text(directory: str) -> str:
    """Its memory.pressure (v2), "" where the kernel keeps none."""
    return _text(f"{directory}/memory.pressure")


def _memory_v2(directory: str, rows: dict[str, int]) -> MemoryCounters | None:
    current = _number(f"{directory}/memory.current")
    if current is None:
        return None
    known = rows.get("kernel")  # Linux 5.18
    beyond = (known - rows.get("kernel_stack", 0) - rows.get("pagetables", 0) if known is not None
              else rows.get("slab", 0) + rows.get("percpu", 0) + rows.get("vmalloc", 0))  # fmt: skip
    return MemoryCounters(
        current=current,
        limit=_number(f"{directory}/memory.max"),
        swap=_number(f"{directory}/memory.swap.current"),
        cache=max(0, rows["file"] - rows.get("file_mapped", 0)),
        file=rows["file"],
        kernel_beyond=max(0, beyond) + rows.get("sock", 0),
        kernel_whole=None,
        oom_kills=_rows(_text(f"{directory}/memory.events")).get("oom_kill", 0),
    )


def _memory_v1(directory: str, rows: dict[str, int]) -> MemoryCounters | None:
    current = _number(f"{directory}/memory.usage_in_bytes")
    if current is None:
        return None
    limit = _number(f"{directory}/memory.limit_in_bytes")
    kernel = _number(f"{directory}/memory.kmem.usage_in_bytes")
    sockets = _number(f"{directory}/memory.kmem.tcp.usage_in_bytes")
    return MemoryCounters(
        current=current,
        limit=limit if limit is not None and limit < _NO_LIMIT else None,
        swap=rows.get("swap"),
        cache=max(0, rows["cache"] - rows.get("mapped_file", 0)),
        file=rows["cache"],
        kernel_beyond=None,
        kernel_whole=kernel + (sockets or 0) if kernel is not None else None,
        oom_kills=_rows(_text(f"{directory}/memory.oom_control")).get("oom_kill", 0),
    )


def _rows(text: str) -> dict[str, int]:
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _number(path: str) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None  # "max" is no limit


def _text(path: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(descriptor, _READ_BYTES).decode("ascii", "replace")
    except OSError:  # the cgroup has gone meanwhile (ENODEV)
        return ""
    finally:
        os.close(descriptor)
