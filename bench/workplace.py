"""A place that a benchmark may fill: an installed copy of wpod, a store of its own; all of it goes at the end."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import commands

TOP = Path(__file__).parents[1]
_ACCOUNT = "wpod-tester"  # packaging/test-account.sh
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Workplace:
    """A temporary directory with wpod installed below `prefix`, as `make install` does it.

    `account` is who runs wpod here: whoever runs the benchmark, or an unprivileged user (see `of_user`).
    """

    directory: Path
    account: str = ""
    installed: Path | None = None

    @property
    def program(self) -> str:
        """The command under test: the installed one, for a checkout's starts differently."""
        return str((self.installed or self.directory / "prefix") / "bin" / "wpod")

    @property
    def command(self) -> tuple[str, ...]:
        """How it is called: by its name alone, or as the account."""
        return self.by_account(self.program)

    def by_account(self, *command: str) -> tuple[str, ...]:
        """How a command is called as who runs wpod here; another account starts where everybody may enter."""
        if not self.account:
            return command
        user = (f"--reuid={self.account}", f"--regid={self.account}", "--init-groups")
        return ("setpriv", *user, "env", "--chdir=/", *command)

    @property
    def store(self) -> Path:
        return self.directory / "store"

    @property
    def environment(self) -> Mapping[str, str]:
        """What makes wpod use the store of this place; added to the environment of its commands."""
        named = {"WPOD_ROOT": str(self.store), "TMPDIR": str(self.directory / "tmp")}
        if self.account:
            named |= {"HOME": str(self.directory), "XDG_RUNTIME_DIR": str(self.directory / "runtime")}
        return named

    def wpod(self, *arguments: str) -> str:
        """Run wpod to its end; its output without the line end. Raises CommandFailed."""
        return commands.output_of((*self.command, *arguments), self.environment).rstrip("\n")

    def log(self, identifier: str) -> str:
        """The log of a container, by its whole ID (docs/formats.md); asking `inspect` would take its time."""
        return f"{self.store}/containers/{identifier}/logs/container.log"

    def new_directory(self, name: str) -> Path:
        """A directory below this place, made where it is missing."""
        made = self.directory / name
        made.mkdir(parents=True, exist_ok=True)
        if self.account:
            shutil.chown(made, self.account, self.account)
        return made


@contextlib.contextmanager
def workplace() -> Iterator[Workplace]:
    """Make one, and remove it with its containers, also when the benchmark is interrupted.

    Raises CommandFailed where wpod can't be installed (not built). SIGTERM and SIGHUP end it as Ctrl-C does.
    """
    before = [signal.signal(number, _interrupt) for number in _SIGNALS]
    place = Workplace(Path(tempfile.mkdtemp(prefix="wpod-bench-")))
    try:
        place.new_directory("tmp")
        prefix = str(place.directory / "prefix")
        commands.run((str(TOP / "packaging" / "install.sh"), prefix, prefix))
        yield place
    finally:
        _ignore_signals()
        _clear(place)
        for number, handler in zip(_SIGNALS, before, strict=True):
            signal.signal(number, handler)


def _interrupt(number: int, _frame: object) -> None:
    """Once: a second Ctrl-C must not end the removal of what the first one interrupted."""
    _ignore_signals()
    raise KeyboardInterrupt(signal.Signals(number).name)


def _ignore_signals() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def of_user(place: Workplace) -> Iterator[Workplace]:
    """A place within `place` for the unprivileged account of the tests, which is made where it is missing.

    Raises CommandFailed where it can't be. Only root may do this.
    """
    commands.run((str(TOP / "packaging" / "test-account.sh"),))
    inner = Workplace(place.directory / "user", _ACCOUNT, place.directory / "prefix")
    place.directory.chmod(0o711)  # to be passed through, not to be read
    for made in (inner.directory, inner.directory / "tmp", inner.directory / "runtime"):
        made.mkdir(mode=0o700, exist_ok=True)
        shutil.chown(made, _ACCOUNT, _ACCOUNT)
    try:
        yield inner
    finally:
        _clear(inner)


def _clear(place: Workplace) -> None:
    """Goes on past errors, and tells what it could not do."""
    run_root = ""
    try:
        if place.store.exists():
            place.wpod("rm", "--force", "--all", "--time", "0")
            run_root = place.wpod("info", "--format", "{{.Store.RunRoot}}")
    except commands.CommandFailed as error:
        print(f"warning: {error}", file=sys.stderr)
    _end_processes(place.directory)
    shutil.rmtree(place.directory, ignore_errors=True)
    if run_root:
        shutil.rmtree(run_root, ignore_errors=True)
    if place.directory.exists():
        print(f"warning: {place.directory} can't be removed", file=sys.stderr)


def _end_processes(directory: Path) -> None:
    """Compilers that still work for this place, and whatever else names it on its command line or in its mounts.

    Only mounts of another namespace than this one count, for those here are everybody's.
    """
    needle = os.fsencode(directory)
    shared = _mount_namespace("self")
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{name}/cmdline").read_bytes()
            if _mount_namespace(name) != shared:
                text += Path(f"/proc/{name}/mountinfo").read_bytes()
            if needle in text:
                os.kill(int(name), signal.SIGKILL)


def _mount_namespace(process: str) -> str:
    return os.readlink(f"/proc/{process}/ns/mnt")


def mounts_below(directory: Path) -> list[str]:
    """Mount points below a directory in this mount namespace, the innermost first."""
    lines = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    return [point for line in reversed(lines) if (point := line.split()[4]).startswith(f"{directory}/")]


def unmount_below(directory: Path) -> None:
    """So that the directory can be removed."""
    for point in mounts_below(directory):
        subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)
