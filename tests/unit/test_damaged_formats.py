"""Launch plans and log lines under damage: what was meant, or one kind of refusal (wpod.formats)."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from wpod.errors import UsageError
from wpod.formats import launch_plan, log_line
from wpod.formats.log_line import LogEntry, Stream

GOLDEN = Path(__file__).parent.parent / "fixtures" / "formats"
PLANS = ("launch_plan_runner.bin", "launch_plan_monitor.bin")
NOISE = random.Random(3)  # the same each time


def decoded(data: bytes) -> list[launch_plan.Pair] | None:
    try:
        return launch_plan.decode(data)
    except ValueError:
        return None


@pytest.mark.parametrize("name", PLANS)
def test_a_damaged_plan_is_read_or_refused(name: str) -> None:
    whole = (GOLDEN / name).read_bytes()
    for offset in range(len(whole)):
        damaged = bytearray(whole)
        damaged[offset] ^= 0x81
        found = decoded(bytes(damaged))
        assert found is None or launch_plan.encode(found) == bytes(damaged)
        if offset < 10:  # the version
            assert found is None


@pytest.mark.parametrize("name", PLANS)
def test_a_cut_plan_has_whole_pairs_or_none(name: str) -> None:
    whole = (GOLDEN / name).read_bytes()
    pairs = launch_plan.decode(whole)
    for length in range(len(whole)):
        found = decoded(whole[:length])
        assert found is None or found == pairs[: len(found)]


def test_noise_is_no_plan() -> None:
    for _ in range(200):
        assert decoded(NOISE.randbytes(100) + b"\0") is None


def test_any_argument_comes_through_but_nul() -> None:
    words = ["", " ", "\n", "=", "ü", os.fsdecode(bytes(range(1, 256))), "x" * 100_000]
    pairs = [("argument", word) for word in words]
    assert launch_plan.decode(launch_plan.encode(pairs)) == pairs
    for bad in ("\0", "a\0b"):
        with pytest.raises(UsageError, match="working directory"):
            launch_plan.encode([("working-directory", bad)])


def test_a_large_plan_is_whole_in_its_descriptor() -> None:
    pairs = [("environment", f"N{number}={'x' * 1000}") for number in range(2000)]
    descriptor = launch_plan.to_descriptor(pairs)
    try:
        assert os.fstat(descriptor).st_size == len(launch_plan.encode(pairs))
        with os.fdopen(os.dup(descriptor), "rb") as file:
            assert launch_plan.decode(file.read()) == pairs
    finally:
        os.close(descriptor)


def test_damaged_log_lines_are_entries_or_nothing() -> None:
    for line in (GOLDEN / "log_lines.txt").read_bytes().split(b"\n")[:-1]:
        for offset in range(len(line)):
            for mask in (0x01, 0x80, 0xFF):
                damaged = bytearray(line)
                damaged[offset] ^= mask
                found = log_line.decode(bytes(damaged))
                assert found is None or isinstance(found.time, str)
    for _ in range(500):
        assert log_line.decode(NOISE.randbytes(60)) is None


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("stream", list(Stream))
@pytest.mark.parametrize("content", [b"", b" ", b"F ", b"\x00\xff\r", b" stdout F x", "ü".encode()])
def test_entries_keep_every_byte(content: bytes, stream: Stream, complete: bool) -> None:
    entry = LogEntry("2024-01-01T00:00:00.000000000+00:00", stream, complete, content)
    line = log_line.encode(entry)
    assert log_line.decode(line) == log_line.decode(line[:-1]) == entry
    assert entry.output == content + (b"\n" if complete else b"")


def test_no_newline_inside_of_an_entry() -> None:
    with pytest.raises(ValueError, match="newline"):
        log_line.encode(LogEntry("t", Stream.STDOUT, True, b"a\nb"))
