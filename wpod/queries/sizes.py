"""How much a container wrote, and how large its root is (`ps --size`, `inspect --size`)."""

from __future__ import annotations

import os
import stat

from wpod.frozen import frozen
from wpod.model.container import ContainerRecord, RootKind
from wpod.storage.store import Store
from wpod.storage.trees import unpacked_size


@frozen
class ContainerSize:
    """Bytes of regular files: written by the container, and of its whole root."""

    written_bytes: int
    root_bytes: int


def container_size(store: Store, record: ContainerRecord) -> ContainerSize:
    """Measured by walking what the container may have written; what can't be read isn't counted."""
    own = store.paths.container(record.container_id)
    lower = record.plan.root.lowers[0]
    image = unpacked_size(lower)
    image_bytes = image.total_bytes if image is not None else 0
    kind = record.plan.root.kind
    if kind is RootKind.READ_ONLY:
        return ContainerSize(0, image_bytes)
    if kind is RootKind.COPY:
        written = _changed_bytes(own.rootfs, lower)
        return ContainerSize(written, _changed_bytes(own.rootfs, ""))
    written = _changed_bytes(own.upper, "")
    return ContainerSize(written, image_bytes + written)


def _changed_bytes(top: str, lower: str) -> int:
    """Bytes of the regular files below `top` that aren't the same (size and time) below `lower`; "": of all."""
    total = 0
    waiting = [""]
    while waiting:
        relative = waiting.pop()
        try:
            entries = list(os.scandir(f"{top}/{relative}"))
        except OSError:
            continue
        for entry in entries:
            path = f"{relative}/{entry.name}" if relative else entry.name
            found = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                waiting.append(path)
            elif stat.S_ISREG(found.st_mode) and not (lower and _same(found, f"{lower}/{path}")):
                total += found.st_size
    return total


def _same(found: os.stat_result, path: str) -> bool:
    try:
        given = os.lstat(path)
    except OSError:
        return False
    return (given.st_mode, given.st_size, given.st_mtime_ns) == (found.st_mode, found.st_size, found.st_mtime_ns)
