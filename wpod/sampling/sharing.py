"""Which files a container has mapped, and which other containers have the same ones mapped."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from wpod.frozen import frozen
from wpod.model.container import Container, RootKind, Status
from wpod.paths import StorePaths
from wpod.sampling import mappings

_KIBIBYTE = 1024
_FILE = re.compile(
    rb"^[0-9a-f]+-[0-9a-f]+ .... [0-9a-f]+ ([0-9a-f]+:[0-9a-f]+) ([1-9]\d*) +([^\n]*)\n"
    rb"(?:(?:Size|KernelPageSize|MMUPageSize):[^\n]*\n)+Rss: +(\d+) kB\nPss: +(\d+) kB\n(?:[A-Z][^\n]*\n)*?"
    rb"Anonymous: +(\d+) kB\n",
    re.MULTILINE,
)
_MAPPED = re.compile(rb"^[0-9a-f]+-[0-9a-f]+ .... [0-9a-f]+ ([0-9a-f]+:[0-9a-f]+) ([1-9]\d*) +([^\n]*)\n", re.MULTILINE)
_Key = tuple[bytes, bytes]


@frozen
class MappedFile:
    """A file that a container has in memory: bytes of it that are there, and its share of them.

    `others` are the IDs of the containers that have it mapped, too; who else has it is not told.
    """

    path: str
    resident: int
    share: int
    others: tuple[str, ...]


def mapped_files(container: Container, everybody: Iterable[Container], store: StorePaths) -> list[MappedFile]:
    """Those of its main process, the greatest first. Nothing where it has ended, or can't be read."""
    found: dict[_Key, list[int]] = {}
    names: dict[_Key, str] = {}
    for device, inode, path, resident, share, anonymous in _FILE.findall(_text(_main(container), "smaps")):
        # What was written to a private mapping is the container's own and no page of the file.
        of_file = max(0, int(resident) - int(anonymous))
        if of_file:
            key = _key(container, store, (device, inode), path)
            sums = found.setdefault(key, [0, 0])
            sums[0] += of_file
            sums[1] += max(0, int(share) - int(anonymous))
            names[key] = os.fsdecode(path)
    users = _users(container, everybody, store)
    files = [
        MappedFile(names[key], sums[0] * _KIBIBYTE, sums[1] * _KIBIBYTE, tuple(users.get(key, ())))
        for key, sums in found.items()
    ]
    return sorted(files, key=lambda one: -one.resident)


def private_code_bytes(container: Container) -> int:
    """Machine code that only this container has: a private copy, not pages of a file that others could have, too."""
    divided = re.findall(
        rb"^[0-9a-f]+-[0-9a-f]+ ..x. [^\n]*\n(?:[A-Z][^\n]*\n)*?Anonymous: +(\d+) kB\n",
        _text(_main(container), "smaps"), re.MULTILINE,
    )  # fmt: skip
    return sum(int(kilobytes) for kilobytes in divided) * _KIBIBYTE


def _users(container: Container, everybody: Iterable[Container], store: StorePaths) -> dict[_Key, list[str]]:
    found: dict[_Key, list[str]] = {}
    for other in everybody:
        other_id = other.record.container_id
        if other_id == container.record.container_id:
            continue
        mapped = set(_MAPPED.findall(_text(_main(other), "maps")))
        for key in {_key(other, store, (device, inode), path) for device, inode, path in mapped}:
            found.setdefault(key, []).append(other_id)
    return found


def _key(container: Container, store: StorePaths, file: _Key, path: bytes) -> _Key:
    """What tells a file from others. Through an overlay each container sees another device: there it is the file of the
    image, by its path, unless the container has changed it.
    """
    plan = container.record.plan
    if plan.root.kind is not RootKind.OVERLAY or plan.module is not None or not plan.root.lowers:
        return file
    inside = os.fsdecode(path)
    if any(inside == mount.target or inside.startswith(f"{mount.target.rstrip('/')}/") for mount in plan.mounts):
        return file
    upper = store.container(container.record.container_id).upper
    if os.path.lexists(upper + inside) or not os.path.lexists(plan.root.lowers[0] + inside):
        return file
    return os.fsencode(plan.root.lowers[0]), path


def _main(container: Container) -> int:
    state = container.observed.state
    return state.pid if state is not None and container.observed.status is Status.RUNNING else 0


def _text(pid: int, name: str) -> bytes:
    if pid <= 0:
        return b""
    try:
        return mappings.content(f"/proc/{pid}/{name}")
    except OSError:
        return b""
