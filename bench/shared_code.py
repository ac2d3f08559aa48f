"""A module of 2 MB and more: whether its containers share the machine code, and what each further one costs."""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import commands, images, managers, os_memory
from bench.figures import Figure, Scale, Section
from bench.os_memory import Load
from bench.workplace import TOP, Workplace

NAME = "shared_code"
_TITLE = "Machine code of a large module in its second container"
LEAST_MODULE_BYTES = 2 << 20
# Half with two containers, and a little for pages that only one of them has touched.
SHARE_GOAL = 0.55
_MORE = {Scale.FULL: 10, Scale.QUICK: 2}
# The compiler takes about a minute for the full number.
_FUNCTIONS = {Scale.FULL: 3200, Scale.QUICK: 100}


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
        if scale is Scale.FULL and module.stat().st_size < LEAST_MODULE_BYTES:
            raise WrongModule(f"the {name} module has only {module.stat().st_size} bytes")
        found, details = _one(place, name, module, _MORE[scale])
        figures += found
        raw[name] = details
    return Section(NAME, _TITLE, tuple(figures), tuple(skipped), raw)


def _one(place: Workplace, name: str, module: Path, more: int) -> tuple[list[Figure], dict[str, Any]]:
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
    load = Load(more, manager.start, manager.remove)
    costs = [os_memory.measure(load) for _ in range(2)]
    note = f"module {size >> 10} kB, machine code {code.size} kB mapped, {code.rss} kB of it touched"
    figures = [
        Figure(f"{name}: PSS of the code to RSS", code.pss / code.rss, "x", SHARE_GOAL, note=note),
        Figure(
            f"{name}: code copied", code.private_dirty + code.anonymous, "kB", 0.0, note="private dirty and anonymous"
        ),
        Figure(
            f"{name}: one of {more} more", costs[1].total, "kB", note=f"and {costs[1].file_pss:.0f} kB of file pages"
        ),
    ]
    details = {"module_bytes": size, "code_kB": vars(code), "more": [cost.as_json() for cost in costs]}
    return figures, details


def _build_generated(place: Workplace, scale: Scale) -> Path:
    """C that is large because it has thousands of functions, none like another."""
    images.require_wasm_compiler(place)
    source = place.directory / "large.c"
    source.write_text(generated_source(_FUNCTIONS[scale]))
    return images.compile_module(place, source)


def generated_source(functions: int) -> str:
    """The same source each time: functions of fixed random arithmetic, reached through a table, then idling."""
    chance = random.Random(1)
    parts = ["#include <stdint.h>\n#include <stdio.h>\n#include <unistd.h>\n"]
    for number in range(functions):
        statements = "\n".join(_statement(chance) for _ in range(40))
        parts.append(f"static uint32_t f{number}(uint32_t a, uint32_t b) {{\n{statements}\n    return a ^ b;\n}}\n")
    table = ", ".join(f"f{number}" for number in range(functions))
    parts.append(f"static uint32_t (*volatile table[])(uint32_t, uint32_t) = {{{table}}};\n")
    parts.append(
        "int main(int argc, char **argv) {\n"
        "    uint32_t sum = 0;\n"
        f"    for (int i = 0; i < {functions}; i++) sum += table[i](sum, (uint32_t)(argc + i));\n"
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
