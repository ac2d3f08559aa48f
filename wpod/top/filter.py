"""The filter of `wpod top`: words and conditions on rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from wpod.errors import UsageError
from wpod.top.moment import KINDS, Item, State

_CONDITION = re.compile(r"(total|limit|grow|cpu|age)([<>])(.+)")
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kmgt]?)i?b?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_DURATION = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_STATES = {one.value for one in State} | {"exited"}

Growth = Callable[[Item], "float | None"]
Test = Callable[[Item], bool]


class Filter:
    """All words must hold. A plain word is part of the name, image, a label, the command or the ID's beginning.

    `kind:wasm`, `state:exited`, `network:NAME`, `total>10M`, `limit>80` (percent), `grow>0` (bytes a minute), `cpu>5`
    (percent), `age<10m`; `!word` is what the word is not.
    """

    def __init__(self, text: str, growth: Growth, now_nanoseconds: int) -> None:
        """Raises UsageError for a condition that can't be understood."""
        self.text = text.strip()
        self._tests = [_test(word, growth, now_nanoseconds) for word in self.text.split()]

    def __call__(self, item: Item) -> bool:
        return all(test(item) for test in self._tests)

    def chosen(self, items: Sequence[Item]) -> list[Item]:
        """Those that it lets through, in their order."""
        return [item for item in items if self(item)] if self._tests else list(items)


def _test(word: str, growth: Growth, now: int) -> Test:
    if word.startswith("!") and len(word) > 1:
        inner = _test(word[1:], growth, now)
        return lambda item: not inner(item)
    found = _CONDITION.fullmatch(word)
    if found is not None:
        return _comparison(found[1], found[2], found[3], (growth, now))
    name, colon, value = word.partition(":")
    if colon and name in ("kind", "state", "network"):
        return _equality(name, value)
    wanted = word.lower()
    return lambda item: _contains(item, wanted)


def _contains(item: Item, wanted: str) -> bool:
    facts = item.facts
    texts = (facts.name, facts.image, facts.command, *facts.labels)
    return facts.container_id.startswith(wanted) or any(wanted in text.lower() for text in texts)


def _equality(name: str, value: str) -> Test:
    if name == "kind":
        if value not in KINDS:
            raise UsageError(f"kind:{value} is none of {', '.join(KINDS)}")
        return lambda item: item.facts.kind == value
    if name == "network":
        return lambda item: value in item.facts.networks
    if value not in _STATES:
        raise UsageError(f"state:{value} is none of {', '.join(sorted(_STATES))}")
    wanted = (State.ENDED.value, State.FAILED.value) if value == "exited" else (value,)
    return lambda item: item.facts.state.value in wanted


def _comparison(name: str, sign: str, text: str, context: tuple[Growth, int]) -> Test:
    growth, now = context
    wanted = _number(name, text)
    read: Callable[[Item], float | None]
    if name == "total":
        read = _total
    elif name == "limit":
        read = _percent_of_limit
    elif name == "grow":
        read = growth
    elif name == "cpu":
        read = _cpu
    else:

        def read(item: Item) -> float | None:
            return (now - item.facts.started_nanoseconds) / 1e9 if item.facts.started_nanoseconds else None

    def holds(item: Item) -> bool:
        value = read(item)
        return value is not None and (value > wanted if sign == ">" else value < wanted)

    return holds


def _total(item: Item) -> float | None:
    return item.memory.total


def _cpu(item: Item) -> float | None:
    return item.cpu_percent


def _percent_of_limit(item: Item) -> float | None:
    share = item.limit_share
    return share * 100 if share is not None else None


def _number(name: str, text: str) -> float:
    if name == "age" and text[-1:] in _DURATION and text[:-1].replace(".", "", 1).isdecimal():
        return float(text[:-1]) * _DURATION[text[-1]]
    sign = -1 if text.startswith("-") else 1
    found = _AMOUNT.fullmatch(text.removeprefix("-").removesuffix("%"))
    if found is None:
        raise UsageError(f"{name}: {text} is no amount", hint="like 10M, 80, 1.5G or, for an age, 10m")
    return sign * float(found[1]) * _UNITS[found[2].lower()]
