"""The process that a shell or a service has started is the container's, and nothing of the start stays beside it."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import pytest

from tests.contract.conftest import Subject
from tests.support.command import eventually


@pytest.mark.own
def test_only_the_container_s_processes_stay(subject: Subject) -> None:
    """No Python, no watcher, no zombie: the runner alone, or the monitor and its guest."""
    name = f"alone-{subject.label}"
    started = subject.wpod.start("run", "--rm", "--name", name, subject.image, "idle")
    try:
        subject.wpod.until_running(name)
        program = "wpod-runner" if subject.is_wasm else "wpod-monitor"
        assert Path(f"/proc/{started.pid}/cmdline").read_bytes().split(b"\0")[0].endswith(program.encode())
        eventually(lambda: _children(started.pid) == ([] if subject.is_wasm else ["main"]))
    finally:
        started.send_signal(signal.SIGTERM)
        subject.wpod.finish(started).exits(143)


def _children(pid: int) -> list[str]:
    """The names of a process's children, zombies included."""
    names = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(OSError):  # it has just gone
            names.append(Path(f"/proc/{child}/comm").read_text().strip())
    return names
