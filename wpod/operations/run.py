"""`run`: create and start as one step, undone as one."""

from __future__ import annotations

import contextlib

from wpod.errors import NotThere
from wpod.model.container import ContainerRecord
from wpod.model.image import Image
from wpod.model.request import RunRequest
from wpod.operations.create import create_scaled, create_undoable
from wpod.operations.remove import RemoveOptions, remove
from wpod.operations.start import Complain, start_detached, start_foreground, start_together
from wpod.operations.undo import UndoStack
from wpod.storage.store import Store


def run_detached(store: Store, request: RunRequest, image: Image, command_line: tuple[str, ...]) -> ContainerRecord:
    """Create and start; returns when the guest is about to run. Where that fails nothing is left."""
    with UndoStack() as undo:
        record = create_undoable(store, request, image, command_line, undo, detached=True)
        undo.add(f"container {record.name}", lambda: _end(store, record))
        start_detached(store, record)
        undo.keep()
    return record


def run_scaled(
    store: Store, request: RunRequest, image: Image, command_line: tuple[str, ...], count: int
) -> list[ContainerRecord]:
    """Create and start `count` containers of one request, NAME-1 and so on; where one fails none is left."""
    with UndoStack() as undo:
        records = create_scaled(store, request, image, command_line, undo, count=count)
        for record in records:
            undo.add(f"container {record.name}", lambda record=record: _end(store, record))  # type: ignore[misc]
        start_together(store, records)
        undo.keep()
    return records


def run_foreground(
    store: Store, request: RunRequest, image: Image, command_line: tuple[str, ...], complain: Complain
) -> int:
    """Create, then become the container's process. Returns only by raising, where the start failed."""
    with UndoStack() as undo:
        record = create_undoable(store, request, image, command_line, undo, detached=False)
        undo.add(f"container {record.name}", lambda: _end(store, record))
        return start_foreground(store, record, lambda: _complete(undo), complain)


def _end(store: Store, record: ContainerRecord) -> None:
    """The whole container where it may have come to run; what `create` made is then gone already."""
    with contextlib.suppress(NotThere):
        remove(store, record.container_id, RemoveOptions(force=True, volumes=True, stop_timeout_seconds=0))


def _complete(undo: UndoStack) -> None:
    undo.run()
