"""Kinds of roots, volumes of files, tmpfs, users; with a Go guest that uses them as Go programs do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.runner.conftest import Start
from tests.runner.launching import Container, Launch
from tests.support.guests import SOURCES, MissingCompiler, wasm_from_c, wasm_from_go
from wpod.formats import launch_plan
from wpod.formats.log_line import Stream
from wpod.formats.state_file import Confinement

NOBODY = 65534
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="starts containers as another user, which takes root")


@pytest.fixture(scope="module")
def go_guest() -> Path:
    try:
        return wasm_from_go(SOURCES / "go")
    except MissingCompiler as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def calls() -> Path:
    return wasm_from_c(SOURCES / "calls.c", "-Wno-unused-result")


def reachable(module: Path, directory: Path) -> Path:
    """A copy that the user who owns the directory can read."""
    copy = directory / "main.wasm"
    copy.write_bytes(module.read_bytes())
    return copy


def overlay(directory: Path) -> list[launch_plan.Pair]:
    for name in ("upper", "work", "lower-1", "lower-2"):
        (directory / name).mkdir()
    (directory / "lower-1" / "made").mkdir()
    (directory / "lower-2" / "made").mkdir()
    (directory / "lower-2" / "made" / "below").write_text("lower")
    lower = [("root-lower", str(directory / name)) for name in ("lower-1", "lower-2")]
    return [*lower, ("root-upper", str(directory / "upper")), ("root-work", str(directory / "work"))]


def check_go(container: Container, *entries: str) -> None:
    assert container.ready == b"R", container.ready
    assert container.wait() == 7, container.output()
    assert container.output(Stream.STDOUT).decode().splitlines() == [
        "args a b c",
        "env A=1 B=x y",
        "cwd /app",
        "read absolute",
        *entries,
        "missing true",
        "from goroutine true",
    ]
    assert container.output(Stream.STDERR) == b"to stderr\n"


GO_ENTRIES = ("entry deep true", "entry moved.txt false")


@pytest.mark.parametrize("started_by", [0, pytest.param(NOBODY, marks=needs_root)])
@pytest.mark.parametrize("kind", ["copy", "overlay"])
def test_a_go_program_runs(start: Start, go_guest: Path, directory: Path, kind: str, started_by: int) -> None:
    extra = overlay(directory) if kind == "overlay" else []
    launch = Launch(
        reachable(go_guest, directory),
        arguments=("guest", "a", "b c"),
        environment=("A=1", "B=x y"),
        workdir="/app",
        root=kind,
        extra=extra,
        started_by=started_by,
    )
    container = start(launch)
    below = ("entry below false",) if kind == "overlay" else ()
    check_go(container, *below, *GO_ENTRIES)
    written = directory / ("upper" if kind == "overlay" else "root")
    assert (written / "app" / "relative.txt").read_text() == "relative"
    assert (written / "made" / "moved.txt").read_text() == "absolute"
    held = container.state.confinement
    assert bool(held & Confinement.USER_NAMESPACE) is bool(started_by or os.getuid())
    assert held & Confinement.SECCOMP
    if kind == "overlay":
        assert os.listdir(directory / "lower-1" / "made") == []
        assert os.listdir(directory / "lower-2" / "made") == ["below"]


def test_a_read_only_root_is_not_written(start: Start, go_guest: Path, directory: Path) -> None:
    container = start(Launch(go_guest, root="read-only"))
    assert container.wait() == 1
    assert b"Read-only file system" in container.output()
    assert os.listdir(directory / "root") == []


def test_a_tmpfs_is_empty_writable_and_gone_afterwards(start: Start, calls: Path, directory: Path) -> None:
    mounts = Path("/proc/self/mountinfo").read_text()
    container = start(Launch(calls, arguments=("guest", "directory"), workdir="/t", extra=[("tmpfs", "1048576:/t")]))
    assert container.wait() == 0, container.output()
    assert b"seen=300" in container.output()
    assert os.listdir(directory / "root") == ["t"]
    assert os.listdir(directory / "root" / "t") == []
    assert Path("/proc/self/mountinfo").read_text() == mounts


def test_a_file_is_a_volume(start: Start, calls: Path, directory: Path) -> None:
    (directory / "secret").write_text("secret")
    (directory / "beside").write_text("beside")
    extra = [launch_plan.volume(str(directory / "secret"), "/etc/secret", read_only=True, directory=False)]
    container = start(Launch(calls, arguments=("guest", "escapes", "etc/secret", "etc/beside"), extra=extra))
    assert container.wait() == 0
    lines = container.output().decode().splitlines()
    assert "etc/secret=0 secret" in lines
    assert "etc/beside=44 " in lines


@needs_root
def test_root_becomes_the_user_and_can_still_rotate_the_log(start: Start, calls: Path, directory: Path) -> None:
    os.chown(directory / "root", 4242, 4243)
    extra = [("log-max-bytes", "2000"), ("supplementary-group", "4244")]
    container = start(Launch(calls, arguments=("guest", "large"), user=(4242, 4243), extra=extra))
    assert container.wait() == 0, container.output()
    big = (directory / "root" / "big").stat()
    assert (big.st_uid, big.st_gid) == (4242, 4243)
    assert (directory / "log" / "container.log.1").exists()
    assert container.state.dropped_lines == 0


def test_a_missing_volume_is_named(start: Start, calls: Path, directory: Path) -> None:
    missing = str(directory / "none")
    extra = [launch_plan.volume(missing, "/v", read_only=True, directory=True)]
    assert start(Launch(calls, extra=extra)).failure() == (
        125,
        f"cannot open the volume {missing}: no such file or directory",
    )
