"""Starting: a keeper (runner or monitor) is launched and says whether it is ready.

Theory of operation. The keeper reports on a pipe (docs/formats.md, "Readiness") once everything that can
fail before the guest runs has been done. Detached, this process waits for that byte and returns.
In the foreground this process *becomes* the keeper by exec, so that no Python stays, signals need no
relay and the exit status is the guest's own; the waiting is done by a forked watcher, which undoes the
container if the start fails, and is gone before the guest runs.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterator

from wpod import programs
from wpod.errors import CannotInvoke, ExitCode, InUse, ProgramNotFound, WpodError
from wpod.formats import launch_plan, state_file
from wpod.frozen import frozen
from wpod.kernel import pidfd
from wpod.model.container import ContainerRecord, Status
from wpod.operations.create import launch_of
from wpod.operations.locks import container_lock
from wpod.paths import ContainerPaths
from wpod.queries import containers as queries
from wpod.runtime.backend import Backend, Command, Launch, for_kind
from wpod.storage.layout import store_error
from wpod.storage.store import Store

_REPORT_LIMIT_BYTES = 8192
Complain = Callable[[WpodError], None]
_QUOTES = frozenset("`'\"")  # a message that has one names what it is about
_ABANDON_SECONDS = 5.0
_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@frozen
class Report:
    """What came through the readiness pipe. `error` is None where the keeper is ready."""

    error: WpodError | None


def start_detached(store: Store, record: ContainerRecord) -> None:
    """Start a container and return when it is ready; one that runs already is left alone.

    Raises WpodError (CannotInvoke 126, ProgramNotFound 127, …) with the cause that the keeper named;
    the container is then as it was before.
    """
    launch = launch_of(store, record, foreground=False)
    with container_lock(launch.paths):
        if queries.observe(launch.paths).status is Status.RUNNING:
            return
        backend = for_kind(record.plan.kind)
        command, restore = _make_ready(backend, launch)
        try:
            with _worded(record):
                report = _start_keeper(command, launch, _program(record))
        except BaseException:
            restore()
            backend.release(launch)
            raise
        if report.error is not None:
            restore()
            backend.release(launch)
            raise report.error
    store.containers.count_start(record.container_id)


@contextlib.contextmanager
def _worded(record: ContainerRecord) -> Iterator[None]:
    """No descriptors or processes left, no memory: whatever the kernel refuses names the container."""
    try:
        yield
    except OSError as error:
        raise WpodError(f"container {record.name} can't be started: {error.strerror}") from error


def _start_keeper(command: Command, launch: Launch, program: str) -> Report:
    """Start the keeper and wait for its report; an interruption ends it and its container before it is raised."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    held = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTIONS)  # not between the start and knowing its pid
    try:
        try:
            keeper = _spawn(command, writer)
        finally:
            os.close(writer)
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
            return _named(parse_report(_read_to_end(reader)), program)
        except BaseException:
            signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTIONS)
            _abandon(keeper, reader, launch)
            raise
    finally:
        os.close(reader)
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def _abandon(keeper: int, reader: int, launch: Launch) -> None:
    """Undo a start under way: let it come to its end, which is near, and end the container then.

    Killed half-way, a monitor would leave the OCI runtime behind that it had started.
    """
    with contextlib.suppress(OSError):
        _wait_readable_end(reader)
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


def start_foreground(store: Store, record: ContainerRecord, undo: Callable[[], None], complain: Complain) -> int:
    """Start a container and become its keeper; returns only by raising, where the start fails before that.

    `undo` takes back what the caller made for this start (nothing for `start -a`); it is called by the
    watcher where the keeper reports a failure, after `complain`: nobody else is left then who could print the
    error. The caller takes it back itself where this raises.
    """
    launch = launch_of(store, record, foreground=True)
    with container_lock(launch.paths) as lock:
        if queries.observe(launch.paths).status is Status.RUNNING:
            raise InUse(f"container {record.name} is running", code=ExitCode.FAILED)
        backend = for_kind(record.plan.kind)
        command, restore = _make_ready(backend, launch)

        def take_back() -> None:
            restore()
            backend.release(launch)

        def undo_start() -> None:
            take_back()
            os.close(lock)  # the fork has it too: what follows locks anew
            undo()

        try:
            store.containers.count_start(record.container_id)
            store.database.close()  # SQLite connections don't survive a fork
            with _worded(record):
                _become_keeper(command, _Watch(_program(record), complain, undo_start))
        except BaseException:
            take_back()
            raise
    return int(ExitCode.FAILED)


def _become_keeper(command: Command, watch: _Watch) -> None:
    """Leave a watcher behind and execute the keeper. Returns only by raising; the watcher is gone then."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    watcher = os.fork()
    if watcher == 0:
        os.close(writer)
        _live_as_watcher(reader, watch)
    try:
        os.close(reader)
        plan_descriptor = launch_plan.to_descriptor((*command.pairs, ("ready-fd", str(writer))))
        programs.become(
            [*command.prefix, command.program, str(plan_descriptor)],
            environment=_environment(command),
            keep_descriptors=(writer, plan_descriptor),
        )
    except BaseException:
        os.kill(watcher, signal.SIGKILL)  # this process is still there to undo and to complain
        os.waitpid(watcher, 0)
        os.close(writer)
        raise


def _program(record: ContainerRecord) -> str:
    return record.plan.arguments[0]


def read_report(reader: int, program: str) -> Report:
    """Read the readiness pipe to its end and close it. An error about the guest's program names it."""
    try:
        return _named(parse_report(_read_to_end(reader)), program)
    finally:
        os.close(reader)


def _read_to_end(reader: int) -> bytes:
    content = b""
    while len(content) < _REPORT_LIMIT_BYTES:
        chunk = os.read(reader, _REPORT_LIMIT_BYTES - len(content))
        if not chunk:
            break
        content += chunk
    return content


def _named(report: Report, program: str) -> Report:
    error = report.error
    if isinstance(error, CannotInvoke | ProgramNotFound) and not _QUOTES & set(error.message):
        return Report(type(error)(f"{program!r}: {error.message}", hint=error.hint))
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


def _make_ready(backend: Backend, launch: Launch) -> tuple[Command, Callable[[], None]]:
    """A fresh state file and the command; and how to bring the previous state file back."""
    own = launch.paths
    backend.check(launch)
    backend.release(launch)
    restore = _restoring(own)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.replace(own.state, _previous(own))
        state_file.create(own.state, launch.record.plan.kind)
        return backend.command(launch), restore
    except OSError as error:
        restore()
        raise store_error(error, own.state) from error
    except BaseException:
        restore()
        raise


def _previous(own: ContainerPaths) -> str:
    """The state of the last run, kept until the next one is ready."""
    return f"{own.state}.previous"


def _restoring(own: ContainerPaths) -> Callable[[], None]:
    """What puts the state of the last run back, or takes a first one away; made before anything is moved."""
    before = _inode(own.state)

    def restore() -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{own.state}.new")
        with contextlib.suppress(FileNotFoundError):
            if before is None:
                os.unlink(own.state)
            elif _inode(_previous(own)) == before:
                os.replace(_previous(own), own.state)

    return restore


def _inode(path: str) -> int | None:
    try:
        return os.lstat(path).st_ino
    except FileNotFoundError:
        return None


def _spawn(command: Command, writer: int) -> int:
    plan_descriptor = launch_plan.to_descriptor((*command.pairs, ("ready-fd", str(writer))))
    try:
        return programs.start_detached(
            [*command.prefix, command.program, str(plan_descriptor)],
            environment=_environment(command),
            keep_descriptors=(writer, plan_descriptor),
        )
    finally:
        os.close(plan_descriptor)


def _environment(command: Command) -> dict[str, str]:
    """What the keeper needs and nothing of the user's: secrets in the shell's environment stay there."""
    return dict(command.environment)


@frozen
class _Watch:
    """What the watcher needs to know: the guest's program, whom to tell, and how the start is undone."""

    program: str
    complain: Complain
    undo: Callable[[], None]


def _live_as_watcher(reader: int, watch: _Watch) -> None:
    """The watcher's whole life; never returns. Ctrl-C is for the guest, so it is ignored here."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    code = 0
    try:
        report = read_report(reader, watch.program)
        if report.error is not None:
            watch.complain(report.error)
            code = report.error.code
            watch.undo()
    except BaseException:  # noqa: BLE001 - nothing may unwind into the caller's copy of the stack
        code = int(ExitCode.FAILED)
    os._exit(code)
