"""Processes that a file notes: told from strangers by a word of their command line."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from tests.support.command import eventually
from wpod.kernel import pidfd


def opened() -> int:
    """How many descriptors of processes this one has open; others may come and go beside the test."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            count += "pidfd" in os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115 - as the kernel writes it
    return count


def test_a_noted_process_is_opened_while_it_is_the_one(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    assert pidfd.open_noted(str(note), "60") is None
    with subprocess.Popen(["sleep", "60"]) as child:
        note.write_text(f"{child.pid}\n")
        # The kernel closes what tells of the exec a moment before the new command line can be read.
        eventually(lambda: b"sleep" in Path(f"/proc/{child.pid}/cmdline").read_bytes())
        before = opened()
        assert pidfd.open_noted(str(note), "61") is None
        assert opened() == before
        descriptor = pidfd.open_noted(str(note), "60")
        assert descriptor is not None
        assert pidfd.send(descriptor, signal.SIGKILL)
        assert pidfd.wait_end(descriptor, 10)
        os.close(descriptor)
    assert pidfd.open_noted(str(note), "60") is None
    note.write_text("no number")
    assert pidfd.open_noted(str(note), "60") is None
