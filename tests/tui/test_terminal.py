"""`wpod top` as a program on a terminal: what it needs, how it ends, and that the terminal is as it was."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import termios
import time
from pathlib import Path

import pytest

from tests.support.command import Wpod
from tests.top.feed import moment, village
from tests.tui.stage import recording

_PATIENCE_SECONDS = 60.0
_MAIN_SCREEN_AGAIN = b"\x1b[?1049l"


class Screen:
    """The program on a pseudo-terminal."""

    def __init__(self, wpod: Wpod, *arguments: str, **environment: str) -> None:
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 80))
        self._slave = slave
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen(
            [*wpod.program, "top", *arguments],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**wpod.variables(), "TERM": "xterm-256color", **environment},
        )  # fmt: skip
        self.seen = b""

    def until(self, wanted: bytes) -> None:
        """Read until that was written."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while wanted not in self.seen:
            assert time.monotonic() < end, self.seen[-500:]
            self._read()

    def _read(self) -> None:
        if select.select([self.master], [], [], 0.1)[0]:
            self.seen += os.read(self.master, 1 << 16)

    def status(self) -> int:
        """How it ended."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < end, "it does not end"
            self._read()
        for _ in range(3):
            self._read()
        return self.process.returncode

    def is_restored(self) -> bool:
        """Whether lines are edited and echoed as before, and the usual screen is there."""
        same = termios.tcgetattr(self._slave)[:4] == self.before[:4]
        return same and (b"\x1b[?1049h" not in self.seen or self.seen.rindex(_MAIN_SCREEN_AGAIN) > 0)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self._slave)


@pytest.fixture
def file(tmp_path: Path) -> str:
    return recording(tmp_path / "village.jsonl", [moment(village())])


@pytest.mark.parametrize(
    ("ends", "expected"),
    [(b"q", 0), (b"\x03", 0), (b"\x1b[21~", 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["q", "Ctrl-C", "F10", "SIGTERM", "SIGHUP"],
)
def test_every_end_restores_the_terminal(wpod: Wpod, file: str, ends: bytes | signal.Signals, expected: int) -> None:
    screen = Screen(wpod, "--replay", file)
    try:
        screen.until(b"adds up")
        if isinstance(ends, bytes):
            os.write(screen.master, ends)
        else:
            screen.process.send_signal(ends)
        assert screen.status() == expected
        assert screen.is_restored()
        assert b"Traceback" not in screen.seen
    finally:
        screen.close()


def test_escape_never_quits(wpod: Wpod, file: str) -> None:
    screen = Screen(wpod, "--replay", file)
    try:
        screen.until(b"adds up")
        os.write(screen.master, b"\x1b")
        time.sleep(0.5)
        assert screen.process.poll() is None
        os.write(screen.master, b"q")
        assert screen.status() == 0
    finally:
        screen.close()


@pytest.mark.parametrize("terminal", ["dumb", ""])
def test_a_terminal_that_can_nothing_is_refused(wpod: Wpod, file: str, terminal: str) -> None:
    screen = Screen(wpod, "--replay", file, TERM=terminal)
    try:
        assert screen.status() == 125
        assert b"error: wpod top can't use this terminal" in screen.seen
        assert b"\x1b[?1049h" not in screen.seen
    finally:
        screen.close()


def test_without_a_terminal_it_points_at_stats(wpod: Wpod) -> None:
    wpod("top").fails(125, "needs a terminal", "wpod stats")


def test_wrong_input_is_told_before_the_screen_is_taken(wpod: Wpod, tmp_path: Path) -> None:
    (tmp_path / "no").write_text("no recording\n")
    wpod("top", "--once", "--replay", tmp_path / "no").fails(125, "is not a recording")
    wpod("top", "--once", "--replay", tmp_path / "missing").fails(125, "missing")
    wpod("top", "--filter", "kind:cheese").fails(125, "kind:cheese")
    wpod("top", "--size", "10x10").fails(125, "--size is for --once")
    wpod("top", "--once", "--size", "huge").fails(125, "WIDTHxHEIGHT")
    wpod("top", "--record", tmp_path / "no").fails(125, "is there already")
    wpod("top", "--record", tmp_path / "none" / "file").fails(125, "can't be written")
    wpod("top", "--record", tmp_path / "new", "--replay", tmp_path / "no").fails(125, "cannot be used together")
    assert (tmp_path / "no").read_text() == "no recording\n"
    assert not (tmp_path / "new").exists()


def test_one_look_for_scripts(wpod: Wpod, file: str) -> None:
    table = wpod("top", "--once", "--replay", file, "--filter", "kind:native").ok().out
    assert "db" in table
    assert "api" not in table
    document = wpod("top", "--once", "--replay", file, "--format", "json", "--filter", "db").ok().json
    assert [one["facts"]["name"] for one in document["containers"]] == ["db"]
    picture = wpod("top", "--once", "--replay", file, "--format", "svg", "--size", "100x30").ok().out
    assert picture.startswith("<svg")
    empty = wpod("top", "--once").ok().out
    assert "No containers yet" in empty
