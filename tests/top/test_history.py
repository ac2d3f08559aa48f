"""Series of the last minutes: places, growth, windows, marks, and the past."""

from __future__ import annotations

import pytest

from tests.top.feed import MEGABYTE, SECOND, START, breakdown, item, limited, moment
from wpod.frozen import replace
from wpod.model.memory import UNKNOWN
from wpod.top.history import PLACES, STEP_SECONDS, History, MarkKind, Series, window
from wpod.top.moment import State


def grown(seconds: int, each_second: int, history: History | None = None) -> History:
    """A container that grows evenly, looked at each second."""
    history = history or History()
    for second in range(seconds + 1):
        history.add(moment([item("a", memory=breakdown(MEGABYTE + second * each_second))], second))
    return history


def identifier(name: str) -> str:
    return item(name).container_id


def test_growth_is_the_slope_over_what_there_is() -> None:
    history = grown(120, 10_240)
    assert history.growth([identifier("a")]) == pytest.approx(60 * 10_240, rel=0.02)


def test_growth_is_not_told_before_half_a_minute() -> None:
    assert grown(28, 10_240).growth([identifier("a")]) is None
    assert grown(34, 10_240).growth([identifier("a")]) is not None


def test_growth_is_of_five_minutes_at_most() -> None:
    history = grown(60, 1 << 20)
    for second in range(61, 460):
        history.add(moment([item("a", memory=breakdown(61 * MEGABYTE))], second))
    assert history.growth([identifier("a")]) == 0


def test_growth_since_a_mark() -> None:
    history = grown(60, 0)
    mark = history.step
    for second in range(61, 130):
        history.add(moment([item("a", memory=breakdown(MEGABYTE + (second - 60) * 2048))], second))
    assert history.growth([identifier("a")], mark) == pytest.approx(60 * 2048, rel=0.05)


@pytest.mark.parametrize(
    ("kind", "file_pages_grow", "expected"),
    [("wasm", False, 0.0), ("native", True, 0.0), ("native", False, 60 * 4096.0)],
)
def test_a_greater_share_of_files_is_no_growth(kind: str, file_pages_grow: bool, expected: float) -> None:
    """A neighbour that has the same files mapped ends; a native container's processes share memory of their own."""
    history = History()
    for second in range(100):
        files = 100 * 4096 + (second * 4096 if file_pages_grow else 0)
        memory = replace(breakdown(MEGABYTE), shared=100 * 4096 + second * 4096, file_pages=files)
        history.add(moment([item("a", kind, memory)], second))
    assert history.growth([identifier("a")]) == pytest.approx(expected, rel=0.05)


def test_growth_of_several_is_their_sum() -> None:
    history = History()
    for second in range(100):
        history.add(moment([item("a", memory=breakdown(second * 1024)), item("b", memory=breakdown(second * 3072))],
                           second))  # fmt: skip
    assert history.growth([identifier("a"), identifier("b")]) == pytest.approx(60 * 4096, rel=0.05)


def test_a_series_holds_its_places_and_no_more() -> None:
    history = grown(int(PLACES * STEP_SECONDS) + 100, 1024)
    series = history.series(identifier("a"))
    assert series is not None
    assert len(series) == PLACES
    assert series.end == history.step + 1
    assert series.point(series.first - 1) is None
    assert len(history.moments) == PLACES


def test_steps_that_were_left_out_are_unknown() -> None:
    series = Series()
    series.put(0, item("a"))
    series.put(5, item("a"))
    assert series.taken(0) == series.taken(5)
    assert [series.taken(step) for step in range(1, 5)] == [None] * 4


def test_a_look_stands_for_the_time_since_the_one_before() -> None:
    history = History()
    for second in (0, 12, 24):
        history.add(replace(moment([item("a")], second), interval=12.0))
    series = history.series(identifier("a"))
    assert series is not None
    assert None not in [series.taken(step) for step in range(13)]
    history.add(replace(moment([item("a")], 80), interval=12.0))
    assert series.taken(20) is None


def test_a_gap_of_years_is_past_at_once() -> None:
    history = grown(20, 0)
    much_later = 100 * 366 * 86400
    history.add(moment([item("a"), item("b")], much_later))
    series = history.series(identifier("a"))
    assert series is not None
    assert (len(series), series.end) == (PLACES, history.step + 1)
    known = [step for step in range(series.first, series.end) if series.taken(step) is not None]
    assert known == [history.step - 1, history.step]  # what one look stands for
    assert list(history.moments) == [history.step]


def test_a_window_adds_what_is_known() -> None:
    one, other = Series(), Series()
    for step in range(4):
        one.put(step, item("a", memory=breakdown(MEGABYTE)))
    other.put(2, item("b", memory=breakdown(2 * MEGABYTE)))
    seen = window([one, other], range(-1, 4))
    assert seen.parts[0] is None
    assert [values[0] if values else None for values in seen.parts[1:]] == [
        MEGABYTE, MEGABYTE, 3 * MEGABYTE, MEGABYTE,
    ]  # fmt: skip
    assert seen.cpu_percent[0] is None
    assert seen.cpu_percent[3] == 1.0


def test_gone_containers_are_forgotten_when_nothing_reaches_back() -> None:
    history = grown(4, 0)
    for second in range(5, int(PLACES * STEP_SECONDS) + 20):
        history.add(moment([item("b")], second))
    assert history.series(identifier("a")) is None
    assert history.series(identifier("b")) is not None


def test_marks_of_start_limit_and_kill() -> None:
    history = History()
    plain = limited(item("a"), 10 * MEGABYTE, MEGABYTE)
    history.add(moment([plain], 0))
    history.add(moment([limited(plain, 20 * MEGABYTE, MEGABYTE)], 2))
    again = replace(plain, facts=replace(plain.facts, started_nanoseconds=START + SECOND))
    history.add(moment([again], 4))
    killed = replace(again.facts, state=State.FAILED, ending="OOM: limit 10MiB")
    history.add(moment([replace(again, facts=killed, memory=UNKNOWN)], 6))
    series = history.series(plain.container_id)
    assert series is not None
    assert [sign for _, sign in series.marks] == [MarkKind.LIMIT, MarkKind.START, MarkKind.OOM]


def test_the_past_is_what_was_then() -> None:
    history = grown(20, 102_400)
    now = moment([item("a", memory=breakdown(21 * MEGABYTE)), item("new")], 20)
    past = history.past(now, 5)
    assert [one.facts.name for one in past.items] == ["a"]
    assert past.items[0].memory.own == MEGABYTE + 10 * 102_400
    assert past.wall_nanoseconds == START + 10 * SECOND


def test_the_past_of_the_machine_is_what_was_then_too() -> None:
    history = History()
    looks = [moment([item("a")], second) for second in range(0, 21, 2)]
    looks = [replace(one, host=replace(one.host, others=at * MEGABYTE)) for at, one in enumerate(looks)]
    for one in looks:
        history.add(one)
    assert history.past(looks[-1], 3).host.others == 7 * MEGABYTE
    assert history.past(looks[-1], 99).host == looks[-1].host  # nothing is known of then


@pytest.mark.parametrize(("seconds", "expected"), [(28, None), (40, 60 * 4096.0), (900, 60 * 4096.0)])
def test_growth_of_the_machine(seconds: int, expected: float | None) -> None:
    history = History()
    for second in range(0, seconds + 1, 2):
        one = moment([item("a")], second)
        history.add(replace(one, host=replace(one.host, others=second * 4096)))
    assert history.machine_growth(lambda host: host.others) == (pytest.approx(expected) if expected else None)
    assert history.machine_growth(lambda host: host.total) == (0 if expected else None)


def test_growth_of_the_machine_since_a_mark() -> None:
    history = History()
    for second in range(0, 200, 2):
        one = moment([item("a")], second)
        history.add(replace(one, host=replace(one.host, others=max(0, second - 100) * 4096)))
    assert history.machine_growth(lambda host: host.others, since=50) == pytest.approx(60 * 4096)
    assert history.machine_growth(lambda host: host.others, since=95) is None


def test_a_clock_that_goes_back_adds_nothing() -> None:
    history = grown(20, 0)
    step = history.step
    history.add(moment([item("a")], 3))
    assert history.step == step
