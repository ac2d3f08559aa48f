"""The monitor and crun, driven through the backend: exits, streams, terminal, timeouts, deaths, leftovers."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from tests.native.conftest import PATIENCE_SECONDS, Box, read_until, until
from wpod.kernel import cgroup

EXITED, SIGNALLED, TIMED_OUT, OUT_OF_MEMORY = 1, 2, 4, 6


def test_the_status_and_both_streams_come_through(box: Box) -> None:
    status, out, err = box.run("sh", "-c", "echo out; echo err >&2; exit 42")
    assert (status, out, err, box.report) == (42, b"out\n", b"err\n", "R")
    state = box.state()
    assert (state["status"], state["cause"], state["phase"], state["kept"]) == (42, EXITED, 3, False)
    assert 0 < state["started_nanoseconds"] <= state["finished_nanoseconds"]


def test_the_same_in_the_background(box: Box) -> None:
    assert box.start("sh", "-c", "echo hello; exit 42") == "R"
    state = box.wait_end()
    assert (state["status"], state["cause"], box.logged()) == (42, EXITED, b"hello\n")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, 137), (signal.SIGTERM, 143)])
def test_death_by_a_signal(box: Box, number: signal.Signals, status: int) -> None:
    # The first process of a container gets only signals that it handles; its child gets all of them.
    child = f"sh -c 'kill -{int(number)} $$'; exit $?" if number is not signal.SIGKILL else "sleep 1000"
    assert box.start("sh", "-c", child) == "R"
    if number is signal.SIGKILL:
        assert box.call("kill", {"signal": int(number)})[1] == b"True\n"
    state = box.wait_end()
    assert state["status"] == status
    assert state["cause"] == (SIGNALLED if number is signal.SIGKILL else EXITED)


@pytest.mark.parametrize(
    ("program", "status", "words"),
    [("nosuch", 127, "not found"), ("/nosuch", 127, ""), ("/etc", 126, ""), ("/plain", 126, "")],
)
def test_a_program_that_cannot_run(box: Box, program: str, status: int, words: str) -> None:
    (box.base / "lower" / "plain").write_text("#!/bin/sh\n")
    report = box.start(program)
    code, cause = report.split("\n")
    assert (code, words in cause) == (f"E{status}", True), report
    state = box.wait_end()
    assert (state["status"], state["reason"]) == (status, cause)


def test_the_log_holds_the_bytes_exactly(box: Box) -> None:
    script = "dd if=/bin/busybox bs=1000 count=300 2>/dev/null; echo; echo end"
    status, out, _ = box.run("sh", "-c", script)
    expected = Path("/bin/busybox").read_bytes()[:300_000] + b"\nend\n"
    assert (status, out == expected, box.logged() == expected) == (0, True, True)
    assert box.state()["log_bytes"] == len(box.log)


def test_endless_output_without_a_newline_is_bounded(box: Box) -> None:
    status, out, _ = box.run("sh", "-c", "dd if=/dev/zero bs=65536 count=200 2>/dev/null", log_max_bytes=1 << 20)
    assert (status, len(out)) == (0, 200 * 65536)
    logs = list((box.base / box.identifier / "logs").iterdir())
    assert sorted(path.name for path in logs) == ["container.log", "container.log.1"]
    assert all(path.stat().st_size < 3 << 20 for path in logs)


def test_standard_input(box: Box) -> None:
    data = os.urandom(200_000)
    assert box.run("cat", stdin=data, interactive=True)[:2] == (0, data)


def test_without_interactive_input_is_empty(box: Box) -> None:
    assert box.run("cat", stdin=b"secret")[:2] == (0, b"")


def test_a_closed_reader_ends_the_guest(box: Box) -> None:
    box.make("yes")
    process = box.popen("foreground", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.read(4) == b"y\ny\n"
    process.stdout.close()
    assert process.wait(PATIENCE_SECONDS) != 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_reach_the_guest(box: Box, number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    box.make("sh", "-c", f"trap 'echo got {name}; exit 7' {name}; echo ready; while :; do sleep 0.05; done")
    process = box.popen("foreground", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    assert process.stdout.read() == f"got {name}\n".encode()
    assert process.wait(PATIENCE_SECONDS) == 7


def test_a_timeout(box: Box) -> None:
    status, out, _ = box.run("sh", "-c", "echo begun; sleep 1000", timeout_seconds=1)
    state = box.state()
    assert (status, out, state["status"], state["cause"]) == (255, b"begun\n", 255, TIMED_OUT)


def test_a_background_process_does_not_keep_the_container(box: Box) -> None:
    status, out, _ = box.run("sh", "-c", "sleep 1000 & echo done; exit 3")
    assert (status, out) == (3, b"done\n")


def test_a_terminal(box: Box) -> None:
    box.make("sh", "-c", "stty size; test -t 0 && test -t 1 && echo tty; read line; echo got $line; exit 5",
             terminal=True, interactive=True)  # fmt: skip
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
    before = termios.tcgetattr(other)
    process = box.popen("foreground", stdin=other, stdout=other, stderr=other)
    seen = read_until(main, b"tty\r\n")
    assert b"33 77" in seen
    os.write(main, b"hello\n")
    read_until(main, b"got hello\r\n")
    assert process.wait(PATIENCE_SECONDS) == 5
    assert termios.tcgetattr(other) == before
    os.close(other)
    os.close(main)
    assert b"got hello" in box.logged()


def test_a_killed_monitor_leaves_a_container_that_can_be_ended(box: Box) -> None:
    assert box.start("sleep", "1000") == "R"
    state = box.state()
    os.kill(state["keeper_pid"], signal.SIGKILL)
    until(lambda: not box.is_kept(), "the lock is free")
    assert Path(f"/proc/{state['pid']}").exists()
    assert box.call("release")[0] == 0
    until(lambda: not _lives(state["pid"]), "the container has ended")


def _lives(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return text.rpartition(")")[2].split()[0] not in ("Z", "X")


def test_a_second_start_of_the_same_container(box: Box) -> None:
    assert box.run("sh", "-c", "echo again >>/file; cat /file; exit 4")[:2] == (4, b"again\n")
    assert box.call("foreground")[:2] == (4, b"again\nagain\n")
    assert not (box.base / "lower" / "file").exists()


def test_a_container_that_runs_is_not_started_again(box: Box) -> None:
    assert box.start("sleep", "1000") == "R"
    first = box.state()
    _, out, _ = box.call("detached-again")
    assert out.startswith(b"E125\nthe container is running already"), out
    assert box.state()["pid"] == first["pid"]
    assert box.call("kill", {"signal": 9})[1] == b"True\n"
    assert box.wait_end()["status"] == 137


@pytest.mark.parametrize("root", ["OVERLAY", "COPY", "FUSE_OVERLAY"])
def test_roots(box: Box, root: str) -> None:
    status, out, err = box.run("sh", "-c", "echo mine >/bin/new; cat /bin/new; ls /", root=root)
    assert (status, out[:5]) == (0, b"mine\n"), (out, err, box.report)
    assert not (box.base / "lower" / "bin" / "new").exists()


def _delegated(box: Box) -> bool:
    """Whether this account can have limits here: as root always, as a user with cgroup v2 and systemd."""
    return box.account.uid == 0 or cgroup.hierarchy() is cgroup.Hierarchy.V2


def test_a_limit_of_processes(box: Box) -> None:
    script = "i=0; while test $i -lt 40; do sleep 1000 & i=$((i+1)); done"
    if not _delegated(box):
        status, err = box.refused("sh", "-c", script, limits={"pids": 10})
        assert (status, b"--pids-limit" in err) == (125, True), err
        return
    status, _, err = box.run("sh", "-c", script, limits={"pids": 10})
    assert (status != 0, b"fork" in err) == (True, True), (status, err)
    assert box.call("release")[0] == 0


def test_out_of_memory(box: Box) -> None:
    script = "x=a; while :; do x=$x$x; done"
    if not _delegated(box):
        status, err = box.refused("sh", "-c", script, limits={"memory_bytes": 16 << 20})
        assert (status, b"--memory" in err) == (125, True), err
        return
    status, _, _ = box.run("sh", "-c", script, limits={"memory_bytes": 16 << 20})
    assert (status, box.state()["cause"]) == (137, OUT_OF_MEMORY)
    assert box.call("release")[0] == 0


def test_a_cpu_quota(box: Box) -> None:
    if not _delegated(box):
        assert box.refused("sleep", "1", limits={"cpu_quota_microseconds": 5000})[0] == 125
        return
    script = "cat /proc/self/cgroup"
    status, out, _ = box.run("sh", "-c", script, limits={"cpu_quota_microseconds": 5000})
    assert (status, box.identifier.encode() in out) == (0, True)
    assert box.call("release")[0] == 0
