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
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Workplace:
    """A temporary directory with wpod installed below `prefix`, as `make install` does it."""

    directory: Path

    @property
    def program(self) -> str:
        """The command under test: the installed one, for a checkout's starts differently."""
        return str(self.directory / "prefix" / "bin" / "wpod")

    @property
    def store(self) -> Path:
        return self.directory / "store"

    @property
    def environment(self) -> Mapping[str, str]:
        """What makes wpod use the store of this place; added to the environment of its commands."""
        return {"WPOD_ROOT": str(self.store), "TMPDIR": str(self.directory / "tmp")}

    def wpod(self, *arguments: str) -> str:
        """Run wpod to its end; its output without the line end. Raises CommandFailed."""
        return commands.output_of((self.program, *arguments), self.environment).rstrip("\n")

    def new_directory(self, name: str) -> Path:
        """A directory below this place, made where it is missing."""
        made = self.directory / name
        made.mkdir(parents=True, exist_ok=True)
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
