"""What a state file, its lock and the kernel say together (wpod.queries.containers)."""

from __future__ import annotations

import errno
import itertools
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import records
from tests.support.records import container_id, record
from tests.unit.test_state_file import kept
from wpod.errors import NotThere
from wpod.formats import state_file
from wpod.formats.state_file import Cause, Kind, LimitHit, Phase, StateFile
from wpod.frozen import replace
from wpod.kernel import cgroup_counters, pidfd
from wpod.kernel.cgroup_counters import MemoryKill
from wpod.model.container import Observation, Status
from wpod.operations.record_end import record_end
from wpod.operations.stop import wait_end
from wpod.queries import containers as queries
from wpod.queries.limit_hit import limit_hit
from wpod.storage.store import Store, open_store

OWN_TICKS = pidfd.start_ticks(os.getpid())
assert OWN_TICKS is not None
HERE, BEFORE = queries.boot_id(), b"\x11" * 16
LIVING, STRANGER, NOBODY = (os.getpid(), OWN_TICKS), (os.getpid(), OWN_TICKS + 1), (0, 0)


def expected(state: StateFile, locked: bool, living: bool) -> tuple[Status, int, Cause, bool]:
    """docs/formats.md, "State file", written down a second time."""
    if state.phase is Phase.EXITED:
        return Status.EXITED, state.status, state.cause, True
    if state.phase is Phase.CREATED:
        return Status.CREATED, 0, Cause.NONE, True
    if locked:
        return Status.RUNNING, 0, Cause.NONE, True
    if state.kind is Kind.NATIVE and state.boot_id == HERE and living:
        return Status.RUNNING, 0, Cause.NONE, False
    return Status.EXITED, 137, Cause.SIGNAL, True


COMBINATIONS = list(itertools.product(Phase, Kind, (True, False), (HERE, BEFORE), (LIVING, STRANGER, NOBODY)))


@pytest.mark.parametrize(("phase", "kind", "locked", "boot", "process"), COMBINATIONS)
def test_every_combination(phase: Phase, kind: Kind, locked: bool, boot: bytes, process: tuple[int, int]) -> None:
    state = records.state(
        phase=phase, kind=kind, boot_id=boot, pid=process[0], start_ticks=process[1], status=3, cause=Cause.EXITED
    )
    found = queries.interpret(state, locked)
    assert found.state == state
    assert (found.status, found.exit_code, found.cause, found.monitored) == expected(state, locked, process == LIVING)


@pytest.mark.parametrize(
    ("cause", "status"), [(Cause.EXITED, 0), (Cause.SIGNAL, 143), (Cause.TRAP, 134), (Cause.OUT_OF_MEMORY, 137)]
)
def test_an_exit_is_believed_whatever_else_there_is(cause: Cause, status: int) -> None:
    """The keeper stores it before it lets go of the lock; it outlives the reboot."""
    state = records.state(phase=Phase.EXITED, status=status, cause=cause, boot_id=BEFORE)
    for locked in (True, False):
        found = queries.interpret(state, locked)
        assert (found.status, found.exit_code, found.cause) == (Status.EXITED, status, cause)


def test_a_native_container_that_lost_its_monitor_runs_until_its_process_ends() -> None:
    process = subprocess.Popen(["sleep", "infinity"])
    try:
        state = records.state(
            phase=Phase.RUNNING, kind=Kind.NATIVE, boot_id=HERE, pid=process.pid,
            start_ticks=pidfd.start_ticks(process.pid) or 0,
        )  # fmt: skip
        found = queries.interpret(state, False)
        assert (found.status, found.monitored) == (Status.RUNNING, False)
        process.kill()
        descriptor = os.pidfd_open(process.pid)
        pidfd.wait_end(descriptor, None)
        os.close(descriptor)
        # not waited for yet: a zombie is as good as gone
        assert queries.interpret(state, False).status is Status.EXITED
    finally:
        process.kill()
        process.wait()
    assert queries.interpret(state, False).status is Status.EXITED


# --- with files ---------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(str(tmp_path / "store"))
    yield made
    made.database.close()


def put(store: Store, identifier: str, state: StateFile | None, *, remove: bool = False, created: int = 5) -> Path:
    store.containers.insert(record(identifier, remove=remove, created_nanoseconds=created))
    own = store.paths.container(container_id(identifier))
    os.makedirs(own.directory)
    path = Path(own.state)
    if state is not None:
        path.write_bytes(state_file.encode(state))
    return path


def observed(store: Store, identifier: str) -> Observation:
    return queries.observe(store.paths.container(container_id(identifier)))


RUNNING = records.state(phase=Phase.RUNNING, boot_id=HERE)


def test_without_a_state_file_it_is_created(store: Store) -> None:
    put(store, "a", None)
    assert observed(store, "a") == Observation(Status.CREATED)
    assert observed(store, "b") == Observation(Status.CREATED)


def test_a_file_that_goes_while_it_is_looked_at(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another command removes the container: its record was read before, and nobody knows more of it."""
    put(store, "a", RUNNING)
    real = state_file.open_for_reading

    def removed_before(name: str) -> int:
        os.unlink(name)
        return real(name)

    monkeypatch.setattr(state_file, "open_for_reading", removed_before)
    assert observed(store, "a") == Observation(Status.CREATED)


def test_a_damaged_file_names_itself_and_hides_no_other_container(store: Store) -> None:
    broken = put(store, "a", RUNNING, created=9)
    broken.write_bytes(b"rubbish")
    put(store, "b", records.state(phase=Phase.EXITED, status=4), created=1)
    found = queries.all_containers(store)
    assert [one.observed.status for one in found] == [Status.UNKNOWN, Status.EXITED]
    assert str(broken) in found[0].observed.problem


def test_a_link_in_its_place_is_not_followed(store: Store, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(state_file.encode(RUNNING))
    for target in (elsewhere, tmp_path / "nothing"):
        identifier = "a" if target.exists() else "b"
        put(store, identifier, None).symlink_to(target)
        assert observed(store, identifier).status is Status.UNKNOWN


def test_a_dead_rm_container_does_not_exist_for_anybody(store: Store) -> None:
    put(store, "a", RUNNING, remove=True)
    put(store, "b", records.state(phase=Phase.EXITED), remove=True)
    put(store, "c", None, remove=True)
    living = put(store, "d", RUNNING, remove=True)
    with kept(living):
        assert {one.record.container_id[0] for one in queries.all_containers(store)} == {"c", "d"}
        assert queries.find(store, "name-d").observed.status is Status.RUNNING
    for gone in ("name-a", "b", "name-d"):
        with pytest.raises(NotThere):
            queries.find(store, gone)
    assert queries.find(store, "name-c").observed.status is Status.CREATED


def test_the_latest(store: Store) -> None:
    with pytest.raises(NotThere, match="no containers"):
        queries.latest(store)
    put(store, "a", None, created=5)
    put(store, "b", RUNNING, created=9, remove=True)
    assert queries.latest(store).record.container_id == container_id("a")


def test_listing_writes_nothing(store: Store) -> None:
    path = put(store, "a", RUNNING)
    with kept(path):
        before = (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ctime_ns)
        assert queries.all_containers(store)[0].observed.status is Status.RUNNING
        assert (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ctime_ns) == before


def test_the_end_of_a_wait_is_the_end_of_the_process(store: Store) -> None:
    """The end is stored a moment before, and until then the process holds its ports."""
    process = subprocess.Popen(["sleep", "infinity"])
    try:
        ticks = pidfd.start_ticks(process.pid) or 0
        put(store, "a", records.state(phase=Phase.EXITED, boot_id=HERE, status=3, pid=process.pid, start_ticks=ticks))
        container = queries.all_containers(store)[0]
        found: list[Observation] = []
        waiting = threading.Thread(target=lambda: found.append(wait_end(store, container, None)))
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        process.kill()
        waiting.join(30)
        assert [(one.status, one.exit_code) for one in found] == [(Status.EXITED, 3)]
    finally:
        process.kill()
        process.wait()


# --- a keeper that was killed -------------------------------------------------------------------------------------


@pytest.fixture
def cgroup_tells(monkeypatch: pytest.MonkeyPatch) -> Callable[[MemoryKill | None], None]:
    """Has the container's cgroup tell of this kill, or be gone."""

    def tells(kill: MemoryKill | None) -> None:
        monkeypatch.setattr(cgroup_counters, "memory_kill", lambda _container_id: kill)

    return tells


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("phase", [Phase.READY, Phase.RUNNING])
def test_a_kill_for_want_of_memory_is_told_by_the_cgroup_and_then_by_the_file(
    store: Store, cgroup_tells: Callable[[MemoryKill | None], None], kind: Kind, phase: Phase
) -> None:
    before = replace(
        RUNNING, kind=kind, phase=phase, reason="no compiler", linear_used_bytes=65536, limit_hits=2,
        limit_hit=LimitHit.GUEST_PAGES, near_file_bytes=7,
    )  # fmt: skip
    path = put(store, "a", before)
    own = store.paths.container(container_id("a"))
    cgroup_tells(MemoryKill(8000, 8192))
    seen = observed(store, "a")
    assert (seen.status, seen.exit_code, seen.cause) == (Status.EXITED, 137, Cause.OUT_OF_MEMORY)
    assert seen.state == replace(
        before, status=137, cause=Cause.OUT_OF_MEMORY, signal=9, reason="", limit_hit=LimitHit.CGROUP, limit_hits=3,
        limit_used_bytes=8000, limit_bytes=8192,
    )  # fmt: skip
    hit = limit_hit(own, seen)
    assert hit is not None
    assert hit.state is seen.state
    assert (hit.name, hit.this_run, hit.guest_pages, hit.parts) == (
        "cgroup", True, 1 if kind is Kind.WASM else None, (0, 7, 0)
    )  # fmt: skip
    assert path.read_bytes() == state_file.encode(before)  # looking changes nothing
    for _ in range(2):
        record_end(own)
        cgroup_tells(None)
        after = observed(store, "a")
        assert after == replace(seen, state=replace(seen.state, phase=Phase.EXITED))
    assert not os.path.exists(f"{path}.new")


def test_a_kill_at_no_limit_of_its_own_hits_none(
    store: Store, cgroup_tells: Callable[[MemoryKill | None], None]
) -> None:
    """The machine's memory was used up."""
    put(store, "a", RUNNING)
    cgroup_tells(MemoryKill(8000, None))
    seen = observed(store, "a")
    assert seen.cause is Cause.OUT_OF_MEMORY
    assert seen.state is not None
    assert (seen.state.limit_hit, seen.state.limit_hits) == (LimitHit.NONE, 0)


def test_a_cgroup_tells_nothing_of_another_run(store: Store, cgroup_tells: Callable[[MemoryKill | None], None]) -> None:
    """An end that was stored, an earlier boot, one that runs, one that was never started."""
    cgroup_tells(MemoryKill(8000, 8192))
    for identifier, state in (
        ("a", records.state(phase=Phase.EXITED, status=137, cause=Cause.SIGNAL, boot_id=HERE)),
        ("b", replace(RUNNING, boot_id=BEFORE)),
        ("c", records.state(phase=Phase.CREATED, boot_id=HERE)),
    ):
        put(store, identifier, state)
        found = observed(store, identifier)
        assert (found.state, found.cause) == (state, Cause.NONE if identifier == "c" else Cause.SIGNAL)
    with kept(put(store, "d", RUNNING)):
        assert observed(store, "d").status is Status.RUNNING


def test_an_end_is_recorded_once_it_is_one(store: Store, cgroup_tells: Callable[[MemoryKill | None], None]) -> None:
    """By somebody else's SIGKILL, or by a reboot: nothing that comes later makes a want of memory of it."""
    cgroup_tells(None)
    record_end(store.paths.container(container_id("never")))
    for identifier, state in (("a", RUNNING), ("b", replace(RUNNING, boot_id=BEFORE))):
        put(store, identifier, state)
        record_end(store.paths.container(container_id(identifier)))
    cgroup_tells(MemoryKill(8000, 8192))
    for identifier in ("a", "b"):
        found = observed(store, identifier)
        assert (found.status, found.exit_code, found.cause) == (Status.EXITED, 137, Cause.SIGNAL)
    living = put(store, "c", RUNNING)
    with kept(living):
        record_end(store.paths.container(container_id("c")))
    assert living.read_bytes() == state_file.encode(RUNNING)


def test_an_end_that_cant_be_written_is_left(
    store: Store, cgroup_tells: Callable[[MemoryKill | None], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(store, "a", RUNNING)
    cgroup_tells(None)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "rename", full)
    record_end(store.paths.container(container_id("a")))
    assert path.read_bytes() == state_file.encode(RUNNING)


def test_the_reading_is_kept_with_the_observation(store: Store) -> None:
    state = replace(RUNNING, linear_used_bytes=5)
    path = put(store, "a", state)
    with kept(path):
        assert observed(store, "a").state == state
