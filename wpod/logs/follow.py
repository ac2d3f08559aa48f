"""Following a log until its container ends, over rotations."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

from wpod.formats.log_line import LogEntry
from wpod.logs.read import LineCutter, Part, Selection, is_current, open_both, selected, whole_lines

_CHUNK_BYTES = 64 * 1024
# A look costs two system calls; a person sees no difference below this, and a pidfd can't tell of writes.
_PAUSE_SECONDS = 0.05


class Follower:
    """A place in a log that survives rotations: what was there when it was made, then what comes after it.

    Nothing falls between the two and nothing comes twice. A writer that rotates twice between two looks
    loses what it wrote first, for everybody. All methods raise StoreError.
    """

    def __init__(self, log_file: str) -> None:
        self._path = log_file
        self._cutter = LineCutter()
        self._older, self._descriptor = open_both(log_file)
        self._start = 0
        if self._descriptor is not None:
            self._start = os.lseek(self._descriptor, whole_lines(self._descriptor), os.SEEK_SET)

    def before(self, selection: Selection) -> Iterator[LogEntry]:
        """What was there already."""
        parts = []
        if self._older is not None:
            parts.append(Part(self._older, os.fstat(self._older).st_size))
        if self._descriptor is not None:
            parts.append(Part(self._descriptor, self._start))
        yield from selected(parts, selection)

    def entries(self, ended: Callable[[], bool]) -> Iterator[LogEntry]:
        """What is written from now on, until `ended` says so and everything has been given.

        `ended` is asked before the last look, for a container may write and end in between.
        """
        try:
            while True:
                over = ended()
                yield from self.fresh()
                if over:
                    return
                time.sleep(_PAUSE_SECONDS)
        finally:
            self.close()

    def fresh(self) -> list[LogEntry]:
        """What has been written since the last call."""
        found = self._drain()
        while not is_current(self._descriptor, self._path) and os.path.lexists(self._path):
            found += self._drain()  # what was written between the read and the rename
            self._advance()
            found += self._drain()
        return found

    def close(self) -> None:
        """Let go of the files."""
        for descriptor in (self._older, self._descriptor):
            if descriptor is not None:
                os.close(descriptor)
        self._older = self._descriptor = None

    def _advance(self) -> None:
        """To the file after this one: the rotated one where this was rotated twice, else the current one."""
        older, current = open_both(self._path)
        held, self._descriptor = self._descriptor, None
        missed = older is not None and (held is None or not os.path.samestat(os.fstat(older), os.fstat(held)))
        for descriptor in (held, current if missed else older):
            if descriptor is not None:
                os.close(descriptor)
        self._descriptor = older if missed else current
        self._cutter = LineCutter()

    def _drain(self) -> list[LogEntry]:
        found: list[LogEntry] = []
        while self._descriptor is not None and (chunk := os.read(self._descriptor, _CHUNK_BYTES)):
            found += self._cutter.feed(chunk)
        return found
