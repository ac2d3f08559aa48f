"""Runs the benchmarks, shows tables with goals and verdicts, and writes them as report.py says.

    .venv/bin/python -m bench.run_all                     everything, as `make bench` does
    .venv/bin/python -m bench.run_all --only kernels      some of them
    .venv/bin/python -m bench.run_all --only start --record    the same, in the place of what is recorded of them
    .venv/bin/python -m bench.run_all --quick             small numbers, to see that all of it runs

A whole run writes bench/results and the README's figures; others write to build/bench, unless they are to be recorded:
on the machine of the last whole run, with the same peers, they take the place of its figures and say when they were
taken. What isn't installed is skipped by name. Exit status 0 unless something failed to run, whatever the figures are.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import (
    comparison,
    figures,
    kernels,
    machine,
    managers,
    many,
    memory,
    network_load,
    network_requests,
    networks,
    report,
    sampling,
    scale2000,
    screen,
    shared_code,
    start,
)
from bench.commands import CommandFailed
from bench.figures import Scale, Section
from bench.workplace import TOP, Workplace, workplace

_SCHEMA_VERSION = 1
_INTERRUPTED = 130
_BENCHMARKS: dict[str, Callable[[Workplace, Scale], Section]] = {
    comparison.NAME: comparison.measure,
    memory.NAME: memory.measure,
    scale2000.NAME: scale2000.measure,
    start.NAME: start.measure,
    many.NAME: many.measure,
    shared_code.NAME: shared_code.measure,
    kernels.NAME: kernels.measure,
    networks.NAME: networks.measure,
    network_requests.NAME: network_requests.measure,
    network_load.NAME: network_load.measure,
    sampling.NAME: sampling.measure,
    screen.NAME: screen.measure,
}


def main() -> int:
    """The command."""
    given = _arguments()
    managers.surround()
    if machine.warning():
        print(f"warning: {machine.warning()}", file=sys.stderr)
    try:
        with workplace() as place:
            if given.record:
                report.check_recordable(machine.describe(place))
            document = _measured(place, given)
    except (CommandFailed, report.NotRecordable) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; everything has been removed", file=sys.stderr)
        return _INTERRUPTED
    return 1 if document["failures"] else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that all of it runs")
    parser.add_argument("--only", nargs="+", choices=list(_BENCHMARKS), help="these benchmarks")
    parser.add_argument("--record", action="store_true", help="with --only: in the place of what is recorded")
    parser.add_argument("--results", type=Path, help="where to write latest.json, latest.md and pictures")
    given = parser.parse_args()
    if given.record and (given.quick or given.results or not given.only):
        parser.error("--record goes with --only, and without --quick and --results")
    given.scale = Scale.QUICK if given.quick else Scale.FULL
    whole = given.scale is Scale.FULL and not given.only
    given.results = given.results or (report.RESULTS if whole else TOP / "build" / "bench")
    return given


def _measured(place: Workplace, given: argparse.Namespace) -> dict[str, Any]:
    sections: list[Section] = []
    failures: dict[str, str] = {}
    document: dict[str, Any] = {
        "schema_version": _SCHEMA_VERSION,
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "scale": given.scale.value,
        "machine": machine.describe(place),
    }
    for name in given.only or _BENCHMARKS:
        with _failure_noted(name, failures, place):
            section = _BENCHMARKS[name](place, given.scale)
            sections.append(section)
            print(figures.as_text(section), flush=True)
    document["sections"] = {section.name: section.as_json() for section in sections}
    document["failures"] = failures
    if given.record:
        for complaint in report.record(document, sections):
            print(f"skipped: {complaint}", file=sys.stderr)
    for complaint in report.write(given.results, document, sections):
        print(f"skipped: {complaint}", file=sys.stderr)
    print(f"written: {given.results}/latest.json, latest.md and pictures", file=sys.stderr)
    if given.results == report.RESULTS and not failures:
        report.write_readme(document)
    return document


@contextlib.contextmanager
def _failure_noted(name: str, failures: dict[str, str], place: Workplace) -> Iterator[None]:
    """A benchmark that fails to run is told and noted; the others go on, without its containers."""
    begin = time.monotonic()
    print(f"{name} …", file=sys.stderr, flush=True)
    try:
        yield
    except (CommandFailed, OSError) as error:
        failures[name] = str(error)
        print(f"error: {name}: {error}", file=sys.stderr)
        place.wpod("rm", "--force", "--all", "--time", "0")
    print(f"{name}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
