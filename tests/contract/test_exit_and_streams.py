"""Exit codes, and bytes that come out as they went in."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.contract.conftest import Mode, Subject
from tests.support.command import Result, eventually

Run = Callable[..., Result]


def test_a_guest_that_exits_42_gives_42(run: Run) -> None:
    run((), "exit", "42").exits(42)


@pytest.mark.parametrize("code", ["0", "1", "125", "126", "127", "255"])
def test_every_exit_code_is_the_guests_own(subject: Subject, code: str) -> None:
    subject.run(Mode.FOREGROUND, (), "exit", code).exits(int(code))


def test_an_abort_is_told_by_the_exit_code(run: Run, subject: Subject, mode: Mode) -> None:
    """Native: the kernel drops SIGABRT for the first process of a pid namespace; glibc then faults, 128 + 11."""
    result = run((), "line", "before", "+", "abort").exits(134 if subject.is_wasm else 139)
    assert result.stdout == b"before\n"
    if subject.is_wasm and mode is Mode.FOREGROUND:
        result.fails(134, "unreachable")


def test_the_two_streams_stay_apart(run: Run) -> None:
    result = run((), "line", "one", "+", "err", "two", "+", "line", "three").ok()
    assert (result.stdout, result.stderr) == (b"one\nthree\n", b"two\n")


def test_output_without_a_newline_is_kept_as_it_is(run: Run) -> None:
    assert run((), "out", "no newline").ok().stdout == b"no newline"


@pytest.mark.own
def test_every_byte_comes_out_unchanged(run: Run) -> None:
    """podman's log driver is not held to this: it adds a newline to a last line that has none."""
    assert run((), "bytes", "70000").ok().stdout == bytes(i & 0xFF for i in range(70000))


def test_a_long_line_is_not_cut(run: Run) -> None:
    assert run((), "line", "x" * 40000).ok().stdout == b"x" * 40000 + b"\n"


def test_a_busy_loop_is_stopped_at_once(subject: Subject) -> None:
    container = subject.detached((), "line", "started", "+", "spin")
    eventually(lambda: subject.wpod("logs", container).stdout == b"started\n")
    before = time.monotonic()
    assert subject.wpod("stop", "--time", "30", container).ok().line == container
    assert time.monotonic() - before < 15
    assert subject.wpod("wait", container).ok().line == "143"


def test_a_stop_without_patience_gives_137(subject: Subject) -> None:
    container = subject.detached(("--stop-signal", "URG"), "line", "started", "+", "spin")
    eventually(lambda: subject.wpod("logs", container).stdout == b"started\n")
    subject.wpod("stop", "--time", "1", container).ok()
    assert subject.wpod("wait", container).ok().line == "137"


@pytest.mark.parametrize(("name", "code"), [("KILL", "137"), ("TERM", "143"), ("INT", "130")])
def test_a_signal_by_kill_gives_128_and_its_number(subject: Subject, name: str, code: str) -> None:
    container = subject.detached((), "line", "started", "+", "idle")
    eventually(lambda: subject.wpod("logs", container).stdout == b"started\n")
    subject.wpod("kill", "--signal", name, container).ok()
    assert subject.wpod("wait", container).ok().line == code


def test_kill_9_from_outside_is_seen_as_137(subject: Subject) -> None:
    container = subject.detached(("--name", "victim"), "line", "started", "+", "idle")
    eventually(lambda: subject.wpod("logs", container).stdout == b"started\n")
    os.kill(int(subject.wpod.field(container, "{{.State.Pid}}")), signal.SIGKILL)
    assert subject.wpod("wait", "victim").ok().line == "137"
    assert subject.wpod.field("victim", "{{.State.Status}} {{.State.ExitCode}}") == "exited 137"


@pytest.mark.own  # podman's own answer depends on a race with its signal proxy: 130, now and then 1, or no end
def test_ctrl_c_ends_a_foreground_guest_with_130(subject: Subject) -> None:
    process = subject.wpod.start("run", "--rm", "--name", "front", subject.image, "line", "go", "+", "idle")
    assert process.stdout is not None
    assert process.stdout.readline() == b"go\n"
    os.killpg(process.pid, signal.SIGINT)
    subject.wpod.finish(process).exits(130)


def test_stdin_is_the_guests_with_interactive(subject: Subject) -> None:
    given = b"first\nsecond without newline"
    assert subject.wpod("run", "--rm", "-i", subject.image, "cat", input=given).ok().stdout == given


def test_stdin_is_empty_without_interactive(subject: Subject) -> None:
    assert subject.wpod("run", "--rm", subject.image, "cat", input=b"not for you\n").ok().stdout == b""


def test_a_while_read_loop_is_not_eaten(subject: Subject) -> None:
    words = " ".join([*(f"'{word}'" for word in subject.wpod.program), "run", "--rm", subject.image, "line"])
    process = subprocess.Popen(
        ["sh", "-c", f'while read name; do {words} "got $name"; done'],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=subject.wpod.variables(),
        start_new_session=True,
        cwd=subject.wpod.scratch,
        user=subject.wpod.account.uid if os.geteuid() != subject.wpod.account.uid else None,
        group=subject.wpod.account.gid if os.geteuid() != subject.wpod.account.uid else None,
        extra_groups=[] if os.geteuid() != subject.wpod.account.uid else None,
    )
    assert subject.wpod.finish(process, input=b"a\nb\n").ok().stdout == b"got a\ngot b\n"


def test_a_detached_run_gives_the_id_and_returns(subject: Subject) -> None:
    """`x=$(wpod run -d …)`: no descriptor of the pipe stays open in what goes on running."""
    before = time.monotonic()
    result = subject.wpod("run", "-d", subject.image, "sleep", "60000").ok()
    assert time.monotonic() - before < 30
    assert len(result.line) == 64
    assert result.stderr == b""


def test_output_into_head_gives_no_traceback(subject: Subject) -> None:
    container = subject.detached((), "lines", "20000")
    subject.wpod("wait", container).ok()
    process = subject.wpod.start("logs", container)
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == b"line 0\n"
    process.stdout.close()
    process.wait(30)
    assert b"Traceback" not in process.stderr.read()


def test_not_found_is_127_and_not_executable_is_126(subject: Subject) -> None:
    subject.wpod("run", "--rm", "--entrypoint", "/nowhere", subject.image).fails(127, "/nowhere")
    reason = "not a WebAssembly module" if subject.is_wasm else "permission denied"
    subject.wpod("run", "--rm", "--entrypoint", "/data/given", subject.image).fails(126, reason)


def test_a_timeout_ends_the_guest(subject: Subject) -> None:
    container = subject.detached(("--timeout", "1"), "idle")
    expected = "-1" if subject.is_reference else "255"  # what podman means by -1 is 255 where it is an exit status
    assert subject.wpod("wait", container).ok().line == expected
    subject.wpod("run", "--rm", "--timeout", "1", subject.image, "idle").exits(255)


@pytest.mark.wasm
def test_deep_recursion_is_a_stack_overflow(subject: Subject) -> None:
    result = subject.wpod("run", "--rm", subject.image, "recurse")
    result.fails(134, "stack overflow")
