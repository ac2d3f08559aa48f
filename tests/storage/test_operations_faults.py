"""create, start, run and rm where each of their steps fails in turn: the whole or nothing, and one clear error."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support import faults as faulty
from tests.support import images, leftovers
from tests.support.command import eventually
from tests.support.faults import Faults
from wpod.errors import StoreError, WpodError
from wpod.formats.state_file import Phase
from wpod.frozen import replace
from wpod.model.container import Status
from wpod.model.image import Image
from wpod.model.network import NetworkMode, NetworkOptions
from wpod.model.request import (
    AotPolicy,
    EngineOptions,
    IdentityOptions,
    MountKind,
    MountRequest,
    RunRequest,
    StorageOptions,
)
from wpod.operations import create, keeper, remove, run, start, stop, sweep, volumes
from wpod.operations.load import load
from wpod.operations.remove import RemoveOptions
from wpod.operations.undo import UndoStack
from wpod.queries import containers as queries
from wpod.state.containers import ContainerTable, Forgotten
from wpod.storage.store import Store, open_store

FORCE = RemoveOptions(force=True, volumes=True, stop_timeout_seconds=0)


class Bench:
    """A store with one image, and what may be in it after an operation that failed.

    Its containers have no network, but for tests that want the default one of the image's kind: a start takes twice
    the time then, and its further steps are the same in each operation.
    """

    network: NetworkMode | None = NetworkMode.NONE

    def __init__(self, store: Store, image: Image, place: Path) -> None:
        self.store = store
        self.image = image
        self.cidfile = place / "cid"
        self.place = place

    def request(self, *guest: str, name: str = "web") -> RunRequest:
        """With everything that leaves traces: a name, a file with the ID, volumes of both kinds."""
        mounts = (MountRequest(MountKind.VOLUME, "data", "/data"), MountRequest(MountKind.VOLUME, "", "/more"))
        identity = IdentityOptions(name=name, cidfile=str(self.cidfile))
        return self.plain(guest, identity=identity, storage=StorageOptions(mounts))

    def scalable(self, *guest: str) -> RunRequest:
        """As `request`, without what only one container can have."""
        whole = self.request(*guest)
        return replace(whole, identity=replace(whole.identity, cidfile=""))

    def plain(self, guest: tuple[str, ...], **groups: Any) -> RunRequest:
        """Interpreted, so that no compiler is left at work."""
        network = NetworkOptions(self.network)
        return RunRequest(self.image.names[0], guest, engine=EngineOptions(AotPolicy.OFF), network=network, **groups)

    def warm_up(self) -> None:
        """Unpacked, compiled and imported: what is counted afterwards is the operation alone."""
        run.run_detached(self.store, self.request("exit", "0"), self.image, ())
        self.clean()

    def join_network(self) -> None:
        """Have containers on the default network from here on."""
        self.network = None
        self.warm_up()

    def everything(self) -> dict[str, Any]:
        """All that an operation could leave behind."""
        _reap()
        store = self.store.paths
        return {
            "records": [record.name for record in self.store.containers.all()],
            "volumes": [volume.name for volume in self.store.volumes.all()],
            "directories": sorted(os.listdir(store.containers) + os.listdir(store.volumes)),
            "staged": os.listdir(store.temporary),
            "cidfile": self.cidfile.exists(),
            "processes": leftovers.processes_of(self.place),
            "mounts": leftovers.mounts_of(self.place),
        }

    def clean(self) -> None:
        """Remove what an operation made, with wpod's own means."""
        for record in self.store.containers.all():
            remove.remove(self.store, record.container_id, FORCE)
        for volume in self.store.volumes.all():
            volumes.remove(self.store, volume.name)
        self.cidfile.unlink(missing_ok=True)


NOTHING = {
    "records": [],
    "volumes": [],
    "directories": [],
    "staged": [],
    "cidfile": False,
    "processes": {},
    "mounts": [],
}


def _reap() -> None:
    """The keepers are this process's children here."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue


@pytest.fixture(params=["wasm", "native"])
def bench(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    archives: Callable[[images.ImageSource], Path],
    probe_sources: dict[str, images.ImageSource],
) -> Iterator[Bench]:
    store = open_store(str(tmp_path / "store"))
    source = probe_sources[request.param]
    load(store, str(archives(source)), io.BytesIO())
    made = Bench(store, store.images.find(source.name), tmp_path)
    made.warm_up()
    yield made
    made.clean()
    eventually(lambda: made.everything() == NOTHING)
    store.database.close()
    leftovers.end(tmp_path)


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    return faulty.install(monkeypatch)


def each_step(faults: Faults, operation: Callable[[], Any], after: Callable[[WpodError | None], None]) -> list[str]:
    """Run once undisturbed, then once for each step with that step failing; gives the steps that were fatal."""
    with faults.during():
        operation()
    after(None)
    steps, fatal = faults.steps, []
    for number, name in enumerate(steps):
        error: WpodError | None = None
        try:
            with faults.during(number):
                operation()
        except WpodError as caught:
            error = caught
            fatal.append(name)
            assert caught.message
            assert "\n" not in caught.message
            assert "left behind" not in (caught.hint or "")
        try:
            after(error)
        except AssertionError as broken:
            raise AssertionError(f"step {number} ({name}) of {steps}: {error!r}: {broken}") from broken
    return fatal


def test_create(bench: Bench, faults: Faults) -> None:
    def operation() -> None:
        create.create(bench.store, bench.request("exit", "0"), bench.image, ("wpod",), detached=False)

    def after(error: WpodError | None) -> None:
        if error is None:
            assert queries.find(bench.store, "web").observed.status is Status.CREATED
            assert bench.cidfile.read_text() == queries.find(bench.store, "web").record.container_id
            assert len(bench.everything()["volumes"]) == 2
            bench.clean()
        assert bench.everything() == NOTHING

    fatal = each_step(faults, operation, after)
    assert {"begin", "commit", "os.mkdir", "os.rename", "os.open"} <= set(fatal)


def test_run(bench: Bench, faults: Faults) -> None:
    bench.join_network()

    def operation() -> None:
        run.run_detached(bench.store, bench.request("idle"), bench.image, ("wpod",))

    def after(error: WpodError | None) -> None:
        if error is None:
            assert queries.find(bench.store, "web").observed.status is Status.RUNNING
            bench.clean()
        eventually(lambda: bench.everything() == NOTHING, patience_seconds=5)

    fatal = each_step(faults, operation, after)
    assert {"begin", "commit", "os.mkdir", "os.open", "os.posix_spawn", "os.pipe2", "os.memfd_create"} <= set(fatal)


def test_start(bench: Bench, faults: Faults) -> None:
    """A start that fails leaves the container as it was, the exit status of its last run included."""
    bench.join_network()
    record = create.create(bench.store, bench.request("exit", "7"), bench.image, ("wpod",), detached=False)
    own = bench.store.paths.container(record.container_id)

    def ended() -> bool:
        _reap()
        return queries.observe(own).status is Status.EXITED

    start.start_detached(bench.store, record)
    eventually(ended)
    before = sorted(os.listdir(own.directory))

    def after(error: WpodError | None) -> None:
        eventually(ended)
        observed = queries.observe(own)
        assert (observed.exit_code, observed.state and observed.state.phase) == (7, Phase.EXITED)
        assert set(os.listdir(own.directory)) - {"state.previous"} == set(before) - {"state.previous"}
        eventually(lambda: not leftovers.processes_of(bench.place))

    fatal = each_step(faults, lambda: start.start_detached(bench.store, record), after)
    assert {"os.open", "os.write", "os.fsync", "os.rename", "os.posix_spawn"} <= set(fatal)


def test_rm(bench: Bench, faults: Faults) -> None:
    """Teardown goes on: what one command could not remove the next one does."""
    bench.join_network()

    def operation() -> None:
        faults_were, faults.armed = faults.armed, False
        if not bench.store.containers.all():
            bench.cidfile.unlink(missing_ok=True)
            run.run_detached(bench.store, bench.request("idle"), bench.image, ("wpod",))
        faults.armed = faults_were
        remove.remove(bench.store, "web", FORCE)

    def after(error: WpodError | None) -> None:
        if bench.store.containers.all():
            remove.remove(bench.store, "web", FORCE)
        assert bench.everything()["records"] == []
        bench.clean()
        create.create(bench.store, bench.request("exit", "0"), bench.image, (), detached=False)
        bench.clean()
        eventually(lambda: not leftovers.processes_of(bench.place))
        assert bench.everything()["directories"] == []

    each_step(faults, operation, after)


def test_rm_of_several(bench: Bench, faults: Faults) -> None:
    """Each has its own outcome, and what fails in one holds up no other; a second command removes what is left."""
    names = ("web-1", "web-2", "web-3")

    def operation() -> None:
        faults_were, faults.armed = faults.armed, False
        run.run_scaled(bench.store, bench.scalable("idle"), bench.image, (), 3)
        faults.armed = faults_were
        outcomes = list(remove.remove_together(bench.store, names, FORCE))
        assert len(outcomes) == 3
        remove.raise_first(outcomes)

    def after(error: WpodError | None) -> None:
        remove.remove_present(bench.store, names, FORCE)
        assert bench.everything()["records"] == []
        bench.clean()
        sweep.sweep(bench.store)
        assert bench.everything()["directories"] == []

    each_step(faults, operation, after)


def test_one_that_cannot_be_forgotten_holds_up_no_other(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    records = run.run_scaled(bench.store, bench.scalable("idle"), bench.image, (), 3)
    damaged = records[1].container_id
    original = ContainerTable.forget

    def forget(self: ContainerTable, doomed: Mapping[str, bool]) -> Forgotten:
        if damaged in doomed:
            raise StoreError("database disk image is malformed")
        return original(self, doomed)

    monkeypatch.setattr(ContainerTable, "forget", forget)
    outcomes = list(remove.remove_together(bench.store, ["web-1", "web-2", "web-3"], FORCE))
    assert [outcome and outcome.message for outcome in outcomes] == [None, "database disk image is malformed", None]
    assert [record.name for record in bench.store.containers.all()] == ["web-2"]
    assert os.listdir(bench.store.paths.containers) == [damaged]
    monkeypatch.undo()
    assert queries.find(bench.store, "web-2").observed.status is Status.EXITED


@pytest.mark.parametrize("late", [False, True], ids=["while it starts", "when it runs"])
def test_what_is_interrupted_leaves_nothing(late: bool, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C between the start of the keeper and the end of `run`."""
    wait = keeper._read_to_end

    def interrupted(reader: int, limit_bytes: int) -> bytes:
        if late:
            wait(reader, limit_bytes)
        raise KeyboardInterrupt

    monkeypatch.setattr(keeper, "_read_to_end", interrupted)
    interrupted_runs_leave_nothing(bench)


def test_what_is_interrupted_when_it_is_ready_leaves_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C when the keeper has spoken and nothing is noted yet: it would live on without a container."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    for name in ("parse_report", "parse_reports"):
        monkeypatch.setattr(keeper, name, _after_an_interruption(getattr(keeper, name)))
    interrupted_runs_leave_nothing(bench)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == held


def interrupted_runs_leave_nothing(bench: Bench) -> None:
    """One alone and three at once, where something has been arranged that interrupts them."""
    with pytest.raises(KeyboardInterrupt):
        run.run_detached(bench.store, bench.request("idle"), bench.image, ("wpod",))
    eventually(lambda: bench.everything() == NOTHING, patience_seconds=5)
    with pytest.raises(KeyboardInterrupt):
        run.run_scaled(bench.store, bench.scalable("idle"), bench.image, ("wpod",), 3)
    eventually(lambda: bench.everything() == NOTHING, patience_seconds=5)


def _after_an_interruption(function: Callable[..., Any]) -> Callable[..., Any]:
    def interrupted(*arguments: Any) -> Any:
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)  # not to another thread of the tests' own
        return function(*arguments)

    return interrupted


def test_a_keeper_that_cannot_be_noted_is_ended(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: UndoStack) -> None:
        raise WpodError("no")

    create.create(bench.store, bench.request("idle"), bench.image, (), detached=True)
    before = bench.everything()
    monkeypatch.setattr(UndoStack, "keep", refuse)
    with pytest.raises(WpodError, match="no"):
        start.start_detached(bench.store, bench.store.containers.find("web"))
    monkeypatch.undo()
    eventually(lambda: bench.everything() == before, patience_seconds=5)
    assert queries.find(bench.store, "web").observed.status is Status.CREATED


def test_run_scaled(bench: Bench, faults: Faults) -> None:
    """All or none, whichever step fails for whichever of them."""

    def operation() -> None:
        run.run_scaled(bench.store, bench.scalable("idle"), bench.image, ("wpod",), 2)

    def after(error: WpodError | None) -> None:
        if error is None:
            for name in ("web-1", "web-2"):
                assert queries.find(bench.store, name).observed.status is Status.RUNNING
                remove.remove(bench.store, name, FORCE)
            with contextlib.suppress(WpodError):
                volumes.remove(bench.store, "data")
        eventually(lambda: bench.everything() == NOTHING, patience_seconds=5)

    fatal = each_step(faults, operation, after)
    assert {"begin", "commit", "os.mkdir", "os.open", "os.posix_spawn", "os.pipe2", "os.memfd_create"} <= set(fatal)


def test_a_taken_name_or_file_changes_nothing(bench: Bench) -> None:
    kept = run.run_detached(bench.store, bench.request("idle"), bench.image, ("wpod",))
    before = bench.everything()
    taken = bench.plain(("idle",), identity=IdentityOptions(name="web"))
    with pytest.raises(WpodError, match="already in use"):
        run.run_detached(bench.store, taken, bench.image, ())
    replacing = IdentityOptions(name="web", replace=True, cidfile=str(bench.cidfile))
    with pytest.raises(WpodError, match="exists"):
        run.run_detached(bench.store, bench.plain(("idle",), identity=replacing), bench.image, ())
    assert bench.everything() == before
    assert queries.find(bench.store, kept.container_id).observed.status is Status.RUNNING
    assert stop.stop(bench.store, queries.find(bench.store, "web"), 0)
