"""exec in running containers, and terminals of foreground ones."""

from __future__ import annotations

import os
import pty
import select
import time

import pytest

from tests.contract.conftest import Subject
from tests.support.command import eventually


@pytest.fixture
def up(subject: Subject) -> str:
    """A running container."""
    container = subject.detached(("--name", "up", "-e", "FROM_RUN=1"), "line", "up", "+", "idle")
    eventually(lambda: subject.wpod("logs", container).stdout == b"up\n")
    return container


@pytest.mark.native
def test_exec_gives_output_and_code(subject: Subject, up: str) -> None:
    result = subject.wpod("exec", "up", "/main", "line", "hello", "+", "err", "oops", "+", "exit", "42").exits(42)
    assert (result.stdout, result.stderr) == (b"hello\n", b"oops\n")
    assert subject.wpod("exec", "-i", "up", "/main", "cat", input=b"given").ok().stdout == b"given"
    assert subject.wpod("exec", "up", "/main", "cat", input=b"given").ok().stdout == b""


@pytest.mark.native
def test_exec_options(subject: Subject, up: str) -> None:
    options = ("-e", "MINE=2", "-w", "/tmp", "-u", "app")
    found = subject.wpod("exec", *options, "up", "/main", "report", "+", "same", ".", "/tmp").ok().out
    assert '"FROM_RUN=1"' in found and '"MINE=2"' in found
    assert '"uid":1000' in found.replace(" ", "")
    assert found.endswith("yes\n")


@pytest.mark.native
def test_exec_of_what_cannot_run(subject: Subject, up: str) -> None:
    subject.wpod("exec", "up", "nowhere").fails(127, "nowhere")
    subject.wpod("exec", "up", "/data/given").fails(126)
    subject.wpod("exec", "not-there", "/main").fails(125, "not-there")
    subject.wpod("exec", "up").exits(255)
    subject.wpod("stop", "-t", "5", "up").ok()
    subject.wpod("exec", "up", "/main").fails(255, "running")


@pytest.mark.wasm
def test_exec_in_a_wasm_container_is_refused_with_the_reason(subject: Subject, up: str) -> None:
    subject.wpod("exec", "up", "/main.wasm").fails(125, "wasm")
    assert subject.wpod.field("up", "{{.State.Status}}") == "running"


def _read_until(terminal: int, wanted: bytes) -> bytes:
    seen = b""
    end = time.monotonic() + 30
    while wanted not in seen:
        assert time.monotonic() < end, seen
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                seen += os.read(terminal, 4096)
            except OSError:  # the other side is closed
                break
    return seen


@pytest.mark.own
def test_a_terminal_in_the_foreground(subject: Subject) -> None:
    """What is typed is echoed by the guest's terminal and read by the guest; lines end in CR LF.

    A native guest has a terminal of its own, a wasm guest uses the one that wpod was started on.
    """
    main, other = pty.openpty()
    process = subject.wpod.start(
        "run", "--rm", "-it", subject.image, "line", "ready", "+", "cat", stdin=other, stdout=other, stderr=other
    )
    os.close(other)
    assert b"ready\r\n" in _read_until(main, b"ready\r\n")
    os.write(main, b"typed\n\x04")
    assert b"typed\r\ntyped\r\n" in _read_until(main, b"typed\r\ntyped\r\n")
    assert process.wait(30) == 0
    os.close(main)


@pytest.mark.own
def test_a_terminal_cannot_be_detached(subject: Subject) -> None:
    subject.wpod("run", "-dt", subject.image, "line", "x").fails(125, "--tty")
    assert subject.wpod("ps", "-aq").ok().out == ""
