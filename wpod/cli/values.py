"""From one word of the command line to one value.

Each parser raises ValueError with the reason alone; the parser of the command line adds the word and the
option's name. What podman takes and wpod doesn't raises NotSupportedYet. Nothing is looked up here: no
file, no user, no environment. No import of `re` or of the models: `wpod stop -t 3` should not pay for them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_BINARY = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_DURATIONS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")
_LARGEST = (1 << 63) - 1
_LARGEST_SCALE = 100_000


def boolean(text: str) -> bool:
    """What Go's strconv.ParseBool takes."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError("must be true or false")


def size(text: str) -> int:
    """Bytes: a number, then b, k, m, g, t or p (powers of 1024), with or without a following b or ib."""
    lowered = text.strip().lower()
    digits = lowered.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = lowered[len(digits) :].strip()
    if len(unit) > 1 and unit[0] != "b":
        unit = unit.removesuffix("ib") if unit.endswith("ib") else unit.removesuffix("b")
    if unit not in _BINARY or not _is_decimal(digits):
        raise ValueError("must be a number with an optional unit b, k, m or g")
    bytes_ = int(digits) * _BINARY[unit] if digits.isdigit() else int(float(digits) * _BINARY[unit])
    if bytes_ > _LARGEST:
        raise ValueError("is too large")
    return bytes_


def swap(text: str) -> int:
    """--memory-swap: a size, or -1 for unlimited."""
    return -1 if text == "-1" else size(text)


def whole(text: str) -> int:
    """A whole number of either sign within 64 bits."""
    unsigned = text[1:] if text[:1] in ("-", "+") else text
    if not (unsigned.isascii() and unsigned.isdigit()):
        raise ValueError("must be a whole number")
    value = int(text) if len(unsigned) < 20 else _LARGEST + 1
    if abs(value) > _LARGEST:
        raise ValueError("is too large")
    return value


def count(text: str) -> int:
    """A whole number, 0 or more."""
    value = whole(text)
    if value < 0:
        raise ValueError("must not be negative")
    return value


def seconds(text: str) -> int:
    """A time limit in whole seconds that fits an unsigned 32-bit number."""
    value = count(text)
    if value >= 1 << 32:
        raise ValueError("is too large")
    return value


def stop_seconds(text: str) -> int:
    """As `seconds`, or -1: wait for ever (podman 5)."""
    return -1 if text == "-1" else seconds(text)


def scale(text: str) -> int:
    """--scale: how many containers one command starts."""
    value = whole(text)
    if not 1 <= value <= _LARGEST_SCALE:
        raise ValueError(f"must be from 1 to {_LARGEST_SCALE}")
    return value


def pids(text: str) -> int:
    """--pids-limit: -1 and 0 are "no limit"."""
    value = whole(text)
    if value < -1:
        raise ValueError("must be -1 or more")
    return max(value, 0)


def cpus(text: str) -> int:
    """--cpus as microseconds of each 100 ms."""
    if not _is_decimal(text):
        raise ValueError("must be a number such as 1.5")
    microseconds = round(float(text) * 100_000)
    if float(text) and not 1000 <= microseconds <= 1 << 40:
        raise ValueError("must be 0.01 or more" if microseconds < 1000 else "is too large")
    return microseconds


def cpu_shares(text: str) -> int:
    """2 to 262144, the kernel's range; 0 is "not asked for"."""
    value = count(text)
    if value and not 2 <= value <= 262144:
        raise ValueError("must be from 2 to 262144")
    return value


def duration(text: str) -> float:
    """Seconds, from Go's notation (`1m30s`, `250ms`) or a bare number of seconds. Never negative."""
    if _is_decimal(text):
        return float(text)
    total = 0.0
    rest = text
    while rest:
        number = _leading(rest, "0123456789.")
        rest = rest[len(number) :]
        unit = rest[: len(rest) - len(rest.lstrip("nuµmsh"))]
        unit = next((known for known in ("ns", "us", "µs", "ms", "s", "m", "h") if unit.startswith(known)), "")
        if not _is_decimal(number) or not unit:
            raise ValueError("must be a duration such as 10s or 1m30s")
        total += float(number) * _DURATIONS[unit]
        rest = rest[len(unit) :]
    if not text:
        raise ValueError("must be a duration such as 10s or 1m30s")
    return total


def interval(text: str) -> float:
    """`wait --interval`: a duration, or a bare number of milliseconds as podman reads it."""
    return float(text) / 1000 if _is_decimal(text) else duration(text)


def signal_number(text: str) -> int:
    """A signal by number or by name, with or without SIG, in any case; RTMIN+3 and RTMAX-1 too."""
    from wpod.model import signals

    return signals.parse(text)


def signal_text(text: str) -> str:
    """A signal that is kept as it was typed, once it is known to be one."""
    signal_number(text)
    return text


def key_value(text: str) -> tuple[str, str]:
    """`KEY=VALUE`; `KEY` alone has an empty value."""
    key, _, value = text.partition("=")
    if not key:
        raise ValueError("must be KEY=VALUE")
    _no_nul(text)
    return key, value


def assignment(text: str) -> tuple[str, str]:
    """`KEY=VALUE`, the equals sign required."""
    if "=" not in text:
        raise ValueError("must be KEY=VALUE")
    return key_value(text)


def environment(text: str) -> str:
    """`NAME=VALUE`, `NAME` (taken from the environment) or `PREFIX*`; kept as text, resolved in order later."""
    if not text or text.startswith("="):
        raise ValueError("must be NAME or NAME=VALUE")
    _no_nul(text)
    return text


def filter_term(text: str) -> tuple[str, str]:
    """`KEY=VALUE` of --filter. Which keys there are is the query's matter."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ValueError("must be KEY=VALUE")
    return key, value


def absolute(text: str) -> str:
    """A path in the container."""
    if not text.startswith("/"):
        raise ValueError("must be an absolute path")
    _no_nul(text)
    return text


def not_empty(text: str) -> str:
    """Any text but none, without NUL."""
    if not text:
        raise ValueError("must not be empty")
    _no_nul(text)
    return text


def hostname(text: str) -> str:
    """RFC 1123 labels, 64 bytes at most: the kernel's limit (sethostname(2))."""
    labels = text.split(".")
    plain = all(label.replace("-", "").replace("_", "").isalnum() for label in labels) and text.isascii()
    if not plain or len(text) > 64 or any(label.startswith("-") or label.endswith("-") for label in labels):
        raise ValueError("must be a host name of at most 64 letters, digits, dots and dashes")
    return text


def capability(text: str) -> str:
    """Upper case without CAP_, or ALL."""
    name = text.upper().removeprefix("CAP_")
    if not (name.isascii() and name.replace("_", "").isalpha()):
        raise ValueError("must be a capability such as NET_ADMIN")
    return name


def choice(*words: str) -> Callable[[str], str]:
    """For the table's `parse`: one of these words, kept as text."""
    allowed = ", ".join(words[:-1]) + f" or {words[-1]}" if len(words) > 1 else words[0]

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be {allowed}")
        return text

    return parse


def comma_fields(text: str) -> list[str]:
    """One CSV record as Go's encoding/csv reads it: fields may be quoted with double quotes."""
    if '"' not in text:
        return text.split(",")
    fields: list[str] = []
    rest = text
    while True:
        field, rest, more = _csv_field(rest)
        fields.append(field)
        if not more:
            return fields


def _csv_field(text: str) -> tuple[str, str, bool]:
    if not text.startswith('"'):
        field, comma, rest = text.partition(",")
        if '"' in field:
            raise ValueError('has a bare " in a field')
        return field, rest, bool(comma)
    field, position = "", 1
    while True:
        end = text.find('"', position)
        if end < 0:
            raise ValueError('has an unclosed "')
        field += text[position:end]
        if text[end + 1 : end + 2] == '"':
            field, position = field + '"', end + 2
            continue
        after = text[end + 1 :]
        if after and not after.startswith(","):
            raise ValueError('has text after a closing "')
        return field, after[1:], bool(after)


def _is_decimal(text: str) -> bool:
    return text.isascii() and text.replace(".", "", 1).isdigit() and len(text) < 40


def _leading(text: str, allowed: str) -> str:
    return text[: len(text) - len(text.lstrip(allowed))]


def _no_nul(text: str) -> None:
    if "\0" in text:
        raise ValueError("must not hold a NUL character")
