"""Runs the benchmarks, shows a table with goals and verdicts, and writes results/latest.json and latest.md.

    .venv/bin/python -m bench.run_all                     everything, as `make bench` does
    .venv/bin/python -m bench.run_all --only kernels      some of them
    .venv/bin/python -m bench.run_all --quick             small numbers, to see that all of it runs

Only a whole run writes bench/results/latest.*; others write to build/bench/. What isn't installed is skipped
by name. Exit status 0 unless something failed to run, whatever the figures are.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import comparison, figures, kernels, machine, managers, many, memory, shared_code, start
from bench.commands import CommandFailed
from bench.figures import Scale, Section
from bench.workplace import TOP, Workplace, workplace

_SCHEMA_VERSION = 1
_INTERRUPTED = 130
_BENCHMARKS: dict[str, Callable[[Workplace, Scale], Section]] = {
    comparison.NAME: comparison.measure,
    memory.NAME: memory.measure,
    start.NAME: start.measure,
    many.NAME: many.measure,
    shared_code.NAME: shared_code.measure,
    kernels.NAME: kernels.measure,
}


def main() -> int:
    """The command."""
    given = _arguments()
    managers.surround()
    if machine.warning():
        print(f"warning: {machine.warning()}", file=sys.stderr)
    try:
        with workplace() as place:
            document = _measured(place, given)
    except CommandFailed as error:
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
    parser.add_argument("--results", type=Path, help="where to write latest.json and latest.md")
    given = parser.parse_args()
    given.scale = Scale.QUICK if given.quick else Scale.FULL
    whole = given.scale is Scale.FULL and not given.only
    given.results = given.results or (TOP / "bench" / "results" if whole else TOP / "build" / "bench")
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
    _write(given.results, document, sections)
    return document


@contextlib.contextmanager
def _failure_noted(name: str, failures: dict[str, str], place: Workplace) -> Iterator[None]:
    """A benchmark that fails to run is told and noted; the others go on, without its containers."""
    begin = time.monotonic()
    print(f"{name} …", file=sys.stderr, flush=True)
    try:
        yield
    except CommandFailed as error:
        failures[name] = str(error)
        print(f"error: {name}: {error}", file=sys.stderr)
        place.wpod("rm", "--force", "--all", "--time", "0")
    print(f"{name}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)


def _write(directory: Path, document: dict[str, Any], sections: list[Section]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "latest.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    (directory / "latest.md").write_text(_markdown(document, sections))
    print(f"written: {directory}/latest.json and latest.md", file=sys.stderr)


def _markdown(document: dict[str, Any], sections: list[Section]) -> str:
    told = document["machine"]
    quick = "\n**Small numbers (`--quick`): the figures mean nothing.**\n" if document["scale"] == "quick" else ""
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    head = (
        f"# Figures of {document['taken']}\n{quick}\n"
        f"{told['processor']}, {told['cores']} cores, {told['memory_kB'] >> 10} MiB, {told['distribution']}, "
        f"Linux {told['kernel']}, cgroups: {told['cgroups']}, load average {told['load_average']} at the start.\n\n"
        f"{versions}.\n\nkB are 1024 bytes. How each figure is taken: [README](../README.md).\n"
    )
    failed = "".join(f"\n**{name} failed to run**: {reason}\n" for name, reason in document["failures"].items())
    return head + failed + "\n" + "\n".join(figures.as_markdown(section) for section in sections)


if __name__ == "__main__":
    sys.exit(main())
