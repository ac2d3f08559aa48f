"""The entries of a container's log, old ones first, or the last few found from the end."""

from __future__ import annotations

import os
from collections.abc import Iterator

from wpod.errors import StoreError
from wpod.formats import log_line
from wpod.formats.log_line import LogEntry
from wpod.frozen import frozen

_BLOCK_BYTES = 256 * 1024


@frozen
class Selection:
    """What of a log is wanted. `since` and `until` are stamps as the log has them (UTC, nanoseconds) or "".

    `tail` is a number of whole lines; None is all.
    """

    since: str = ""
    until: str = ""
    tail: int | None = None

    def holds(self, entry: LogEntry) -> bool:
        """Whether the entry is in the wanted time. Stamps are of one form, so their order is the text's."""
        return (not self.since or entry.time >= self.since) and (not self.until or entry.time <= self.until)


def entries(log_file: str, selection: Selection, end: int | None = None) -> Iterator[LogEntry]:
    """The selected entries of the rotated file and the current one (up to the offset `end`).

    A log that isn't there is empty.

    Raises StoreError where a file can't be read.
    """
    files = [(path, limit) for path, limit in ((f"{log_file}.1", None), (log_file, end)) if os.path.lexists(path)]
    if selection.tail is None:
        for path, limit in files:
            yield from (entry for entry in _forward(path, limit) if selection.holds(entry))
        return
    yield from _last(files, selection)


def open_log(path: str) -> int:
    """A descriptor of a log file; links are not followed. Raises StoreError."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise StoreError(f"the log {path} can't be read: {error.strerror}") from None


def _forward(path: str, end: int | None) -> Iterator[LogEntry]:
    position = 0
    with os.fdopen(open_log(path), "rb", buffering=_BLOCK_BYTES) as file:
        for line in file:
            position += len(line)
            if end is not None and position > end:
                return
            entry = log_line.decode(line)
            if entry is not None and line.endswith(b"\n"):
                yield entry


def _backward(path: str, end: int | None) -> Iterator[LogEntry]:
    """Entries from the end on, without reading what isn't asked for."""
    descriptor = open_log(path)
    try:
        position = os.fstat(descriptor).st_size if end is None else end
        rest = b""
        torn = True  # what stands after the last newline is a write under way
        while position > 0:
            size = min(_BLOCK_BYTES, position)
            position -= size
            lines = (os.pread(descriptor, size, position) + rest).split(b"\n")
            rest = lines[0]
            for line in reversed(lines[1:]):
                entry = None if torn else log_line.decode(line + b"\n")
                torn = False
                if entry is not None:
                    yield entry
        entry = None if torn else log_line.decode(rest + b"\n")
        if entry is not None:
            yield entry
    finally:
        os.close(descriptor)


def _last(files: list[tuple[str, int | None]], selection: Selection) -> Iterator[LogEntry]:
    wanted = selection.tail or 0
    if wanted <= 0:
        return
    found: list[LogEntry] = []
    lines = 0
    for path, end in reversed(files):
        for entry in _backward(path, end):
            if not selection.holds(entry):
                if selection.since and entry.time < selection.since:
                    break
                continue
            if entry.complete or not found:
                lines += 1
                if lines > wanted:
                    yield from reversed(found)
                    return
            found.append(entry)
    yield from reversed(found)
