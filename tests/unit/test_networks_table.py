"""Records of networks and places on them: names, subnets and addresses are given out once (wpod.state.networks)."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.networks import network
from tests.support.parallel import together
from tests.support.records import container_id, record
from wpod.errors import AmbiguousName, InUse, NameTaken, NotThere, StoreError
from wpod.frozen import replace
from wpod.model.network import Lease, Network
from wpod.plan import addresses
from wpod.state import salvage
from wpod.state.containers import ContainerTable
from wpod.state.database import Database
from wpod.state.networks import Lookup, NetworkTable


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(str(tmp_path / "wpod.db"))
    yield made
    made.close()


@pytest.fixture
def table(database: Database) -> NetworkTable:
    return NetworkTable(database)


def recorded(table: NetworkTable, *subnets: str, name: str = "") -> Network:
    return table.insert(lambda number, _present: network(number, *subnets, name=name))


def contained(database: Database, *identifiers: str) -> None:
    for one in identifiers:
        ContainerTable(database).insert(record(one, f"c-{one}"))


def joined(table: NetworkTable, identifier: str, name: str, wanted: str = "") -> str:
    """Give a container its place on a network; the address."""

    def choose(lookup: Lookup) -> Sequence[Lease]:
        found, taken = lookup(name)
        address = addresses.choose_address(found, found.subnets[0], taken, wanted)
        return [Lease(name, container_id(identifier), "eth0", (address,), "02:00:00:00:00:01", ("a", "ü"))]

    return table.lease(container_id(identifier), choose, anew=False)[0].addresses[0]


def test_an_empty_table(table: NetworkTable) -> None:
    assert table.all() == []
    assert table.readable() == ([], [])
    assert table.names() == []
    assert table.leases() == []
    table.delete("x")
    table.release(["x"])
    with pytest.raises(NotThere, match="network not found: x"):
        table.find("x")
    with pytest.raises(NotThere, match="net7"):
        table.update("net7", lambda one: one)


def test_what_is_recorded_is_found_again(table: NetworkTable) -> None:
    made = recorded(table, "10.90.0.0/24", "fd00::/64", name="b")
    other = recorded(table, "10.91.0.0/24", name="a")
    assert table.find("b") == table.find(made.network_id) == made
    assert table.all() == [other, made]
    with pytest.raises(AmbiguousName):
        table.find("0" * 12)
    changed = replace(made, dns_servers=("10.0.0.1",))
    table.update("b", lambda _: changed)
    assert table.find("b") == changed
    with pytest.raises(NameTaken, match="b already used"):
        recorded(table, "10.92.0.0/24", name="b")


def test_a_number_is_never_given_twice(table: NetworkTable) -> None:
    first = recorded(table, "10.90.0.0/24")
    table.delete(first.name)
    assert recorded(table, "10.90.0.0/24").number == first.number + 1


def test_a_record_that_cant_be_read_is_named_and_the_others_are_told(table: NetworkTable, database: Database) -> None:
    recorded(table, "10.90.0.0/24", name="bad")
    good = recorded(table, "10.91.0.0/24", name="good")
    for text in ("", "{", "[]", "{}", '{"number": "x"}', "null"):
        with database.transaction() as connection:
            connection.execute("UPDATE network SET record = ? WHERE name = 'bad'", (text,))
        found, problems = table.readable()
        assert found == [good]
        assert [one.message.partition(" can't be read")[0] for one in problems] == ["the record of network bad"]
        with pytest.raises(StoreError, match="network bad"):
            table.find("bad")
        assert table.find("good") == good
        assert table.names() == ["bad", "good"]
    table.delete("bad")
    assert table.names() == ["good"]


def test_a_network_with_containers_stays(table: NetworkTable, database: Database) -> None:
    made = recorded(table, "10.90.0.0/24")
    contained(database, "a", "b")
    joined(table, "b", made.name)
    joined(table, "a", made.name)
    with pytest.raises(InUse, match=f"{container_id('a')[:12]}, {container_id('b')[:12]}"):
        table.delete(made.name)
    table.release([container_id("a")], made.name)
    ContainerTable(database).delete(container_id("b"))  # takes its places with it
    assert table.leases() == []
    table.delete(made.name)


def test_places(table: NetworkTable, database: Database) -> None:
    made, other = recorded(table, "10.90.0.0/24"), recorded(table, "10.91.0.0/24")
    contained(database, "a", "b")
    assert joined(table, "a", made.name) == "10.90.0.2/24"
    assert joined(table, "b", made.name) == "10.90.0.3/24"
    assert joined(table, "a", other.name) == "10.91.0.2/24"
    with pytest.raises(NameTaken, match="already connected"):
        joined(table, "a", made.name)
    with pytest.raises(NotThere, match="nosuch"):
        joined(table, "a", "nosuch")
    contained(database, "c")
    with pytest.raises(InUse, match=r"10\.90\.0\.3"):
        joined(table, "c", made.name, "10.90.0.3")
    assert [(one.network, one.aliases) for one in table.leases(container_id("a"))] == [
        (made.name, ("a", "ü")),
        (other.name, ("a", "ü")),
    ]
    table.release([container_id("a")], made.name)
    assert [one.network for one in table.leases(container_id("a"))] == [other.name]
    assert joined(table, "c", made.name) == "10.90.0.2/24"


def test_what_fails_leaves_the_places_as_they_were(table: NetworkTable, database: Database) -> None:
    made = recorded(table, "10.90.0.0/24")
    contained(database, "a")
    joined(table, "a", made.name)
    before = table.leases()

    def choose(lookup: Lookup) -> Sequence[Lease]:
        lookup("nosuch")
        raise AssertionError

    with pytest.raises(NotThere):
        table.lease(container_id("a"), choose, anew=True)
    assert table.leases() == before


def test_three_hundred_places_of_processes_at_once(database: Database) -> None:
    recorded(NetworkTable(database), "10.90.0.0/16", name="net")
    names = [f"{number:03x}" for number in range(300)]
    contained(database, *names)
    path = database.path
    database.close()  # no connection goes through a fork

    def joins(part: Sequence[str]) -> list[str]:
        own = Database(path)
        return [joined(NetworkTable(own), name, "net") for name in part]

    outcomes = together([lambda part=names[start::4]: joins(part) for start in range(4)])
    assert [one.error for one in outcomes] == [""] * 4
    found = [address for one in outcomes for address in one.value]
    assert set(found) == {f"10.90.{number // 256}.{number % 256}/16" for number in range(2, 302)}
    assert len(found) == 300


def test_networks_of_processes_at_once(database: Database) -> None:
    path = database.path
    database.close()

    def makes() -> list[tuple[int, str]]:
        table = NetworkTable(Database(path))
        return [(one.number, one.subnets[0].subnet) for one in (made(table) for _ in range(10))]

    def made(table: NetworkTable) -> Network:
        def choose(number: int, present: Sequence[Network]) -> Network:
            free = addresses.free_subnet(addresses.parse_subnet(s.subnet) for one in present for s in one.subnets)
            return network(number, free.subnet)

        return table.insert(choose)

    outcomes = together([makes] * 4)
    assert [one.error for one in outcomes] == [""] * 4
    found = [pair for one in outcomes for pair in one.value]
    assert sorted(number for number, _ in found) == list(range(1, 41))
    assert {subnet for _, subnet in found} == {f"10.89.{number}.0/24" for number in range(40)}


def test_a_kill_in_between_leaves_nothing(table: NetworkTable, database: Database) -> None:
    recorded(table, "10.90.0.0/24", name="net")
    contained(database, "a")
    path = database.path
    database.close()

    def dies_with_a_network() -> None:
        NetworkTable(Database(path)).insert(lambda *_: os.kill(os.getpid(), signal.SIGKILL))  # type: ignore[arg-type,return-value]

    def dies_with_a_place() -> None:
        def choose(lookup: Lookup) -> Sequence[Lease]:
            lookup("net")
            os.kill(os.getpid(), signal.SIGKILL)
            raise AssertionError

        NetworkTable(Database(path)).lease(container_id("a"), choose, anew=True)

    assert [one.error for one in together([dies_with_a_network, dies_with_a_place])] == ["Died", "Died"]
    again = Database(path)
    try:
        assert salvage.problems(again) == []
        after = NetworkTable(again)
        assert after.names() == ["net"]
        assert joined(after, "a", "net") == "10.90.0.2/24"
    finally:
        again.close()


@pytest.mark.parametrize("statement", ["DELETE FROM container WHERE container_id = ?",
                                       "UPDATE lease SET network = 'gone' WHERE container_id = ?"])  # fmt: skip
def test_places_that_refer_to_nothing_are_found_and_dropped(
    table: NetworkTable, database: Database, statement: str
) -> None:
    recorded(table, "10.90.0.0/24", name="net")
    contained(database, "a", "b")
    joined(table, "a", "net")
    joined(table, "b", "net")
    kept = table.leases(container_id("b"))
    database.close()
    with contextlib.closing(sqlite3.connect(database.path)) as plain, plain:  # without foreign keys
        plain.execute(statement, (container_id("a"),))
    assert any("lease" in one for one in salvage.problems(database))
    assert salvage.mend(database)
    assert salvage.problems(database) == []
    assert table.leases() == kept
