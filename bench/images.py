"""The images that are measured: the examples, and modules compiled from C."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from bench import commands
from bench.workplace import TOP, Workplace

# As the examples are compiled (examples/prepare.sh).
WASM_COMPILER = ("clang", "--target=wasm32-wasi", "-O2")


class Missing(Exception):
    """Something that a measurement needs isn't installed; the message is the reason of the skip."""


def require(*programs: str) -> None:
    """Raises Missing where one of the programs isn't there."""
    for program in programs:
        if shutil.which(program) is None:
            raise Missing(f"{program} is not installed")


def require_wasm_compiler(place: Workplace) -> None:
    """Raises Missing where C can't be compiled for WASI: clang, wasm-ld, wasi-libc and the compiler's own library."""
    require(WASM_COMPILER[0])
    source = place.directory / "probe.c"
    source.write_text('#include <stdio.h>\nint main(void) { return puts("") < 0; }\n')
    try:
        commands.run((*WASM_COMPILER, "-o", str(source.with_suffix(".wasm")), str(source)))
    except commands.CommandFailed as error:
        raise Missing("clang can't compile for WASI (wasi-libc, libclang-rt-14-dev-wasm32, lld)") from error


def build_example(place: Workplace, name: str) -> str:
    """Build `examples/NAME`; the image's name. Raises CommandFailed."""
    context = commands.output_of((str(TOP / "examples" / "prepare.sh"), name)).strip()
    place.wpod("build", "--tag", name, context)
    return name


def hello(place: Workplace) -> str:
    """The wasm guest that prints a line and waits, compiled. Raises Missing, CommandFailed."""
    require_wasm_compiler(place)
    image = build_example(place, "hello-c")
    fill_cache(place, image)
    return image


def busybox(place: Workplace) -> str:
    """The native guest. Raises Missing, CommandFailed."""
    require("busybox", "crun")
    return build_example(place, "busybox")


def build_modules(place: Workplace, name: str, modules: Sequence[Path]) -> str:
    """Build an image that holds modules under their own names; the first one is what it runs."""
    context = place.new_directory(f"context-{name}")
    for module in modules:
        shutil.copy(module, context / module.name)
    lines = ["FROM scratch", *(f"COPY {module.name} /" for module in modules), f'ENTRYPOINT ["/{modules[0].name}"]']
    (context / "Containerfile").write_text("\n".join(lines) + "\n")
    place.wpod("build", "--tag", name, str(context))
    return name


def compile_module(place: Workplace, source: Path, *flags: str) -> Path:
    """A WASI module of one C file. Raises CommandFailed."""
    target = place.new_directory("modules") / f"{source.stem}.wasm"
    commands.run((*WASM_COMPILER, *flags, "-Wl,--strip-debug", "-o", str(target), str(source)))
    return target


def fill_cache(place: Workplace, image: str) -> None:
    """Wait until the image's module has been compiled, so that no compiler works beside a measurement."""
    place.wpod("run", "--detach", "--name", "filling", "--wasm-aot=require", image)
    place.wpod("rm", "--force", "--time", "0", "filling")
