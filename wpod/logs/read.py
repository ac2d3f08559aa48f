"""The entries of a container's log, old ones first, or the last few found from the end."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from wpod.errors import StoreError
from wpod.formats import log_line
from wpod.formats.log_line import LogEntry
from wpod.frozen import frozen

_BLOCK_BYTES = 256 * 1024
# No writer makes longer lines; what is longer is damage and must not fill the memory.
LONGEST_LINE_BYTES = 1024 * 1024


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


@frozen
class Part:
    """An open file of the log, as far as it is to be read."""

    descriptor: int
    end: int


def entries(log_file: str, selection: Selection) -> Iterator[LogEntry]:
    """The selected entries of the rotated file and the current one, as they are now.

    A log that isn't there is empty. Raises StoreError where a file can't be read.
    """
    opened = [descriptor for descriptor in open_both(log_file) if descriptor is not None]
    try:
        yield from selected([Part(descriptor, os.fstat(descriptor).st_size) for descriptor in opened], selection)
    finally:
        for descriptor in opened:
            os.close(descriptor)


def selected(parts: list[Part], selection: Selection) -> Iterator[LogEntry]:
    """The selected entries of open files, the oldest file first. Raises StoreError."""
    try:
        if selection.tail is not None:
            yield from _last(parts, selection)
            return
        for part in parts:
            yield from (entry for entry in _forward(part) if selection.holds(entry))
    except OSError as error:
        raise StoreError(f"the log can't be read: {error.strerror}") from None


def open_both(log_file: str) -> tuple[int | None, int | None]:
    """The rotated file and the current one, None for what isn't there, opened between two rotations.

    The caller closes them. Raises StoreError.
    """
    while True:
        current = _open(log_file)
        older = _open(f"{log_file}.1")
        if is_current(current, log_file):
            return older, current
        for descriptor in (older, current):
            if descriptor is not None:
                os.close(descriptor)


def is_current(descriptor: int | None, log_file: str) -> bool:
    """Whether this is (still) the file under that name, or (None) there is none."""
    try:
        now = os.stat(log_file)
    except OSError:
        return descriptor is None
    return descriptor is not None and os.path.samestat(os.fstat(descriptor), now)


def _open(path: str) -> int | None:
    """Links are not followed, and nothing but a regular file is read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"the log {path} can't be read: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StoreError(f"the log {path} is not a regular file")
    return descriptor


def whole_lines(descriptor: int) -> int:
    """The size up to the last newline: what stands after it is a write under way."""
    position = os.fstat(descriptor).st_size
    while position > 0:
        size = min(_BLOCK_BYTES, position)
        newline = os.pread(descriptor, size, position - size).rfind(b"\n")
        if newline >= 0:
            return position - size + newline + 1
        position -= size
    return 0


class LineCutter:
    """Cuts a stream of chunks into the entries of its whole lines."""

    def __init__(self) -> None:
        self._rest = b""
        self._skipping = False

    def feed(self, chunk: bytes) -> Iterator[LogEntry]:
        """The entries that this chunk completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            entry = None if self._skipping else log_line.decode(line)
            self._skipping = False
            if entry is not None:
                yield entry
        if len(self._rest) > LONGEST_LINE_BYTES:
            self._rest, self._skipping = b"", True


def _forward(part: Part) -> Iterator[LogEntry]:
    cutter = LineCutter()
    position = 0
    while position < part.end:
        chunk = os.pread(part.descriptor, min(_BLOCK_BYTES, part.end - position), position)
        if not chunk:
            return
        position += len(chunk)
        yield from cutter.feed(chunk)


def _backward(part: Part) -> Iterator[LogEntry]:
    """Entries from the end on, without reading what isn't asked for."""
    position = part.end
    rest = b""
    torn = True  # what stands after the last newline is a write under way
    while position > 0:
        size = min(_BLOCK_BYTES, position)
        position -= size
        lines = (os.pread(part.descriptor, size, position) + rest).split(b"\n")
        rest = lines[0]
        for line in reversed(lines[1:]):
            entry = None if torn else log_line.decode(line)
            torn = False
            if entry is not None:
                yield entry
        if len(rest) > LONGEST_LINE_BYTES:
            rest, torn = b"", True
    entry = None if torn else log_line.decode(rest)
    if entry is not None:
        yield entry


def _last(parts: list[Part], selection: Selection) -> Iterator[LogEntry]:
    wanted = selection.tail or 0
    if wanted <= 0:
        return
    found: list[LogEntry] = []
    lines = 0
    for part in reversed(parts):
        for entry in _backward(part):
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
