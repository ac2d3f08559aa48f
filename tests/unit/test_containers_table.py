"""Records of containers: names, prefixes, ambiguity, order (wpod.state.containers)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import records
from tests.support.records import container_id, record
from wpod.errors import AmbiguousName, NameTaken, NotThere, StoreError
from wpod.frozen import replace
from wpod.model import ids
from wpod.state.containers import ContainerTable, VolumeUse
from wpod.state.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(str(tmp_path / "wpod.db"))
    yield made
    made.close()


@pytest.fixture
def table(database: Database) -> ContainerTable:
    return ContainerTable(database)


def test_an_empty_table(table: ContainerTable) -> None:
    assert table.all() == []
    assert table.ids() == set()
    assert table.removable() == []
    assert table.using_image(records.DIGEST) == []
    with pytest.raises(NotThere, match="'x'"):
        table.find("x")
    table.delete(container_id("a"))


def test_what_is_recorded_is_found_again(table: ContainerTable) -> None:
    made = record(
        "abc", "web", labels={"a.b": "ü"}, annotations={"k": ""}, create_command=("wpod", "run", "-e", "A= b"),
        remove=True,
    )  # fmt: skip
    table.insert(made)
    assert table.find("web") == made
    assert table.all() == [made]
    assert table.removable() == [made.container_id]


def test_plans_that_are_alike_are_read_as_they_were_recorded(table: ContainerTable) -> None:
    """Reading takes what differs in the host name alone from another one; nothing else may come from there."""
    made = []
    for number, letter in enumerate("abcdef"):
        name = ids.short(container_id(letter))
        changes: list[dict[str, Any]] = [
            {},
            {"environment": (f"HOSTNAME={name}", "A=1")},
            {"environment": (f"HOSTNAME={name}", f"COPY=HOSTNAME={name}")},
            {"environment": (f"OTHER={name}",)},
            {"environment": ("HOSTNAME=own",), "hostname": "own"},
            {"working_directory": f"/{name}"},
            {"arguments": ("/bin/x", f'"hostname":"{name}"')},
            {"hostname": ids.short(container_id("a"))},
        ]
        for place, change in enumerate(changes):
            one = record(f"{letter}{place}", f"{letter}{place}")
            short = ids.short(one.container_id)
            plan = replace(one.plan, **{"hostname": short, **_with(change, name, short)})
            made.append(replace(one, plan=plan, created_nanoseconds=1000 - 10 * number - place))
    for one in made:
        table.insert(one)
    assert table.all() == made
    assert table.readable() == (made, [])


def _with(change: dict[str, Any], name: str, short: str) -> dict[str, Any]:
    """The change with this container's own short ID."""

    def own(value: Any) -> Any:
        return value.replace(name, short) if isinstance(value, str) else tuple(map(own, value))

    return {key: own(value) for key, value in change.items()}


FIND = {
    # what is asked for: the name of what is found, or the error
    "web": "web",
    container_id("abc1"): "web",
    "abc1": "web",
    "abc2": "other",
    "abc": AmbiguousName,
    "a": AmbiguousName,
    "": NotThere,
    "we": NotThere,
    "WEB": NotThere,
    "ABC1": NotThere,
    "abc3": NotThere,
    "abc10": "web",
    container_id("abc1") + "0": NotThere,
    "dead": "dead",
    "beef": "beefy",
    "f": "short",
    "web%": NotThere,
    "_eb": NotThere,
    "web' OR 1=1 --": NotThere,
    "\0": NotThere,
    "\udcff": NotThere,
}


@pytest.mark.parametrize(("asked", "expected"), FIND.items())
def test_names_win_over_prefixes(asked: str, expected: str | type[Exception], table: ContainerTable) -> None:
    for identifier, name in (
        ("abc1", "web"), ("abc2", "other"), ("dead1", "x1"), ("1", "dead"), ("beef", "beefy"), ("f", "short"),
    ):  # fmt: skip
        table.insert(record(identifier, name))
    if isinstance(expected, str):
        assert table.find(asked).name == expected
        return
    with pytest.raises(expected) as error:
        table.find(asked)
    if expected is AmbiguousName:
        assert "abc100000000, abc200000000" in str(error.value)


def test_a_name_is_taken_once_and_the_holder_is_named(table: ContainerTable) -> None:
    table.insert(record("abc", "web"))
    with pytest.raises(NameTaken, match="'web' is already in use by container abc000000000") as error:
        table.insert(record("def", "web"))
    assert "--replace" in str(error.value.hint)
    assert table.ids() == {container_id("abc")}
    table.insert(record("def", "Web"))
    table.delete(container_id("abc"))
    table.insert(record("123", "web"))


def test_one_id_is_recorded_once(table: ContainerTable) -> None:
    table.insert(record("abc", "web"))
    with pytest.raises(StoreError, match="other can't be recorded"):
        table.insert(record("abc", "other"))
    assert [one.name for one in table.all()] == ["web"]


def test_the_newest_first_and_ties_by_id(table: ContainerTable) -> None:
    for identifier, created in (("b", 5), ("a", 5), ("c", 9), ("d", 1)):
        table.insert(record(identifier, created_nanoseconds=created))
    assert [one.container_id[0] for one in table.all()] == ["c", "a", "b", "d"]
    assert [one.container_id[0] for one in table.using_image(records.DIGEST)] == ["d", "a", "b", "c"]


def test_starts_are_counted(table: ContainerTable) -> None:
    table.insert(record("a"))
    for _ in range(3):
        table.count_start(container_id("a"))
    table.count_start(container_id("b"))
    assert table.find("a").start_count == 3


def test_volumes_are_used_as_long_as_the_container_is_recorded(table: ContainerTable, database: Database) -> None:
    with database.transaction() as connection:
        for name in ("v1", "v2"):
            connection.execute("INSERT INTO volume VALUES (?, 0, 0, '{}', '{}')", (name,))
    table.insert(record("b"), VolumeUse(("v1", "v2", "v1")))
    table.insert(record("a"), VolumeUse(("v1",)))
    assert table.using_volume("v1") == [container_id("a"), container_id("b")]
    table.delete(container_id("b"))
    table.delete(container_id("nothing"))
    assert table.using_volume("v1") == [container_id("a")]
    assert table.using_volume("v2") == []


def test_a_volume_that_was_removed_meanwhile_is_named(table: ContainerTable) -> None:
    with pytest.raises(NotThere, match="volume gone"):
        table.insert(record("a", "web"), VolumeUse(("gone",)))
    assert table.all() == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("plan", "{"),
        ("plan", "[]"),
        ("plan", '{"new": 1}'),
        ("labels", "[]"),
        ("annotations", "5"),
        ("create_command", "{}"),
    ],
)
def test_a_record_that_cannot_be_read_is_one_error_that_names_it(
    column: str, value: str, table: ContainerTable, database: Database
) -> None:
    table.insert(record("abc", "web"))
    with database.transaction() as connection:
        connection.execute(f"UPDATE container SET {column} = ?", (value,))
    for read in (table.all, lambda: table.find("web")):
        with pytest.raises(StoreError, match="abc000000000"):
            read()
    assert table.ids() == {container_id("abc")}
    table.delete(container_id("abc"))
    assert table.all() == []


def test_an_older_version_s_record_is_read(table: ContainerTable, database: Database) -> None:
    table.insert(record("abc", "web"))
    with database.transaction() as connection:
        connection.execute("UPDATE container SET plan = json_remove(plan, '$.warnings', '$.module', '$.privileged')")
    assert table.find("web") == replace(record("abc", "web"), start_count=0)
