"""The session: the cursor, what vanishes, holding still, freezing, tags, the past."""

from __future__ import annotations

from tests.top.feed import MEGABYTE, breakdown, item, moment, village
from wpod.frozen import replace
from wpod.top.model import Model
from wpod.top.rows import Sort


def started(*names: str) -> Model:
    model = Model()
    sizes = range(9 * MEGABYTE, 0, -MEGABYTE)
    model.take(moment(item(name, image=name, memory=breakdown(size)) for name, size in zip(names, sizes, strict=False)))
    return model


def shown(model: Model) -> list[str]:
    return [row.name for row in model.rows]


def test_the_cursor_is_on_a_container_not_on_a_line() -> None:
    model = started("a", "b", "c")
    model.move(1)
    assert model.selected is not None
    assert model.selected.name == "b"
    model.sort_by(Sort.NAME)
    model.invert()
    assert shown(model) == ["c", "b", "a"]
    model.take(moment([item("b", image="b", memory=breakdown(90 * MEGABYTE)), item("a", image="a")], 1))
    assert model.selected.name == "b"


def test_the_cursor_goes_with_its_container_into_a_group_and_out_again() -> None:
    model = started("z", "a")
    model.move(1)
    twins = [item("a", image="a"), item("b", image="a")]
    model.take(moment([item("z", image="z", memory=breakdown(90 * MEGABYTE)), *twins], 1))
    assert model.selected is not None
    assert model.selected.is_group
    for second in (20, 30):  # the other one stays for a moment
        model.take(moment([twins[0], item("z", image="z", memory=breakdown(1))], second))
    assert model.selected.name == "a"


def test_the_cursor_stops_at_the_ends() -> None:
    model = started("a", "b")
    model.move(-5)
    assert model.position == 0
    model.move(50)
    assert model.position == 1


def test_a_vanished_row_stays_for_five_seconds() -> None:
    model = started("a", "b")
    both = moment([item("a", image="a"), item("b", image="b")])
    left = replace(both, items=both.items[:1])
    for second in range(1, 6):
        model.take(replace(left, wall_nanoseconds=both.wall_nanoseconds + second * 10**9))
        assert sorted((row.name, row.vanished) for row in model.rows) == [("a", False), ("b", True)]
    model.take(replace(left, wall_nanoseconds=both.wall_nanoseconds + 7 * 10**9))
    assert shown(model) == ["a"]


def test_no_action_goes_to_a_vanished_one() -> None:
    model = started("a", "b")
    model.move(1)
    model.take(moment([item("a", image="a")], 1))
    assert model.selected is not None
    assert model.selected.vanished
    assert model.acted_on == []


def test_rows_hold_still_under_a_dialog() -> None:
    model = started("a", "b")
    model.hold()
    assert not model.take(moment([item("z", image="z")], 1))
    assert shown(model) == ["a", "b"]
    model.release()
    assert "z" in shown(model)


def test_frozen_shows_nothing_new_and_history_goes_on() -> None:
    model = started("a")
    model.freeze()
    model.take(moment([item("a", image="a", memory=breakdown(50 * MEGABYTE))], 4))
    assert model.rows[0].memory.own == 9 * MEGABYTE
    assert model.history.step == 2
    model.freeze()
    assert model.rows[0].memory.own == 50 * MEGABYTE


def test_stepping_back_and_to_live() -> None:
    model = Model()
    for second in range(0, 20, 2):
        model.take(moment([item("a", memory=breakdown(second * MEGABYTE))], second))
    model.step(3)
    assert model.seconds_back == 6
    assert model.rows[0].memory.own == 12 * MEGABYTE
    model.step(1000)
    assert model.rows[0].memory.own == 0
    model.step(-1000)
    assert model.steps_back == 0
    assert model.rows[0].memory.own == 18 * MEGABYTE


def test_tags_and_whom_an_action_is_about() -> None:
    model = started("a", "b", "c")
    assert [one.facts.name for one in model.acted_on] == ["a"]
    model.toggle_tag()
    model.toggle_tag()
    assert {one.facts.name for one in model.acted_on} == {"a", "b"}
    model.move(-2)
    model.toggle_tag()
    assert {one.facts.name for one in model.acted_on} == {"b"}
    model.set_filter("c")
    model.tag_all()
    assert {one.facts.name for one in model.acted_on} == {"c"}
    model.untag()
    model.set_filter("")
    assert model.tags == set()


def test_a_group_is_unfolded_and_folded_from_a_member() -> None:
    model = Model()
    model.take(moment(village()))
    group = next(row for row in model.rows if row.is_group)
    model.cursor = group.key
    model.unfold(group, unfolded=True)
    model.move(3)
    member = model.selected
    assert member is not None
    assert member.depth == 1
    model.unfold(member, unfolded=False)
    assert model.selected is not None
    assert model.selected.key == group.key
    assert not model.selected.unfolded


def test_counts() -> None:
    model = Model()
    model.take(moment(village()))
    assert model.counts() == (41, 2, 1)


def test_trouble_is_told_in_one_line() -> None:
    model = started("a")
    broken = [replace(item(name, image=name), problem="its memory can't be read") for name in ("b", "c")]
    model.take(moment([item("a", image="a"), *broken], 1))
    assert model.trouble() == "b and 1 more: its memory can't be read"
    model.take(replace(moment([], 2), problems=("the record of x is damaged",)))
    assert model.trouble() == "the record of x is damaged"


def test_missing_cgroups_are_told_once() -> None:
    model = Model()
    told = []
    for cache in (None, 0):
        model.take(moment([item("wasm", "wasm"), item("db"), item("web", memory=breakdown(cache=cache))]))
        told.append(model.notice())
        assert model.trouble() == ""
    assert "no memory cgroups" in told[0]
    assert told[1] == ""
    model.take(moment([item("wasm", "wasm")], 1))
    assert model.notice() == ""
