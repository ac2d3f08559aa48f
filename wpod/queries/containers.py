"""Containers as they are now: the only place that joins recorded facts with observed ones.

Nothing here waits for a lock or starts a program. A dead container that was started with --rm does not
exist any more for anybody who asks, also before the next writing command has removed its files.
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Iterable

from wpod.errors import ExitCode, NotThere, StoreError, WpodError
from wpod.formats import state_file
from wpod.formats.state_file import Cause, Kind, LimitHit, Phase, StateFile
from wpod.frozen import replace
from wpod.kernel import pidfd
from wpod.model.container import Container, ContainerRecord, Observation, Status
from wpod.paths import ContainerPaths
from wpod.storage.store import Store


def all_containers(store: Store) -> list[Container]:
    """Every container that exists and whose record can be read, newest first."""
    return listing(store)[0]


def listing(store: Store) -> tuple[list[Container], list[StoreError]]:
    """As `all_containers`, with an error for each container whose record can't be read."""
    records, problems = store.containers.readable()
    joined = (join(store, record) for record in records)
    return [container for container in joined if not is_gone(container)], problems


def find(store: Store, name_or_id: str) -> Container:
    """By name, ID or unique prefix. Raises NotThere, AmbiguousName, StoreError."""
    container = join(store, store.containers.find(name_or_id))
    if is_gone(container):
        raise NotThere(f"no container with name or ID {name_or_id!r} found: no such container")
    return container


def find_each(store: Store, names: Iterable[str]) -> list[Container | WpodError]:
    """As `find` for each of several, with its error in the place of one that can't be had."""
    found: list[Container | WpodError] = []
    for name in names:
        try:
            found.append(find(store, name))
        except WpodError as error:
            found.append(error)
    return found


def latest(store: Store) -> Container:
    """The one created last. Raises NotThere."""
    containers = all_containers(store)
    if not containers:
        raise NotThere("no containers exist")
    return containers[0]


def join(store: Store, record: ContainerRecord) -> Container:
    """The record with what is observed now."""
    return Container(record, observe(store.paths.container(record.container_id)))


def is_gone(container: Container) -> bool:
    """Whether it was started with --rm and has ended."""
    return container.record.remove and container.observed.status is Status.EXITED


def observe(own: ContainerPaths) -> Observation:
    """What the state file, its lock and the kernel say. A damaged file gives UNKNOWN with the problem in words."""
    try:
        state, kept = state_file.read(own.state)
    except StoreError as error:
        # Asked afterwards: its directory may have been moved away while it was read.
        if not os.path.lexists(own.state):
            return Observation(Status.CREATED)
        return Observation(Status.UNKNOWN, problem=error.message)
    found = interpret(state, kept)
    if found.status is Status.EXITED and state.phase is not Phase.EXITED and state.boot_id == boot_id():
        return _killed(own, found, state)
    return found


def interpret(state: StateFile, kept: bool) -> Observation:
    """The meaning of one reading (docs/formats.md, "State file")."""
    if state.phase is Phase.EXITED:
        return Observation(Status.EXITED, state.status, state.cause, state)
    if kept:
        status = Status.CREATED if state.phase is Phase.CREATED else Status.RUNNING
        return Observation(status, state=state)
    if state.phase is Phase.CREATED:
        return Observation(Status.CREATED, state=state)
    if state.boot_id == boot_id() and state.kind is Kind.NATIVE and _lives(state):
        return Observation(Status.RUNNING, state=state, monitored=False)
    # The keeper died without a word: SIGKILL, or a reboot under it.
    return Observation(Status.EXITED, int(ExitCode.KILLED), Cause.SIGNAL, state)


@functools.cache
def boot_id() -> bytes:
    """This boot's ID as in state files: 16 bytes (random(4))."""
    with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
        return bytes.fromhex(file.read().strip().replace("-", ""))


def _killed(own: ContainerPaths, found: Observation, state: StateFile) -> Observation:
    """The end of a container whose keeper was killed in this boot: what its cgroup tells of that, while it is there.

    The state is as its keeper would have stored it, but for the phase and the time, which nobody knows.
    """
    from wpod.kernel import cgroup_counters

    kill = cgroup_counters.memory_kill(os.path.basename(own.directory))
    if kill is None:
        return found
    told = replace(state, status=found.exit_code, cause=Cause.OUT_OF_MEMORY, signal=signal.SIGKILL, reason="")
    if kill.limit is not None:
        told = replace(
            told, limit_hit=LimitHit.CGROUP, limit_hits=state.limit_hits + 1, limit_used_bytes=kill.peak,
            limit_bytes=kill.limit,
        )  # fmt: skip
    return replace(found, cause=Cause.OUT_OF_MEMORY, state=told)


def _lives(state: StateFile) -> bool:
    return state.pid > 0 and pidfd.start_ticks(state.pid) == state.start_ticks
