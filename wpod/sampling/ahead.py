"""The first look's memory, read by wpod-meter while a command imports its modules and reads the records.

Theory of operation. The kernel makes the account of a process for whoever asks, on his processor, and this program has
one thread. So a command that will look at many containers starts wpod-meter first thing, and collects what it has read
at its first look. A line of it is believed where it is of the process that the caller knows (number and start time),
and of nothing that has changed since; everything else is read as always. So whatever goes wrong here costs time alone.
"""

from __future__ import annotations

import os

from wpod import paths, programs
from wpod.errors import WpodError
from wpod.formats.meter import NOTHING, Reading, parse

_METER = "wpod-meter"
# Fewer are read in the time that starting a program takes.
_WORTH_IT = 8
_CHUNK_BYTES = 1 << 16


class Ahead:
    """A meter at work. It ends by itself when it has been heard, or when this process has gone."""

    def __init__(self, containers_directory: str) -> None:
        """Starts one for the containers in this directory. Raises WpodError, OSError."""
        self._output, writing = os.pipe2(os.O_CLOEXEC)
        try:
            words = (paths.part(_METER), containers_directory)
            self._pid = programs.start_detached(words, environment={}, output=writing)
        except BaseException:
            os.close(self._output)
            raise
        finally:
            os.close(writing)

    def collect(self) -> Reading:
        """What it has read, once; waits for its end."""
        text = b""
        try:
            while chunk := os.read(self._output, _CHUNK_BYTES):
                text += chunk
        finally:
            os.close(self._output)
            os.waitpid(self._pid, 0)
        try:
            return parse(text)
        except ValueError:  # it was ended, or is of another version
            return NOTHING


def begin(containers_directory: str, wanted: int | None = None) -> Ahead | None:
    """Have the memory of all running containers read, None where that isn't worth it or can't be done.

    `wanted` is how many of them the caller will look at, None all.
    """
    try:
        there = len(os.listdir(containers_directory))
        if min(there, wanted if wanted is not None else there) < max(_WORTH_IT, there // 2):
            return None
        return Ahead(containers_directory)
    except (OSError, WpodError):
        return None
