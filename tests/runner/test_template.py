"""Several launch plans in one file: one runner loads the module and becomes all of the containers."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.runner.launching import PATIENCE_SECONDS, RUNNER, Container, Launch, pairs_of, prepare
from tests.runner.test_life import exit_with, module, start_function
from tests.support.command import eventually
from tests.support.guests import SOURCES, wasm_from_c
from wpod.formats import launch_plan
from wpod.formats.state_file import Phase
from wpod.operations.keeper import parse_reports


@dataclass
class Together:
    """A template that has come to its end, and its containers."""

    status: int
    told: bytes
    members: list[Container]


@contextmanager
def started(launches: Sequence[Launch], place: Path) -> Iterator[Together]:
    directories = [place / str(number) for number in range(len(launches))]
    for directory in directories:
        if not directory.exists():
            prepare(directory)
    reading, writing = os.pipe()
    plan = launch_plan.to_descriptor(
        *(pairs_of(launch, directory, writing) for launch, directory in zip(launches, directories, strict=True))
    )
    process = subprocess.Popen([str(RUNNER), str(plan)], pass_fds=(plan, writing), stdin=subprocess.DEVNULL)
    os.close(plan)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    status = process.wait(PATIENCE_SECONDS)
    members = [Container(directory, process, b"", directory / "root") for directory in directories]
    try:
        yield Together(status, told, members)
    finally:
        for member in members:
            if member.locked:
                os.kill(member.state.pid, signal.SIGKILL)


def idle_after(text: str) -> tuple[str, ...]:
    return ("guest", "line", text, "+", "idle")


def test_the_template_is_gone_and_each_has_its_own_files(tmp_path: Path) -> None:
    probe = wasm_from_c(SOURCES / "probe.c")
    with started([Launch(probe, idle_after(f"number {number}")) for number in range(3)], tmp_path) as done:
        assert done.status == 0
        assert [report.error for report in parse_reports(done.told, 3)] == [None] * 3
        assert len({member.state.pid for member in done.members}) == 3
        for number, member in enumerate(done.members):
            eventually(lambda member=member, n=number: member.output() == f"number {n}\n".encode())  # type: ignore[misc]
            assert member.locked
            assert os.getsid(member.state.pid) == member.state.pid
            assert int(Path(f"/proc/{member.state.pid}/stat").read_text().split()[3]) != done.members[0].process.pid
        os.kill(done.members[1].state.pid, signal.SIGTERM)
        eventually(lambda: not done.members[1].locked)
        assert [member.state.phase for member in done.members] == [Phase.RUNNING, Phase.EXITED, Phase.RUNNING]
        assert done.members[1].state.status == 128 + signal.SIGTERM


def test_what_one_writes_to_its_memory_the_others_do_not_see(tmp_path: Path) -> None:
    """Each adds to a number in its data and exits with it."""
    imports = '(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))'
    add = "(i32.store (i32.const 1024) (i32.add (i32.load (i32.const 1024)) (i32.const 1)))"
    guest = module(start_function(f"{add} (call $exit (i32.load (i32.const 1024)))"), imports=imports)
    with started([Launch(guest)] * 4, tmp_path) as done:
        eventually(lambda: all(not member.locked for member in done.members))
        assert [member.state.status for member in done.members] == [1] * 4


def test_one_that_fails_says_so_under_its_number(tmp_path: Path) -> None:
    guest = exit_with(5)
    launches = [
        Launch(guest),
        Launch(guest, extra=[("volume", launch_plan.volume("/missing", "/v", read_only=True, directory=True)[1])]),
    ]
    with started(launches, tmp_path) as done:
        first, second = parse_reports(done.told, 2)
        assert first.error is None
        assert second.error is not None
        assert "/missing" in second.error.message
        eventually(lambda: not done.members[0].locked)
        assert done.members[0].state.status == 5


def test_a_module_that_is_refused_is_told_once_for_all(tmp_path: Path) -> None:
    bad = tmp_path / "bad.wasm"
    bad.write_bytes(b"\0asm\1\0\0\0damaged")
    with started([Launch(bad)] * 3, tmp_path) as done:
        assert done.told.startswith(b"E126\n")
        assert done.status == 126
        assert {report.error.code for report in parse_reports(done.told, 3) if report.error} == {126}


@pytest.mark.parametrize("extra", [("rlimit", "nofile:5:5"), ("memory-max-bytes", "1048576"), ("aot-file", "/x")])
def test_plans_of_different_modules_are_refused(tmp_path: Path, extra: launch_plan.Pair) -> None:
    guest = exit_with(0)
    with started([Launch(guest), Launch(guest, extra=[extra])], tmp_path) as done:
        (report, _) = parse_reports(done.told, 2)
        assert report.error is not None
        assert f"differ in {extra[0]}" in report.error.message
        assert all(member.state.phase is Phase.CREATED for member in done.members)


def test_a_terminal_is_not_shared(tmp_path: Path) -> None:
    with started([Launch(exit_with(0), terminal=True)] * 2, tmp_path) as done:
        assert b"terminal" in done.told


def test_the_second_plan_is_checked_as_the_first(tmp_path: Path) -> None:
    prepare(tmp_path / "0")
    good = launch_plan.encode(pairs_of(Launch(exit_with(0)), tmp_path / "0", 9))
    plan = os.memfd_create("plan", os.MFD_ALLOW_SEALING)
    os.write(plan, good + launch_plan.encode([("id", "short")]))
    import fcntl

    fcntl.fcntl(plan, launch_plan._F_ADD_SEALS, launch_plan._SEALS)
    done = subprocess.run([RUNNER, str(plan)], pass_fds=(plan,), capture_output=True, check=False)
    os.close(plan)
    assert (done.returncode, done.stdout) == (125, b"")
    assert b"wrong value for id" in done.stderr


def test_reports_come_in_any_order_and_silence_is_death() -> None:
    found = parse_reports(b"2:R\x000:E126\nno such thing\nlook there\x00", 3)
    assert [report.error and report.error.code for report in found] == [126, 125, None]
    assert found[0].error is not None
    assert (found[0].error.message, found[0].error.hint) == ("no such thing", "look there")
    for nonsense in (b"", b"R", b"7:R\0", b"x:R\0", b"0:R", b"\xff\0", b"0R\0"):
        assert all(report.error for report in parse_reports(nonsense, 2))


def test_the_last_line_is_kept(tmp_path: Path) -> None:
    """Output of a guest that ends at once is not lost with the template."""
    guest = module(start_function("(call $print (i32.const 1) (i32.const 6))"))
    with started([Launch(guest)] * 8, tmp_path) as done:
        for member in done.members:
            eventually(lambda member=member: member.output() == b"hello\n")  # type: ignore[misc]
