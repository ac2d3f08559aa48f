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
import signal
from collections.abc import Callable, Iterator, Sequence

from wpod import programs
from wpod.errors import ExitCode, InUse, WpodError
from wpod.formats import state_file
from wpod.frozen import frozen, replace
from wpod.model.container import ContainerRecord, Status
from wpod.model.network import NetworkMode
from wpod.operations import keeper
from wpod.operations.create import launch_of
from wpod.operations.keeper import Report
from wpod.operations.locks import container_lock
from wpod.operations.record_end import record_end
from wpod.operations.undo import UndoStack
from wpod.paths import ContainerPaths
from wpod.queries import containers as queries
from wpod.runtime.backend import Backend, Command, Launch, for_kind
from wpod.storage.layout import store_error
from wpod.storage.store import Store

TYPE_CHECKING = False  # not typing's: importing that takes 2 ms
if TYPE_CHECKING:
    from wpod.operations.network_start import NetworkStart

Complain = Callable[[WpodError], None]
_OWN_DESCRIPTORS = 64
# Of launch plans in one file, of which the runner takes 16 MiB; a character may be four bytes.
_PLANS_BYTES = 4 << 20


def start_detached(store: Store, record: ContainerRecord) -> None:
    """Start a container and return when it is ready; one that runs already is left alone.

    Raises WpodError (CannotInvoke 126, ProgramNotFound 127, …) with the cause that the keeper named;
    the container is then as it was before.
    """
    _start_batch(store, [record])


def start_together(store: Store, records: Sequence[ContainerRecord]) -> None:
    """Start containers that one request made; returns when all are ready.

    Where their kind can, one keeper loads what they have in common and becomes all of them. Raises the first
    error; those that are ready by then run: whoever made them takes them back.
    """
    size = min(for_kind(records[0].plan.kind).largest_batch, _lockable())
    for first in range(0, len(records), size):
        _start_batch(store, records[first : first + size])


def _lockable() -> int:
    """How many containers can be locked at once: each lock is a descriptor."""
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, (limit if limit != resource.RLIM_INFINITY else 1 << 20) - _OWN_DESCRIPTORS)


def _start_batch(store: Store, records: Sequence[ContainerRecord]) -> None:
    with contextlib.ExitStack() as locks:
        waiting = []
        for record in records:
            launch = launch_of(store, record, foreground=False)
            locks.enter_context(container_lock(launch.paths))
            if queries.observe(launch.paths).status is not Status.RUNNING:
                waiting.append(launch)
        while waiting:
            reports = _start_group(store, waiting)
            ready = [launch.record.container_id for launch, report in reports if report.error is None]
            store.containers.count_start(*ready)
            for launch, report in reports:
                if report.error is not None:
                    raise _of_one(report.error, launch.record, len(records))
            del waiting[: len(reports)]


def _start_group(store: Store, launches: Sequence[Launch]) -> list[tuple[Launch, Report]]:
    """Start one keeper for as many of these, from the first on, as it can take; their reports."""
    backend = for_kind(launches[0].record.plan.kind)
    with UndoStack() as undo, contextlib.ExitStack() as connected:
        commands: list[Command] = []
        take_backs: list[Callable[[], None]] = []
        starts: list[NetworkStart | None] = []
        for launch in launches:
            if commands and len(commands) >= _group_size(commands[0]):
                break
            networks = connected.enter_context(_networks(store, launch.record, starts[0] if starts else None))
            command, take_back = _make_ready(backend, launch, networks, commands[0] if commands else None)
            undo.add(f"the state of container {launch.record.name}", take_back)
            starts.append(networks)
            commands.append(command)
            take_backs.append(take_back)
        started = launches[: len(commands)]
        with _worded(started[0].record), keeper.started(commands, started) as reports:
            for report, networks in zip(reports, starts, strict=True):
                if networks is not None and report.error is None:
                    networks.running()
            undo.keep()
            for report, take_back in zip(reports, take_backs, strict=True):
                if report.error is not None:
                    take_back()
    return list(zip(started, reports, strict=True))


@contextlib.contextmanager
def _networks(
    store: Store, record: ContainerRecord, beside: NetworkStart | None = None
) -> Iterator[NetworkStart | None]:
    """What the container's networks need; None for one that has none, which pays for nothing of it."""
    if record.plan.network in (NetworkMode.NONE, NetworkMode.HOST) and not record.plan.networking.ports:
        yield None
        return
    from wpod.operations.network_start import starting

    with starting(store, record, beside) as networks:
        yield networks


def _group_size(command: Command) -> int:
    """How many can share the keeper of this one: none where something is wrapped around it for its cgroup."""
    if command.prefix:
        return 1
    return max(1, _PLANS_BYTES // sum(len(key) + len(value) + 2 for key, value in command.pairs))


def _of_one(error: WpodError, record: ContainerRecord, count: int) -> WpodError:
    """Where several are started, whose error it is."""
    if count > 1:
        error.message = f"container {record.name}: {error.message}"
    return error


@contextlib.contextmanager
def _worded(record: ContainerRecord) -> Iterator[None]:
    """No descriptors or processes left, no memory: whatever the kernel refuses names the container."""
    try:
        yield
    except OSError as error:
        raise WpodError(f"container {record.name} can't be started: {error.strerror}") from error


def start_foreground(store: Store, record: ContainerRecord, undo: Callable[[], None], complain: Complain) -> int:
    """Start a container and become its keeper; returns only by raising, where the start fails before that.

    `undo` takes back what the caller made for this start (nothing for `start -a`); it is called by the
    watcher where the keeper reports a failure, after `complain`: nobody else is left then who could print the
    error. The caller takes it back itself where this raises.
    """
    launch = launch_of(store, record, foreground=True)
    with container_lock(launch.paths) as lock, contextlib.ExitStack() as stack:
        if queries.observe(launch.paths).status is Status.RUNNING:
            raise InUse(f"container {record.name} is running", code=ExitCode.FAILED)
        backend = for_kind(record.plan.kind)
        networks = stack.enter_context(_networks(store, record))
        command, take_back = _make_ready(backend, launch, networks)

        def undo_start() -> None:
            take_back()
            os.close(lock)  # the fork has it too: what follows locks anew
            undo()

        try:
            store.containers.count_start(record.container_id)
            store.database.close()  # SQLite connections don't survive a fork
            with _worded(record):
                _become_keeper(command, _Watch(keeper.program(launch), complain, undo_start))
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
        plan_descriptor = keeper.plan_to_descriptor([command], writer)
        programs.become(
            [*command.prefix, command.program, str(plan_descriptor)],
            environment=keeper.environment(command),
            keep_descriptors=(writer, plan_descriptor, *command.descriptors),
        )
    except BaseException:
        os.kill(watcher, signal.SIGKILL)  # this process is still there to undo and to complain
        os.waitpid(watcher, 0)
        os.close(writer)
        raise


def _make_ready(
    backend: Backend, launch: Launch, networks: NetworkStart | None, leader: Command | None = None
) -> tuple[Command, Callable[[], None]]:
    """A fresh state file and the command; and how all is taken back, with the state of the last run restored.

    `networks`, prepared by the caller, go back with it.
    """
    own = launch.paths
    if networks is not None:
        launch = replace(launch, joined=networks.joined)
    backend.check(launch)
    record_end(own)  # before its cgroup goes, and so that what this start leaves there isn't taken for the last run's
    backend.release(launch)
    restore = _restoring(own)

    def take_back() -> None:
        restore()
        backend.release(launch)
        if networks is not None:
            networks.undo()

    try:
        state_file.keep_limit_hit(own.state, own.limit_state)
        with contextlib.suppress(FileNotFoundError):
            os.replace(own.state, _previous(own))
        state_file.create(own.state, launch.record.plan.kind)
        command = backend.command(launch, leader)
    except OSError as error:
        restore()
        raise store_error(error, own.state) from error
    except BaseException:
        restore()
        raise
    return command, take_back


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
        report = keeper.read_report(reader, watch.program)
        if report.error is not None:
            watch.complain(report.error)
            code = report.error.code
            watch.undo()
    except BaseException:  # noqa: BLE001 - nothing may unwind into the caller's copy of the stack
        code = int(ExitCode.FAILED)
    os._exit(code)
