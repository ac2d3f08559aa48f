"""Several blobs at once, in a few threads, stoppable within a fraction of a second.

Daemon threads, not an executor: an executor's threads are joined when the interpreter ends, and Ctrl-C
would wait for a stalled server. The first failure stops the others.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from wpod.errors import WpodError
from wpod.storage.registry.events import Progress, TransferEvent

PARALLEL = 4
_POLL_SECONDS = 0.1
T = TypeVar("T")


class OneAtATime:
    """A progress callback that several threads may call."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()

    def __call__(self, event: TransferEvent) -> None:
        with self._lock:
            self._progress(event)


def run_all(items: Sequence[T], work: Callable[[T], None], cancel: threading.Event) -> None:
    """Call `work` for every item. Raises the first WpodError, or what interrupted the wait; sets `cancel` then."""
    waiting: queue.SimpleQueue[T] = queue.SimpleQueue()
    for item in items:
        waiting.put(item)
    finished: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def worker() -> None:
        try:
            while not cancel.is_set():
                try:
                    item = waiting.get_nowait()
                except queue.Empty:
                    break
                work(item)
            finished.put(None)
        except BaseException as error:  # noqa: BLE001 - handed to the waiting thread, which raises it
            finished.put(error)

    count = min(PARALLEL, len(items))
    for _ in range(count):
        threading.Thread(target=worker, daemon=True).start()
    try:
        _collect(finished, count, cancel)
    except BaseException:
        cancel.set()
        raise


def _collect(finished: queue.SimpleQueue[BaseException | None], count: int, cancel: threading.Event) -> None:
    first: BaseException | None = None
    while count:
        try:
            error = finished.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            continue
        count -= 1
        if error is not None and first is None:
            first = error
            cancel.set()
            if isinstance(error, WpodError):
                raise error
    if first is not None:
        raise first
