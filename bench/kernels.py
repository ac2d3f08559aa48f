"""CPU-bound C, compiled to wasm and run by wpod's AOT code, against the same source compiled natively with -O2.

The list of kernels is every file in kernels/, fixed before the first figure was taken. A kernel times itself, so
the start of a container or of a process is not in it; all runs of one kernel must give the same checksum.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import commands, images, paired
from bench.figures import Figure, Scale, Section, of_ratio
from bench.paired import Contestant, Ratio
from bench.workplace import Workplace

NAME = "kernels"
_TITLE = "CPU-bound C under AOT, as ratios to native code"
GOAL = 1.15
_SOURCES = Path(__file__).parent / "kernels"
_IMAGE = "kernels"
# sqrt as one instruction everywhere: without this flag it is a call of libc that may set errno.
_FLAGS = ("-O2", "-fno-math-errno")
# The last one is for scale: AOT code is made for this machine's processor, -O2 alone for every x86-64.
# No contraction, for with it results differ.
_NATIVE = {
    "gcc": ("gcc", *_FLAGS),
    "clang": ("clang", *_FLAGS),
    "gcc -march=native": ("gcc", *_FLAGS, "-march=native", "-ffp-contract=off"),
}
_GOALS = {"gcc": GOAL, "clang": GOAL}
_TURNS = {Scale.FULL: 7, Scale.GUARD: 5, Scale.QUICK: 2}
# Repetitions of the computation; by default each kernel's own number.
_WORK: dict[Scale, tuple[str, ...]] = {Scale.FULL: (), Scale.GUARD: (), Scale.QUICK: ("1",)}


class WrongResult(commands.CommandFailed):
    """A kernel gave another checksum than its native build."""


@dataclass(frozen=True)
class _Run:
    checksum: str
    nanoseconds: float


@dataclass(frozen=True)
class _Kernel:
    """Ways to run one kernel; each is called for one run."""

    name: str
    aot: Callable[[], _Run]
    interpreter: Callable[[], _Run]
    native: dict[str, Callable[[], _Run]]


def names() -> list[str]:
    """The kernels."""
    return sorted(source.stem for source in _SOURCES.glob("*.c"))


def measure(place: Workplace, scale: Scale) -> Section:
    """All kernels, all builds in turns. Raises CommandFailed, WrongResult."""
    try:
        images.require("gcc", "clang")
        images.require_wasm_compiler(place)
    except images.Missing as missing:
        return Section(NAME, _TITLE, skipped=(str(missing),))
    pairs: dict[str, list[tuple[list[float], list[float]]]] = {name: [] for name in _NATIVE}
    figures: list[Figure] = []
    raw: dict[str, Any] = {}
    for kernel in _built(place, scale):
        times, slowness = _timed(kernel, _TURNS[scale])
        found = {name: paired.ratio(times["wasm"], times[name]) for name in _NATIVE}
        for name in _NATIVE:
            pairs[name].append((times["wasm"], times[name]))
        figures.append(_figure(kernel.name, found, times, slowness))
        raw[kernel.name] = {
            "nanoseconds": times,
            "ratios": {name: asdict(each) for name, each in found.items()},
            "interpreter_to_aot": slowness,
        }
    means = [_mean(name, paired.geometric_mean(rows)) for name, rows in pairs.items()]
    return Section(NAME, _TITLE, (*means, *figures), (), raw)


def _mean(name: str, found: Ratio) -> Figure:
    flags = "" if "-march" in name else " -O2"
    return of_ratio(f"geometric mean to {name}{flags}", found, _GOALS.get(name))


def _built(place: Workplace, scale: Scale) -> list[_Kernel]:
    sources = [_SOURCES / f"{name}.c" for name in names()]
    for source in sources:
        check_alone(place, source)
    modules = [images.compile_module(place, source, *_FLAGS) for source in sources]
    images.build_modules(place, _IMAGE, modules)
    return [_kernel(place, source, _WORK[scale]) for source in sources]


def check_alone(place: Workplace, source: Path) -> None:
    """Link a kernel without any library: fails where its timed part calls one (see kernels/kernel.h)."""
    for compiler in (*_NATIVE.values(), (*images.WASM_COMPILER, *_FLAGS)):
        static = () if compiler[0:2] == images.WASM_COMPILER[0:2] else ("-static",)
        target = str(place.new_directory("alone") / source.stem)
        commands.run((*compiler, *static, "-DALONE", "-nostdlib", "-o", target, str(source)))


def _kernel(place: Workplace, source: Path, work: tuple[str, ...]) -> _Kernel:
    def wasm(policy: str) -> Callable[[], _Run]:
        entry = ("--entrypoint", f"/{source.stem}.wasm")
        return lambda: _parsed(place.wpod("run", "--rm", f"--wasm-aot={policy}", *entry, _IMAGE, *work))

    native: dict[str, Callable[[], _Run]] = {}
    for number, (name, compiler) in enumerate(_NATIVE.items()):
        program = str(place.new_directory("native") / f"{source.stem}-{number}")
        commands.run((*compiler, "-o", program, str(source)))
        native[name] = _native_run((program, *work))
    return _Kernel(source.stem, wasm("require"), wasm("off"), native)


def _native_run(command: Sequence[str]) -> Callable[[], _Run]:
    return lambda: _parsed(commands.output_of(command))


def _parsed(line: str) -> _Run:
    try:
        checksum, nanoseconds = line.split()
        return _Run(checksum, float(nanoseconds))
    except ValueError:
        raise WrongResult(f"a kernel printed {line!r}") from None


def _timed(kernel: _Kernel, turns: int) -> tuple[dict[str, list[float]], float]:
    """Nanoseconds by build, in turns, and how many times slower one run on the interpreter was than the median."""
    expected = next(iter(kernel.native.values()))().checksum

    def nanoseconds(name: str, run: Callable[[], _Run]) -> float:
        result = run()
        if result.checksum != expected:
            raise WrongResult(f"{kernel.name}: {name} computed {result.checksum}, not {expected}")
        return result.nanoseconds

    def contestant(name: str, run: Callable[[], _Run]) -> Contestant:
        return Contestant(name, lambda _turn: nanoseconds(name, run))

    contestants = [contestant("wasm", kernel.aot), *(contestant(name, run) for name, run in kernel.native.items())]
    times = paired.alternate(contestants, turns, warm_up=1)
    interpreted = nanoseconds("the interpreter", kernel.interpreter)
    return times, interpreted / statistics.median(times["wasm"])


def _figure(name: str, found: dict[str, Ratio], times: dict[str, list[float]], slowness: float) -> Figure:
    others = ", ".join(f"to {other} {found[other].value:.2f}" for other in list(found)[1:])
    note = f"{others}; interpreter {slowness:.0f} times slower; gcc {statistics.median(times['gcc']) / 1e6:.0f} ms"
    return of_ratio(f"{name} to gcc -O2", found["gcc"], note=note)
