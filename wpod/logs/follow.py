"""Following a log until its container ends, over rotations."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

from wpod.formats import log_line
from wpod.formats.log_line import LogEntry
from wpod.logs.read import open_log

_CHUNK_BYTES = 64 * 1024
# A look costs two system calls; a person sees no difference below this, and a pidfd can't tell of writes.
_PAUSE_SECONDS = 0.05


class Follower:
    """A place in a log file that survives its rotation.

    Make it before reading what is there, and read that up to `offset`: then nothing falls between and
    nothing comes twice.
    """

    def __init__(self, log_file: str) -> None:
        self._path = log_file
        self._descriptor = -1
        self._rest = b""
        self._open()
        self.offset = os.lseek(self._descriptor, 0, os.SEEK_END) if self._descriptor >= 0 else 0

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
        if self._rotated():
            found += self._drain()  # what was written between the read and the rename
            self.close()
            self._open()
            found += self._drain()
        return found

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1
        self._rest = b""

    def _open(self) -> None:
        if os.path.lexists(self._path):
            self._descriptor = open_log(self._path)

    def _rotated(self) -> bool:
        try:
            now = os.stat(self._path)
        except OSError:
            return False
        if self._descriptor < 0:
            return True
        held = os.fstat(self._descriptor)
        return (held.st_dev, held.st_ino) != (now.st_dev, now.st_ino)

    def _drain(self) -> list[LogEntry]:
        if self._descriptor < 0:
            return []
        found = []
        while chunk := os.read(self._descriptor, _CHUNK_BYTES):
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            found += [entry for line in lines if (entry := log_line.decode(line + b"\n")) is not None]
        return found
