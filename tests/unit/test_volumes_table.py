"""Records of volumes: names, use, what is anonymous (wpod.state.volumes)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.records import container_id, record
from wpod.errors import InUse, NameTaken, NotThere, StoreError
from wpod.model.volume import Volume
from wpod.state.containers import ContainerTable
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
        containers.insert(record(identifier), ["data"])
    with pytest.raises(InUse, match="a00000000000, b00000000000"):
        table.delete("data")
    assert table.get("data") == volume("data")
    containers.delete([container_id("a"), container_id("b")])
    table.delete("data")
    table.delete("data")
    assert table.all() == []


def test_anonymous_volumes_of_one_container_alone(table: VolumeTable, database: Database) -> None:
    containers = ContainerTable(database)
    for name in ("only-a", "shared", "only-b"):
        table.insert(volume(name, anonymous=True))
    table.insert(volume("named"))
    containers.insert(record("a"), ["only-a", "shared", "named"])
    containers.insert(record("b"), ["only-b", "shared", "named"])
    a, b = container_id("a"), container_id("b")
    assert table.anonymous_of([a]) == ["only-a"]
    assert table.anonymous_of([b]) == ["only-b"]
    assert table.anonymous_of([a, b]) == ["only-a", "only-b", "shared"]
    assert table.anonymous_of([]) == []
    assert table.anonymous_of([container_id("c")]) == []


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
