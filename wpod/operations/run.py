"""`run`: create and start as one step, undone as one."""

from __future__ import annotations

import contextlib
import os

from wpod.errors import NotThere
from wpod.model.container import ContainerRecord
from wpod.model.image import Image
from wpod.model.request import RunRequest
from wpod.operations.create import create
from wpod.operations.remove import RemoveOptions, remove
from wpod.operations.start import start_detached, start_foreground
from wpod.storage.store import Store


def run_detached(store: Store, request: RunRequest, image: Image, command_line: tuple[str, ...]) -> ContainerRecord:
    """Create and start; returns when the guest is about to run. Where that fails nothing is left."""
    record = create(store, request, image, command_line, detached=True)
    try:
        start_detached(store, record)
    except BaseException:
        _take_back(store, request, record)
        raise
    return record


def run_foreground(store: Store, request: RunRequest, image: Image, command_line: tuple[str, ...]) -> int:
    """Create, then become the container's process. Returns only where the start failed."""
    record = create(store, request, image, command_line, detached=False)
    try:
        return start_foreground(store, record, lambda: _take_back(store, request, record))
    except BaseException:
        _take_back(store, request, record)
        raise


def _take_back(store: Store, request: RunRequest, record: ContainerRecord) -> None:
    if request.identity.cidfile:
        with contextlib.suppress(OSError):
            os.unlink(request.identity.cidfile)
    with contextlib.suppress(NotThere):
        remove(store, record.container_id, RemoveOptions(force=True, volumes=True, stop_timeout_seconds=0))
