"""The golden files of docs/formats.md, which the Rust tests read as well (rust/formats/tests/golden.rs)."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

import pytest

from wpod.errors import StoreError, UsageError
from wpod.formats import launch_plan, log_line, meter, state_file

GOLDEN = Path(__file__).parent.parent / "fixtures" / "formats"
STATE = (GOLDEN / "state_file.bin").read_bytes()
METER_LINES = (GOLDEN / "meter_lines.txt").read_bytes()


def test_the_script_writes_the_golden_files() -> None:
    import runpy

    made = runpy.run_path(str(GOLDEN / "make.py"))
    assert made["state_file"]() == STATE
    assert made["runner_plan"]() == (GOLDEN / "launch_plan_runner.bin").read_bytes()
    assert made["monitor_plan"]() == (GOLDEN / "launch_plan_monitor.bin").read_bytes()
    assert made["LOG_LINES"] == (GOLDEN / "log_lines.txt").read_bytes()
    assert made["METER_LINES"] == METER_LINES


def test_the_state_file_is_read_field_by_field() -> None:
    state = state_file.decode(STATE, "golden")
    assert (state.kind, state.phase) == (state_file.Kind.WASM, state_file.Phase.EXITED)
    assert state.boot_id.hex() == "00112233445566778899aabbccddeeff"
    assert (state.pid, state.keeper_pid) == (4242, 4243)
    assert (state.start_ticks, state.keeper_start_ticks) == (1_000_001, 1_000_002)
    assert (state.status, state.cause, state.signal) == (143, state_file.Cause.SIGNAL, 15)
    assert (state.started_nanoseconds, state.finished_nanoseconds) == (
        1_700_000_000_123_456_789,
        1_700_000_009_987_654_321,
    )
    assert (state.started_boottime, state.finished_boottime) == (5_000_000_001, 14_864_197_533)
    assert (state.linear_base, state.linear_used_bytes, state.linear_limit_bytes) == (
        0x7F00_0000_0000,
        131_072,
        4_294_967_296,
    )
    assert (state.code_base, state.code_bytes) == (0x4000_0000, 40_960)
    assert state.engine is state_file.Engine.AOT_SHARED
    assert state.confinement == 63
    assert (state.log_bytes, state.dropped_lines) == (9_876_543_210, 17)
    assert (state.limit_hit, state.limit_hits) == (state_file.LimitHit.GUEST_PAGES, 3)
    assert (state.limit_used_bytes, state.limit_bytes) == (66_060_288, 67_108_864)
    near = state.near_anonymous_bytes, state.near_file_bytes, state.near_kernel_bytes
    assert near == (7_340_032, 1_048_576, 262_144)
    assert state.reason == "ended by a signal, réason"


def test_the_state_file_is_written_byte_by_byte() -> None:
    assert state_file.encode(state_file.decode(STATE, "golden")) == STATE


@pytest.mark.parametrize("length", [0, 8, 64, 4095])
def test_a_cut_state_file_is_refused(length: int) -> None:
    with pytest.raises(StoreError, match="golden"):
        state_file.decode(STATE[:length], "golden")


@pytest.mark.parametrize(("offset", "value"), [(0, 0), (8, 2), (12, 9), (56, 7), (64, 99), (144, 12)])
def test_a_wrong_field_is_refused(offset: int, value: int) -> None:
    damaged = bytearray(STATE)
    struct.pack_into("<I", damaged, offset, value)
    with pytest.raises(StoreError, match="golden"):
        state_file.decode(bytes(damaged), "golden")


def test_reading_asks_for_the_lock_and_takes_none(tmp_path: Path) -> None:
    path = str(tmp_path / "state")
    state_file.create(path, state_file.Kind.NATIVE)
    state, kept = state_file.read(path)
    assert (state.kind, state.phase, kept) == (state_file.Kind.NATIVE, state_file.Phase.CREATED, False)
    keeper = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.fcntl(keeper, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))  # F_OFD_SETLK
        assert state_file.read(path)[1]
        assert state_file.read(path)[1]
    finally:
        os.close(keeper)
    assert not state_file.read(path)[1]


def test_a_link_in_the_place_of_a_state_file_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "state"
    link.symlink_to("/etc/passwd")
    with pytest.raises(StoreError):
        state_file.read(str(link))


@pytest.mark.parametrize("name", ["launch_plan_runner.bin", "launch_plan_monitor.bin"])
def test_a_plan_survives_decoding_and_encoding(name: str) -> None:
    data = (GOLDEN / name).read_bytes()
    assert launch_plan.encode(launch_plan.decode(data)) == data


def test_the_runner_s_plan() -> None:
    pairs = launch_plan.decode((GOLDEN / "launch_plan_runner.bin").read_bytes())
    arguments = [value for key, value in pairs if key == "argument"]
    assert arguments == ["main.wasm", "", "two words\nand a line"]
    assert ("environment", os.fsdecode(b"BYTES=\xff\xfe")) in pairs
    assert launch_plan.volume("/srv/a:b:c", "/data:x", read_only=True, directory=True) in pairs
    assert launch_plan.volume("/h/f:1", "/etc/file", read_only=False, directory=False) in pairs


@pytest.mark.parametrize("data", [b"", b"version\x001", b"version\x002\x00", b"version\x001\x00id\x00"])
def test_a_malformed_plan_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="launch plan"):
        launch_plan.decode(data)


def test_a_plan_cannot_be_changed_once_it_is_sealed() -> None:
    with pytest.raises(UsageError, match="NUL"):
        launch_plan.encode([("argument", "a\0b")])
    descriptor = launch_plan.to_descriptor([("argument", "a")])
    try:
        with pytest.raises(PermissionError):
            os.pwrite(descriptor, b"x", 0)
        assert launch_plan.decode(os.read(descriptor, 4096)) == [("argument", "a")]
    finally:
        os.close(descriptor)


def test_the_log_s_lines() -> None:
    data = (GOLDEN / "log_lines.txt").read_bytes()
    lines = data.split(b"\n")[:-1]
    entries = [log_line.decode(line) for line in lines]
    assert all(entry is not None for entry in entries)
    first, second, third = (entry for entry in entries if entry is not None)
    assert (first.content, first.complete, first.stream) == (b"", True, log_line.Stream.STDOUT)
    assert (second.output, second.stream) == (b"\x00\xff bytes", log_line.Stream.STDERR)
    assert third.output == b" two  spaces \n"
    assert b"".join(log_line.encode(entry) for entry in (first, second, third)) == data


@pytest.mark.parametrize("line", [b"", b"torn", b"1970-01-01T00:00:00Z stdout X a", b"1970 stdin F a"])
def test_a_torn_entry_is_no_entry(line: bytes) -> None:
    assert log_line.decode(line) is None


def test_the_lines_of_the_meter_are_read() -> None:
    reading = meter.parse(METER_LINES)
    assert reading.accounts == {
        (4242, 1_000_001): meter.Account(
            (b"41", b"2", b"244"), (807_661_568, 4_294_967_296), (57_344, 12_288, 15_360, 9_216, 4_096, 131_072,
            23_552), 32_768, (0, 12_288),
        ),
        (4343, 1_000_003): meter.Account((b"7", b"0", b"3"), (0, 0), (4_096, 0, 0, 1_024, 0, 0, 0), None, None),
    }  # fmt: skip
    assert reading.shares == {(4243, 1_000_002): (13_312, 12_288)}
    assert meter.parse(b"") == meter.NOTHING


def test_lines_of_the_meter_that_are_cut_or_damaged() -> None:
    whole = meter.parse(METER_LINES)
    for length in range(len(METER_LINES)):
        text = METER_LINES[:length]
        if not text or text.endswith(b"\n"):
            assert meter.parse(text).accounts.items() <= whole.accounts.items()
        else:
            with pytest.raises(ValueError, match="not whole"):
                meter.parse(text)
    for line in (
        b"",
        b"main",
        b"main 1 2",
        b"keeper 1 2 3",
        b"keeper 1 2 3 4 5",
        b"other 1 2",
        b"main 1 2" + b" x" * 14,
    ):
        with pytest.raises(ValueError):
            meter.parse(line + b"\n")
