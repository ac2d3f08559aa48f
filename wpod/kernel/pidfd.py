"""Processes by descriptor: never a signal to a stranger that got the same number."""

from __future__ import annotations

import os
import select
import signal

_COMMAND_LIMIT_BYTES = 65536


def start_ticks(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat (clock ticks since boot); None where there is no such process, or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            content = file.read()
    except OSError:
        return None
    fields = stat_fields(content)
    if fields[0] in (b"Z", b"X"):
        return None
    return int(fields[19])


def stat_fields(stat: bytes) -> list[bytes]:
    """The text of /proc/PID/stat from the state (field 3) on: the name before it may hold anything."""
    return stat[stat.rfind(b")") + 2 :].split()


def open_verified(pid: int, ticks: int) -> int | None:
    """A pidfd (close-on-exec) of the process with this number and start time; None where it is gone.

    The start time is read after the descriptor was opened: it can't be another process's then.
    """
    if pid <= 0:
        return None
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return None
    if start_ticks(pid) != ticks:
        os.close(descriptor)
        return None
    return descriptor


def open_noted(pid_file: str, argument: str) -> int | None:
    """A pidfd of the process whose number is in this file, where `argument` is a word of its command line.

    None where the file or the process is gone, or the number is a stranger's by now. The command line is read after the
    descriptor was opened, as with `open_verified`.
    """
    try:
        with open(pid_file, encoding="utf-8") as file:
            pid = int(file.read())
        descriptor = os.pidfd_open(pid)
    except (OSError, ValueError):
        return None
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(_COMMAND_LIMIT_BYTES).split(b"\0")
    except OSError:
        words = []
    if os.fsencode(argument) not in words:
        os.close(descriptor)
        return None
    return descriptor


def send(descriptor: int, number: int) -> bool:
    """Send a signal; False where the process has ended. Raises PermissionError."""
    try:
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    return True


def wait_end(descriptor: int, timeout_seconds: float | None) -> bool:
    """Wait until the process has ended (also as a zombie); False where the time was up first."""
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(None if timeout_seconds is None else max(0.0, timeout_seconds) * 1000))
