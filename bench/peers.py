"""Those that are compared and have no command line like podman's: OCI runtimes without a manager, and containerd.

crun and runc run a bundle that wpod has written: the same namespaces, mounts, capabilities and filter, from a plain
directory that all containers share as their root, with a plain file for what they print. So that is the least that a
native container costs here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import commands, images, managers
from bench.managers import IDLE, Started
from bench.workplace import TOP, Workplace, unmount_below

_CGROUPS = Path("/sys/fs/cgroup")
_SHIM_SOCKETS = Path("/run/containerd")  # where containerd's shims have them, whatever its configuration says
_NAMESPACE = "wpod-bench"
_PATIENCE_SECONDS = 20.0
_IMAGE_OF_CONTAINERD = "localhost/busybox:latest"


def _until_line(start: Callable[[], float], log: str) -> Started:
    """The times of a start until the command has returned, and until there is a line in the log."""
    begin = time.perf_counter()
    seconds = start()
    commands.wait_for_lines([log])
    return Started(seconds, time.perf_counter() - begin)


@dataclass(frozen=True)
class BareRuntime:
    """An OCI runtime alone. `command` has its global options, `logs` gets a file for each container."""

    label: str
    command: tuple[str, ...]
    bundle: Path
    state: Path
    logs: Path

    def start(self, number: int) -> float:
        """Start container `number` detached; the wall time of that."""
        arguments = ("run", "--detach", "--no-new-keyring", "--bundle", str(self.bundle), f"bench-{number}")
        return commands.seconds_into(self._log(number), (*self.command, *arguments))

    def start_to_line(self, number: int) -> Started:
        """See `Starter`."""
        return _until_line(lambda: self.start(number), self._log(number))

    def remove(self, count: int) -> None:
        """The runtimes have no command for several."""
        for number in range(count):
            commands.run((*self.command, "delete", "--force", f"bench-{number}"))

    def remove_all(self) -> None:
        """What an interrupted measurement left."""
        for directory in self.state.iterdir():
            with contextlib.suppress(commands.CommandFailed):
                commands.run((*self.command, "delete", "--force", directory.name))

    def _log(self, number: int) -> str:
        return f"{self.logs}/{number}"


@contextlib.contextmanager
def bare_crun(place: Workplace, image: str) -> Iterator[BareRuntime]:
    """crun, as wpod calls it: no cgroup (an empty one costs 55 to 73 kB), no keyring, and its state on disk.

    In /run, the state would be memory. Raises Missing, CommandFailed.
    """
    with _bare(place, image, "crun", ("--cgroup-manager=disabled",)) as made:
        yield made


@contextlib.contextmanager
def bare_runc(place: Workplace, image: str) -> Iterator[BareRuntime]:
    """runc, which can't do without cgroups: one in each hierarchy. Raises Missing, CommandFailed."""
    with _bare(place, image, "runc", ()) as made:
        yield made


@contextlib.contextmanager
def usual_crun(place: Workplace, image: str) -> Iterator[BareRuntime]:
    """crun as its manual has it: the bundle of `crun spec`, a cgroup for each. Raises Missing, CommandFailed."""
    with _bare(place, image, "crun", ()) as made:
        (made.bundle / "config.json").unlink()
        commands.run(("crun", "spec", "--bundle", str(made.bundle)))
        config: dict[str, Any] = json.loads((made.bundle / "config.json").read_text())
        config["process"] |= {"terminal": False, "args": list(IDLE)}
        (made.bundle / "config.json").write_text(json.dumps(config))
        yield dataclasses.replace(made, label="crun native, of `crun spec`")


@contextlib.contextmanager
def _bare(place: Workplace, image: str, runtime: str, options: tuple[str, ...]) -> Iterator[BareRuntime]:
    if os.geteuid() != 0:
        raise images.Missing(f"bare {runtime} is compared as root only")
    images.require(runtime)
    bundle, state, logs = (place.new_directory(f"{runtime}-{name}") for name in ("bundle", "state", "logs"))
    made = BareRuntime(f"{runtime} native", (runtime, *options, "--root", str(state)), bundle, state, logs)
    _write_bundle(place, image, bundle)
    try:
        yield made
    finally:
        made.remove_all()


def _write_bundle(place: Workplace, image: str, bundle: Path) -> None:
    """The config.json of a container that wpod has started, with a root and files of /etc that stay."""
    place.wpod("run", "--detach", "--name", "specimen", "--network", "none", image, *IDLE)
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
    root = bundle / "rootfs"
    if not root.exists():
        shutil.copytree(TOP / "build" / "examples" / image / "rootfs", root, symlinks=True)
    config["root"] = {**config["root"], "path": str(root)}
    (bundle / "config.json").write_text(json.dumps(config))


@dataclass(frozen=True)
class Containerd:
    """containerd with `ctr` and its shim for runc, on directories and a socket of its own.

    With what `ctr run` does by itself, the default filter of system calls, and a file as the log.
    """

    label: str
    directory: Path

    @property
    def _command(self) -> tuple[str, ...]:
        return ("ctr", "--address", f"{self.directory}/socket", "--namespace", _NAMESPACE)

    @contextlib.contextmanager
    def daemon(self) -> Iterator[None]:
        """Run the daemon. Raises CommandFailed where it doesn't answer."""
        _write_configuration(self.directory)
        with (self.directory / "daemon.log").open("ab") as log:
            process = subprocess.Popen(
                ("containerd", "--config", f"{self.directory}/config.toml"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait_for_answer(process)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_PATIENCE_SECONDS)
            process.kill()
            process.wait()

    def _wait_for_answer(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return commands.run((*self._command, "version"))
            except commands.CommandFailed as error:
                if process.poll() is not None or time.monotonic() > end:
                    lines = (self.directory / "daemon.log").read_text(errors="replace").strip().splitlines()
                    raise commands.CommandFailed(f"containerd: {': '.join(lines[-1:]) or error}") from None
            time.sleep(0.1)

    def load(self, archive: Path) -> None:
        """Take over an image, while the daemon runs. Raises CommandFailed."""
        commands.run((*self._command, "image", "import", str(archive)))

    def start(self, number: int) -> float:
        """Start container `number` detached; the wall time of that."""
        log = self._log(number)
        Path(log).unlink(missing_ok=True)
        options = ("--detach", "--seccomp", "--log-uri", f"file://{log}")
        return commands.seconds((*self._command, "run", *options, _IMAGE_OF_CONTAINERD, f"bench-{number}", *IDLE))

    def start_to_line(self, number: int) -> Started:
        """See `Starter`."""
        return _until_line(lambda: self.start(number), self._log(number))

    def remove(self, count: int) -> None:
        """`ctr` tells of a killed guest as of an error, so deleting the containers says whether it worked."""
        names = [f"bench-{number}" for number in range(count)]
        if not names:
            return
        with contextlib.suppress(commands.CommandFailed):
            commands.run((*self._command, "task", "delete", "--force", *names))
        commands.run((*self._command, "container", "delete", *names))

    def remove_all(self) -> None:
        """What an interrupted measurement left; the daemon has ended, its shims have not."""
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            if line.split()[4].startswith(f"{self.directory}/"):
                break
        else:
            return
        with self.daemon():
            for name in commands.output_of((*self._command, "container", "list", "--quiet")).split():
                with contextlib.suppress(commands.CommandFailed):
                    commands.run((*self._command, "task", "delete", "--force", name))

    def _log(self, number: int) -> str:
        return f"{self.directory}/log-{number}"


def _write_configuration(directory: Path) -> None:
    """Without the plugin for Kubernetes and snapshotters that this machine lacks; they would only cost memory."""
    names = ("grpc.v1.cri", *(f"snapshotter.v1.{name}" for name in ("aufs", "btrfs", "devmapper", "zfs")))
    disabled = ", ".join(f'"io.containerd.{name}"' for name in names)
    (directory / "config.toml").write_text(
        f'version = 2\nroot = "{directory}/root"\nstate = "{directory}/state"\ndisabled_plugins = [{disabled}]\n'
        f'[grpc]\naddress = "{directory}/socket"\n'
    )


@contextlib.contextmanager
def containerd(place: Workplace, image: str) -> Iterator[Containerd]:
    """containerd with wpod's `image` of busybox. Raises Missing, CommandFailed."""
    if os.geteuid() != 0:
        raise images.Missing("containerd is compared as root only")
    images.require("containerd", "ctr", "runc", "containerd-shim-runc-v2")
    made = Containerd("containerd native", place.new_directory("containerd"))
    was_there = _SHIM_SOCKETS.exists()
    archive = managers.archive_of(place, image)
    try:
        with made.daemon():
            made.load(archive)
        yield made
    finally:
        made.remove_all()
        unmount_below(made.directory)
        # It makes a cgroup for each namespace and leaves it.
        for cgroup in (*_CGROUPS.glob(_NAMESPACE), *_CGROUPS.glob(f"*/{_NAMESPACE}")):
            with contextlib.suppress(OSError):
                cgroup.rmdir()
        if not was_there:
            shutil.rmtree(_SHIM_SOCKETS, ignore_errors=True)
