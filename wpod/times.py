"""Points in time as podman writes and reads them.

All are integers of nanoseconds since 1970 (UTC); shown in the zone that TZ names. Written without
`datetime`: importing it costs 2 ms, and it has no nanoseconds.
"""

from __future__ import annotations

import time

from wpod.errors import UsageError

NEVER = "0001-01-01T00:00:00Z"
_BILLION = 1_000_000_000
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799  # of the years 1 and 9999: four digits
_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DAY_SECONDS = 86_400
_UNITS = {"ns": 1, "us": 1000, "µs": 1000, "ms": 1_000_000, "s": _BILLION, "m": 60 * _BILLION, "h": 3600 * _BILLION}


def rfc3339(nanoseconds: int) -> str:
    """Go's RFC3339Nano in the local zone: fraction without trailing zeros, `Z` for UTC; 0 is NEVER."""
    if not nanoseconds:
        return NEVER
    text, offset = _local(nanoseconds)
    fraction = _fraction(nanoseconds)
    return f"{text.replace(' ', 'T')}{fraction}{_offset(offset, ':') if offset else 'Z'}"


def created_at(nanoseconds: int) -> str:
    """`2006-01-02 15:04:05.123456789 +0000 UTC`, podman's CreatedAt column (Go's way to print a time)."""
    text, offset = _local(nanoseconds)
    return f"{text}{_fraction(nanoseconds)} {_offset(offset, '')} {time.localtime(nanoseconds // _BILLION).tm_zone}"


def log_stamp(nanoseconds: int) -> str:
    """As the log file has it: UTC, nine digits, numeric offset."""
    moment = time.gmtime(nanoseconds // _BILLION)
    return f"{_clock(moment).replace(' ', 'T')}.{nanoseconds % _BILLION:09d}+00:00"


def local_stamp(stamp: str) -> str:
    """A log file's stamp in the local zone, as `logs -t` shows it; a damaged one as it is."""
    try:
        nanoseconds = _absolute(stamp)
    except UsageError:
        return stamp
    text, offset = _local(nanoseconds)
    return f"{text.replace(' ', 'T')}.{nanoseconds % _BILLION:09d}{_offset(offset, ':')}"


def parse_moment(text: str, now_nanoseconds: int | None = None) -> int:
    """--since, --until: RFC 3339 (without an offset: local), a date, Unix seconds, or a duration ago (`10m`).

    Raises UsageError.
    """
    now = time.time_ns() if now_nanoseconds is None else now_nanoseconds
    moment = _moment(text, now)
    if not _FIRST_SECOND <= moment // _BILLION <= _LAST_SECOND:
        raise _bad(text)
    return moment


def _moment(text: str, now: int) -> int:
    whole, _, fraction = text.removeprefix("-").partition(".")
    if whole.isascii() and whole.isdigit() and (not fraction or (fraction.isascii() and fraction.isdigit())):
        if len(whole) > len(str(_LAST_SECOND)):
            raise _bad(text)
        moment = int(whole) * _BILLION + int(fraction[:9].ljust(9, "0") or 0)
        return -moment if text.startswith("-") else moment
    if len(text) >= 10 and text[4:5] == "-":
        return _absolute(text)
    return now - _duration(text)


def ago(nanoseconds: int) -> str:
    """A span in words as go-units' HumanDuration: `About a minute`, `3 weeks`."""
    seconds = max(nanoseconds, 0) // _BILLION
    minutes, hours = seconds // 60, (seconds + 1800) // 3600
    if seconds < 60:
        return "Less than a second" if not seconds else _count(seconds, "second")
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    for limit, divisor, unit in ((24 * 14, 24, "day"), (24 * 60, 24 * 7, "week"), (24 * 730, 24 * 30, "month")):
        if hours < limit:
            return f"{hours // divisor} {unit}s"
    return f"{seconds // 3600 // 24 // 365} years"


def go_duration(nanoseconds: int) -> str:
    """A span of time as Go prints one: `27.368027ms`, `1h2m3.5s`, `0s`."""
    for limit, unit in ((_BILLION, ""), (1_000_000, "ms"), (1000, "µs"), (1, "ns")):
        if nanoseconds >= limit and unit:
            return f"{_trimmed(nanoseconds, limit)}{unit}"
        if nanoseconds >= limit:
            break
    minutes, rest = divmod(nanoseconds, 60 * _BILLION)
    hours, minutes = divmod(minutes, 60)
    before = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{before}{_trimmed(rest, _BILLION)}s"


def _trimmed(value: int, unit: int) -> str:
    """value / unit, without zeros at the end."""
    digits = len(str(unit)) - 1
    text = f"{value // unit}.{value % unit:0{digits}d}" if digits else str(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def since(nanoseconds: int) -> str:
    """`3 weeks ago`, from the wall clock."""
    return f"{ago(time.time_ns() - nanoseconds)} ago"


def boot_nanoseconds() -> int:
    """The clock that uptime is measured by: it goes on in suspend and never jumps (CLOCK_BOOTTIME)."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}"


def _local(nanoseconds: int) -> tuple[str, int]:
    moment = time.localtime(nanoseconds // _BILLION)
    return _clock(moment), moment.tm_gmtoff


def _clock(moment: time.struct_time) -> str:
    year, month, day, hour, minute, second = moment[:6]
    return f"{year:04d}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}:{second:02d}"


def _fraction(nanoseconds: int) -> str:
    digits = f"{nanoseconds % _BILLION:09d}".rstrip("0")
    return f".{digits}" if digits else ""


def _offset(seconds: int, separator: str) -> str:
    minutes = abs(seconds) // 60
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02d}{separator}{minutes % 60:02d}"


def _absolute(text: str) -> int:
    date, clock = text[:10], text[11:]
    parts = date.split("-")
    if len(parts) != 3 or not _digits(parts, (4, 2, 2)) or text[10:11] not in ("", "T", "t", " "):
        raise _bad(text)
    year, month, day = (int(part) for part in parts)
    if not (1 <= month <= 12 and 1 <= day <= _days_in(year, month) and year >= 1):
        raise _bad(text)
    hour, minute, second, nanoseconds, offset = _parse_clock(clock, text) if len(text) > 10 else (0, 0, 0, 0, None)
    if offset is None:
        try:
            seconds = int(time.mktime((year, month, day, hour, minute, second, 0, 0, -1)))
        except (OverflowError, ValueError):
            raise _bad(text) from None
    else:
        seconds = _days(year, month, day) * _DAY_SECONDS + hour * 3600 + minute * 60 + second - offset
    return seconds * _BILLION + nanoseconds


def _parse_clock(clock: str, text: str) -> tuple[int, int, int, int, int | None]:
    offset: int | None = None
    if clock[-1:] in ("Z", "z"):
        clock, offset = clock[:-1], 0
    elif len(clock) > 6 and clock[-6] in "+-" and clock[-3] == ":":
        sign, zone = clock[-6], clock[-5:].split(":")
        if not _digits(zone, (2, 2)) or int(zone[0]) > 23 or int(zone[1]) > 59:
            raise _bad(text)
        offset = (int(zone[0]) * 3600 + int(zone[1]) * 60) * (-1 if sign == "-" else 1)
        clock = clock[:-6]
    clock, dot, fraction = clock.partition(".")
    parts = clock.split(":")
    if len(parts) == 2:
        parts.append("00")
    if not _digits(parts, (2, 2, 2)) or (dot and not (fraction.isascii() and fraction.isdigit())):
        raise _bad(text)
    hour, minute, second = (int(part) for part in parts)
    if hour > 23 or minute > 59 or second > 60:
        raise _bad(text)
    return hour, minute, second, int(fraction[:9].ljust(9, "0")) if fraction else 0, offset


def _digits(parts: list[str], lengths: tuple[int, ...]) -> bool:
    return len(parts) == len(lengths) and all(
        part.isascii() and part.isdigit() and len(part) == length for part, length in zip(parts, lengths, strict=True)
    )


def _days_in(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 29 if month == 2 and leap else _MONTH_DAYS[month - 1]


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970 in the proleptic Gregorian calendar, counted from March so that leap days come last."""
    shifted = year - (month <= 2)
    era, in_era = divmod(shifted, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + in_era * 365 + in_era // 4 - in_era // 100 + day_of_year - 719_468


def _duration(text: str) -> int:
    total, rest = 0.0, text
    while rest:
        number = rest[: len(rest) - len(rest.lstrip("0123456789."))]
        rest = rest[len(number) :]
        unit = next((one for one in ("ns", "us", "µs", "ms", "s", "m", "h") if rest.startswith(one)), "")
        if not unit or not number.replace(".", "", 1).isdigit() or len(number) > 40:
            raise _bad(text)
        total += float(number) * _UNITS[unit]
        rest = rest[len(unit) :]
    if not text:
        raise _bad(text)
    return int(total)


def _bad(text: str) -> UsageError:
    return UsageError(
        f"invalid time {text!r}", hint="give RFC 3339 (2006-01-02T15:04:05Z), Unix seconds, or a duration such as 10m"
    )
