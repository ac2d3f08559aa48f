"""Starts wpod-runner as wpod does: a sealed launch plan, a readiness pipe, a state file."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.guests import TOP
from wpod.formats import launch_plan, log_line, state_file

LIBEXEC = Path(os.environ.get("WPOD_LIBEXEC_DIR", TOP / "wpod" / "libexec"))
RUNNER = LIBEXEC / "wpod-runner"
PATIENCE_SECONDS = 30


@dataclass(frozen=True)
class Launch:
    """What one container is to be; the defaults are a writable root, a log and no terminal."""

    module: Path
    arguments: Sequence[str] = ("guest",)
    environment: Sequence[str] = ()
    workdir: str = "/"
    root: str = "copy"
    extra: Sequence[launch_plan.Pair] = ()
    terminal: bool = False
    user: tuple[int, int] = (0, 0)
    started_by: int = 0
    # Descriptors of listening sockets, and the name of each.
    listen: Sequence[tuple[int, str]] = ()


@dataclass
class Container:
    """One started runner and its files."""

    directory: Path
    process: subprocess.Popen[bytes]
    ready: bytes
    root: Path = field(default_factory=Path)

    @property
    def state(self) -> state_file.StateFile:
        return state_file.read(str(self.directory / "state"))[0]

    @property
    def locked(self) -> bool:
        return state_file.read(str(self.directory / "state"))[1]

    def wait(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)

    def output(self, stream: log_line.Stream | None = None) -> bytes:
        """The bytes that the guest wrote, of one stream or as they came."""
        lines = (self.directory / "log" / "container.log").read_bytes().splitlines(keepends=True)
        entries = [log_line.decode(line.removesuffix(b"\n")) for line in lines]
        return b"".join(entry.output for entry in entries if entry and stream in {None, entry.stream})

    def failure(self) -> tuple[int, str]:
        """Exit code and cause of a start that failed."""
        assert self.ready.startswith(b"E"), self.ready
        code, cause = self.ready[1:].decode().split("\n")[:2]
        assert self.wait() == int(code)
        return int(code), cause


def pairs_of(launch: Launch, directory: Path, ready: int) -> list[launch_plan.Pair]:
    module = launch.module
    digest = hashlib.sha256(module.read_bytes()).hexdigest() if module.is_file() else "0" * 64
    return [
        ("id", "0" * 64),
        ("state", str(directory / "state")),
        ("log-directory", str(directory / "log")),
        ("ready-fd", str(ready)),
        ("terminal", str(int(launch.terminal))),
        ("stdin", "0"),
        ("module", str(module)),
        ("module-digest", "sha256:" + digest),
        *([] if any(key == "aot" for key, _ in launch.extra) else [("aot", "off")]),
        *(("argument", value) for value in launch.arguments),
        *(("environment", value) for value in launch.environment),
        ("workdir", launch.workdir),
        ("root", launch.root),
        ("root-path", str(directory / "root")),
        ("user-id", str(launch.user[0])),
        ("group-id", str(launch.user[1])),
        *(("listen", f"{descriptor}:{name}") for descriptor, name in launch.listen),
        *launch.extra,
    ]


def give_away(directory: Path, owner: int) -> None:
    """Lets another user own a container's files and reach them."""
    for parent in directory.parents:
        if not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    for path in (directory, *directory.rglob("*")):
        os.chown(path, owner, owner, follow_symlinks=False)


def prepare(directory: Path) -> None:
    for name in ("log", "root"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    state_file.create(str(directory / "state"), state_file.Kind.WASM)


@contextmanager
def started(launch: Launch, directory: Path) -> Iterator[Container]:
    """Starts a runner in a directory that `prepare` made, and reads its word; kills it at the end."""
    reading, writing = os.pipe()
    plan = launch_plan.to_descriptor(pairs_of(launch, directory, writing))
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} if launch.terminal else {}
    if os.getuid() == 0 and launch.started_by:
        give_away(directory, launch.started_by)
        streams |= {"user": launch.started_by, "group": launch.started_by, "extra_groups": []}
    passed = (plan, writing, *(descriptor for descriptor, _ in launch.listen))
    process = subprocess.Popen([str(RUNNER), str(plan)], pass_fds=passed, stdin=subprocess.DEVNULL, **streams)
    os.close(plan)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        ready = pipe.read()
    try:
        yield Container(directory, process, ready, directory / "root")
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate(timeout=PATIENCE_SECONDS)


def wait_for_output(container: Container, expected: bytes) -> None:
    """Until the guest has written something, which shows that it runs."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while expected not in container.output():
        assert time.monotonic() < deadline, f"no {expected!r} in {container.output()!r}"
        assert container.process.poll() is None, f"ended: {container.state}"
        time.sleep(0.01)
