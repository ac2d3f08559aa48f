"""Reading and following logs: rotation, torn lines, tail, times, size (wpod.logs)."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from wpod.errors import StoreError
from wpod.formats import log_line
from wpod.formats.log_line import LogEntry, Stream
from wpod.logs.follow import Follower
from wpod.logs.read import Selection, entries


def stamp(number: int) -> str:
    return f"2024-01-01T00:{number // 60 % 60:02d}:{number % 60:02d}.000000000+00:00"


def entry(number: int, *, complete: bool = True, stream: Stream = Stream.STDOUT, text: str = "") -> LogEntry:
    return LogEntry(stamp(number), stream, complete, (text or f"line {number}").encode())


def lines(first: int, last: int) -> bytes:
    return b"".join(log_line.encode(entry(number)) for number in range(first, last))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "container.log"


def rotate(log: Path) -> None:
    """As the writer does it (rust/container-log)."""
    log.rename(f"{log}.1")


def read(log: Path, selection: Selection | None = None) -> list[str]:
    return [found.content.decode() for found in entries(str(log), selection or Selection())]


def numbered(first: int, last: int) -> list[str]:
    return [f"line {number}" for number in range(first, last)]


# --- reading ------------------------------------------------------------------------------------------------------


def test_no_log_is_empty(log: Path) -> None:
    assert read(log) == []
    assert read(log, Selection(tail=5)) == []
    log.touch()
    assert read(log) == read(log, Selection(tail=5)) == []


def test_the_rotated_file_comes_first(log: Path) -> None:
    log.write_bytes(lines(0, 5))
    rotate(log)
    assert read(log) == numbered(0, 5)
    log.write_bytes(lines(5, 8))
    assert read(log) == numbered(0, 8)


@pytest.mark.parametrize("tail", [0, 1, 2, 3, 4, 7, 8, 9, 1000])
@pytest.mark.parametrize("where", [0, 1, 5, 8])
def test_the_last_lines_over_two_files(tail: int, where: int, log: Path) -> None:
    Path(f"{log}.1").write_bytes(lines(0, where))
    log.write_bytes(lines(where, 8))
    assert read(log, Selection(tail=tail)) == numbered(max(8 - tail, 0), 8)


def test_a_line_in_pieces_is_one_line_for_tail(log: Path) -> None:
    pieces = [
        entry(0), entry(1, complete=False), entry(2, complete=False), entry(3), entry(4, complete=False), entry(5),
        entry(6, complete=False), entry(7, complete=False),
    ]  # fmt: skip
    log.write_bytes(b"".join(map(log_line.encode, pieces)))
    assert read(log, Selection(tail=1)) == numbered(6, 8)
    assert read(log, Selection(tail=2)) == numbered(4, 8)
    assert read(log, Selection(tail=3)) == numbered(1, 8)
    assert read(log, Selection(tail=4)) == numbered(0, 8)
    rotate(log)
    assert read(log, Selection(tail=2)) == numbered(4, 8)


TORN = {
    "a write under way": lines(0, 3) + stamp(3).encode() + b" stdout F lin",
    "rubbish between": lines(0, 2) + b"rubbish\n\n\0\0\0\n" + lines(2, 3),
    "a cut head": b"line 9\n" + lines(0, 3),
    "no newline at all": b"\xff" * 5000,
    "an empty line": b"\n",
    "a wrong stream": lines(0, 3) + stamp(1).encode() + b" stdin F x\n",
}


@pytest.mark.parametrize("content", TORN.values(), ids=TORN.keys())
def test_torn_lines_are_left_out(content: bytes, log: Path) -> None:
    log.write_bytes(content)
    whole = numbered(0, 3) if b"line 2" in content else []
    assert read(log) == whole
    for tail in (1, 2, 3, 10):
        assert read(log, Selection(tail=tail)) == whole[-tail:]


def test_a_line_longer_than_any_writer_makes_is_passed_over(log: Path) -> None:
    log.write_bytes(lines(0, 2) + stamp(2).encode() + b" stdout F " + b"x" * (3 << 20) + b"\n" + lines(3, 5))
    whole = numbered(0, 2) + numbered(3, 5)
    assert read(log) == whole
    for tail in (1, 2, 3, 10):
        assert read(log, Selection(tail=tail)) == whole[-tail:]


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [(3, None, (3, 10)), (None, 3, (0, 4)), (3, 5, (3, 6)), (99, None, (0, 0)), (5, 3, (0, 0)), (0, 99, (0, 10))],
)
def test_since_and_until(since: int | None, until: int | None, expected: tuple[int, int], log: Path) -> None:
    Path(f"{log}.1").write_bytes(lines(0, 4))
    log.write_bytes(lines(4, 10))
    chosen = Selection("" if since is None else stamp(since), "" if until is None else stamp(until))
    assert read(log, chosen) == numbered(*expected)
    last = Selection(chosen.since, chosen.until, tail=2)
    assert read(log, last) == numbered(*expected)[-2:]


def test_bytes_and_streams_are_kept(log: Path) -> None:
    made = [
        LogEntry(stamp(0), Stream.STDERR, True, b"\x00\xff\r\t \x1b"),
        LogEntry(stamp(1), Stream.STDOUT, False, b""),
        LogEntry(stamp(2), Stream.STDOUT, True, b"  stdout F "),
    ]
    log.write_bytes(b"".join(map(log_line.encode, made)))
    assert list(entries(str(log), Selection())) == made
    assert list(entries(str(log), Selection(tail=9))) == made


def test_a_long_line_and_large_blocks(log: Path) -> None:
    """Longer than what is read at once, in both directions."""
    made = [entry(number, text=chr(97 + number) * 300_000) for number in range(4)]
    log.write_bytes(b"".join(map(log_line.encode, made)))
    assert list(entries(str(log), Selection())) == made
    assert list(entries(str(log), Selection(tail=3))) == made[1:]


def test_the_end_of_a_large_log_is_read_without_the_rest(log: Path) -> None:
    with log.open("wb") as file:
        file.truncate(1 << 40)  # a hole: reading through it would take hours
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + lines(0, 5))
    assert read(log, Selection(tail=3)) == numbered(2, 5)


def test_ten_megabytes(log: Path) -> None:
    count = 10_000_000 // len(lines(0, 1))
    log.write_bytes(b"".join(log_line.encode(entry(number % 3600)) for number in range(count)))
    assert sum(1 for _ in entries(str(log), Selection())) == count
    assert len(read(log, Selection(tail=100))) == 100


@pytest.mark.parametrize("what", ["link", "directory", "fifo"])
def test_what_is_no_log_is_refused(what: str, log: Path, tmp_path: Path) -> None:
    if what == "link":
        (tmp_path / "secret").write_bytes(lines(0, 1))
        log.symlink_to(tmp_path / "secret")
    elif what == "directory":
        log.mkdir()
    else:
        os.mkfifo(log)
    for selection in (Selection(), Selection(tail=1)):
        with pytest.raises(StoreError, match=r"container\.log"):
            read(log, selection)


# --- following ----------------------------------------------------------------------------------------------------


def append(log: Path, content: bytes) -> None:
    with log.open("ab") as file:
        file.write(content)


def shown(found: list[LogEntry]) -> list[str]:
    return [one.content.decode() for one in found]


def test_only_what_is_new(log: Path) -> None:
    log.write_bytes(lines(0, 3))
    follower = Follower(str(log))
    assert shown(list(follower.before(Selection(tail=2)))) == numbered(1, 3)
    assert follower.fresh() == []
    append(log, lines(3, 5))
    assert shown(follower.fresh()) == numbered(3, 5)
    assert follower.fresh() == []
    follower.close()
    follower.close()


def test_a_log_that_comes_later(log: Path) -> None:
    follower = Follower(str(log))
    assert list(follower.before(Selection())) == follower.fresh() == []
    log.write_bytes(lines(0, 2))
    assert shown(follower.fresh()) == numbered(0, 2)
    follower.close()


def test_a_line_that_comes_in_pieces(log: Path) -> None:
    log.touch()
    follower = Follower(str(log))
    whole = lines(0, 1)
    for number in range(len(whole) - 1):
        append(log, whole[number : number + 1])
        assert follower.fresh() == []
    append(log, whole[-1:] + lines(1, 2))
    assert shown(follower.fresh()) == numbered(0, 2)
    follower.close()


@pytest.mark.parametrize("rotations", [1, 2])
def test_rotation_loses_and_doubles_nothing(rotations: int, log: Path) -> None:
    """Between two looks as many rotations as files are kept; more can't be seen by anybody."""
    log.write_bytes(lines(0, 2))
    follower = Follower(str(log))
    append(log, lines(2, 4))
    rotate(log)
    log.write_bytes(lines(4, 6))
    if rotations == 2:
        rotate(log)
        log.write_bytes(lines(6, 8))
    assert shown(follower.fresh()) == numbered(2, 4 + 2 * rotations)
    append(log, lines(8, 9))
    assert shown(follower.fresh()) == numbered(8, 9)
    follower.close()


def test_between_the_rename_and_the_new_file(log: Path) -> None:
    log.write_bytes(lines(0, 2))
    follower = Follower(str(log))
    append(log, lines(2, 3))
    rotate(log)
    assert shown(follower.fresh()) == numbered(2, 3)
    log.write_bytes(lines(3, 4))
    assert shown(follower.fresh()) == numbered(3, 4)
    follower.close()


def test_reading_first_and_following_then_gives_each_line_once(log: Path) -> None:
    """Also where the log is rotated between the two."""
    log.write_bytes(lines(0, 3))
    follower = Follower(str(log))
    append(log, lines(3, 5))
    rotate(log)
    log.write_bytes(lines(5, 7))
    found = shown(list(follower.before(Selection()))) + shown(follower.fresh())
    assert found == numbered(0, 7)
    follower.close()


def test_following_ends_with_its_container_and_misses_no_last_word(log: Path) -> None:
    log.write_bytes(lines(0, 1))
    follower = Follower(str(log))
    looks = 0

    def ended() -> bool:
        nonlocal looks
        looks += 1
        append(log, lines(looks, looks + 1))  # written after the question was answered
        return looks == 3

    assert shown(list(follower.entries(ended))) == numbered(1, 4)


def test_a_line_under_way_when_following_begins_is_not_lost(log: Path) -> None:
    whole = lines(0, 3)
    log.write_bytes(whole[:-5])
    follower = Follower(str(log))
    append(log, whole[-5:])
    assert shown(list(follower.before(Selection()))) + shown(follower.fresh()) == numbered(0, 3)
    follower.close()


def test_a_writer_that_rotates_while_it_is_followed(log: Path) -> None:
    """The writer waits until each line has been seen, so at most one rotation lies between two looks."""
    log.touch()
    follower = Follower(str(log))
    seen = threading.Semaphore(0)
    written = threading.Event()

    def write() -> None:
        for number in range(12):
            if number % 3 == 2:
                rotate(log)
            append(log, lines(number, number + 1))
            seen.acquire()
        written.set()

    writer = threading.Thread(target=write)
    writer.start()
    found = []
    for one in follower.entries(written.is_set):
        found.append(one.content.decode())
        seen.release()
    writer.join()
    assert found == numbered(0, 12)
