"""A busybox root and the driver, for each account: what these tests run in."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import session_directory
from tests.support import leftovers, package_copy
from tests.support.account import Account
from wpod.formats import state_file

_TOP = Path(__file__).parents[2]
_APPLETS = "sh sleep echo cat ls id mount hostname stty kill head dd mkdir ln touch test chmod mknod readlink wc yes"
PATIENCE_SECONDS = 60.0


def read_until(descriptor: int, words: bytes) -> bytes:
    """What a terminal shows, up to these words. Fails after the patience, also where nothing comes at all."""
    seen = b""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while words not in seen:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, seen
        seen += os.read(descriptor, 4096)
    return seen


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition that comes true by itself, however slow the machine is."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def interpreter() -> str:
    """A Python that every account can execute."""
    return package_copy.interpreter()


@pytest.fixture(scope="session")
def package() -> Path:
    """A copy of the package and the driver that every account can read."""
    place = package_copy.made(session_directory())
    shutil.copy(Path(__file__).parent / "driver.py", place / "driver.py")
    return place


@dataclass
class Box:
    """One container of one account."""

    base: Path
    account: Account
    command: tuple[str, ...]
    package: Path
    identifier: str = field(default_factory=lambda: secrets.token_hex(32))
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def popen(self, verb: str, wanted: dict[str, Any] | None = None, **streams: Any) -> subprocess.Popen[bytes]:
        """The driver, as the account."""
        identity: dict[str, Any] = {}
        if os.geteuid() != self.account.uid:
            identity = {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}
        environment = {
            "HOME": str(self.base),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(self.package),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        if "WPOD_LIBEXEC_DIR" in os.environ:
            environment["WPOD_LIBEXEC_DIR"] = os.environ["WPOD_LIBEXEC_DIR"]
        arguments = [*self.command, str(self.base), verb, json.dumps(wanted or {})]
        process = subprocess.Popen(arguments, env=environment, cwd="/", **identity, **streams)
        self.started.append(process)
        return process

    def call(self, verb: str, wanted: dict[str, Any] | None = None, stdin: bytes = b"") -> tuple[int, bytes, bytes]:
        """The driver to its end: status, stdout, stderr."""
        pipe = subprocess.PIPE
        process = self.popen(verb, wanted, stdin=pipe, stdout=pipe, stderr=pipe)
        out, err = process.communicate(stdin, timeout=PATIENCE_SECONDS)
        return process.returncode, out, err

    def _plan(self, arguments: tuple[str, ...], wanted: dict[str, Any]) -> None:
        self.account.own(self.base)
        (self.base / "plan.json").write_text(json.dumps({"id": self.identifier, "arguments": arguments, **wanted}))
        self.account.own(self.base / "plan.json")

    def make(self, *arguments: str, **wanted: Any) -> Box:
        self._plan(arguments, wanted)
        status, _, err = self.call("make")
        assert status == 0, err
        return self

    def refused(self, *arguments: str, **wanted: Any) -> tuple[int, bytes]:
        """The exit code and message of a container that is not even made."""
        self._plan(arguments, wanted)
        status, _, err = self.call("make")
        return status, err

    def run(self, *arguments: str, stdin: bytes = b"", **wanted: Any) -> tuple[int, bytes, bytes]:
        """A container in the foreground, to its end."""
        self.make(*arguments, **wanted)
        return self.call("foreground", stdin=stdin)

    def start(self, *arguments: str, **wanted: Any) -> str:
        """A container in the background; gives the monitor's report."""
        self.make(*arguments, **wanted)
        status, out, err = self.call("detached")
        assert status == 0, err
        return out.decode().strip("\n")

    def state(self) -> dict[str, Any]:
        status, out, err = self.call("state")
        assert status == 0, err
        found: dict[str, Any] = json.loads(out)
        return found

    def is_kept(self) -> bool:
        """Whether the monitor lives; without a driver, for this is asked again and again."""
        return state_file.read(str(self.base / self.identifier / "state"))[1]

    def wait_end(self) -> dict[str, Any]:
        until(lambda: not self.is_kept(), "the monitor lets go of the state file")
        return self.state()

    @property
    def report(self) -> str:
        return (self.base / "report").read_text()

    @property
    def log(self) -> bytes:
        return (self.base / self.identifier / "logs" / "container.log").read_bytes()

    def logged(self) -> bytes:
        """What the guest wrote to both streams, joined from the log."""
        from wpod.formats import log_line

        entries = [log_line.decode(line) for line in self.log.split(b"\n")[:-1]]
        assert all(entries), self.log
        return b"".join(entry.output for entry in entries if entry is not None)

    def left(self) -> list[str]:
        found = [f"process {pid}: {name}" for pid, name in leftovers.processes_of(self.base).items()]
        found += [f"mount {point}" for point in leftovers.mounts_of(self.base)]
        found += [f"cgroup {path}" for path in leftovers.cgroups_of([self.identifier])]
        runtime = self.base / self.identifier / "runtime"
        return found + [f"runtime state {path}" for path in (runtime.iterdir() if runtime.is_dir() else ())]


@pytest.fixture
def box(account: Account, interpreter: str, package: Path) -> Iterator[Box]:
    """A container that is to be made; whatever it leaves behind fails the test."""
    base = Path(tempfile.mkdtemp(prefix=f"box-{account.label}-", dir=session_directory()))
    base.chmod(0o755)
    lower = base / "lower"
    (lower / "bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", lower / "bin" / "busybox")
    for applet in _APPLETS.split():
        (lower / "bin" / applet).symlink_to("busybox")
    (lower / "etc").mkdir()
    for path in (lower, *lower.rglob("*")):
        os.chown(path, account.uid, account.gid, follow_symlinks=False)
    made = Box(base, account, (interpreter, str(package / "driver.py")), package)
    yield made
    for process in made.started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
    with contextlib.suppress(AssertionError):
        until(lambda: not made.left(), "nothing is left")
    left = made.left()
    leftovers.end(base)
    account.remove_tree(base)
    assert not left, left
