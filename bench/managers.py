"""Those that are compared and have podman's command line: wpod and podman. peers.py has the others.

All of them are the distribution's. On a machine with hybrid cgroups they work only where with_peers.sh has
hidden the unified hierarchy; `surround` starts the benchmark again in there, so that all of them run in the
same surroundings and nothing is wrapped around the one or the other.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from bench import commands, images
from bench.workplace import TOP, Workplace, unmount_below

# What every native container does: it prints a line and waits. One process, for `exec` replaces the shell.
IDLE = ("sh", "-c", "echo ready; exec sleep 1000000")
_SURROUNDED = "WPOD_BENCH_SURROUNDED"


@dataclass(frozen=True)
class Started:
    """How long a start took: until its command returned, and until the guest's line was in the log as well."""

    command_seconds: float
    line_seconds: float


class Starter(Protocol):
    """What can start containers for a measurement."""

    @property
    def label(self) -> str: ...

    def start(self, number: int) -> object:
        """Start container `number` detached. Raises CommandFailed."""

    def start_to_line(self, number: int) -> Started:
        """The same, and wait until its line is in its log. Raises CommandFailed."""

    def remove(self, count: int) -> object:
        """Remove the containers 0 to count - 1. Raises CommandFailed."""


@dataclass(frozen=True)
class Manager:
    """A command line like podman's, with an image and what it shall run.

    `options` are some of `run`; `log_of` tells the log of a container by its ID. With `first_port`, container N
    publishes its port 80 as `first_port` + N.
    """

    label: str
    command: tuple[str, ...]
    image: str
    guest: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    log_of: Callable[[str], str] = str
    options: tuple[str, ...] = ()
    first_port: int = 0

    def seconds(self, *arguments: str) -> float:
        """Wall time of a command. Raises CommandFailed."""
        return commands.seconds((*self.command, *arguments), self.environment)

    def name(self, number: int) -> str:
        return f"{self.label.replace(' ', '-')}-{number}"

    def start(self, number: int) -> float:
        """Start container `number` detached; the wall time of that."""
        return self.seconds(*self._run(self.name(number), *self._publish(number)))

    def start_to_line(self, number: int) -> Started:
        """See `Starter`."""
        return self._to_lines(self._run(self.name(number), *self._publish(number)))

    def start_by_one_command(self, count: int) -> Started:
        """Start the containers 1 to `count` with one command, until the line of each is in its log."""
        return self._to_lines(self._run(self.scaled_name, "--scale", str(count)))

    def remove_scaled(self, count: int) -> float:
        """Remove what `start_by_one_command` has started, or begun to."""
        if count == 0:
            return 0.0
        names = (f"{self.scaled_name}-{number}" for number in range(1, count + 1))
        return self.seconds("rm", "--force", "--time", "0", "--ignore", *names)

    @property
    def scaled_name(self) -> str:
        return f"{self.label.replace(' ', '-')}-scaled"

    def published(self, first_port: int) -> Manager:
        """The same, with a port for each container."""
        return replace(self, first_port=first_port)

    def _publish(self, number: int) -> tuple[str, ...]:
        return ("--publish", f"{self.first_port + number}:80") if self.first_port else ()

    def _run(self, name: str, *options: str) -> tuple[str, ...]:
        return ("run", "--detach", "--name", name, *options, *self.options, self.image, *self.guest)

    def _to_lines(self, arguments: tuple[str, ...]) -> Started:
        begin = time.perf_counter()
        seconds, written = commands.timed_output((*self.command, *arguments), self.environment)
        commands.wait_for_lines([self.log_of(identifier) for identifier in written.split()])
        return Started(seconds, time.perf_counter() - begin)

    def remove(self, count: int) -> float:
        """Remove the first `count` containers, running or not, with one command; the wall time of that."""
        if count == 0:
            return 0.0
        return self.seconds("rm", "--force", "--time", "0", *(self.name(number) for number in range(count)))

    def remove_one(self, number: int) -> float:
        return self.seconds("rm", "--force", "--time", "0", self.name(number))


def surround() -> None:
    """Start this program again where podman and crun work; returns where it does already, or they aren't there."""
    if os.geteuid() != 0 or os.environ.get(_SURROUNDED) or not all(map(shutil.which, ("crun", "unshare"))):
        return
    wrapper = str(TOP / "bench" / "with_peers.sh")
    os.environ[_SURROUNDED] = "1"
    sys.stdout.flush()
    os.execv(wrapper, [wrapper, *sys.orig_argv])


def wpod(place: Workplace, label: str, image: str, guest: Sequence[str] = (), options: Sequence[str] = ()) -> Manager:
    """wpod with an image of this place's store, and options for `run`. Without a network unless they name one.

    So are the others (with_peers.sh): what a network costs is measured by itself.
    """
    if "--network" not in options:
        options = ("--network", "none", *options)
    return Manager(label, place.command, image, tuple(guest), place.environment, place.log, tuple(options))


def archive_of(place: Workplace, image: str) -> Path:
    """An image of this place's store as an OCI archive, for the others to load. Raises CommandFailed."""
    archive = place.directory / f"{image}.tar"
    archive.unlink(missing_ok=True)
    place.wpod("save", "--format", "oci-archive", "--output", str(archive), image)
    return archive


@contextlib.contextmanager
def podman(place: Workplace, image: str, guest: Sequence[str] = IDLE) -> Iterator[Manager]:
    """podman on a store of its own that has wpod's `image`. Raises Missing, CommandFailed."""
    if os.geteuid() != 0:
        raise images.Missing("podman is compared as root only")
    with podman_in(place, archive_of(place, image), image, guest) as manager:
        yield manager


@contextlib.contextmanager
def podman_in(place: Workplace, archive: Path, image: str, guest: Sequence[str] = IDLE) -> Iterator[Manager]:
    """podman as this place's account, with an image of an archive. Raises Missing, CommandFailed."""
    images.require("podman", "conmon")
    own = place.new_directory("podman")
    command = place.by_account(
        "podman", "--root", f"{own}/store", "--runroot", f"{own}/run", "--tmpdir", f"{own}/libpod",
        "--storage-driver", "overlay",
    )  # fmt: skip
    environment = place.environment
    try:
        commands.run((*command, "load", "--input", str(archive)), environment)
        manager = Manager("podman native", command, f"localhost/{image}", tuple(guest), environment)
        yield replace(manager, log_of=lambda name: f"{own}/store/overlay-containers/{name}/userdata/ctr.log")
    finally:
        with contextlib.suppress(commands.CommandFailed):
            commands.run((*command, "rm", "--force", "--all", "--time", "0"), environment)
        unmount_below(own)
