"""Ending containers: stop, kill, and waiting for the end.

Theory of operation. Several are ended together: all are asked first, then each one's end is waited for in turn,
and at every moment those whose time is up are killed. So ten that ignore their signal take the time of one, and
no more descriptors are open than for one.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from collections.abc import Iterator, Sequence

from wpod.errors import StoreError, WpodError, value_of
from wpod.formats import state_file
from wpod.formats.state_file import StateFile
from wpod.kernel import pidfd
from wpod.model.container import Container, Observation, Status
from wpod.operations.create import launch_of
from wpod.queries import containers as queries
from wpod.runtime.backend import for_kind
from wpod.storage.store import Store

# How long a killed process may take to be gone (it may be writing, or in an uninterruptible sleep).
KILL_PATIENCE_SECONDS = 10.0


def stop(store: Store, container: Container, timeout_seconds: int | None = None) -> bool:
    """Send the stop signal, wait, then SIGKILL; returns when the container has ended.

    False where it wasn't running. `timeout_seconds` None takes the container's own; -1 waits for ever. Raises WpodError
    where even SIGKILL doesn't end it.
    """
    (outcome,) = stop_together(store, [container], timeout_seconds)
    return value_of(outcome)


def stop_together(
    store: Store, containers: Sequence[Container | WpodError], timeout_seconds: int | None = None
) -> Iterator[bool | WpodError]:
    """As `stop` for each of several: what came of it, in their order, as soon as that is known.

    All are asked to end when the first outcome is. An error instead of a container is its own outcome.
    """
    ends = [one if isinstance(one, WpodError) else _Ending(store, one, timeout_seconds) for one in containers]
    waiting = [one for one in ends if isinstance(one, _Ending) and not one.last]
    waiting.sort(key=lambda one: one.deadline, reverse=True)  # who is killed first stands last
    for one in ends:
        yield one if isinstance(one, WpodError) else _outcome(one, waiting)


def _outcome(ending: _Ending, waiting: list[_Ending]) -> bool | WpodError:
    """Wait for one; of all who are `waiting` those are killed meanwhile whose time is up."""
    while ending.problem is None:
        moment = min(ending.deadline, waiting[-1].deadline) if waiting else ending.deadline
        if ending.is_over_by(moment):
            return ending.was_running
        if ending.last and time.monotonic() >= ending.deadline:
            return WpodError(f"container {ending.container.record.name} does not end, not even by SIGKILL")
        while waiting and waiting[-1].deadline <= time.monotonic():
            waiting.pop().kill()
    return ending.problem


class _Ending:
    """One container on its way to its end, asked or killed already where this is made.

    `deadline` is when it is killed (time.monotonic), or given up where `last` says that it was.
    """

    def __init__(self, store: Store, container: Container, timeout_seconds: int | None) -> None:
        plan = container.record.plan
        patience = plan.stop_timeout_seconds if timeout_seconds is None else timeout_seconds
        self.container = container
        self.was_running = container.observed.status is Status.RUNNING
        self.deadline = math.inf if patience < 0 else time.monotonic() + patience
        self.last = not self.was_running
        self.problem: WpodError | None = None
        self._store = store
        self._run = _run_of(container.observed)
        if self.was_running and not (patience and self._signal(plan.stop_signal)):
            self.kill()

    def kill(self) -> None:
        """The last means; then it gets the time that a kernel may need."""
        self.deadline = time.monotonic() + KILL_PATIENCE_SECONDS
        self.last = True
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> bool:
        try:
            return _signal(self._store, self.container, number)
        except WpodError as error:
            self.problem = error
            return False

    def is_over_by(self, moment: float) -> bool:
        """Wait until the run that was found first has ended, or the moment has come."""
        if not self.was_running:
            return True
        own = self._store.paths.container(self.container.record.container_id)
        while True:
            observed = queries.observe(own)
            if observed.status is not Status.RUNNING or observed.state is None or _run_of(observed) != self._run:
                if observed.state is not None and _run_of(observed) == self._run:
                    _wait_gone(observed.state)
                return True  # also where it was removed, or started again meanwhile
            left = moment - time.monotonic()
            if left <= 0:
                return False
            _wait_process(observed.state, observed.monitored, None if left == math.inf else left)


def _run_of(observed: Observation) -> tuple[int, int] | None:
    """What tells one run of a container from its next: its keeper."""
    return (observed.state.keeper_pid, observed.state.keeper_start_ticks) if observed.state else None


def send_signal(store: Store, container: Container, number: int) -> None:
    """Raises WpodError (125, as podman kill) where the container isn't running."""
    if container.observed.status is not Status.RUNNING or not _signal(store, container, number):
        raise WpodError(
            f"can only kill running containers: {container.record.name} is {_now(store, container).status.value}"
        )


def wait_end(store: Store, container: Container, timeout_seconds: float | None) -> Observation:
    """Wait until the container has ended; the last observation, RUNNING where the time was up first.

    The keeper stores the exit before it ends, so its end is waited for: by pidfd, without polling.
    A native container without its monitor is waited for itself. The state file is held open: the
    status is told also where another command removes the container, or starts it again, meanwhile.
    """
    path = store.paths.container(container.record.container_id).state
    try:
        descriptor = state_file.open_for_reading(path)
    except StoreError:
        return _now(store, container)
    try:
        return _wait_open(descriptor, path, timeout_seconds)
    finally:
        os.close(descriptor)


def _wait_open(descriptor: int, path: str, timeout_seconds: float | None) -> Observation:
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    while True:
        observed = queries.interpret(*state_file.read_open(descriptor, path))
        if observed.state is None:
            return observed
        if observed.status is not Status.RUNNING:
            _wait_gone(observed.state)
            return observed
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return observed
        _wait_process(observed.state, observed.monitored, left)


def _wait_process(state: StateFile, monitored: bool, seconds: float | None) -> None:
    pid, ticks = (state.keeper_pid, state.keeper_start_ticks) if monitored else (state.pid, state.start_ticks)
    descriptor = pidfd.open_verified(pid, ticks)
    if descriptor is None:
        time.sleep(0.002)  # it is just ending (or just starting): its lock tells in a moment
        return
    try:
        pidfd.wait_end(descriptor, seconds)
    finally:
        os.close(descriptor)


def _wait_gone(state: StateFile) -> None:
    """The end is stored a moment before the process has ended. What it holds (ports, files) is free only afterwards."""
    descriptor = pidfd.open_verified(state.pid, state.start_ticks)
    if descriptor is not None:
        try:
            pidfd.wait_end(descriptor, KILL_PATIENCE_SECONDS)
        finally:
            os.close(descriptor)


def _signal(store: Store, container: Container, number: int) -> bool:
    launch = launch_of(store, container.record, foreground=False)
    try:
        return for_kind(container.record.plan.kind).send_signal(launch, container.observed, number)
    except PermissionError:
        raise WpodError(f"container {container.record.name} belongs to another user") from None


def _now(store: Store, container: Container) -> Observation:
    with contextlib.suppress(WpodError):
        return queries.observe(store.paths.container(container.record.container_id))
    return Observation(Status.EXITED)
