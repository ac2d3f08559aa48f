"""Those that are compared: wpod, podman, and crun with no manager at all.

podman and crun are the distribution's. On a machine with hybrid cgroups they work only where with_peers.sh has
hidden the unified hierarchy; `surround` starts the benchmark again in there, so that all of them run in the
same surroundings and nothing is wrapped around the one or the other.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bench import commands, images
from bench.workplace import TOP, Workplace, unmount_below

IDLE = ("sleep", "1000000")
_SURROUNDED = "WPOD_BENCH_SURROUNDED"


class Starter(Protocol):
    """What can start containers for a measurement of memory."""

    @property
    def label(self) -> str: ...

    def start(self, number: int) -> object:
        """Start container `number` detached. Raises CommandFailed."""

    def remove(self, count: int) -> object:
        """Remove the containers 0 to count - 1. Raises CommandFailed."""


@dataclass(frozen=True)
class Manager:
    """A command line like podman's, with an image and what it shall run."""

    label: str
    command: tuple[str, ...]
    image: str
    guest: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def seconds(self, *arguments: str) -> float:
        """Wall time of a command. Raises CommandFailed."""
        return commands.seconds((*self.command, *arguments), self.environment)

    def name(self, number: int) -> str:
        return f"{self.label.replace(' ', '-')}-{number}"

    def start(self, number: int) -> float:
        """Start container `number` detached; the wall time of that."""
        return self.seconds("run", "--detach", "--name", self.name(number), self.image, *self.guest)

    def remove(self, count: int) -> float:
        """Remove the first `count` containers, running or not, with one command; the wall time of that."""
        if count == 0:
            return 0.0
        return self.seconds("rm", "--force", "--time", "0", *(self.name(number) for number in range(count)))

    def remove_one(self, number: int) -> float:
        return self.seconds("rm", "--force", "--time", "0", self.name(number))


@dataclass(frozen=True)
class BareCrun:
    """crun alone, with a bundle that wpod has written: the same namespaces, mounts, capabilities and filter.

    Also with wpod's options: no cgroup (an empty one costs 55 to 73 kB), no keyring, and the state on disk
    rather than in /run, where it would be memory. The root is a plain directory that all share. So this is the
    least that a native container costs here.
    """

    label: str
    bundle: Path
    state: Path

    def _crun(self, *arguments: str) -> tuple[str, ...]:
        return ("crun", "--cgroup-manager=disabled", "--root", str(self.state), *arguments)

    def start(self, number: int) -> object:
        arguments = ("run", "--detach", "--no-new-keyring", "--bundle", str(self.bundle), f"bench-{number}")
        return commands.seconds(self._crun(*arguments))

    def remove(self, count: int) -> object:
        for number in range(count):
            commands.run(self._crun("delete", "--force", f"bench-{number}"))
        return None

    def remove_all(self) -> None:
        """What an interrupted measurement left."""
        for directory in self.state.iterdir():
            with contextlib.suppress(commands.CommandFailed):
                commands.run(self._crun("delete", "--force", directory.name))


def surround() -> None:
    """Start this program again where podman and crun work; returns where it does already, or they aren't there."""
    if os.geteuid() != 0 or os.environ.get(_SURROUNDED) or not all(map(shutil.which, ("crun", "unshare"))):
        return
    wrapper = str(TOP / "bench" / "with_peers.sh")
    os.environ[_SURROUNDED] = "1"
    sys.stdout.flush()
    os.execv(wrapper, [wrapper, *sys.orig_argv])


def wpod(place: Workplace, label: str, image: str, guest: Sequence[str] = ()) -> Manager:
    """wpod with an image of this place's store."""
    return Manager(label, (place.program,), image, tuple(guest), place.environment)


@contextlib.contextmanager
def podman(place: Workplace, image: str, guest: Sequence[str] = IDLE) -> Iterator[Manager]:
    """podman on a store of its own that has wpod's `image`. Raises Missing, CommandFailed."""
    if os.geteuid() != 0:
        raise images.Missing("podman is compared as root only")
    images.require("podman", "conmon")
    own = place.new_directory("podman")
    command = (
        "podman", "--root", f"{own}/store", "--runroot", f"{own}/run", "--tmpdir", f"{own}/libpod",
        "--storage-driver", "overlay",
    )  # fmt: skip
    archive = place.directory / "for-podman.tar"
    archive.unlink(missing_ok=True)
    place.wpod("save", "--format", "oci-archive", "--output", str(archive), image)
    try:
        commands.run((*command, "load", "--input", str(archive)))
        yield Manager("podman native", command, f"localhost/{image}", tuple(guest))
    finally:
        with contextlib.suppress(commands.CommandFailed):
            commands.run((*command, "rm", "--force", "--all", "--time", "0"))
        unmount_below(own)


@contextlib.contextmanager
def bare_crun(place: Workplace, image: str) -> Iterator[BareCrun]:
    """crun with a bundle made of wpod's own for `image`. Raises Missing, CommandFailed."""
    if os.geteuid() != 0:
        raise images.Missing("bare crun is compared as root only")
    images.require("crun")
    made = BareCrun("crun native", place.new_directory("bundle"), place.new_directory("crun"))
    _write_bundle(place, image, made.bundle)
    try:
        yield made
    finally:
        made.remove_all()


def _write_bundle(place: Workplace, image: str, bundle: Path) -> None:
    """The config.json of a container that wpod has started, with a root and files of /etc that stay."""
    place.wpod("run", "--detach", "--name", "specimen", image, *IDLE)
    try:
        written = Path(place.wpod("inspect", "--format", "{{.OCIConfigPath}}", "specimen"))
        config: dict[str, Any] = json.loads(written.read_text())
        for mount in config["mounts"]:
            if mount["source"].startswith(f"{place.store}/"):
                kept = bundle / Path(mount["source"]).name
                shutil.copy(mount["source"], kept)
                mount["source"] = str(kept)
    finally:
        place.wpod("rm", "--force", "--time", "0", "specimen")
    shutil.copytree(TOP / "build" / "examples" / image / "rootfs", bundle / "rootfs", symlinks=True)
    config["root"] = {**config["root"], "path": str(bundle / "rootfs")}
    (bundle / "config.json").write_text(json.dumps(config))
