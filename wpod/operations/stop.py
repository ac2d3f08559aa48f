"""Ending containers: stop, kill, and waiting for the end."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from wpod.errors import StoreError, WpodError
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
    if container.observed.status is not Status.RUNNING:
        return False
    patience = container.record.plan.stop_timeout_seconds if timeout_seconds is None else timeout_seconds
    asked = patience and _signal(store, container, container.record.plan.stop_signal)
    if asked and _ends(store, container, None if patience < 0 else float(patience)):
        return True
    _signal(store, container, signal.SIGKILL)
    if not _ends(store, container, KILL_PATIENCE_SECONDS):
        raise WpodError(f"container {container.record.name} does not end, not even by SIGKILL")
    return True


def _ends(store: Store, container: Container, timeout_seconds: float | None) -> bool:
    return wait_end(store, container, timeout_seconds).status is not Status.RUNNING


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
        if observed.status is not Status.RUNNING or observed.state is None:
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
