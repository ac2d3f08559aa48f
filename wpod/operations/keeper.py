"""Keepers (runner or monitor) as processes: starting one, hearing whether it is ready, ending a start under way.

The words on the readiness pipe are those of docs/formats.md, "Readiness". A runner that is given several launch
plans is the template of as many containers: each of those speaks for itself, with its number before its words.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Collection, Iterator, Sequence

from wpod import programs
from wpod.errors import CannotInvoke, ExitCode, ProgramNotFound, WpodError
from wpod.formats import launch_plan, state_file
from wpod.frozen import frozen
from wpod.kernel import pidfd
from wpod.runtime.backend import Command, Launch

_REPORT_LIMIT_BYTES = 8192
_QUOTES = frozenset("`'\"")  # a message that has one names what it is about
_ABANDON_SECONDS = 5.0
INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@frozen
class Report:
    """What came through the readiness pipe. `error` is None where the keeper is ready."""

    error: WpodError | None


@contextlib.contextmanager
def started(commands: Sequence[Command], launches: Sequence[Launch]) -> Iterator[list[Report]]:
    """Start one keeper for these containers, which differ in their plans only; a report for each, in order.

    An interruption comes while they are waited for, or behind the block: in the block the caller makes them known.
    Where that raises, or the waiting, the keeper and its containers are ended first. Raises WpodError, OSError.
    """
    with _uninterrupted() as before:  # not between the start and knowing its pid
        reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            try:
                keeper = _spawn(commands, writer)
            finally:
                os.close(writer)
            try:
                yield _reports(reader, launches, before)
            except BaseException:
                try:
                    signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTIONS)
                finally:  # a second Ctrl-C is raised by that call
                    _abandon(keeper, reader, launches)
                raise
        finally:
            os.close(reader)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[Collection[int]]:
    """Interruptions wait for the end of the block; gives the signals that were held up before it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTIONS)  # one that has come already is raised here
        yield before
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _reports(reader: int, launches: Sequence[Launch], held: Collection[int]) -> list[Report]:
    """Wait for what the keeper says. Meanwhile the signals of `held` are held up, and all interruptions afterwards."""
    signal.pthread_sigmask(signal.SIG_SETMASK, held)
    told = _read_to_end(reader, _REPORT_LIMIT_BYTES * len(launches))
    signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTIONS)
    reports = parse_reports(told, len(launches)) if len(launches) > 1 else [parse_report(told)]
    return [_named(report, program(launch)) for report, launch in zip(reports, launches, strict=True)]


def program(launch: Launch) -> str:
    """What the guest's errors name."""
    return launch.record.plan.arguments[0]


def _spawn(commands: Sequence[Command], writer: int) -> int:
    command = commands[0]
    plan_descriptor = plan_to_descriptor(commands, writer)
    try:
        return programs.start_detached(
            [*command.prefix, command.program, str(plan_descriptor)],
            environment=environment(command),
            keep_descriptors=(writer, plan_descriptor, *(one for each in commands for one in each.descriptors)),
        )
    finally:
        os.close(plan_descriptor)


def plan_to_descriptor(commands: Sequence[Command], writer: int) -> int:
    """The sealed plan of each command, one after another; `writer` is the readiness pipe. The caller closes it."""
    return launch_plan.to_descriptor(*((*command.pairs, ("ready-fd", str(writer))) for command in commands))


def environment(command: Command) -> dict[str, str]:
    """What the keeper needs and nothing of the user's: secrets in the shell's environment stay there."""
    return dict(command.environment)


def _abandon(keeper: int, reader: int, launches: Sequence[Launch]) -> None:
    """Undo a start under way: let it come to its end, which is near, and end the containers then.

    Killed half-way, a monitor would leave the OCI runtime behind that it had started.
    """
    with contextlib.suppress(OSError):
        _wait_readable_end(reader)
        for launch in launches:
            _kill_main_process(launch)
        descriptor = os.pidfd_open(keeper)
        if not pidfd.wait_end(descriptor, _ABANDON_SECONDS):
            os.killpg(keeper, signal.SIGKILL)
        os.close(descriptor)
        os.waitpid(keeper, 0)


def _wait_readable_end(reader: int) -> None:
    """Until the other side of the pipe is closed, or the patience ends."""
    poller = select.poll()
    poller.register(reader, select.POLLIN)
    deadline = time.monotonic() + _ABANDON_SECONDS
    while poller.poll(max(0.0, deadline - time.monotonic()) * 1000) and os.read(reader, _REPORT_LIMIT_BYTES):
        continue


def _kill_main_process(launch: Launch) -> None:
    with contextlib.suppress(WpodError):
        state, _ = state_file.read(launch.paths.state)
        descriptor = pidfd.open_verified(state.pid, state.start_ticks)
        if descriptor is not None:
            pidfd.send(descriptor, signal.SIGKILL)
            os.close(descriptor)


def read_report(reader: int, guest: str) -> Report:
    """Read the readiness pipe to its end and close it. An error about the guest's program names it."""
    try:
        return _named(parse_report(_read_to_end(reader, _REPORT_LIMIT_BYTES)), guest)
    finally:
        os.close(reader)


def _read_to_end(reader: int, limit_bytes: int) -> bytes:
    content = bytearray()
    while len(content) < limit_bytes:
        chunk = os.read(reader, limit_bytes - len(content))
        if not chunk:
            break
        content += chunk
    return bytes(content)


def _named(report: Report, guest: str) -> Report:
    error = report.error
    if isinstance(error, CannotInvoke | ProgramNotFound) and not _QUOTES & set(error.message):
        return Report(type(error)(f"{guest!r}: {error.message}", hint=error.hint))
    return report


def parse_report(content: bytes) -> Report:
    """The meaning of what was read; anything but `R` and a well-formed `E` is a keeper that died."""
    if content == b"R":
        return Report(None)
    code, _, words = content[1:].decode(errors="replace").partition("\n")
    if content[:1] != b"E" or not code.isdigit() or not words:
        return Report(WpodError("the container's process ended before it was ready"))
    message, _, hint = words.partition("\n")
    kinds: dict[int, type[WpodError]] = {
        ExitCode.CANNOT_INVOKE: CannotInvoke,
        ExitCode.NOT_FOUND: ProgramNotFound,
    }
    return Report(kinds.get(int(code), WpodError)(message, hint=hint or None, code=int(code)))


def parse_reports(content: bytes, count: int) -> list[Report]:
    """The reports of a template's containers: `NUMBER:`, what `parse_report` takes, NUL; in any order.

    Words without a number are the template's own and go for all. Whoever said nothing has died.
    """
    if content[:1] == b"E":
        return [parse_report(content)] * count
    found = dict.fromkeys(range(count), b"")
    for record in content.split(b"\0")[:-1]:
        number, _, words = record.partition(b":")
        if number.isdigit() and int(number) in found:
            found[int(number)] = words
    return [parse_report(words) for words in found.values()]
