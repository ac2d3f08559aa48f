"""Many processes on one store: nobody fails for another's sake, exactly one wins, nothing is left."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import images, leftovers
from tests.support.command import eventually
from tests.support.parallel import Outcome, together
from wpod.errors import InUse, NotThere
from wpod.model.container import Status
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
from wpod.model.volume import Volume
from wpod.operations import create, remove, remove_image, run, start, stop, sweep, volumes
from wpod.operations.collect import collect
from wpod.operations.load import load
from wpod.operations.remove import RemoveOptions
from wpod.queries import containers as queries
from wpod.storage.store import Store, open_store

FORCE = RemoveOptions(force=True, volumes=True, stop_timeout_seconds=0)


@dataclass
class Site:
    """A place with one store, which every process opens for itself. `network` None is the default of each kind."""

    place: Path
    archives: dict[str, Path]
    network: NetworkMode | None = None

    @property
    def root(self) -> str:
        return str(self.place / "store")

    def store(self) -> Store:
        return open_store(self.root)

    def load(self, kind: str) -> None:
        store = self.store()
        load(store, str(self.archives[kind]), io.BytesIO())
        store.database.close()

    def request(self, *guest: str, name: str = "", removed: bool = False, volume: str = "") -> RunRequest:
        mounts = (MountRequest(MountKind.VOLUME, volume, "/data"),) if volume else ()
        return RunRequest(
            "", guest, removed, IdentityOptions(name=name), storage=StorageOptions(mounts),
            engine=EngineOptions(AotPolicy.OFF), network=NetworkOptions(self.network)
        )  # fmt: skip

    def run(self, request: RunRequest, kind: str = "wasm") -> str:
        """Start a container; returns its ID."""
        store = self.store()
        image = store.images.find(f"probe-{kind}")
        return run.run_detached(store, request, image, ("wpod",)).container_id

    def remove(self, name: str) -> None:
        remove.remove(self.store(), name, FORCE)

    def containers(self) -> list[str]:
        store = self.store()
        found = [container.record.name for container in queries.all_containers(store)]
        store.database.close()
        return sorted(found)


def failures(outcomes: list[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.error]


@pytest.fixture
def site(
    tmp_path: Path,
    archives: Callable[[images.ImageSource], Path],
    probe_sources: dict[str, images.ImageSource],
) -> Iterator[Site]:
    made = Site(tmp_path, {kind: archives(source) for kind, source in probe_sources.items()})
    for kind in made.archives:
        made.load(kind)
        made.remove(made.run(made.request("exit", "0"), kind))
    yield made
    store = made.store()
    for name in made.containers():
        made.remove(name)
    for volume in store.volumes.all():
        volumes.remove(store, volume.name)
    sweep.sweep(store)
    eventually(lambda: not leftovers.processes_of(tmp_path))
    assert (
        os.listdir(store.paths.containers) == os.listdir(store.paths.volumes) == os.listdir(store.paths.temporary) == []
    )
    assert leftovers.mounts_of(tmp_path) == []
    store.database.close()


def test_a_hundred_starts_and_removals(site: Site) -> None:
    site.network = NetworkMode.NONE  # many on one network at once: tests/net

    def work(worker: int) -> list[str]:
        done = []
        for number in range(10):
            kind = "native" if number % 3 == 0 else "wasm"
            name = f"w{worker}-{number}"
            identifier = site.run(site.request("idle", name=name), kind)
            assert queries.find(site.store(), name).observed.status is Status.RUNNING
            site.remove(name)
            done.append(identifier)
        return done

    outcomes = together([lambda worker=worker: work(worker) for worker in range(10)])  # type: ignore[misc]
    assert failures(outcomes) == []
    assert len({identifier for outcome in outcomes for identifier in outcome.value}) == 100
    assert site.containers() == []


def test_one_name_has_one_winner(site: Site) -> None:
    for kind in ("wasm", "native"):
        outcomes = together([lambda kind=kind: site.run(site.request("idle", name="x"), kind)] * 6)  # type: ignore[misc]
        lost = failures(outcomes)
        assert len(lost) == 5
        assert {outcome.error for outcome in lost} == {"NameTaken"}
        assert site.containers() == ["x"]
        assert os.listdir(site.store().paths.containers) == [
            next(outcome.value for outcome in outcomes if outcome.value)
        ]
        site.remove("x")


def test_one_container_is_started_once(site: Site) -> None:
    store = site.store()
    for kind in ("wasm", "native"):
        image = store.images.find(f"probe-{kind}")
        record = create.create(store, site.request("idle", name="x"), image, (), detached=True)

        def begin() -> None:
            own = site.store()
            start.start_detached(own, own.containers.find("x"))

        assert failures(together([begin] * 5)) == []
        state = queries.find(store, "x").observed.state
        assert state is not None
        main = {
            pid for pid, words in leftovers.processes_of(site.place).items() if "runner" in words or "monitor" in words
        }
        assert main == {state.keeper_pid}
        assert store.containers.find("x").start_count == 1
        site.remove(record.container_id)
    store.database.close()


def test_one_container_is_removed_once(site: Site) -> None:
    for kind in ("wasm", "native"):
        site.run(site.request("idle", name="x"), kind)
        outcomes = together([lambda: site.remove("x")] * 5)
        assert {outcome.error for outcome in outcomes} <= {"", "NotThere"}
        assert site.containers() == []


def test_stopping_and_removing_at_once(site: Site) -> None:
    def end() -> None:
        store = site.store()
        stop.stop(store, queries.find(store, "x"), 0)

    for kind in ("wasm", "native"):
        site.run(site.request("idle", name="x"), kind)
        outcomes = together([end, end, lambda: site.remove("x")])
        assert {outcome.error for outcome in outcomes[:2]} <= {"", "NotThere"}
        assert outcomes[2].error == ""
        assert site.containers() == []


def test_dead_rm_containers_are_swept_by_whoever_comes_first(site: Site) -> None:
    for number in range(8):
        site.run(site.request("exit", "0", name=f"dead-{number}", removed=True, volume=f"v{number}"))
    eventually(lambda: site.containers() == [])
    assert failures(together([lambda: sweep.sweep(site.store())] * 6)) == []
    assert os.listdir(site.store().paths.containers) == []
    outcomes = together([lambda number=number: site.run(site.request("exit", "0", name=f"dead-{number}"))
                         for number in range(8)])  # type: ignore[misc]  # fmt: skip
    assert failures(outcomes) == []  # the names are free again


def test_an_image_is_removed_while_it_is_used(site: Site) -> None:
    """Who comes too late is told so; a container that was made runs to its end."""

    def use() -> list[str]:
        told = []
        for _ in range(60):
            try:
                site.remove(site.run(site.request("idle")))
            except NotThere as error:
                told.append(error.message)
        return told

    def take_away() -> int:
        removed = 0
        for _ in range(60):
            store = site.store()
            try:
                remove_image.remove_image(store, "probe-wasm", force=False)
            except InUse:
                continue
            collect(store)
            removed += 1
            site.load("wasm")
        return removed

    outcomes = together([use, use, take_away])
    assert failures(outcomes) == []
    assert all("image not known" in message for outcome in outcomes[:2] for message in outcome.value)
    site.remove(site.run(site.request("idle")))


def test_a_volume_is_removed_while_it_is_mounted(site: Site) -> None:
    mountpoint = site.store().volumes.mountpoint("shared")

    def use() -> list[str]:
        told = []
        for _ in range(40):
            try:
                identifier = site.run(site.request("idle", volume="shared"))
            except NotThere as error:
                told.append(error.message)
                continue
            assert os.listdir(mountpoint) == ["given"]  # filled from the image before anybody sees it
            site.remove(identifier)
        return told

    def take_away() -> set[str]:
        seen = set()
        for _ in range(200):
            try:
                volumes.remove(site.store(), "shared")
            except (InUse, NotThere) as error:
                seen.add(type(error).__name__)
        return seen

    outcomes = together([use, use, take_away])
    assert failures(outcomes) == []
    assert all(
        message == "volume shared was removed meanwhile" for outcome in outcomes[:2] for message in outcome.value
    )
    assert outcomes[2].value <= {"InUse", "NotThere"}


def test_one_volume_is_made_once(site: Site) -> None:
    def make() -> None:
        store = site.store()
        volumes.create(store, Volume("v", store.volumes.mountpoint("v"), 1, {}, {}))

    outcomes = together([make] * 6)
    assert sorted(outcome.error for outcome in outcomes) == [""] + ["NameTaken"] * 5
    assert os.listdir(site.store().paths.volumes) == ["v"]
