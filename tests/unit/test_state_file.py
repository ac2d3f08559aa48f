"""The state file under damage: a reading or one StoreError, never anything else (wpod.formats.state_file)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import records
from wpod.errors import StoreError
from wpod.formats import state_file
from wpod.formats.state_file import SIZE_BYTES, Cause, Engine, Kind, Phase, StateFile

GOLDEN = (Path(__file__).parent.parent / "fixtures" / "formats" / "state_file.bin").read_bytes()
_F_OFD_SETLK = 37


@contextlib.contextmanager
def kept(path: Path) -> Iterator[None]:
    """Hold the lock as a keeper does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.fcntl(descriptor, _F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
        yield
    finally:
        os.close(descriptor)


def outcome(data: bytes) -> StateFile | None:
    """A reading whose every field has its type, or None where it was refused with the file's name."""
    try:
        state = state_file.decode(data, "the-name")
    except StoreError as error:
        assert "the-name" in error.message
        assert "\n" not in error.message
        return None
    assert isinstance(state.kind, Kind)
    assert isinstance(state.phase, Phase)
    assert isinstance(state.cause, Cause)
    assert isinstance(state.engine, Engine)
    assert isinstance(state.confinement, int)
    assert len(state.boot_id) == 16
    state.reason.encode()
    return state


def test_every_damaged_byte_is_a_reading_or_a_refusal() -> None:
    refused = 0
    for offset in range(800):
        for mask in (0x01, 0x80, 0xFF):
            damaged = bytearray(GOLDEN)
            damaged[offset] ^= mask
            refused += outcome(bytes(damaged)) is None
    # magic, version, kind, phase, cause and engine can't be anything.
    assert 8 + 4 + 4 < refused // 3 < 40


def test_every_length_but_the_whole_is_refused() -> None:
    for length in range(0, SIZE_BYTES, 7):
        assert outcome(GOLDEN[:length]) is None
    assert outcome(GOLDEN + b"more") is not None


def test_noise_is_refused() -> None:
    noise = random.Random(1)  # noqa: S311 - the same each time
    for _ in range(200):
        data = noise.randbytes(SIZE_BYTES)
        assert outcome(data) is None
        outcome(GOLDEN[:12] + data[12:])
    assert outcome(b"\0" * SIZE_BYTES) is None
    assert outcome(b"\xff" * SIZE_BYTES) is None


@pytest.mark.parametrize("version", [0, 2, 0xFFFFFFFF])
def test_another_version_is_named(version: int) -> None:
    damaged = bytearray(GOLDEN)
    struct.pack_into("<I", damaged, 8, version)
    with pytest.raises(StoreError, match=f"another version.*format {version}"):
        state_file.decode(bytes(damaged), "x")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"plain\0rest", "plain"), (b"", ""), ("réason".encode(), "réason"), (b"\xff\xfe", "��"),
        (b"x" * 512, "x" * 512), (b"\x1b[2J\0", "\x1b[2J"),
    ],
)  # fmt: skip
def test_the_reason_is_text_whatever_stands_there(raw: bytes, reason: str) -> None:
    damaged = bytearray(GOLDEN)
    damaged[256 : 256 + 512] = raw.ljust(512, b"\0")
    assert state_file.decode(bytes(damaged), "x").reason == reason


def test_a_fresh_file_is_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "state"
    state_file.create(str(path), Kind.WASM)
    assert path.stat().st_size == SIZE_BYTES
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_blocks * 512 >= SIZE_BYTES  # an exit must be storable on a full disk
    assert [entry.name for entry in tmp_path.iterdir()] == ["state"]
    assert state_file.read(str(path)) == (records.state(kind=Kind.WASM), False)


def test_a_fresh_file_has_a_fresh_lock(tmp_path: Path) -> None:
    path = tmp_path / "state"
    state_file.create(str(path), Kind.WASM)
    with kept(path):
        assert state_file.read(str(path))[1]
        state_file.create(str(path), Kind.WASM)
        assert not state_file.read(str(path))[1]


def test_a_file_that_is_written_in_part_only_replaces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state"
    state_file.create(str(path), Kind.WASM)
    before = path.read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:1024]))
    with pytest.raises(OSError, match="No space left"):
        state_file.create(str(path), Kind.NATIVE)
    assert path.read_bytes() == before


def test_what_an_interrupted_creation_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "state.new").write_bytes(b"x" * 10_000)
    state_file.create(str(tmp_path / "state"), Kind.NATIVE)
    assert (tmp_path / "state").read_bytes() == state_file.encode(records.state(kind=Kind.NATIVE))


@pytest.mark.parametrize("what", ["missing", "directory", "link", "dangling link", "fifo", "device", "empty", "short"])
def test_what_is_no_state_file(what: str, tmp_path: Path) -> None:
    path = tmp_path / "state"
    if what == "directory":
        path.mkdir()
    elif what == "link":
        (tmp_path / "real").write_bytes(GOLDEN)
        path.symlink_to(tmp_path / "real")
    elif what == "dangling link":
        path.symlink_to(tmp_path / "nothing")
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "device":
        path = Path("/dev/null")
    elif what in ("empty", "short"):
        path.write_bytes(GOLDEN[: 0 if what == "empty" else 4000])
    with pytest.raises(StoreError) as error:
        state_file.read(str(path))
    assert str(path) in error.value.message


@pytest.mark.parametrize("phase", list(Phase))
def test_the_lock_tells_whether_the_keeper_lives(phase: Phase, tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(state_file.encode(records.state(phase=phase)))
    assert state_file.read(str(path)) == (records.state(phase=phase), False)
    with kept(path):
        assert state_file.read(str(path)) == (records.state(phase=phase), True)


def test_an_open_file_stays_this_run_s(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(state_file.encode(records.state(phase=Phase.EXITED, status=7)))
    descriptor = state_file.open_for_reading(str(path))
    try:
        state_file.create(str(path), Kind.WASM)
        path.unlink()
        state, _ = state_file.read_open(descriptor, str(path))
    finally:
        os.close(descriptor)
    assert (state.phase, state.status) == (Phase.EXITED, 7)
