"""Recordings: what is written comes back, killed writers, damaged and hostile files, later versions."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from tests.top.feed import MEGABYTE, START, breakdown, item, limited, moment, village
from wpod.errors import WpodError
from wpod.frozen import replace
from wpod.model.sample import HelperSample, Pressure
from wpod.top.moment import Moment
from wpod.top.recording import SCHEMA_VERSION, Reader, Writer, line_of


def written(moments: list[Moment]) -> bytes:
    file = io.BytesIO()
    writer = Writer(file)
    for one in moments:
        writer.write(one)
    return file.getvalue()


def read(data: bytes) -> list[Moment]:
    return list(Reader(io.BytesIO(data), "file").moments())


def without_age(one: Moment) -> Moment:
    """How old a figure is, is told by the recording's own time."""
    return replace(one, items=tuple(replace(item, memory_age=None) for item in one.items))


def in_order(one: Moment) -> Moment:
    return replace(one, items=tuple(sorted(one.items, key=lambda item: item.facts.name)))


def test_what_is_written_comes_back() -> None:
    helpers = [HelperSample("pasta", 12, ("a" * 64,), MEGABYTE, 0.5, 1_700_000_000_000_000_000)]
    moments = [moment(village(), second, helpers if second % 2 else ()) for second in range(5)]
    moments.append(moment(village()[1:], 5))  # one is gone
    pressed = replace(village()[0], pressure=Pressure(1.0, 2.0, 0.0, 0.0), problem="can't be read")
    moments.append(moment([pressed, *village()[3:]], 6))
    assert [in_order(one) for one in read(written(moments))] == [in_order(without_age(one)) for one in moments]


def test_what_does_not_change_is_not_written_again() -> None:
    first, second = written([moment(village(), 0), moment(village(), 1)]).splitlines()
    assert json.loads(second)["containers"] == []
    assert len(second) < len(first) / 10


def test_each_line_says_its_version_and_each_minute_one_is_whole() -> None:
    lines = [json.loads(line) for line in written([moment(village(), second) for second in range(125)]).splitlines()]
    assert {line["schema_version"] for line in lines} == {SCHEMA_VERSION}
    assert [place for place, line in enumerate(lines) if line.get("whole")] == [0, 60, 120]


def test_every_cut_leaves_the_whole_lines() -> None:
    moments = [moment([item("a", memory=breakdown(second * 4096))], second) for second in range(4)]
    data = written(moments)
    ends = [place + 1 for place, byte in enumerate(data) if byte == 10]
    for cut in range(ends[0], len(data) + 1):
        whole = sum(end <= cut for end in ends)
        assert read(data[:cut]) == [without_age(one) for one in moments[:whole]], cut


def test_a_damaged_line_costs_what_depends_on_it() -> None:
    lines = written([moment([item("a", memory=breakdown(second * 4096))], second) for second in range(70)]).split(b"\n")
    lines[5] = lines[5][:20]
    reader = Reader(io.BytesIO(b"\n".join(lines)), "file")
    times = [(one.wall_nanoseconds - START) // 1_000_000_000 for one in reader.moments()]
    assert times == [0, 1, 2, 3, 4, *range(60, 70)]
    assert reader.skipped_lines == 55


@pytest.mark.parametrize("data", [b"", b"not a recording\n", b"[]\n", b"{}\n", b"\0\0\0\n", b"[" * 100_000 + b"\n"])
def test_what_is_no_recording_is_told(data: bytes) -> None:
    with pytest.raises(WpodError, match="file"):
        read(data)


def test_a_later_version_is_told() -> None:
    data = written([moment([item("a")])]).replace(b'"schema_version":1', b'"schema_version":99')
    with pytest.raises(WpodError, match="schema version 99") as caught:
        read(data)
    assert caught.value.hint


def test_fields_of_a_later_writer_are_left_out() -> None:
    document = json.loads(written([moment([item("a")])]))
    document["containers"][0]["facts"]["colour"] = "blue"
    document["host"]["temperature"] = 40
    document["new"] = {}
    assert read(json.dumps(document).encode() + b"\n") == [without_age(moment([item("a")]))]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("containers", 0, "facts", "state"), "melting"),
        (("containers", 0, "facts", "name"), 5),
        (("containers", 0, "facts"), None),
        (("containers", 0, "facts", "kind"), "\x1b[2J"),
        (("containers", 0, "figures", "cpu_percent"), "fast"),
        (("containers", 0, "figures", "cpu_percent"), float("nan")),
        (("containers", 0, "figures", "cpu_percent"), float("inf")),
        (("containers", 0, "figures", "processes"), []),
        (("time",), -1),
        (("time",), 1 << 80),
        (("interval",), float("inf")),
        (("interval",), float("nan")),
        (("interval",), -1.0),
        (("containers", 0, "figures", "memory", "own"), "much"),
        (("containers", 0, "figures", "memory"), []),
        (("containers", 0, "id"), {}),
        (("containers",), 3),
        (("host", "total"), None),
        (("host",), "big"),
        (("time",), "noon"),
        (("helpers",), [{"name": 3}]),
    ],
)
def test_a_line_of_wrong_types_is_left_out(path: tuple[Any, ...], value: object) -> None:
    document = json.loads(written([moment([item("a")])]))
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    good = written([moment([item("b")])])
    reader = Reader(io.BytesIO(json.dumps(document).encode() + b"\n" + good), "file")
    assert [one.items[0].facts.name for one in reader.moments()] == ["b"]
    assert reader.skipped_lines == 1


def test_one_line_alone_can_be_replayed() -> None:
    items = [limited(item("a"), 10 * MEGABYTE, MEGABYTE), item("b")]
    line = line_of(moment(items), {items[0].container_id})
    assert [one.facts.name for one in read(line.encode())[0].items] == ["a"]
