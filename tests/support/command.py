"""The command under test: run as an account, on a store of its own, with every result checked for manners."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.account import Account

_ID = re.compile(rb"\b[0-9a-f]{64}\b")
_PATIENCE_SECONDS = 90.0


@dataclass(frozen=True)
class Result:
    """How a command ended: exit status (128+n by signal), output bytes, and what it was."""

    arguments: tuple[str, ...]
    status: int
    stdout: bytes
    stderr: bytes

    @property
    def out(self) -> str:
        return self.stdout.decode(errors="surrogateescape")

    @property
    def err(self) -> str:
        return self.stderr.decode(errors="surrogateescape")

    @property
    def line(self) -> str:
        """The only line of stdout."""
        lines = self.out.splitlines()
        assert len(lines) == 1, self.explain()
        return lines[0]

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def explain(self) -> str:
        typed = " ".join(self.arguments).encode(errors="backslashreplace").decode()  # xdist takes no surrogates
        return f"{typed}\nstatus {self.status}\nstdout: {self.stdout[-2000:]!r}\nstderr: {self.stderr[-2000:]!r}"

    def ok(self) -> Result:
        assert self.status == 0, self.explain()
        return self

    def exits(self, status: int) -> Result:
        assert self.status == status, f"expected {status}\n{self.explain()}"
        return self

    def fails(self, status: int, *words: str) -> Result:
        """An error of the command itself: exit status, exactly one `error:` line, and what it must name."""
        self.exits(status)
        lines = self.err.splitlines()
        errors = [line for line in lines if line.lower().startswith("error:")]
        assert len(errors) == 1, f"one error line was expected\n{self.explain()}"
        for word in words:
            assert word.lower() in self.err.lower(), f"{word!r} is not named\n{self.explain()}"
        return self


# How options begin that say something of networks.
_ABOUT_NETWORKS = ("--net", "-p", "-P", "--publish", "--ip", "--mac", "--add-host", "--dns", "--no-hosts", "--help")


@dataclass
class Wpod:
    """wpod for one account and one store.

    Every result is checked: no traceback, whatever happens. `seen` collects the IDs that were printed, so
    that leftovers of these containers can be told from those of tests running beside. `of_new` are options of `run` and
    `create` where the test says nothing of networks: the default one takes most of the time of a thousand tests.
    """

    program: Sequence[str]
    account: Account
    store: Path
    scratch: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    store_option: bool = False
    seen: set[str] = field(default_factory=set)
    of_new: tuple[str, ...] = ()

    def variables(self, more: Mapping[str, str | None] | None = None) -> dict[str, str]:
        """The environment of a command: nothing of the tests' own but PATH. None in `more` unsets."""
        values: dict[str, str | None] = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.scratch / "home"),
            "XDG_RUNTIME_DIR": str(self.scratch / "runtime"),
            "TMPDIR": str(self.scratch / "tmp"),
            "LANG": "C.UTF-8",
            "WPOD_ROOT": str(self.store),
            **self.environment,
            **(more or {}),
        }
        return {name: value for name, value in values.items() if value is not None}

    def start(
        self,
        *arguments: str | bytes | os.PathLike[str],
        environment: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
        before_exec: Callable[[], None] | None = None,
        **streams: Any,
    ) -> subprocess.Popen[bytes]:
        """Start a command without waiting; streams are pipes unless given. In a session of its own."""
        as_other = os.geteuid() != self.account.uid
        return subprocess.Popen(
            [*self.program, *self._completed(arguments)],
            stdin=streams.get("stdin", subprocess.DEVNULL),
            stdout=streams.get("stdout", subprocess.PIPE),
            stderr=streams.get("stderr", subprocess.PIPE),
            env=self.variables(environment),
            cwd=cwd or self.scratch,
            start_new_session=True,
            user=self.account.uid if as_other else None,
            group=self.account.gid if as_other else None,
            extra_groups=[] if as_other else None,
            preexec_fn=before_exec,  # noqa: PLW1509 - limits and closed streams of the child; the tests have one thread
        )

    def _completed(
        self, arguments: Sequence[str | bytes | os.PathLike[str]]
    ) -> Sequence[str | bytes | os.PathLike[str]]:
        verb = arguments[0] if arguments else ""
        if not self.of_new or verb not in ("run", "create"):
            return arguments
        if any(isinstance(word, str) and word.startswith(_ABOUT_NETWORKS) for word in arguments):
            return arguments
        return (verb, *self.of_new, *arguments[1:])

    def __call__(
        self,
        *arguments: str | bytes | os.PathLike[str],
        input: bytes | None = None,  # noqa: A002 - subprocess's own word for it
        environment: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
        patience_seconds: float = _PATIENCE_SECONDS,
        before_exec: Callable[[], None] | None = None,
    ) -> Result:
        """Run a command to its end. One that outlasts the patience is killed and fails the test."""
        stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
        process = self.start(*arguments, environment=environment, cwd=cwd, before_exec=before_exec, stdin=stdin)
        return self.finish(process, arguments, input, patience_seconds)

    def finish(
        self,
        process: subprocess.Popen[bytes],
        arguments: Sequence[str | bytes | os.PathLike[str]] = (),
        input: bytes | None = None,  # noqa: A002
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> Result:
        """Wait for a started command and check its manners."""
        try:
            stdout, stderr = process.communicate(input, timeout=patience_seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
            raise AssertionError(
                f"{arguments!r} did not end within {patience_seconds:g} s\nstdout: {stdout!r}\nstderr: {stderr!r}"
            ) from None
        status = process.returncode if process.returncode >= 0 else 128 - process.returncode
        words = tuple(os.fsdecode(argument) for argument in arguments)
        result = Result(("wpod", *words), status, stdout or b"", stderr or b"")
        assert b"Traceback (most recent call last)" not in result.stderr, result.explain()
        assert b"panicked at" not in result.stderr, result.explain()
        assert b"error: unexpected failure" not in result.stderr, result.explain()
        self.seen.update(found.decode() for found in _ID.findall(result.stdout))
        return result

    def field(self, name: str, template: str) -> str:
        """One field of `inspect`."""
        return self("inspect", "--format", template, name).ok().out.strip("\n")

    def until_running(self, name: str) -> None:
        """Wait until the container runs."""
        eventually(lambda: self("inspect", "--format", "{{.State.Status}}", name).out.strip() == "running")


def eventually(holds: Callable[[], object], patience_seconds: float = 20.0) -> None:
    """Ask until the answer is true; fails with the last answer after the patience."""
    end = time.monotonic() + patience_seconds
    answer = holds()
    while not answer:
        assert time.monotonic() < end, f"still not true after {patience_seconds:g} s: {answer!r}"
        time.sleep(0.05)
        answer = holds()
