"""The one sentence about a row that is of most use: a kill, a limit ahead, growth, or that it is idle."""

from __future__ import annotations

from wpod.frozen import frozen
from wpod.model.memory import NEAR_ITS_LIMIT, first_to_bite
from wpod.top.model import HELPERS
from wpod.top.moment import Item, State
from wpod.top.rows import Row
from wpod.top.text import age, amount, percent

_FAR_MINUTES = 24 * 60
_NOTICEABLE_BYTES = 64 * 1024
_IDLE_PERCENT = 0.05
_OUTLIER = 2.0


@frozen
class Verdict:
    """`role` is how it is written: `bad`, `warn`, or `text`."""

    words: str
    role: str = "text"


def verdict(row: Row, now_nanoseconds: int) -> Verdict:
    """About a container, or about what several have in common."""
    if row.is_group:
        return _of_group(row)
    item = row.item
    facts = item.facts
    if facts.state is not State.RUNNING:
        return _of_stopped(item, now_nanoseconds)
    if facts.kind == HELPERS:
        return Verdict(f"Works {facts.image}: its memory is divided among them")
    if item.memory.own is None:
        return Verdict(item.problem or "Its memory has not been read yet", "warn" if item.problem else "text")
    return _of_limit(row) or _of_growth(row) or _of_work(item)


def _of_stopped(item: Item, now: int) -> Verdict:
    facts = item.facts
    if facts.ending.startswith("OOM"):
        return Verdict(f"Killed: {facts.ending}. Start it with a larger --memory, or see w: why", "bad")
    if facts.state is State.UNREADABLE:
        return Verdict(facts.ending or "Its state can't be read", "warn")
    if facts.state is State.CREATED:
        return Verdict(f"Was never started: wpod start {facts.name}")
    ago = f"{age((now - facts.finished_nanoseconds) / 1e9)} ago" if facts.finished_nanoseconds else "before"
    if facts.state is State.FAILED:
        reason = f", {facts.ending}" if facts.ending else ""
        return Verdict(f"Failed {ago} with {facts.exit_code}{reason}. l: logs", "bad")
    return Verdict(f"Ended {ago} with 0")


def _of_limit(row: Row) -> Verdict | None:
    bite = first_to_bite(row.item.limits)
    if bite is None:
        return None
    if bite.share >= NEAR_ITS_LIMIT:
        room = amount(max(0, bite.allowed - bite.used))
        return Verdict(f"At {bite.share:.0%} of its limit ({bite.kind.value}), {room} left. w: why", "bad")
    if row.growth is None or row.growth < _NOTICEABLE_BYTES:
        return None
    minutes = (bite.allowed - bite.used) / row.growth
    if minutes > _FAR_MINUTES:
        return None
    return Verdict(
        f"Grows {amount(int(row.growth))}/min: reaches its limit in about {age(minutes * 60)}. w: why and what to do",
        "warn",
    )


def _of_growth(row: Row) -> Verdict | None:
    if row.growth is None or abs(row.growth) < _NOTICEABLE_BYTES:
        return None
    if row.growth < 0:
        return Verdict(f"Shrinks {amount(int(-row.growth))}/min")
    unlimited = "" if row.item.limits else "; no limit holds it (--memory)"
    return Verdict(f"Grows {amount(int(row.growth))}/min{unlimited}", "warn")


def _of_work(item: Item) -> Verdict:
    if item.cpu_percent is None:
        return Verdict("Steady")
    if item.cpu_percent < _IDLE_PERCENT:
        return Verdict("Idle: neither its memory nor its processor time moves")
    return Verdict(f"Works at {percent(item.cpu_percent)}% of a processor; its memory is steady")


def _of_group(row: Row) -> Verdict:
    """Minimum, median and maximum of its members, and who is far above the others."""
    known = sorted((item.memory.total, item.facts.name) for item in row.items if item.memory.total is not None)
    totals = [total for total, _ in known if total is not None]
    if not totals:
        return Verdict("None of them has memory")
    median = totals[len(totals) // 2]
    spread = f"min {amount(totals[0])}  median {amount(median)}  max {amount(totals[-1])}"
    far = [name for total, name in known if total is not None and total > median * _OUTLIER
           and total - median > _NOTICEABLE_BYTES]  # fmt: skip
    if not far:
        return Verdict(f"{spread}: none stands out")
    more = f" and {len(far) - 3} more" if len(far) > 3 else ""
    return Verdict(f"{spread}: {', '.join(reversed(far[-3:]))}{more} far above", "warn")
