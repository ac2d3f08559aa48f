"""Containers with a published port, started by an unprivileged user: wpod's, and podman's in the two ways that it has.

Debian 12's podman gives each container a slirp4netns and a rootlessport. Later ones give each a pasta, which this one
doesn't know yet: it is started beside the container here, as those podmans do it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench import commands, images, managers, workplace
from bench.managers import IDLE, Manager, Started
from bench.workplace import Workplace

WPOD, WASM = "wpod native with a port", "wpod wasm with a port"
SLIRP, PASTA = "podman with slirp4netns", "podman with a pasta each"
BRIDGE = ("--network", "bridge")
_FIRST_PORTS = {WPOD: 21_000, WASM: 22_000, SLIRP: 23_000, PASTA: 24_000}
_WARM_UP = 500  # turns of a warm-up count from -1 down


@dataclass(frozen=True)
class PastaEach:
    """A podman whose containers have an empty network namespace, which a pasta each connects."""

    manager: Manager
    place: Workplace
    files: Path

    @property
    def label(self) -> str:
        return self.manager.label

    def start(self, number: int) -> float:
        """See `Starter`."""
        begin = time.perf_counter()
        self.manager.start(number)
        self._connect(number)
        return time.perf_counter() - begin

    def start_to_line(self, number: int) -> Started:
        """See `Starter`."""
        begin = time.perf_counter()
        self.manager.start_to_line(number)
        self._connect(number)
        seconds = time.perf_counter() - begin
        return Started(seconds, seconds)

    def remove(self, count: int) -> float:
        """See `Starter`; the pastas end as well."""
        seconds = self.manager.remove(count)
        for number in range(count):
            self._disconnect(number)
        return seconds

    def remove_one(self, number: int) -> float:
        """As a manager's."""
        seconds = self.manager.remove_one(number)
        self._disconnect(number)
        return seconds

    def port(self, number: int) -> int:
        """The host's port that leads to port 80 of container `number`."""
        return port_of(PASTA, number)

    def _connect(self, number: int) -> None:
        inspected = (*self.manager.command, "inspect", "--format", "{{.State.Pid}}", self.manager.name(number))
        process = commands.output_of(inspected, self.manager.environment).strip()
        namespaces = ("--userns", f"/proc/{process}/ns/user", "--netns", f"/proc/{process}/ns/net")
        ports = ("-t", f"{self.port(number)}:80", "-u", "none", "-T", "none", "-U", "none")
        pasta = ("pasta", "--quiet", "--config-net", "--no-map-gw", *ports, *namespaces, "--pid", self._file(number))
        commands.run(self.place.by_account(*pasta), self.place.environment)

    def _disconnect(self, number: int) -> None:
        file = Path(self._file(number))
        with contextlib.suppress(OSError, ValueError):
            process = os.pidfd_open(int(file.read_text()))
            try:
                signal.pidfd_send_signal(process, signal.SIGKILL)
            finally:
                os.close(process)
        file.unlink(missing_ok=True)

    def _file(self, number: int) -> str:
        return f"{self.files}/{number}.pid"


Published = Manager | PastaEach


def port_of(label: str, number: int) -> int:
    """The host's port of container `number`."""
    return _FIRST_PORTS[label] + _WARM_UP + number


def wpod_published(inner: Workplace, image: str, guest: Sequence[str] = IDLE) -> Manager:
    """wpod's native containers on the bridge of the user's, each with a port."""
    return managers.wpod(inner, WPOD, image, guest, BRIDGE).published(port_of(WPOD, 0))


def wasm_published(inner: Workplace, image: str) -> Manager:
    """wpod's wasm containers, which get the listening socket itself."""
    return managers.wpod(inner, WASM, image).published(port_of(WASM, 0))


@contextlib.contextmanager
def podmans(
    inner: Workplace, archive: Path, image: str, guest: Sequence[str] = IDLE, skipped: list[str] | None = None
) -> Iterator[list[Published]]:
    """Those of podman's ways that work here; the others are named in `skipped`. Raises Missing, CommandFailed."""
    with managers.podman_in(inner, archive, image, guest) as podman:
        slirp = replace(podman, label=SLIRP, options=("--network", "slirp4netns")).published(port_of(SLIRP, 0))
        alone = replace(podman, label=PASTA, options=("--network", "none"))
        each = PastaEach(alone, inner, inner.new_directory("pastas"))
        found: list[Published] = []
        for label, program, way in ((SLIRP, "slirp4netns", slirp), (PASTA, "pasta", each)):
            try:
                images.require(program)
                way.start(0)
                way.remove(1)
                found.append(way)
            except (images.Missing, commands.CommandFailed) as reason:
                if skipped is not None:
                    skipped.append(f"{label}: {reason}")
        yield found


def user_place(place: Workplace, stack: contextlib.ExitStack, names: Sequence[str]) -> tuple[Workplace, list[Path]]:
    """The unprivileged account's place with some of root's images, and their archives. Raises CommandFailed."""
    inner = stack.enter_context(workplace.of_user(place))
    archives = [managers.archive_of(place, name) for name in names]
    for archive in archives:
        archive.chmod(0o644)
        inner.wpod("load", "--input", str(archive))
    return inner, archives


@contextlib.contextmanager
def running(containers: Published, number: int) -> Iterator[None]:
    """One container, as long as this is entered."""
    containers.start(number)
    try:
        yield
    finally:
        containers.remove_one(number)
