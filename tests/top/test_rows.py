"""Filtering, folding, sorting and grouping."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.top.feed import MEGABYTE, SECOND, START, breakdown, item, limited, village
from wpod.errors import UsageError
from wpod.frozen import replace
from wpod.model.sample import Pressure, Traffic
from wpod.top.filter import Filter
from wpod.top.moment import Item, State
from wpod.top.rows import Arrangement, Group, Row, Sort, arranged

NOW = START


def names(rows: Iterable[Row]) -> list[str]:
    return [row.name for row in rows]


def no_growth(_: object) -> float | None:
    return None


def rows(items: list[Item], **arrangement: object) -> list[Row]:
    return arranged(items, replace(Arrangement(), **arrangement), no_growth)


def test_replicas_are_one_row_and_shared_memory_counts_once() -> None:
    found = rows(village())
    folded = next(row for row in found if row.is_group)
    assert folded.name == "api ×40"
    assert folded.memory.total == sum(one.memory.total or 0 for one in folded.items)
    assert folded.memory.shared == 40 * (300 << 10)


def test_alike_ones_without_a_family_fold_under_what_their_names_have_in_common() -> None:
    alike = [item(f"web-{number}", image="nginx") for number in (1, 2, 10)]
    assert names(rows(alike)) == ["web ×3"]
    other = [item("red", image="x/nginx:1"), item("blue", image="x/nginx:1")]
    assert names(rows(other)) == ["nginx:1 ×2"]


def test_those_that_failed_are_not_hidden_among_those_that_run() -> None:
    alike = [item(f"web-{number}", image="nginx") for number in range(5)]
    alike[3] = item("web-3", image="nginx", state=State.FAILED, exit_code=1)
    assert sorted(names(rows(alike))) == ["web ×4", "web-3"]


def test_unfolded_members_stand_below_their_group() -> None:
    found = rows(village())
    key = next(row.key for row in found if row.is_group)
    opened = rows(village(), unfolded=frozenset((key,)))
    place = next(number for number, row in enumerate(opened) if row.key == key)
    assert [row.depth for row in opened[place : place + 42]] == [0, *[1] * 40, 0]


@pytest.mark.parametrize(
    ("sort", "first"),
    [(Sort.MEMORY, "b"), (Sort.CPU, "a"), (Sort.AGE, "c"), (Sort.LIMIT, "c"), (Sort.NAME, "a"), (Sort.GROWTH, "a")],
)
def test_sorting(sort: Sort, first: str) -> None:
    items = [
        replace(item("a", image="1", started_nanoseconds=START - SECOND), cpu_percent=50.0),
        item("b", image="2", memory=breakdown(90 * MEGABYTE)),
        limited(item("c", image="3", started_nanoseconds=START - 900 * SECOND), 10 * MEGABYTE, 9 * MEGABYTE),
        item("d", image="4", state=State.CREATED, started_nanoseconds=0),
    ]
    found = arranged(items, Arrangement(sort=sort), lambda ids: 5.0 if items[0].container_id in ids else None)
    assert found[0].name == first
    inverted = arranged(items, Arrangement(sort=sort, inverted=True), no_growth)
    if sort is Sort.MEMORY:
        assert names(inverted)[-1] == "d"  # unknown stays last
    if sort is Sort.NAME:
        assert names(inverted) == ["d", "c", "b", "a"]


@pytest.mark.parametrize("sort", Sort)
def test_every_column_sorts_and_what_is_not_known_comes_last(sort: Sort) -> None:
    """Greatest first (words from a to z), the worst state first; rows that are alike by their names."""
    more = dict.fromkeys(("linear", "kernel", "code", "shared", "helpers", "cache", "swap"), 9 * MEGABYTE)
    high = replace(
        item("z", "wasm", breakdown(9 * MEGABYTE, linear_size=9 * MEGABYTE, **more), image="1"), cpu_percent=9.0,
        processes=9, rates=Traffic(9, 9, 9, 9), pressure=Pressure(9.0, 9.0, 9.0, 9.0),
    )  # fmt: skip
    low = replace(
        item("a", "wasm", breakdown(linear=1, linear_size=1, cache=1), image="2", started_nanoseconds=START),
        cpu_percent=1.0, processes=1, rates=Traffic(1, 1, 1, 1), pressure=Pressure(1.0, 1.0, 1.0, 1.0),
    )  # fmt: skip
    high, low = limited(high, 10 * MEGABYTE, 9 * MEGABYTE), limited(low, 10 * MEGABYTE, MEGABYTE)
    failed = item("m", image="3", state=State.FAILED, started_nanoseconds=0)
    slope = {high.container_id: 9.0, low.container_id: 1.0}
    found = arranged([low, failed, high], Arrangement(sort=sort), lambda ids: slope.get(next(iter(ids))))
    expected = {Sort.NAME: ["a", "m", "z"], Sort.IMAGE: ["z", "a", "m"], Sort.STATE: ["m", "a", "z"]}
    assert names(found) == expected.get(sort, ["z", "a", "m"])


def test_hiding_those_that_ended_keeps_those_that_cannot_be_read() -> None:
    found = names(rows(village(), hides_ended=True))
    assert "task" not in found
    assert "worker-7" not in found
    assert "broken" in found


@pytest.mark.parametrize(
    ("group", "expected"), [(Group.KIND, {"wasm", "native"}), (Group.NETWORK, {"bridge", "no network"})]
)
def test_groups(group: Group, expected: set[str]) -> None:
    assert {name.rpartition(" ×")[0] for name in names(rows(village(), group=group))} == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("db", {"db"}),
        ("POSTGRES", {"db"}),
        ("tier=front", {"web"}),
        ("kind:wasm", {"api"}),
        ("kind:native !db", {"web", "old"}),
        ("state:exited", {"old"}),
        ("state:failed", {"old"}),
        ("state:running", {"web", "db", "api"}),
        ("network:bridge", {"web"}),
        ("total>10M", {"db"}),
        ("total<10M state:running", {"web", "api"}),
        ("limit>80", {"api"}),
        ("grow>0", {"web"}),
        ("grow<-1K", {"db"}),
        ("cpu>10", {"db"}),
        ("age<30s", {"api"}),
        ("age>0.5m", {"web", "db", "old"}),
        ("", {"web", "db", "api", "old"}),
        (item("web").container_id[:8], {"web"}),
    ],
)
def test_the_filter(text: str, expected: set[str]) -> None:
    items = [
        item("web", labels=("tier=front",), networks=("bridge",)),
        replace(item("db", image="postgres:16", memory=breakdown(40 * MEGABYTE)), cpu_percent=20.0),
        limited(item("api", "wasm", started_nanoseconds=START - 10 * SECOND), 100, 90),
        item("old", state=State.FAILED, exit_code=1),
    ]
    growth = {"web": 100.0, "db": -5000.0}
    chosen = Filter(text, lambda one: growth.get(one.facts.name), NOW).chosen(items)
    assert {one.facts.name for one in chosen} == expected


@pytest.mark.parametrize("text", ["kind:cheese", "state:odd", "total>much", "age<soon", "limit>", "cpu>-"])
def test_a_wrong_condition_is_told(text: str) -> None:
    if text == "limit>":
        assert Filter(text, lambda _: None, NOW).chosen([item("a")]) == []  # a word like any other
        return
    with pytest.raises(UsageError):
        Filter(text, lambda _: None, NOW)


def test_numbers_in_names_are_sorted_as_numbers() -> None:
    items = [item(f"web-{number}", image=str(number)) for number in (10, 9, 1)]
    assert names(rows(items, sort=Sort.NAME)) == ["web-1", "web-9", "web-10"]
