"""What a test must not leave behind: processes, mounts, cgroups and temporary files of its store.

Several tests run at the same time, so nothing is compared before and after; everything is told by the
path of the store or by the container's ID.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
from collections.abc import Iterable
from pathlib import Path


def processes_of(store: Path) -> dict[int, str]:
    """Processes that name the store in their mappings, mounts, arguments or open files, with their command."""
    needle, own_mounts = os.fsencode(store), _link("/proc/self/ns/mnt")
    found: dict[int, str] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid() and _uses(f"/proc/{name}", needle, own_mounts):
            with contextlib.suppress(OSError):
                found[int(name)] = (
                    Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
    return found


def compilers_of(store: Path) -> list[int]:
    """Compilers of modules that are at work for the store."""
    return [pid for pid, command in processes_of(store).items() if "wpod-aot-compiler" in command]


def _uses(process: str, needle: bytes, own_mounts: str) -> bool:
    """Strings and plain calls: every test asks this of every process."""
    arguments, mappings = _read(f"{process}/cmdline"), _read(f"{process}/maps")
    if needle in arguments or needle in mappings:
        return True
    if not arguments and not mappings:
        return False  # one of the kernel's, or dead
    if _link(f"{process}/ns/mnt") != own_mounts and needle in _read(f"{process}/mountinfo"):
        return True
    with contextlib.suppress(OSError):
        return any(needle in os.fsencode(_link(f"{process}/fd/{name}")) for name in os.listdir(f"{process}/fd"))
    return False


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError:
        return b""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def mounts_of(store: Path) -> list[str]:
    """Mount points in this mount namespace that lie in the store or are made of it."""
    text = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    return [line.split()[4] for line in text.splitlines() if str(store) in line]


def cgroups_of(containers: Iterable[str]) -> list[str]:
    """Cgroup directories that carry the ID of one of these containers."""
    wanted = set(containers)
    return [
        os.path.join(parent, name)
        for parent, names, _ in os.walk("/sys/fs/cgroup")
        for name in names
        if any(container in name for container in wanted)
    ]


def containers_of(store: Path) -> list[Path]:
    """Directories of containers. The database isn't opened: as root that could leave root's files in a user's store."""
    directory = store / "containers"
    return list(directory.iterdir()) if directory.is_dir() else []


def files_of(store: Path, scratch: Path) -> list[str]:
    """Staged files in the store, directories of containers, and anything in TMPDIR."""
    staged = [path for place in (store / "tmp", scratch / "tmp") if place.is_dir() for path in place.iterdir()]
    return [str(path) for path in (*staged, *containers_of(store))]


def find(store: Path, scratch: Path, containers: Iterable[str]) -> list[str]:
    """Everything left, in words; empty where the test was clean."""
    return (
        [f"process {pid}: {command}" for pid, command in processes_of(store).items()]
        + [f"mount {point}" for point in mounts_of(store)]
        + [f"cgroup {path}" for path in cgroups_of(containers)]
        + [f"file {path}" for path in files_of(store, scratch)]
    )


def end(store: Path) -> None:
    """Kill what is left on a store and unmount it, so that one failed test doesn't spoil the next."""
    for pid in processes_of(store):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    for point in reversed(mounts_of(store)):
        os.system(f"umount -l '{point}' 2>/dev/null")


def tree(path: Path) -> dict[str, tuple[int, int, int]]:
    """Mode, size and change time (ns) of every file below a directory: whether anything was written there."""
    seen: dict[str, tuple[int, int, int]] = {}
    for parent, directories, files in os.walk(path):
        for name in (*directories, *files):
            full = os.path.join(parent, name)
            found = os.lstat(full)
            size = 0 if stat.S_ISDIR(found.st_mode) else found.st_size
            seen[os.path.relpath(full, path)] = (found.st_mode, size, found.st_mtime_ns)
    return seen
