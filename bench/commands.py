"""Runs and times the commands that are compared. All of them start here, so that none is favoured."""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import IO

_PATIENCE_SECONDS = 900.0
_LINE_PATIENCE_SECONDS = 60.0
_LINE_PAUSE_SECONDS = 0.0005


class CommandFailed(Exception):
    """A command that should have worked; the message is the command, its exit status and its complaint."""


def output_of(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """Run a command to its end; what it wrote to stdout. Raises CommandFailed."""
    with tempfile.TemporaryFile() as written:
        _finish(arguments, environment, written)
        written.seek(0)
        return written.read().decode(errors="replace")


def run(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    """Run a command to its end and throw its output away. Raises CommandFailed."""
    _finish(arguments, environment, subprocess.DEVNULL)


def seconds(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> float:
    """Wall time of a command, from before its start to after its end. Raises CommandFailed."""
    return _finish(arguments, environment, subprocess.DEVNULL)


def timed_output(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> tuple[float, str]:
    """Wall time of a command as by `seconds`, and what it wrote to stdout. Raises CommandFailed."""
    with tempfile.TemporaryFile() as written:
        elapsed = _finish(arguments, environment, written)
        written.seek(0)
        return elapsed, written.read().decode(errors="replace")


def seconds_into(file: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> float:
    """Wall time of a command as by `seconds`, with a new file as its stdout. Raises CommandFailed."""
    with open(file, "wb") as written:  # noqa: PTH123 - one of hundreds
        return _finish(arguments, environment, written)


def wait_for_lines(files: Sequence[str]) -> None:
    """Wait until each of these files, which may not be there yet, holds a whole line. Raises CommandFailed."""
    end = time.monotonic() + _LINE_PATIENCE_SECONDS
    for file in files:
        while not _has_line(file):
            if time.monotonic() > end:
                raise CommandFailed(f"{file}: no line within {_LINE_PATIENCE_SECONDS:g} s")
            time.sleep(_LINE_PAUSE_SECONDS)


def _has_line(file: str) -> bool:
    try:
        with open(file, "rb") as opened:  # noqa: PTH123
            return b"\n" in opened.read(4096)
    except FileNotFoundError:
        return False


def _finish(arguments: Sequence[str], environment: Mapping[str, str] | None, stdout: int | IO[bytes]) -> float:
    """No pipes: a container left running would hold them open, and reading them would be timed."""
    with tempfile.TemporaryFile() as complaint:
        begin = time.perf_counter()
        try:
            process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=complaint,
                env={**os.environ, **(environment or {})},
            )
        except OSError as error:
            raise CommandFailed(f"{arguments[0]} can't be started: {error.strerror}") from None
        status = _wait(process, arguments)
        elapsed = time.perf_counter() - begin
        if status != 0:
            complaint.seek(0)
            lines = complaint.read().decode(errors="replace").strip().splitlines()
            raise CommandFailed(": ".join((" ".join(arguments), f"exit status {status}", *lines[-3:])))
        return elapsed


def _wait(process: subprocess.Popen[bytes], arguments: Sequence[str]) -> int:
    """The exit status, noticed at once: subprocess's own wait with a timeout looks only every 50 ms."""
    descriptor = os.pidfd_open(process.pid)
    try:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        if not poller.poll(_PATIENCE_SECONDS * 1000):
            raise CommandFailed(f"{' '.join(arguments)}: did not end within {_PATIENCE_SECONDS:g} s")
        return process.wait()
    finally:
        os.close(descriptor)
        if process.returncode is None:  # interrupted, or out of patience
            process.kill()
            process.wait()
