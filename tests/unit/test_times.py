"""Points in time: shown in the zone of TZ, read as podman reads them (wpod.times)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from wpod import times
from wpod.errors import UsageError

BILLION = 10**9
MOMENT = 1_700_000_000 * BILLION  # 2023-11-14T22:13:20Z
SECOND, MINUTE, HOUR, DAY = BILLION, 60 * BILLION, 3600 * BILLION, 86400 * BILLION


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets TZ for the C library too."""

    def choose(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield choose
    monkeypatch.undo()
    time.tzset()


ZONES = {
    # TZ: RFC 3339, CreatedAt, log's stamp
    "UTC": ("2023-11-14T22:13:20.5Z", "2023-11-14 22:13:20.5 +0000 UTC", "2023-11-14T22:13:20.500000000+00:00"),
    "UTC0": ("2023-11-14T22:13:20.5Z", "2023-11-14 22:13:20.5 +0000 UTC", "2023-11-14T22:13:20.500000000+00:00"),
    "CET-1CEST": ("2023-11-14T23:13:20.5+01:00", "2023-11-14 23:13:20.5 +0100 CET",
    "2023-11-14T23:13:20.500000000+01:00"),
    "NST3:30": ("2023-11-14T18:43:20.5-03:30", "2023-11-14 18:43:20.5 -0330 NST",
    "2023-11-14T18:43:20.500000000-03:30"),
    "NPT-5:45": ("2023-11-15T03:58:20.5+05:45", "2023-11-15 03:58:20.5 +0545 NPT",
    "2023-11-15T03:58:20.500000000+05:45"),
    "No/Such_Zone": ("2023-11-14T22:13:20.5Z", None, "2023-11-14T22:13:20.500000000+00:00"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "expected"), ZONES.items(), ids=ZONES.keys())
def test_zones(name: str, expected: tuple[str, str | None, str], zone: Callable[[str], None]) -> None:
    zone(name)
    moment = MOMENT + BILLION // 2
    assert times.rfc3339(moment) == expected[0]
    if expected[1] is not None:
        assert times.created_at(moment) == expected[1]
    stamp = times.log_stamp(moment)
    assert stamp == "2023-11-14T22:13:20.500000000+00:00"
    assert times.local_stamp(stamp) == expected[2]
    assert times.parse_moment(times.rfc3339(moment)) == moment
    assert times.parse_moment(expected[2]) == moment


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0001-01-01T00:00:00Z"), (1, "1970-01-01T00:00:00.000000001Z"), (MOMENT, "2023-11-14T22:13:20Z"),
        (MOMENT + 120, "2023-11-14T22:13:20.00000012Z"), (951_782_400 * BILLION, "2000-02-29T00:00:00Z"),
        (4_102_444_799 * BILLION + 999_999_999, "2099-12-31T23:59:59.999999999Z"),
    ],
)  # fmt: skip
def test_rfc3339(nanoseconds: int, text: str, zone: Callable[[str], None]) -> None:
    zone("UTC")
    assert times.rfc3339(nanoseconds) == text


NOW = MOMENT
MOMENTS = {
    "0": 0, "1700000000": MOMENT, "1700000000.5": MOMENT + 500_000_000, "1700000000.123456789": MOMENT + 123_456_789,
    "1.0000000009": BILLION, "-5": -5 * BILLION, "2023-11-14T22:13:20Z": MOMENT, "2023-11-14t22:13:20z": MOMENT,
    "2023-11-14T22:13:20.5Z": MOMENT + 500_000_000, "2023-11-14T23:13:20+01:00": MOMENT,
    "2023-11-14T18:43:20-03:30": MOMENT, "2023-11-14 22:13:20Z": MOMENT, "2023-11-14T22:13:20": MOMENT,
    "2023-11-14T22:13": MOMENT - 20 * SECOND, "2023-11-14": MOMENT - 80_000 * SECOND,
    "2000-02-29T00:00:00Z": 951_782_400 * BILLION, "1969-12-31T23:59:59Z": -BILLION,
    "10m": NOW - 10 * MINUTE, "1h30m": NOW - 90 * MINUTE, "250ms": NOW - 250_000_000, "1.5s": NOW - 1_500_000_000,
    "0s": NOW, "1us": NOW - 1000, "5ns": NOW - 5,
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), MOMENTS.items())
def test_moments(text: str, expected: int, zone: Callable[[str], None]) -> None:
    zone("UTC")
    assert times.parse_moment(text, NOW) == expected


def test_without_an_offset_the_time_is_local(zone: Callable[[str], None]) -> None:
    zone("CET-1CEST,M3.5.0,M10.5.0/3")
    assert times.parse_moment("2023-11-14T23:13:20") == MOMENT
    assert times.parse_moment("2023-07-01") == 1_688_162_400 * BILLION  # in summer


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "x", "10x", "m", "10 m", "1d", "-10m", ".", "1.2.3s", "٣s", "9" * 400 + "s", "1e3s",
        "2023-13-01", "2023-00-01", "2023-02-30", "2023-02-29T00:00:00Z", "2023-11-31", "2023-11-14T24:00:00Z",
        "2023-11-14T22:60:00Z", "2023-11-14T22:13:61Z", "2023-11-14T22:13:20+01", "2023-11-14T22:13:20+0100",
        "2023-11-14T22:13:20+99:00", "2023-11-14T22:13:20+01:75", "2023-11-14X22:13:20Z", "2023-11-14T22Z",
        "2023-11-14T22:13:20.Z", "2023-11-14T", "0000-01-01T00:00:00Z", "2023-1-1", "9" * 5000,
        "99999999999999", "-99999999999999", "9" * 18, "2023-11-14T22:13:20.x", "２023-11-14",
    ],
)  # fmt: skip
def test_moments_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="invalid time"):
        times.parse_moment(text, NOW)


def test_every_moment_that_is_read_can_be_written(zone: Callable[[str], None]) -> None:
    zone("UTC")
    for text in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "-1", "1", "0"):
        stamp = times.log_stamp(times.parse_moment(text))
        assert len(stamp) == len("2023-11-14T22:13:20.500000000+00:00")
    assert times.log_stamp(times.parse_moment("0001-01-01T00:00:00Z")) == "0001-01-01T00:00:00.000000000+00:00"


@pytest.mark.parametrize("stamp", ["", "torn", "2023-11-14T22:13:2", "\x1b[2J", "9" * 100])
def test_a_damaged_stamp_is_shown_as_it_is(stamp: str) -> None:
    assert times.local_stamp(stamp) == stamp


# go-units, HumanDuration.
SPANS = {
    -5 * SECOND: "Less than a second", 0: "Less than a second", SECOND - 1: "Less than a second", SECOND: "1 second",
    59 * SECOND: "59 seconds", MINUTE: "About a minute", 2 * MINUTE - 1: "About a minute", 2 * MINUTE: "2 minutes",
    59 * MINUTE: "59 minutes", HOUR: "About an hour", 89 * MINUTE: "About an hour", 90 * MINUTE: "2 hours",
    47 * HOUR: "47 hours", 2 * DAY: "2 days", 13 * DAY: "13 days", 14 * DAY: "2 weeks", 59 * DAY: "8 weeks",
    60 * DAY: "2 months", 729 * DAY: "24 months", 730 * DAY: "2 years", 3653 * DAY: "10 years",
}  # fmt: skip


@pytest.mark.parametrize(("span", "words"), SPANS.items())
def test_spans_in_words(span: int, words: str) -> None:
    assert times.ago(span) == words
