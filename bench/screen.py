"""`wpod top` with hundreds of containers: what it takes, how soon it is there, how soon it answers a key.

It runs on a pseudo-terminal as a user has it. A key is answered when the changed row under the cursor has been written;
then the next one is pressed. The same by Textual's pilot, without a terminal, is in `key, pilot`.

As a command, for a store that has running containers:

    python -m bench.screen PROGRAM STORE --seconds 20
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path
from typing import Any

from bench import commands, figures, images, managers
from bench.figures import Figure, Scale, Section
from bench.managers import Manager
from bench.workplace import TOP, Workplace

NAME = "screen"
_TITLE = "The full screen"
COST_GOAL_PERCENT, MEMORY_GOAL_MB, KEY_GOAL_MS, FIRST_GOAL_SECONDS, TICK_GOAL_BYTES = 5.0, 60.0, 50.0, 1.0, 8192
_MANY = {Scale.FULL: (400, 2000), Scale.GUARD: (400,), Scale.QUICK: (6,)}
_SECONDS = {Scale.FULL: 20, Scale.GUARD: 10, Scale.QUICK: 3}
_KEYS = 40
_ROWS, _COLUMNS = 24, 80
_QUIET_SECONDS = 2.0


def measure(place: Workplace, scale: Scale) -> Section:
    """Raises CommandFailed."""
    raw: dict[str, Any] = {}
    try:
        hello = images.hello(place)
    except images.Missing as missing:
        return Section(NAME, _TITLE, skipped=(str(missing),))
    wasm = managers.wpod(place, "wpod wasm", hello)
    found = [figure for count in _MANY[scale] for figure in _of(place, wasm, count, _SECONDS[scale], raw)]
    return Section(NAME, _TITLE, tuple(found), (), raw)


def _of(place: Workplace, wasm: Manager, count: int, seconds: int, raw: dict[str, Any]) -> list[Figure]:
    wasm.start_by_one_command(count)
    try:
        command = (
            sys.executable, "-m", "bench.screen", str(place.program), str(place.store), "--seconds", str(seconds),
        )  # fmt: skip
        told = json.loads(commands.output_of(command, {"PYTHONPATH": str(TOP)}))
    finally:
        wasm.remove_scaled(count)
    raw[f"screen with {count}"] = told
    judged = count <= 400

    def with_goal(goal: float) -> float | None:
        return goal if judged else None

    name = f"top, {count} wasm"
    return [
        Figure(f"{name}: processor", told["percent"], "%", with_goal(COST_GOAL_PERCENT)),
        Figure(f"{name}: its own memory", told["private_MB"], "MB", with_goal(MEMORY_GOAL_MB)),
        Figure(f"{name}: first screen", told["first_seconds"], "s", with_goal(FIRST_GOAL_SECONDS)),
        figures.of_repeats(f"{name}: answer to a key", told["key_ms"], "ms", KEY_GOAL_MS, "on a pseudo-terminal"),
        figures.of_repeats(f"{name}: answer to a key, pilot", told["pilot_ms"], "ms", KEY_GOAL_MS, "no terminal"),
        Figure(f"{name}: written each second", told["tick_bytes"], "B", with_goal(TICK_GOAL_BYTES)),
    ]


class Terminal:
    """A pseudo-terminal with the program on it."""

    def __init__(self, words: list[str]) -> None:
        self.pid, self.master = pty.fork()
        if not self.pid:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
            os.execvp(words[0], words)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))

    def read(self, seconds: float) -> bytes:
        """What comes within that time, b"" for nothing."""
        if not select.select([self.master], [], [], seconds)[0]:
            return b""
        return os.read(self.master, 1 << 16)

    def until(self, wanted: bytes, seconds: float) -> bytes:
        """All up to what is wanted. Raises TimeoutError."""
        end, seen = time.monotonic() + seconds, b""
        while wanted not in seen:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{wanted!r} did not come; the last was {seen[-300:]!r}")
            seen += self.read(left)
        return seen

    def quiet(self, seconds: float) -> int:
        """How many bytes come in that time."""
        end, count = time.monotonic() + seconds, 0
        while (left := end - time.monotonic()) > 0:
            count += len(self.read(left))
        return count

    def close(self) -> None:
        os.write(self.master, b"q")
        with contextlib.suppress(OSError):  # EIO: it has ended
            self.quiet(_QUIET_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.master)


def _on_a_terminal(program: str, store: str, seconds: int) -> dict[str, Any]:
    begin = time.monotonic()
    terminal = Terminal([program, "--root", store, "top"])
    try:
        terminal.until(b"adds up", 30)
        first = time.monotonic() - begin
        terminal.quiet(_QUIET_SECONDS)
        used, start = _processor_seconds(terminal.pid), time.monotonic()
        written = terminal.quiet(seconds)
        elapsed = time.monotonic() - start
        used = _processor_seconds(terminal.pid) - used
        memory = _private_bytes(terminal.pid)
        os.write(terminal.master, b"\x1b[C")  # unfold: there are rows to go through
        terminal.quiet(1)
        keys = []
        for number in range(_KEYS):
            at = time.perf_counter()
            os.write(terminal.master, b"j" if number % 2 == 0 else b"k")
            while not terminal.read(5):
                pass
            keys.append((time.perf_counter() - at) * 1000)
            terminal.quiet(0.13)  # not always at the same distance from a look
    finally:
        terminal.close()
    return {
        "first_seconds": first, "percent": used / elapsed * 100, "private_MB": memory / (1 << 20), "key_ms": keys,
        "tick_bytes": written / elapsed,
    }  # fmt: skip


def _processor_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _private_bytes(pid: int) -> int:
    """What would be free without it."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        rows = dict(line.split(":", 1) for line in file if line.startswith("Private_"))
    return sum(int(row.split()[0]) * 1024 for row in rows.values())


def _by_pilot(store: str) -> list[float]:
    from textual import events

    from wpod.tui.app import Opening, TopApp
    from wpod.tui.feed import Source
    from wpod.tui.terminal import Ability

    async def whole() -> list[float]:
        app = TopApp(Opening(Source(root=store), Ability()))
        found = []
        async with app.run_test(size=(_COLUMNS, _ROWS)) as pilot:
            while app.model.moment is None:
                await pilot.pause(0.02)
            await pilot.press("right")
            for number in range(_KEYS):
                before = app._board._lines
                key = "j" if number % 2 == 0 else "k"
                at = time.perf_counter()
                app.post_message(events.Key(key, key))  # pilot.press would wait a frame of its own
                while app._board._lines is before:
                    await asyncio.sleep(0)
                found.append((time.perf_counter() - at) * 1000)
                await pilot.pause(0.13)
        return found

    return asyncio.run(whole())


def main() -> int:
    """The command: prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("--seconds", type=int, default=20, help="how long its cost is measured (default 20)")
    given = parser.parse_args()
    told = _on_a_terminal(str(given.program), str(given.store), given.seconds)
    print(json.dumps({**told, "pilot_ms": _by_pilot(str(given.store))}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
