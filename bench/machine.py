"""What figures were taken on: they mean nothing without it."""

from __future__ import annotations

import os
import platform
import re
import shutil
from pathlib import Path
from typing import Any

from bench import commands
from bench.workplace import Workplace

_IDLE_LOAD = 0.5
_VERSION_COMMANDS = {
    "podman": ("podman", "--version"),
    "crun": ("crun", "--version"),
    "runc": ("runc", "--version"),
    "containerd": ("containerd", "--version"),
    "gcc": ("gcc", "--version"),
    "clang": ("clang", "--version"),
    "go": ("go", "version"),
}


def describe(place: Workplace) -> dict[str, Any]:
    """Processor, memory, kernel, distribution and the versions of everything compared."""
    return {
        "processor": _field("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory_kB": int(_field("/proc/meminfo", "MemTotal").split()[0]),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "distribution": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        "cgroups": _cgroups(),
        "user": os.geteuid(),
        "load_average": round(os.getloadavg()[0], 2),
        "versions": {
            "wpod": place.wpod("version", "--format", "{{.Client.Version}}"),
            "engine": place.wpod("version", "--format", "{{.Wpod.Engine.Name}} {{.Wpod.Engine.Version}}"),
            "python": place.wpod("version", "--format", "{{.Wpod.Python}}"),
            **{name: _version(command) for name, command in _VERSION_COMMANDS.items() if shutil.which(name)},
        },
    }


def warning() -> str:
    """What speaks against measuring now, or nothing."""
    load = os.getloadavg()[0]
    return f"the load average is {load:.2f}: figures need an idle machine" if load > _IDLE_LOAD else ""


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "0"


def _cgroups() -> str:
    """What the machine mounts; process 1 isn't in the mount namespace that with_peers.sh has made."""
    try:
        mounts = Path("/proc/1/mounts").read_text()
    except OSError:
        mounts = Path("/proc/self/mounts").read_text()
    kinds = {line.split()[2] for line in mounts.splitlines()} & {"cgroup", "cgroup2"}
    return {"cgroup": "v1", "cgroup2": "v2", "cgroup cgroup2": "hybrid"}.get(" ".join(sorted(kinds)), "none")


def _version(command: tuple[str, ...]) -> str:
    try:
        found = re.search(r"\d+\.\d+[.\d]*", commands.output_of(command))
    except commands.CommandFailed:
        return "unknown"
    return found[0] if found else "unknown"
