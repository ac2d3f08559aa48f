"""Records of volumes: names, use, what is anonymous (wpod.state.volumes)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.records import container_id, record
from wpod.errors import InUse, NameTaken, NotThere, StoreError
from wpod.model.volume import Volume
from wpod.state.containers import ContainerTable, VolumeUse
from wpod.state.database import Database
from wpod.state.volumes import VolumeTable


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(str(tmp_path / "wpod.db"))
    yield made
    made.close()


@pytest.fixture
def table(database: Database) -> VolumeTable:
    return VolumeTable(database, "/store/volumes")


def volume(name: str, *, anonymous: bool = False) -> Volume:
    return Volume(name, f"/store/volumes/{name}/_data", 5, {"a": "ü"}, {"o": "x"}, anonymous)


def test_what_is_recorded_is_found_again(table: VolumeTable) -> None:
    assert table.all() == []
    for name in ("b", "a", "B"):
        table.insert(volume(name))
    assert table.get("a") == volume("a")
    assert [one.name for one in table.all()] == ["B", "a", "b"]


@pytest.mark.parametrize("name", ["dat", "DATA", "", "data%", "../data", "data "])
def test_a_volume_goes_by_its_exact_name(name: str, table: VolumeTable) -> None:
    table.insert(volume("data"))
    with pytest.raises(NotThere):
        table.get(name)


def test_a_name_is_taken_once(table: VolumeTable) -> None:
    table.insert(volume("data"))
    with pytest.raises(NameTaken, match="data"):
        table.insert(volume("data", anonymous=True))
    assert not table.get("data").anonymous
    table.delete("data")
    table.insert(volume("data"))


def test_what_is_used_stays_and_its_users_are_named(table: VolumeTable, database: Database) -> None:
    table.insert(volume("data"))
    containers = ContainerTable(database)
    for identifier in ("b", "a"):
        containers.insert(record(identifier), VolumeUse(("data",)))
    with pytest.raises(InUse, match="a00000000000, b00000000000"):
        table.delete("data")
    assert table.get("data") == volume("data")
    for identifier in ("a", "b"):
        assert containers.delete(container_id(identifier), with_volumes=True) == []
    table.delete("data")
    table.delete("data")
    assert table.all() == []


def test_anonymous_volumes_come_and_go_with_their_container(table: VolumeTable, database: Database) -> None:
    containers = ContainerTable(database)
    table.insert(volume("named"))
    only_a, shared = volume("only-a", anonymous=True), volume("shared", anonymous=True)
    containers.insert(record("a"), VolumeUse(("named",), (only_a, shared)))
    containers.insert(record("b"), VolumeUse(("named", "shared"), (volume("only-b", anonymous=True),)))
    assert table.names() == {"named", "only-a", "only-b", "shared"}
    assert containers.delete(container_id("a"), with_volumes=True) == ["only-a"]
    assert containers.delete(container_id("b")) == []  # `rm` without -v keeps them, used by nobody
    assert table.names() == {"named", "only-b", "shared"}
    assert containers.delete(container_id("c"), with_volumes=True) == []


def test_several_are_forgotten_together(table: VolumeTable, database: Database) -> None:
    containers = ContainerTable(database)
    own, shared, kept = (volume(name, anonymous=True) for name in ("own", "shared", "kept"))
    containers.insert(record("a"), VolumeUse((), (own, shared)))
    containers.insert(record("b"), VolumeUse(("shared",)))
    containers.insert(record("c"), VolumeUse((), (kept,)))
    containers.insert(record("d"))
    doomed = {"a": True, "b": True, "c": False, "e": True}
    forgotten = containers.forget({container_id(name): volumes for name, volumes in doomed.items()})
    assert forgotten.container_ids == {container_id(name) for name in "abc"}  # the last one was never there
    assert forgotten.volumes == ("own", "shared")  # nobody uses the shared one any more
    assert containers.ids() == {container_id("d")}
    assert table.names() == {"kept"}


def test_a_container_that_is_not_recorded_leaves_no_anonymous_volume(table: VolumeTable, database: Database) -> None:
    containers = ContainerTable(database)
    containers.insert(record("a"))
    fresh = VolumeUse(made=(volume("fresh", anonymous=True),))
    with pytest.raises(NameTaken):
        containers.insert(record("b", name=record("a").name), fresh)
    with pytest.raises(NotThere, match="gone"):
        containers.insert(record("b"), VolumeUse(("gone",), fresh.made))

    def fail() -> None:
        raise OSError("the files can't be put in place")

    with pytest.raises(OSError, match="put in place"):
        containers.insert(record("b"), fresh, fail)
    assert table.names() == set()
    assert containers.ids() == {container_id("a")}


@pytest.mark.parametrize("value", ["{", "[]", "5"])
def test_a_record_that_cannot_be_read_is_one_error_that_names_it(
    value: str, table: VolumeTable, database: Database
) -> None:
    table.insert(volume("data"))
    with database.transaction() as connection:
        connection.execute("UPDATE volume SET labels = ?", (value,))
    for read in (table.all, lambda: table.get("data")):
        with pytest.raises(StoreError, match="data"):
            read()
    table.delete("data")
