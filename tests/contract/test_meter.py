"""wpod-meter, which reads the memory of many containers side by side: its figures are those of reading one by one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.conftest import Subject
from tests.support.command import eventually
from wpod.formats import meter
from wpod.sampling.mappings import Region
from wpod.sampling.process import Descriptors, Process, ProcessMemory

pytestmark = pytest.mark.own
_COUNT = 10
# What a process has alone; its share of pages that others have as well changes with the containers of other tests.
_ALONE = ("own", "linear", "kernel", "linear_size", "swap")


@pytest.fixture
def several(subject: Subject) -> Iterator[Subject]:
    """Enough of them that a meter is worth it; they wait."""
    names = subject.wpod("run", "-d", "--scale", str(_COUNT), subject.image, "idle").ok().out.split()
    eventually(lambda: _all_run(subject))
    yield subject
    subject.wpod("rm", "--force", "--time", "0", *names).ok()


def _all_run(subject: Subject) -> bool:
    return len(subject.wpod("ps", "--quiet").ok().out.split()) == _COUNT


def _meter(subject: Subject) -> str:
    return subject.wpod("info", "--format", "{{.Wpod.Engine.Meter}}").ok().line


def _alone(memory: ProcessMemory | None) -> tuple[int | None, ...]:
    assert memory is not None
    return memory.mapped.own, memory.mapped.linear, memory.mapped.linear_size, memory.mapped.swap, memory.page_tables


def _memories(subject: Subject, libexec: Path | None = None) -> dict[str, dict[str, int | None]]:
    environment = {"WPOD_LIBEXEC_DIR": str(libexec)} if libexec is not None else None
    told: list[dict[str, Any]] = subject.wpod(
        "stats", "--no-stream", "--format", "json", environment=environment
    ).ok().json  # fmt: skip
    return {one["name"]: one["wpod"]["memory"] for one in told}


def _are_alike(one: dict[str, dict[str, int | None]], other: dict[str, dict[str, int | None]]) -> None:
    assert one.keys() == other.keys()
    assert len(one) == _COUNT
    for name, memory in one.items():
        assert [memory[part] for part in _ALONE] == [other[name][part] for part in _ALONE], name
        assert {part for part, amount in memory.items() if amount is None} == {
            part for part, amount in other[name].items() if amount is None
        }, name


def test_each_line_is_what_reading_that_process_gives(several: Subject) -> None:
    if not several.is_root:
        return  # this process reads, too
    program = (_meter(several), str(several.wpod.store / "containers"))
    reading = meter.parse(subprocess.run(program, capture_output=True, check=True).stdout)
    assert len(reading.accounts) == _COUNT
    assert len(reading.shares) == (0 if several.is_wasm else _COUNT)
    descriptors = Descriptors()
    for (pid, start_ticks), account in reading.accounts.items():
        process = Process(pid, descriptors, start_ticks)
        region = Region(*account.region) if account.region[0] else None
        assert (region is not None) == several.is_wasm
        assert _alone(process.memory(region, reading)) == _alone(process.memory(region))
        assert process.transfers(reading) == process.transfers()
        process.close()
    for pid, start_ticks in reading.shares:
        keeper = Process(pid, descriptors, start_ticks)
        assert keeper.proportional(reading)
        keeper.close()


def test_figures_are_the_same_without_it(several: Subject) -> None:
    _are_alike(_memories(several), _memories(several, several.wpod.scratch / "no-such-directory"))


@pytest.mark.parametrize("script", ["exit 1", "echo main 1 2", "printf 'main 1 2 \\377 x\\nkeeper'", "kill -9 $$"])
def test_a_meter_that_fails_costs_nothing_but_time(several: Subject, script: str) -> None:
    libexec = several.wpod.scratch / "libexec"
    libexec.mkdir(exist_ok=True)
    program = libexec / "wpod-meter"
    program.unlink(missing_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    libexec.chmod(0o755)
    _are_alike(_memories(several), _memories(several, libexec))


def test_what_it_is_told_wrongly_is_refused_in_one_line(subject: Subject) -> None:
    for words in ((), ("/no/such/directory",), ("one", "two")):
        done = subprocess.run((_meter(subject), *words), capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), words
