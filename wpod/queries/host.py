"""What this machine is, as podman's `info` tells it under `host`. Read from /proc and /etc; starts no program."""

from __future__ import annotations

import os
import time

from wpod.storage import platforms

_READ_LIMIT_BYTES = 1 << 20
_KIB = 1024


def describe() -> dict[str, object]:
    """The machine's part of `host`, with podman's keys."""
    memory = _memory()
    return {
        "arch": platforms.host().architecture,
        "cpus": os.cpu_count() or 1,
        "cpuUtilization": _cpu_utilization(),
        "distribution": _distribution(),
        "hostname": os.uname().nodename,
        "kernel": os.uname().release,
        "memFree": memory.get("MemFree", 0),
        "memTotal": memory.get("MemTotal", 0),
        "os": platforms.host().os,
        "swapFree": memory.get("SwapFree", 0),
        "swapTotal": memory.get("SwapTotal", 0),
        "uptime": _uptime(),
    }


def file_system(path: str) -> str:
    """The type of the file system that holds a path, as the mount table has it; empty where that can't be told."""
    try:
        device = os.stat(path).st_dev
    except OSError:
        return ""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in _read("/proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[2:3] == [wanted]:
            return after.split()[0]
    return ""


def _memory() -> dict[str, int]:
    """/proc/meminfo in bytes."""
    found = {}
    for line in _read("/proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            found[name] = int(words[0]) * _KIB
    return found


def _cpu_utilization() -> dict[str, object]:
    """Since boot, in percent, as podman counts: user with nice, system with interrupts and waiting."""
    fields = [int(word) for word in _read("/proc/stat").partition("\n")[0].split()[1:] if word.isdigit()]
    user, system, idle = (sum(fields[0:2]), sum(fields[2:3]) + sum(fields[4:8]), sum(fields[3:4]))
    total = max(user + system + idle, 1)
    return {
        "userPercent": round(user * 100 / total, 2),
        "systemPercent": round(system * 100 / total, 2),
        "idlePercent": round(idle * 100 / total, 2),
    }


def _distribution() -> dict[str, object]:
    """os-release(5)."""
    values = {}
    for line in (_read("/etc/os-release") or _read("/usr/lib/os-release")).splitlines():
        name, equals, value = line.partition("=")
        if equals:
            values[name.strip()] = value.strip().strip("\"'")
    found: dict[str, object] = {
        "distribution": values.get("ID", "unknown"),
        "version": values.get("VERSION_ID", "unknown"),
    }
    if values.get("VERSION_CODENAME"):
        found["codename"] = values["VERSION_CODENAME"]
    return found


def _uptime() -> str:
    """Podman's wording: `26h 3m 7.00s (Approximately 1.08 days)`."""
    seconds = time.clock_gettime(time.CLOCK_BOOTTIME)
    hours, rest = divmod(int(seconds), 3600)
    text = f"{hours}h {rest // 60}m {rest % 60:.2f}s"
    return f"{text} (Approximately {seconds / 86_400:.2f} days)" if hours >= 24 else text


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_READ_LIMIT_BYTES)
    except OSError:
        return ""
