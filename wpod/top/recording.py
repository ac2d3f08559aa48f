"""Recordings of `wpod top`: one JSON object a line, readable up to the last whole line whenever the writer is killed.

Theory of operation. Every line has `schema_version` and `time`. The first line holds all; a later one holds what is
other than in the line before: facts and figures of containers that changed, IDs of those that are gone, helpers where
they changed, and always the machine. So ten minutes of 400 idle containers are a megabyte, and a reader that is given
lines in order needs no more than the line before. A line that starts anew has `"whole": true`: there is one each
minute, so that a damaged line costs a minute at most.
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterator, Mapping
from math import isfinite
from typing import Any, BinaryIO, TypeVar

from wpod.errors import WpodError
from wpod.frozen import replace
from wpod.model.memory import UNKNOWN, Breakdown, Limit, LimitKind
from wpod.model.sample import NO_TRAFFIC, HelperSample, HostSample, Pressure, Traffic
from wpod.top.moment import KINDS, Facts, Item, Moment, State

SCHEMA_VERSION = 1
_WHOLE_EACH_SECONDS = 60.0
_LONGEST_LINE_BYTES = 64 << 20
_BILLION = 1_000_000_000

# A clock can show nothing later, and nobody waits longer between two looks.
_LAST_NANOSECOND = (1 << 63) - 1
_LONGEST_INTERVAL_SECONDS = 366 * 86400.0

T = TypeVar("T")
N = TypeVar("N", int, float)


class Writer:
    """Appends moments to a file that is open for writing. Each line reaches the kernel in one piece."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._facts: dict[str, Facts] = {}
        self._figures: dict[str, dict[str, Any]] = {}
        self._helpers: list[dict[str, Any]] | None = None
        self._whole_at = 0

    def write(self, moment: Moment) -> None:
        """Add one. Raises OSError where the file can't be written."""
        whole = moment.wall_nanoseconds - self._whole_at >= _WHOLE_EACH_SECONDS * _BILLION
        if whole:
            self._facts, self._figures, self._helpers = {}, {}, None
            self._whole_at = moment.wall_nanoseconds
        line = self._line(moment)
        if whole:
            line["whole"] = True
        self._file.write(json.dumps(line, separators=(",", ":"), ensure_ascii=True).encode() + b"\n")
        self._file.flush()

    def _line(self, moment: Moment) -> dict[str, Any]:
        changed = []
        present = {item.container_id for item in moment.items}
        gone = [one for one in self._facts if one not in present]
        for item in moment.items:
            entry: dict[str, Any] = {}
            if self._facts.get(item.container_id) != item.facts:
                entry["facts"] = _fields(item.facts)
                self._facts[item.container_id] = item.facts
            figures = _figures(item)
            if self._figures.get(item.container_id) != figures:
                entry["figures"] = figures
                self._figures[item.container_id] = figures
            if entry:
                changed.append({"id": item.container_id, **entry})
        for one in gone:
            del self._facts[one]
            self._figures.pop(one, None)
        line: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION, "time": moment.wall_nanoseconds, "interval": round(moment.interval, 3),
            "host": _fields(moment.host), "containers": changed,
        }  # fmt: skip
        if gone:
            line["gone"] = gone
        helpers = [_fields(one) for one in moment.helpers]
        if helpers != self._helpers:
            self._helpers = line["helpers"] = helpers
        if moment.problems:
            line["problems"] = moment.problems
        return line


def line_of(moment: Moment, container_ids: Collection[str]) -> str:
    """One moment alone as a line of a recording, with these containers; it can be replayed."""
    kept = tuple(item for item in moment.items if item.container_id in container_ids)
    file = io.BytesIO()
    Writer(file).write(replace(moment, items=kept))
    return file.getvalue().decode()


def _fields(value: Any) -> dict[str, Any]:
    """A frozen value's fields as JSON has them; those that are None are left out."""
    return {name: _plain(one) for name, one in value.__dict__.items() if one is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, State):
        return value.value
    if isinstance(value, float):
        return round(value, 2)
    return _fields(value) if isinstance(value, Pressure) else value


def _figures(item: Item) -> dict[str, Any]:
    found: dict[str, Any] = {"memory": _fields(item.memory)}
    if item.limits:
        found["limits"] = [{"kind": one.kind.value, "allowed": one.allowed, "used": one.used} for one in item.limits]
    if item.traffic != NO_TRAFFIC:
        found["traffic"] = _fields(item.traffic)
    if item.rates != NO_TRAFFIC:
        found["rates"] = _fields(item.rates)
    if item.pressure is not None:
        found["pressure"] = _fields(item.pressure)
    if item.problem:
        found["problem"] = item.problem
    for name, value in (("cpu_percent", item.cpu_percent), ("processes", item.processes)):
        if value is not None:
            found[name] = _plain(value)
    return found


def replayed(path: str) -> Iterator[Moment]:
    """The moments of a file, as `Reader.moments`. Raises WpodError where it can't be read, too."""
    try:
        with open(path, "rb") as file:
            yield from Reader(file, path).moments()
    except OSError as error:
        raise WpodError(f"{path} can't be read: {error.strerror}") from None


class Reader:
    """Gives the moments of a recording in their order."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        """`name` stands in messages."""
        self._file = file
        self._name = name
        self._items: dict[str, Item] = {}
        self._helpers: tuple[HelperSample, ...] = ()
        self._synchronised = False
        self.skipped_lines = 0

    def moments(self) -> Iterator[Moment]:
        """Up to the last whole line. A damaged line is left out, with what depends on it.

        Raises WpodError where the file is no recording, or one of a version that is not known.
        """
        number = 0
        while line := self._file.readline(_LONGEST_LINE_BYTES):
            number += 1
            if not line.endswith(b"\n"):
                break
            try:
                document = json.loads(line)
                version = document["schema_version"]
            except (ValueError, TypeError, KeyError, RecursionError):
                if number == 1:
                    raise WpodError(f"{self._name} is not a recording of wpod top") from None
                self._skip()
                continue
            if not isinstance(version, int) or not 1 <= version <= SCHEMA_VERSION:
                raise WpodError(
                    f"{self._name}: line {number} has schema version {version!r}; this wpod reads up to"
                    f" {SCHEMA_VERSION}",
                    hint="replay it with the wpod that has recorded it, or a newer one",
                )
            try:
                moment = self._moment(document)
            except (ValueError, TypeError, KeyError, AttributeError):
                self._skip()
                continue
            if moment is not None:
                yield moment
        if number == 0:
            raise WpodError(f"{self._name} is empty: no recording of wpod top")

    def _skip(self) -> None:
        self.skipped_lines += 1
        self._synchronised = False

    def _moment(self, document: Mapping[str, Any]) -> Moment | None:
        if document.get("whole"):
            self._items, self._helpers, self._synchronised = {}, (), True
        if not self._synchronised:
            self.skipped_lines += 1
            return None
        for one in document["containers"]:
            item = _item(one, self._items.get(one["id"]))
            self._items[item.container_id] = item
        for gone in document.get("gone", ()):
            self._items.pop(gone, None)
        if "helpers" in document:
            self._helpers = tuple(_value(HelperSample, one) for one in document["helpers"])
        return Moment(
            items=tuple(self._items.values()),
            helpers=self._helpers,
            host=_host(document["host"]),
            wall_nanoseconds=_between(int(document["time"]), 0, _LAST_NANOSECOND),
            interval=_between(float(document["interval"]), 0, _LONGEST_INTERVAL_SECONDS),
            problems=tuple(str(one) for one in document.get("problems", ())),
        )


def _item(document: Mapping[str, Any], before: Item | None) -> Item:
    facts = _facts(document["facts"]) if "facts" in document else None
    if facts is None:
        if before is None:
            raise ValueError("figures of an unknown container")
        facts = before.facts
    if "figures" not in document and before is not None:
        return Item(**{**before.__dict__, "facts": facts})
    figures = document.get("figures", {})
    pressure = figures.get("pressure")
    return Item(
        facts=facts,
        memory=_value(Breakdown, figures.get("memory", {})) if figures else UNKNOWN,
        limits=tuple(Limit(LimitKind(one["kind"]), int(one["allowed"]), int(one["used"]))
                     for one in figures.get("limits", ())),
        cpu_percent=_checked("float | None", figures.get("cpu_percent")),
        processes=_checked("int | None", figures.get("processes")),
        traffic=_value(Traffic, figures.get("traffic", {})),
        rates=_value(Traffic, figures.get("rates", {})),
        pressure=_value(Pressure, pressure) if pressure is not None else None,
        problem=str(figures.get("problem", "")),
    )  # fmt: skip


def _facts(document: Mapping[str, Any]) -> Facts:
    if document["kind"] not in KINDS:
        raise ValueError(f"no kind: {document['kind']!r}")
    return _value(Facts, {**document, "state": State(document["state"])})


def _host(document: Mapping[str, Any]) -> HostSample:
    pressure = document.get("pressure")
    return _value(HostSample, {**document, "pressure": _value(Pressure, pressure) if pressure is not None else None})


def _value(kind: type[T], document: Mapping[str, Any]) -> T:
    """A frozen value of the fields that it knows: a later version may have written more of them."""
    known = kind.__annotations__
    return kind(**{name: _checked(known[name], one) for name, one in document.items() if name in known})


def _checked(annotation: str, value: Any) -> Any:
    """A list is a tuple; anything that isn't of the field's type is refused. A recording may come from anywhere."""
    if annotation.startswith("tuple"):
        return tuple(str(one) for one in value)
    wanted: tuple[type, ...] = (State, Pressure, type(None)) if "None" in annotation else (State, Pressure)
    if "int" in annotation or "float" in annotation:
        wanted = (*wanted, int, float)
    if "str" in annotation:
        wanted = (*wanted, str)
    if isinstance(value, bool) or not isinstance(value, wanted) or (isinstance(value, float) and not isfinite(value)):
        raise TypeError(f"not {annotation}: {value!r}")
    return value


def _between(value: N, least: N, most: N) -> N:
    """Raises ValueError for what is outside, also for what is no number."""
    if not least <= value <= most:
        raise ValueError(f"{value!r} is not between {least!r} and {most!r}")
    return value
