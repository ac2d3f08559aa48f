"""kill -9 at random moments: the next command works without repair, and what was finished is kept.

The moments are the same each time. A command is first run undisturbed, which tells how long it takes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Archives, load
from tests.storage.conftest import noise
from tests.storage.fake_registry import FakeRegistry
from tests.support import content, guests, images
from tests.support.command import Result, Wpod, eventually
from tests.support.images import File, layer_tar

_KILLS = 4  # for each account and command; 44 in all
WASM, NATIVE = "localhost/probe-wasm:latest", "localhost/probe-native:latest"


class Killer:
    """Runs commands and kills some of them."""

    def __init__(self, wpod: Wpod) -> None:
        self._wpod = wpod
        self._moments = random.Random(20)

    def duration(self, *arguments: Any) -> float:
        """How long a command takes that nobody disturbs."""
        begun = time.monotonic()
        self._wpod(*arguments).ok()
        return time.monotonic() - begun

    def kill(self, seconds: float, *arguments: Any) -> Result:
        """Start a command and kill it at a moment within the time that it takes."""
        process = self._wpod.start(*arguments)
        try:
            process.wait(self._moments.uniform(0.02, seconds))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        return self._wpod.finish(process, arguments)


@pytest.fixture
def loaded(fresh: Wpod, archives: Archives, probe_sources: dict[str, images.ImageSource]) -> Iterator[Wpod]:
    """Both images, one container that runs and one that has ended, and a volume with a file.

    Containers have no network where the test says nothing of one: those are killed in tests/net.
    """
    fresh.of_new = ("--network", "none")
    load(fresh, archives, *probe_sources.values())
    fresh("run", "-d", "--name", "kept", "-v", "kept-data:/data", WASM, "idle").ok()
    fresh("run", "--name", "ended", "-v", "kept-data:/data", WASM, "write", "/data/file", "kept content").ok()
    yield fresh
    assert sorted(names(fresh)) == ["ended", "kept"]
    assert fresh.field("kept", "{{.State.Status}}") == "running"
    assert fresh.field("ended", "{{.State.ExitCode}}") == "0"
    read = fresh("run", "--rm", "-v", "kept-data:/data", WASM, "read", "/data/file").ok()
    assert "kept content" in read.out
    fresh("rm", "--force", "--all", "--volumes", "--time", "0").ok()
    fresh("volume", "rm", "kept-data").ok()
    fresh("image", "prune", "--all", "--force").ok()
    assert fresh("volume", "ls", "--quiet").ok().out == ""
    fresh("system", "check").ok()


def names(wpod: Wpod) -> list[str]:
    return wpod("ps", "--all", "--format", "{{.Names}}").ok().out.split()


def remove_others(wpod: Wpod) -> None:
    """Every container but the two that must be kept, whatever state a kill left it in."""
    others = [name for name in names(wpod) if name not in ("kept", "ended")]
    if others:
        wpod("rm", "--force", "--volumes", "--time", "0", *others).ok()


def test_run(loaded: Wpod) -> None:
    loaded.of_new = ()
    killer = Killer(loaded)
    usual = {image: killer.duration("run", "-d", "-v", "/more", image, "idle") for image in (WASM, NATIVE)}
    for image in (WASM, NATIVE) * 3:
        done = killer.kill(usual[image] * 1.1, "run", "-d", "-v", "/more", image, "idle")
        if done.stdout:
            assert loaded.field(done.line, "{{.State.Status}}") == "running"
        loaded("run", "--rm", image, "exit", "3").exits(3)
        for name in names(loaded):
            assert loaded.field(name, "{{.State.Status}}") in ("created", "running", "exited")
        remove_others(loaded)


def test_files_of_an_anonymous_volume_without_a_record_are_swept(loaded: Wpod) -> None:
    """What a kill leaves between the rename and the commit; a named volume's directory is nobody's to delete."""
    orphan = loaded.account.directory(loaded.store / "volumes" / ("0a" * 32))
    unknown = loaded.account.directory(loaded.store / "volumes" / "named")
    name = loaded("create", "-v", "/more", WASM, "idle").ok().line
    assert not orphan.exists()
    assert unknown.exists()
    (volume,) = [one for one in loaded("volume", "ls", "-q").ok().out.split() if one != "kept-data"]
    assert (loaded.store / "volumes" / volume / "_data").is_dir()
    loaded("rm", "--volumes", name).ok()
    assert sorted(entry.name for entry in (loaded.store / "volumes").iterdir()) == ["kept-data", "named"]
    loaded("system", "check", "--repair", "--force").ok()


def test_a_container_s_directory_without_record_and_lock_is_swept(loaded: Wpod) -> None:
    """crun makes its own directory again where it was at work for a killed start whose container has been removed."""
    again = loaded.account.directory(loaded.store / "containers" / ("0b" * 32))
    loaded.account.directory(again / "runtime")
    held = loaded.account.directory(loaded.store / "containers" / ("0c" * 32))
    lock = held / "lock"
    lock.touch()
    loaded.account.own(lock)
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        loaded("create", "--name", "new", WASM, "idle").ok()
        assert not again.exists()
        assert held.exists()  # somebody is at work in it
    loaded("rm", "new").ok()
    assert not held.exists()


def test_interruptions(loaded: Wpod) -> None:
    """SIGINT and SIGTERM are no kill: a start under way is taken back, a finished one is kept."""
    moments = random.Random(21)
    lock = str(loaded.store / "lock")
    for number in range(10):
        arguments = ("run", "-d", "-v", "/more", NATIVE if number % 2 else WASM, "idle")
        process = loaded.start(*arguments)
        # Python's own start can't be interrupted without its traceback: wait for the first thing that wpod does.
        eventually(lambda process=process: process.poll() is not None or lock in open_files(process.pid))  # type: ignore[misc]
        time.sleep(moments.uniform(0, 0.12))
        process.send_signal(signal.SIGTERM if number % 3 else signal.SIGINT)
        done = loaded.finish(process, arguments)
        assert done.status in (0, 130, 143), done.explain()
        others = [name for name in names(loaded) if name not in ("kept", "ended")]
        assert len(others) == 1 or not done.stdout, done.explain()
        # All or nothing; a signal between the end of the start and the output comes too late.
        assert [loaded.field(name, "{{.State.Status}}") for name in others] in ([], ["running"]), done.explain()
        remove_others(loaded)
        assert loaded("volume", "ls", "--quiet").ok().out == "kept-data\n"


def open_files(pid: int) -> list[str]:
    """What a process has open; nothing where it has ended."""
    found = []
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.append(os.readlink(entry))
    return found


def test_create(loaded: Wpod) -> None:
    killer = Killer(loaded)
    usual = killer.duration("create", "--name", "x", "-v", "x-data:/data", NATIVE, "idle")
    for _ in range(_KILLS):
        remove_others(loaded)
        loaded("volume", "rm", "--force", "x-data").ok()
        done = killer.kill(usual * 1.1, "create", "--name", "x", "-v", "x-data:/data", NATIVE, "idle")
        if done.stdout:
            assert loaded.field("x", "{{.Id}}") == done.line
        if "x" not in names(loaded):
            loaded("create", "--name", "x", "-v", "x-data:/data", NATIVE, "idle").ok()
        loaded("start", "x").ok()
        assert loaded("logs", "x").ok().out == ""
        listed = loaded("run", "--rm", "-v", "x-data:/data", WASM, "list", "/data").ok()
        assert listed.out.split() == ["given"]  # a volume is filled as a whole or not at all
    remove_others(loaded)
    loaded("volume", "rm", "x-data").ok()


def test_rm(loaded: Wpod) -> None:
    killer = Killer(loaded)

    def make() -> list[str]:
        made = [loaded("run", "-d", "-v", "/more", image, "idle").ok().line for image in (WASM, NATIVE)]
        return [*made, loaded("create", "-v", "/more", NATIVE, "idle").ok().line]

    usual = killer.duration("rm", "--force", "--volumes", "--time", "0", *make())
    for _ in range(_KILLS):
        made = make()
        done = killer.kill(usual * 1.1, "rm", "--force", "--volumes", "--time", "0", *made)
        left = set(loaded("ps", "--all", "--quiet", "--no-trunc").ok().out.split())
        assert not left & set(done.out.split())  # what was said to be removed is
        for identifier in left & set(made):
            assert loaded.field(identifier, "{{.State.Status}}") in ("created", "running", "exited")
        remove_others(loaded)
        loaded("run", "--rm", NATIVE, "exit", "3").exits(3)
        assert not set(made) & {path.name for path in (loaded.store / "containers").iterdir()}
    loaded("volume", "prune", "--force").ok()  # of a container whose record went before its anonymous volume


def test_load(loaded: Wpod, archives: Archives) -> None:
    killer = Killer(loaded)
    more = {"large": File(noise(6 << 20), 0o644)}
    source = images.with_program(
        "localhost/large:latest", guests.native_from_c(guests.SOURCES / "probe.c"), wasm=False, more=more
    )
    command = ("load", "--input", archives(source))
    usual = killer.duration(*command)
    for _ in range(_KILLS):
        loaded("rmi", "--force", source.name).ok()
        done = killer.kill(usual * 1.1, *command)
        present = loaded("image", "exists", source.name).status == 0
        assert present or not done.stdout
        if present:
            loaded("run", "--rm", "--pull", "never", source.name, "exit", "4").exits(4)
        loaded(*command).ok()
        loaded("run", "--rm", "--pull", "never", source.name, "exit", "4").exits(4)


def test_pull(loaded: Wpod, fake: FakeRegistry) -> None:
    killer = Killer(loaded)
    program = guests.native_from_c(guests.SOURCES / "probe.c").read_bytes()
    layers = [layer_tar({f"noise-{number}": File(noise(2 << 20, number), 0o644)}) for number in range(3)]
    fake.publish(content.image([layer_tar({"main": File(program)}), *layers], {"Entrypoint": ["/main"]}))
    command = ("pull", "--quiet", "--tls-verify=false", fake.name())
    usual = killer.duration(*command)
    for _ in range(_KILLS):
        loaded("rmi", "--force", fake.name()).ok()
        done = killer.kill(usual * 1.1, *command)
        present = loaded("image", "exists", fake.name()).status == 0
        assert present or not done.stdout
        if not present:
            loaded(*command).ok()
        loaded("run", "--rm", "--pull", "never", fake.name(), "exit", "4").exits(4)
