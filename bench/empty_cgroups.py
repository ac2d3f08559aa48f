"""What empty cgroups cost: those that a container with limits has, without the container."""

from __future__ import annotations

import os
from pathlib import Path

from bench.commands import CommandFailed
from bench.contestants import Contestant
from bench.managers import Manager, Started
from bench.workplace import Workplace


def parse_own(of_process: str, of_others: str) -> dict[str, str]:
    """Path by controllers of the cgroups that a process doesn't share, out of two texts of /proc/PID/cgroup.

    The unified hierarchy has the empty name (cgroups(7)).
    """
    shared = set(of_others.splitlines())
    rows = (line.split(":", 2) for line in of_process.splitlines() if line not in shared)
    return {controllers: path for _, controllers, path in rows}


def parse_mounts(mountinfo: str) -> dict[str, str]:
    """Mount point by controllers, out of a text of /proc/PID/mountinfo (proc(5)); where several have one, the first."""
    points: dict[str, str] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ")[:3]
        point = before.split(" ")[4]
        if kind == "cgroup2":
            points.setdefault("", point)
        elif kind == "cgroup":
            for option in options.split(","):
                points.setdefault(option, point)
    return points


def beside(place: Workplace, manager: Manager) -> Contestant:
    """Makes and removes cgroups beside those of a container that `manager` starts. Raises CommandFailed."""
    parents = _parents(place, manager)

    def make(number: int) -> Started:
        for parent in parents:
            (parent / f"wpod-bench-{number}").mkdir()
        return Started(0.0, 0.0)

    def remove(count: int) -> None:
        for number in range(count):
            for parent in parents:
                (parent / f"wpod-bench-{number}").rmdir()

    return Contestant(f"empty cgroup of {manager.label}", make, remove)


def _parents(place: Workplace, manager: Manager) -> list[Path]:
    manager.start(0)
    try:
        pid = place.wpod("inspect", "--format", "{{.State.Pid}}", manager.name(0))
        own = parse_own(Path(f"/proc/{pid}/cgroup").read_text(), Path(f"/proc/{os.getpid()}/cgroup").read_text())
    finally:
        manager.remove_one(0)
    points = parse_mounts(Path("/proc/self/mountinfo").read_text())
    options = {controllers.split(",")[0]: path for controllers, path in own.items()}
    found = [Path(points[name] + path).parent for name, path in options.items() if name in points]
    if not found:
        raise CommandFailed(f"{manager.label}: its container has no cgroup of its own")
    for parent in found:
        # wpod takes it away with the last container.
        parent.mkdir(exist_ok=True)
    return found
