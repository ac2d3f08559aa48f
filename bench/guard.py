"""Says which ratios have grown since they were recorded: `make bench-guard`, some minutes, as root on an idle machine.

    .venv/bin/python -m bench.guard [--recorded FILE]

A short run of those figures that hardly depend on the machine: times as ratios to podman's, memory per container, what
wpod adds to crun, requests through published ports, kernels as ratios to native code. Each is held against
bench/results/latest.json, and has grown where it is beyond the recorded spread and a tolerance on top. What seems to
have grown is measured a second time, and the lesser value counts, for whatever else the machine does can only add. Exit
status 1 where one has grown, 2 where nothing could be compared.
"""

from __future__ import annotations

import argparse
import enum
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import comparison, figures, kernels, machine, managers, network_requests, networks, report, start
from bench.commands import CommandFailed
from bench.comparison import MEMORY, name_of
from bench.contestants import NATIVE, SCALED, WASM
from bench.figures import Scale, Section, number
from bench.network_peers import PASTA, SLIRP, WPOD
from bench.network_peers import WASM as WASM_WITH_PORT
from bench.network_requests import Kind
from bench.workplace import Workplace, workplace

_NOTHING_COMPARED = 2
_COUNT = 100
OWN_PART = "wpod native less crun native"
_CRUN = "crun native"
Key = tuple[str, str]  # section and name of a figure
# As a part of the recorded value, on top of its spread. Fewer turns than in a whole run spread more.
TOLERANCES: dict[Key, float] = {
    (comparison.NAME, name_of(WASM, _COUNT, MEMORY)): 0.05,
    (comparison.NAME, name_of(SCALED, _COUNT, MEMORY)): 0.05,
    (comparison.NAME, name_of(NATIVE, _COUNT, MEMORY)): 0.05,
    (comparison.NAME, OWN_PART): 0.10,
    (start.NAME, "run -d, wpod wasm"): 0.10,
    (start.NAME, "run -d, wpod native"): 0.10,
    (start.NAME, "ps with 20"): 0.10,
    (networks.NAME, f"{WPOD}, 50"): 0.05,
    (networks.NAME, f"{WASM_WITH_PORT}, 100"): 0.05,
    (networks.NAME, networks.run_name(WPOD, SLIRP)): 0.10,
    (network_requests.NAME, network_requests.ratio_name(Kind.REQUESTS, WPOD, PASTA)): 0.15,
    (network_requests.NAME, network_requests.ratio_name(Kind.BULK, WPOD, PASTA)): 0.15,
    (kernels.NAME, "geometric mean to gcc -O2"): 0.05,
    (kernels.NAME, "geometric mean to clang -O2"): 0.05,
}
_BENCHMARKS: dict[str, Callable[[Workplace, Scale], Section]] = {
    comparison.NAME: comparison.measure,
    start.NAME: start.measure,
    networks.NAME: networks.measure,
    network_requests.NAME: network_requests.measure,
    kernels.NAME: kernels.measure,
}


@dataclass(frozen=True)
class Reading:
    """A figure as it was recorded or measured now, with its spread."""

    value: float
    low: float
    high: float


class Outcome(enum.Enum):
    KEPT = "kept"
    GREW = "GREW"
    UNRECORDED = "not recorded"
    UNMEASURED = "not measured"


@dataclass(frozen=True)
class Judgement:
    """One figure: what was recorded, what is now, and the most that it may be."""

    key: Key
    outcome: Outcome
    recorded: Reading | None = None
    now: Reading | None = None
    limit: float | None = None


def readings(rows: Mapping[str, Iterable[Mapping[str, Any]]]) -> dict[Key, Reading]:
    """Figures by section as in the recorded JSON; doubtful ones (with a note) of the comparison are left out."""
    found: dict[Key, Reading] = {}
    for section, row in rows.items():
        for figure in row:
            if section == comparison.NAME and figure.get("note"):
                continue
            value = figure["value"]
            low, high = (value if figure[end] is None else figure[end] for end in ("low", "high"))
            found[section, figure["name"]] = Reading(value, low, high)
    return found | _own_part(found)


def _own_part(found: Mapping[Key, Reading]) -> dict[Key, Reading]:
    """What wpod adds to crun; its spread is the widest that both allow."""
    ours, least = (found.get((comparison.NAME, name_of(label, _COUNT, MEMORY))) for label in (NATIVE, _CRUN))
    if ours is None or least is None:
        return {}
    part = Reading(ours.value - least.value, ours.low - least.high, ours.high - least.low)
    return {(comparison.NAME, OWN_PART): part}


def judge(
    recorded: Mapping[Key, Reading], now: Mapping[Key, Reading], tolerances: Mapping[Key, float]
) -> list[Judgement]:
    """Each figure that has a tolerance, in their order."""
    return [_judged(key, recorded.get(key), now.get(key), tolerance) for key, tolerance in tolerances.items()]


def _judged(key: Key, recorded: Reading | None, now: Reading | None, tolerance: float) -> Judgement:
    if recorded is None:
        return Judgement(key, Outcome.UNRECORDED, None, now)
    limit = recorded.high + abs(recorded.value) * tolerance
    if now is None:
        return Judgement(key, Outcome.UNMEASURED, recorded, None, limit)
    return Judgement(key, Outcome.GREW if now.value > limit else Outcome.KEPT, recorded, now, limit)


def lesser(first: Mapping[Key, Reading], second: Mapping[Key, Reading]) -> dict[Key, Reading]:
    """Of each figure the reading with the lesser value."""
    merged = dict(first)
    for key, reading in second.items():
        if key not in merged or reading.value < merged[key].value:
            merged[key] = reading
    return merged


def grown_sections(judgements: Iterable[Judgement]) -> set[str]:
    """The sections of figures that have grown."""
    return {judgement.key[0] for judgement in judgements if judgement.outcome is Outcome.GREW}


def status_of(judgements: Iterable[Judgement]) -> int:
    """The exit status."""
    outcomes = {judgement.outcome for judgement in judgements}
    if Outcome.GREW in outcomes:
        return 1
    return 0 if Outcome.KEPT in outcomes else _NOTHING_COMPARED


def as_rows(judgements: Iterable[Judgement]) -> list[tuple[str, ...]]:
    """For a table, with headings."""

    def shown(reading: Reading | None) -> str:
        return "" if reading is None else f"{number(reading.value)} ({number(reading.low)} – {number(reading.high)})"

    rows = [
        (name, shown(one.recorded), shown(one.now), "" if one.limit is None else number(one.limit), one.outcome.value)
        for one in judgements
        for _, name in (one.key,)
    ]
    return [("figure", "recorded", "now", "at most", ""), *rows]


def _measured(place: Workplace, names: Iterable[str]) -> dict[Key, Reading]:
    found: dict[str, list[dict[str, Any]]] = {}
    for name in names:
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            section = _BENCHMARKS[name](place, Scale.GUARD)
        except CommandFailed as error:
            print(f"error: {name}: {error}", file=sys.stderr)
            place.wpod("rm", "--force", "--all", "--time", "0")
            continue
        for reason in section.skipped:
            print(f"skipped: {name}: {reason}", file=sys.stderr)
        found[name] = section.as_json()["figures"]
    return readings(found)


def _other_machine(document: Mapping[str, Any], place: Workplace) -> str:
    here, there = machine.describe(place), document["machine"]
    different = [name for name in ("processor", "kernel", "cgroups", "distribution") if here[name] != there[name]]
    return f"recorded on another machine: {', '.join(different)}" if different else ""


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--recorded", type=Path, default=report.RESULTS / "latest.json", help="the record to compare with"
    )
    given = parser.parse_args()
    managers.surround()
    try:
        document = json.loads(given.recorded.read_text())
        recorded = readings({name: section["figures"] for name, section in document["sections"].items()})
    except (OSError, ValueError, KeyError) as error:
        print(f"error: {given.recorded} can't be read: {error}", file=sys.stderr)
        return _NOTHING_COMPARED
    try:
        with workplace() as place:
            for warning in filter(None, (machine.warning(), _other_machine(document, place))):
                print(f"warning: {warning}", file=sys.stderr)
            now = _measured(place, _BENCHMARKS)
            judgements = judge(recorded, now, TOLERANCES)
            again = grown_sections(judgements)
            if again:
                print("once more, for some seem to have grown", file=sys.stderr)
                now = lesser(now, _measured(place, [name for name in _BENCHMARKS if name in again]))
                judgements = judge(recorded, now, TOLERANCES)
    except CommandFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return _NOTHING_COMPARED
    except KeyboardInterrupt:
        print("interrupted; everything has been removed", file=sys.stderr)
        return 130
    print("\n".join(figures.aligned(as_rows(judgements))))
    return status_of(judgements)


if __name__ == "__main__":
    sys.exit(main())
