"""Who takes part in the comparison, and how each one's containers are started and removed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from bench import commands, images, managers, peers
from bench.managers import IDLE, Started
from bench.os_memory import Starts
from bench.workplace import TOP, Workplace

PYTHON_IDLE = ("python3", "-c", "import time; print('ready', flush=True); time.sleep(1000000)")
WASM, SCALED, NATIVE, MIXED = "wpod wasm", "wpod wasm by one command", "wpod native", "wpod mixed"


@dataclass(frozen=True)
class Contestant:
    """How containers are started: one of them, or a number at once; see os_memory.Load.

    A `slow` one, which takes a minute for 400, gets fewer turns with many.
    """

    label: str
    start: Callable[[int], Started]
    remove: Callable[[int], object]
    starts: Starts = Starts.ONE_BY_ONE
    surroundings: Callable[[], contextlib.AbstractContextManager[object]] | None = None
    kinds: int = 1
    slow: bool = False
    helpers: int = 0


Entrance = Callable[[Workplace, contextlib.ExitStack], Contestant]


def enter(
    place: Workplace, stack: contextlib.ExitStack, wanted: Sequence[tuple[str, Entrance]], skipped: list[str]
) -> Iterator[Contestant]:
    """Those that work here, with everything built; the others are named in `skipped`, with the reason."""
    for label, entrance in wanted:
        try:
            yield entrance(place, stack)
        except (images.Missing, commands.CommandFailed) as reason:
            skipped.append(f"{label}: {reason}")


def one_by_one(starter: managers.Starter) -> Contestant:
    """Containers that are started one after the other."""
    return Contestant(starter.label, starter.start_to_line, starter.remove)


def by_one_command(manager: managers.Manager) -> Contestant:
    """Containers that are started all by one command of wpod's."""
    label = f"{manager.label} by one command"
    return Contestant(label, manager.start_by_one_command, manager.remove_scaled, Starts.AT_ONCE)


def _wasm(place: Workplace, _stack: contextlib.ExitStack) -> Contestant:
    return one_by_one(managers.wpod(place, WASM, images.hello(place)))


def _scaled(place: Workplace, _stack: contextlib.ExitStack) -> Contestant:
    return by_one_command(managers.wpod(place, WASM, images.hello(place)))


def _native(place: Workplace, _stack: contextlib.ExitStack) -> Contestant:
    return one_by_one(managers.wpod(place, NATIVE, images.busybox(place), IDLE))


def _mixed(place: Workplace, _stack: contextlib.ExitStack) -> Contestant:
    """Half wasm, half native, in turns, in one store."""
    halves = (
        managers.wpod(place, f"{MIXED} wasm", images.hello(place)),
        managers.wpod(place, f"{MIXED} native", images.busybox(place), IDLE),
    )

    def start(number: int) -> Started:
        return halves[number % 2].start_to_line(number // 2)

    def remove(count: int) -> None:
        halves[0].remove((count + 1) // 2)
        halves[1].remove(count // 2)

    return Contestant(MIXED, start, remove, kinds=2)


def _podman(place: Workplace, stack: contextlib.ExitStack) -> Contestant:
    return replace(one_by_one(stack.enter_context(managers.podman(place, images.busybox(place)))), slow=True)


def _crun(place: Workplace, stack: contextlib.ExitStack) -> Contestant:
    return one_by_one(stack.enter_context(peers.bare_crun(place, images.busybox(place))))


def _runc(place: Workplace, stack: contextlib.ExitStack) -> Contestant:
    return one_by_one(stack.enter_context(peers.bare_runc(place, images.busybox(place))))


def _containerd(place: Workplace, stack: contextlib.ExitStack) -> Contestant:
    made = stack.enter_context(peers.containerd(place, images.busybox(place)))
    return Contestant(made.label, made.start_to_line, made.remove, surroundings=made.daemon, slow=True)


def _debian(place: Workplace) -> str:
    """An image of a minimal Debian with python3."""
    images.require("mmdebstrap")
    context = commands.output_of((str(TOP / "bench" / "debian-python.sh"),)).strip()
    place.wpod("build", "--tag", "debian-python", context)
    return "debian-python"


def _podman_python(place: Workplace, stack: contextlib.ExitStack) -> Contestant:
    manager = stack.enter_context(managers.podman(place, _debian(place), PYTHON_IDLE))
    return replace(one_by_one(replace(manager, label="podman Python")), slow=True)


def _wpod_python(place: Workplace, _stack: contextlib.ExitStack) -> Contestant:
    return replace(one_by_one(managers.wpod(place, "wpod Python", _debian(place), PYTHON_IDLE)), slow=True)


def _crun_wasm(_place: Workplace, _stack: contextlib.ExitStack) -> Contestant:
    """Only to be named: Debian's crun runs no wasm, and one that does would need bundles of its own."""
    images.require("crun")
    has_engine = "+WASM" in commands.output_of(("crun", "--version"))
    raise images.Missing("not measured here" if has_engine else "the installed crun is built without a wasm engine")


# What the guard takes: without what needs a daemon or a Debian root, or is slow.
DENSE: tuple[tuple[str, Entrance], ...] = (
    (WASM, _wasm),
    (SCALED, _scaled),
    (NATIVE, _native),
    ("crun native", _crun),
)
ALL: tuple[tuple[str, Entrance], ...] = (
    (WASM, _wasm),
    (SCALED, _scaled),
    (MIXED, _mixed),
    (NATIVE, _native),
    ("crun native", _crun),
    ("runc native", _runc),
    ("podman native", _podman),
    ("containerd native", _containerd),
    ("wpod Python", _wpod_python),
    ("podman Python", _podman_python),
    ("podman or crun with wasm", _crun_wasm),
)
