"""Large modules: whether their containers share the machine code and the data, and what each further one costs.

The generated C module has 2 MB of code that runs once and 9 MB of data that it sums up, and of which it writes to some
pages. What a further container of it may cost is the pages that it has written, and what any container may cost.
"""

from __future__ import annotations

import os
import random
import shutil
import string
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import commands, images, managers, os_memory
from bench.figures import Figure, Scale, Section, of_repeats
from bench.managers import Manager
from bench.os_memory import Cost, Load
from bench.workplace import TOP, Workplace

NAME = "shared_code"
_TITLE = "Machine code and data of a large module in further containers"
LEAST_MODULE_BYTES = 2 << 20
LEAST_C_MODULE_BYTES = 10 << 20
# Half with two containers, and a little for pages that only one of them has touched.
SHARE_GOAL = 0.55
OVER_WRITTEN_GOAL_KB = 256.0
_MORE = {Scale.FULL: 20, Scale.QUICK: 2}
_RUNS = {Scale.FULL: 3, Scale.QUICK: 2}  # the first one isn't counted
# The compiler takes about a minute for the full number.
_FUNCTIONS = {Scale.FULL: 3200, Scale.QUICK: 100}
_DATA_BYTES = {Scale.FULL: 9 << 20, Scale.QUICK: 1 << 20}
_WRITTEN_PAGES = 64
_ROW_BYTES = 4096
_LETTERS = string.ascii_letters + string.digits
_PAGE_BYTES = 4096


class WrongModule(commands.CommandFailed):
    """What was to be measured isn't there: a module that is too small, or one whose code isn't mapped."""


@dataclass(frozen=True)
class Mapping:
    """Executable mappings of one process that aren't its own program; all in kB (proc(5), smaps)."""

    size: int = 0
    rss: int = 0
    pss: int = 0
    private_dirty: int = 0
    anonymous: int = 0


def parse_code(smaps: str, program: str) -> Mapping:
    """Sum up the executable mappings of files other than `program` out of the text of a smaps."""
    sums = dict.fromkeys(("Size", "Rss", "Pss", "Private_Dirty", "Anonymous"), 0)
    counts = False
    for line in smaps.splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            path = words[5] if len(words) > 5 else ""
            counts = "x" in words[1] and path.startswith("/") and path != program
        elif counts and words[0][:-1] in sums:
            sums[words[0][:-1]] += int(words[1])
    return Mapping(*sums.values())


def measure(place: Workplace, scale: Scale) -> Section:
    """A generated C module, and a Go one where Go is installed. Raises CommandFailed."""
    if os.geteuid() != 0:
        return Section(NAME, _TITLE, skipped=("only root can drop the kernel's caches",))
    figures: list[Figure] = []
    raw: dict[str, Any] = {}
    skipped: list[str] = []
    for name, build in (("C", _build_generated), ("Go", _build_go)):
        if name == "Go" and scale is Scale.QUICK:
            skipped.append("Go: takes the compiler half a minute")
            continue
        try:
            module = build(place, scale)
        except images.Missing as missing:
            skipped.append(f"{name}: {missing}")
            continue
        least = LEAST_C_MODULE_BYTES if name == "C" else LEAST_MODULE_BYTES
        if scale is Scale.FULL and module.stat().st_size < least:
            raise WrongModule(f"the {name} module has only {module.stat().st_size} bytes")
        goal = _WRITTEN_PAGES * _PAGE_BYTES / 1024 + OVER_WRITTEN_GOAL_KB if name == "C" else None
        found, details = _one(place, name, module, scale, goal)
        figures += found
        raw[name] = details
    return Section(NAME, _TITLE, tuple(figures), tuple(skipped), raw)


def _one(
    place: Workplace, name: str, module: Path, scale: Scale, goal: float | None
) -> tuple[list[Figure], dict[str, Any]]:
    size = module.stat().st_size
    image = images.build_modules(place, f"large-{name.lower()}", [module])
    images.fill_cache(place, image)
    manager = managers.wpod(place, f"large-{name}", image)
    manager.start(0)
    manager.start(1)
    pid = place.wpod("inspect", "--format", "{{.State.Pid}}", manager.name(1))
    code = parse_code(Path(f"/proc/{pid}/smaps").read_text(), os.readlink(f"/proc/{pid}/exe"))
    manager.remove(2)
    if code.rss == 0:
        raise WrongModule(f"the {name} module's container has no executable mapping of a file")
    # The first container is there: each of these is one more.
    manager.start(0)
    load = Load(_MORE[scale], lambda number: manager.start(number + 1), lambda count: _remove_more(manager, count))
    costs = [os_memory.measure(load) for _ in range(_RUNS[scale])]
    manager.remove_one(0)
    note = f"module {size >> 10} kB, machine code {code.size} kB mapped, {code.rss} kB of it touched"
    figures = [
        Figure(f"{name}: PSS of the code to RSS", code.pss / code.rss, "x", SHARE_GOAL, note=note),
        Figure(
            f"{name}: code copied", code.private_dirty + code.anonymous, "kB", 0.0, note="private dirty and anonymous"
        ),
        _one_more(f"{name}: one of {load.count} more", costs[1:], goal),
    ]
    details = {"module_bytes": size, "code_kB": vars(code), "more": [cost.as_json() for cost in costs]}
    return figures, details


def _remove_more(manager: Manager, count: int) -> None:
    for number in range(1, count + 1):
        manager.remove_one(number)


def _one_more(name: str, costs: list[Cost], goal: float | None) -> Figure:
    calm = [cost.total for cost in costs if not cost.doubt]
    if not calm:
        return Figure(name, costs[-1].total, "kB", note=f"not judged: {costs[-1].doubt}")
    written = f"it writes to {_WRITTEN_PAGES} pages of its data; " if goal else ""
    note = f"{written}and {costs[-1].file_pss:.0f} kB of file pages"
    return of_repeats(name, calm, "kB", goal, note)


def _build_generated(place: Workplace, scale: Scale) -> Path:
    """C that is large because it has thousands of functions, none like another."""
    images.require_wasm_compiler(place)
    source = place.directory / "large.c"
    source.write_text(generated_source(_FUNCTIONS[scale], _DATA_BYTES[scale]))
    return images.compile_module(place, source)


def generated_source(functions: int, data_bytes: int) -> str:
    """The same source each time: functions of fixed random arithmetic, reached through a table, and random data.

    It calls all functions, sums up all data, writes to some pages of them, tells what came out, and idles.
    """
    chance = random.Random(1)
    parts = ["#include <stdint.h>\n#include <stdio.h>\n#include <unistd.h>\n"]
    for number in range(functions):
        statements = "\n".join(_statement(chance) for _ in range(40))
        parts.append(f"static uint32_t f{number}(uint32_t a, uint32_t b) {{\n{statements}\n    return a ^ b;\n}}\n")
    table = ", ".join(f"f{number}" for number in range(functions))
    parts.append(f"static uint32_t (*volatile table[])(uint32_t, uint32_t) = {{{table}}};\n")
    rows = ("".join(chance.choices(_LETTERS, k=_ROW_BYTES)) for _ in range(data_bytes // _ROW_BYTES))
    parts.append("static volatile char data[] __attribute__((aligned(4096))) =\n")
    parts.extend(f'"{row}"\n' for row in rows)
    step = data_bytes // _WRITTEN_PAGES // _PAGE_BYTES * _PAGE_BYTES
    parts.append(
        ";\nint main(int argc, char **argv) {\n"
        "    uint32_t sum = 0;\n"
        f"    for (int i = 0; i < {functions}; i++) sum += table[i](sum, (uint32_t)(argc + i));\n"
        f"    for (int i = 0; i < {data_bytes}; i++) sum = sum * 31 + (uint32_t)data[i];\n"
        f"    for (int i = 0; i < {_WRITTEN_PAGES}; i++) data[i * {step}] = (char)sum;\n"
        '    printf("%u %s\\n", sum, argv[0]);\n'
        "    fflush(stdout);\n"
        "    for (;;) sleep(3600);\n}\n"
    )
    return "".join(parts)


def _statement(chance: random.Random) -> str:
    constant = chance.getrandbits(32) | 1
    forms = (
        f"    a = (a ^ {constant}u) * {chance.getrandbits(32) | 1}u + b;",
        f"    b ^= a >> {chance.randrange(1, 31)} ^ {constant}u;",
        f"    if (a & {1 << chance.randrange(32)}u) b += {constant}u;",
        f"    a += b % {constant}u;",
    )
    return chance.choice(forms)


def _build_go(place: Workplace, _scale: Scale) -> Path:
    """The Go example. Raises Missing without Go 1.21."""
    images.require("go")
    try:
        context = commands.output_of((str(TOP / "examples" / "prepare.sh"), "hello-go")).strip()
    except commands.CommandFailed as error:
        raise images.Missing(f"Go 1.21 or newer is not installed ({error})") from error
    kept = place.new_directory("modules") / "large-go.wasm"
    shutil.copy(Path(context) / "main.wasm", kept)
    return kept
