"""The columns of a container's list of processes: podman's descriptors (podman-top(1)), and wpod's parts of memory.

Names, codes and headers of podman's are psgo's, and so is how they are shown: `?` is what can't be told. wpod's own are
the parts of `wpod.model.memory` in KiB, whose sum over all processes is the container's; `-` is what can't be told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from wpod import times
from wpod.errors import NotSupportedYet, UsageError
from wpod.frozen import frozen
from wpod.model.memory import Part
from wpod.model.process import Identity, Need, ProcessView
from wpod.output import sizes
from wpod.plan.security import ALL_CAPABILITIES

DEFAULT = ("user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args")
_BILLION = 1_000_000_000
_SECCOMP = {"0": "disabled", "1": "strict", "2": "filter"}
_ALL = (1 << len(ALL_CAPABILITIES)) - 1


@frozen
class Column:
    """A descriptor: its name, what stands above it, and its text for one process. `code` is ps(1)'s AIX one or ""."""

    name: str
    code: str
    header: str
    text: Callable[[ProcessView], str]
    need: Need | None = None


def choose(words: Sequence[str]) -> tuple[Column, ...]:
    """The columns that these words name, separated by commas or each a word; podman's default ones for none.

    Raises UsageError for an unknown one, NotSupportedYet for options of ps(1), which podman executes inside then.
    """
    for word in words:
        if word.startswith("-"):
            raise NotSupportedYet(f"ps(1) inside of the container ({word})", hint=_known())
    names = [name.strip() for word in words for name in word.split(",") if name]
    return tuple(_column(name) for name in names or DEFAULT)


def rows(columns: Sequence[Column], processes: Iterable[ProcessView]) -> list[list[str]]:
    """A line of cells for each process."""
    return [[column.text(one) for column in columns] for one in processes]


def _column(name: str) -> Column:
    for one in COLUMNS:
        if name in (one.name, one.code) and name:
            return one
    raise UsageError(f'unknown descriptor "{name}"', hint=_known())


def _known() -> str:
    return f"known descriptors: {', '.join(NAMES)}"


def _named(one: Identity) -> str:
    return one.inside_name or str(one.inside)


def _named_here(one: Identity) -> str:
    return one.host_name or str(one.host)


def _arguments(one: ProcessView) -> str:
    return " ".join(one.command) if one.command else f"[{one.name}]"


def _processor_percent(one: ProcessView) -> str:
    return f"{100 * one.cpu_nanoseconds / one.elapsed_nanoseconds if one.elapsed_nanoseconds else 0:.3f}"


def _whole_seconds(nanoseconds: int) -> int:
    return nanoseconds // _BILLION * _BILLION


def _capabilities(name: str) -> Callable[[ProcessView], str]:
    def text(one: ProcessView) -> str:
        mask = one.capabilities.get(name)
        return "?" if mask is None else capability_text(mask)

    return text


def capability_text(mask: int) -> str:
    """`none`, `full`, or names without CAP_, sorted; one that has no name yet is its number."""
    if mask & _ALL == _ALL:
        return "full"
    numbers = (number for number in range(mask.bit_length()) if mask >> number & 1)
    names = (ALL_CAPABILITIES[number] if number < len(ALL_CAPABILITIES) else str(number) for number in numbers)
    return ",".join(sorted(names)) or "none"


def _part(name: str) -> Column:
    def text(one: ProcessView) -> str:
        amount: int | None = one.memory.__dict__[name]
        return sizes.kibibytes(amount) if amount is not None else "-"

    return Column(name, "", f"{name.upper()} KiB", text, Need.MEMORY)


COLUMNS = (
    Column("args", "%a", "COMMAND", _arguments),
    Column("capamb", "", "AMBIENT CAPS", _capabilities("CapAmb")),
    Column("capbnd", "", "BOUNDING CAPS", _capabilities("CapBnd")),
    Column("capeff", "", "EFFECTIVE CAPS", _capabilities("CapEff")),
    Column("capinh", "", "INHERITED CAPS", _capabilities("CapInh")),
    Column("capprm", "", "PERMITTED CAPS", _capabilities("CapPrm")),
    Column("comm", "%c", "COMMAND", lambda one: one.name),
    Column("etime", "%t", "ELAPSED", lambda one: times.go_duration(one.elapsed_nanoseconds)),
    Column("group", "%G", "GROUP", lambda one: _named(one.group)),
    Column("groups", "", "GROUPS", lambda one: ",".join(map(_named, one.groups))),
    Column("hgroup", "", "HGROUP", lambda one: _named_here(one.group), Need.HOST_NAMES),
    Column("hgroups", "", "HGROUPS", lambda one: ",".join(map(_named_here, one.groups)), Need.HOST_NAMES),
    Column("hpid", "", "HPID", lambda one: str(one.host_pid)),
    Column("huid", "", "HUID", lambda one: str(one.user.host)),
    Column("huser", "", "HUSER", lambda one: _named_here(one.user), Need.HOST_NAMES),
    Column("label", "", "LABEL", lambda one: one.label),
    Column("nice", "%n", "NI", lambda one: str(one.nice)),
    Column("pcpu", "%C", "%CPU", _processor_percent),
    Column("pgid", "%r", "PGID", lambda one: str(one.group_leader)),
    Column("pid", "%p", "PID", lambda one: str(one.pid)),
    Column("ppid", "%P", "PPID", lambda one: str(one.parent)),
    Column("rgroup", "%g", "RGROUP", lambda one: _named(one.real_group)),
    Column("rss", "", "RSS", lambda one: sizes.kibibytes(one.resident)),
    Column("ruser", "%u", "RUSER", lambda one: _named(one.real_user)),
    Column("seccomp", "", "SECCOMP", lambda one: _SECCOMP.get(one.seccomp, "?")),
    Column("state", "", "STATE", lambda one: one.state),
    Column("stime", "", "STIME", lambda one: times.created_at(_whole_seconds(one.started_nanoseconds))),
    Column("time", "%x", "TIME", lambda one: times.go_duration(_whole_seconds(one.cpu_nanoseconds))),
    Column("tty", "%y", "TTY", lambda one: one.terminal or "?"),
    Column("uid", "", "UID", lambda one: str(one.user.inside)),
    Column("user", "%U", "USER", lambda one: _named(one.user)),
    Column("vsz", "%z", "VSZ", lambda one: sizes.kibibytes(one.virtual)),
    *(_part(part.value) for part in (Part.OWN, Part.LINEAR, Part.KERNEL, Part.CODE, Part.SHARED)),
    _part("swap"),
)
NAMES = tuple(column.name for column in COLUMNS)
