"""Modules that cannot be run: one line, the right code, and no guest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runner.conftest import Start
from tests.runner.launching import Launch
from tests.support.guests import wasm_from_text

START = '(func (export "_start"))'
HEADER = b"\0asm\x01\0\0\0"

BYTES = {
    "an empty file": b"",
    "a truncated file": HEADER[:5],
    "a WASI 0.2 component": b"\0asm\x0d\0\x01\0",
    "an ELF program": b"\x7fELF\x02\x01\x01" + bytes(64),
    "the WebAssembly text format": b"(module)",
    "no WebAssembly header": b"hello",
    "a compiled (AOT) file": b"\0aot\x06\0\0\0",
    "malformed": HEADER + b"\x01\x7f\x60",
}


@pytest.mark.parametrize("words", BYTES)
def test_what_is_no_module_is_named(start: Start, tmp_path: Path, words: str) -> None:
    module = tmp_path / "main.wasm"
    module.write_bytes(BYTES[words])
    code, cause = start(Launch(module)).failure()
    assert code == 126
    assert words in cause


def test_every_truncation_is_refused(start: Start, tmp_path: Path) -> None:
    whole = wasm_from_text(f'(module (memory (export "memory") 1) {START})').read_bytes()
    module = tmp_path / "main.wasm"
    for length in range(len(whole)):
        module.write_bytes(whole[:length])
        container = start(Launch(module))
        assert container.failure()[0] == 126, f"{length} of {len(whole)} bytes"


TEXTS = {
    "no _start": ("(module)", ()),
    "_initialize": ('(module (func (export "_initialize")))', ()),
    "not a function without arguments": ('(module (func (export "_start") (param i32)))', ()),
    "unknown imports: env.a, env.b, env.c, env.d, env.e and 1 more": (
        "(module " + " ".join(f'(import "env" "{name}" (func))' for name in "abcdef") + START + ")",
        (),
    ),
    "unknown imports: wasi_snapshot_preview1.fd_write": (
        f'(module (import "wasi_snapshot_preview1" "fd_write" (func (param i64))) {START})',
        (),
    ),
    "threads": (f"(module (memory 1 1 shared) {START})", ("--enable-threads",)),
    "64-bit memories": (f"(module (memory i64 1) {START})", ("--enable-memory64",)),
    "exception handling": (f"(module (tag $e) {START})", ("--enable-exceptions",)),
    "several memories": (f"(module (memory 1) (memory 1) {START})", ("--enable-multi-memory",)),
}


@pytest.mark.parametrize("words", TEXTS)
def test_what_cannot_run_is_named(start: Start, words: str) -> None:
    text, flags = TEXTS[words]
    code, cause = start(Launch(wasm_from_text(text, *flags))).failure()
    assert code == 126
    assert words in cause


@pytest.mark.parametrize("memory", ['(memory (export "memory") 3)', "(memory 3)"])
def test_too_little_memory_names_both_figures(start: Start, memory: str) -> None:
    launch = Launch(wasm_from_text(f"(module {memory} {START})"), extra=[("memory-max-bytes", "131072")])
    code, cause = start(launch).failure()
    assert code == 126
    assert "196608" in cause
    assert "131072" in cause


def test_a_missing_module_is_127(start: Start, tmp_path: Path) -> None:
    code, cause = start(Launch(tmp_path / "none.wasm")).failure()
    assert (code, cause) == (127, "cannot read the module: no such file or directory")


def test_a_directory_is_no_module(start: Start, tmp_path: Path) -> None:
    code, cause = start(Launch(tmp_path)).failure()
    assert (code, cause) == (126, "the module is not a regular file")


def test_a_running_container_is_not_started_twice(start: Start) -> None:
    launch = Launch(wasm_from_text('(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))'))
    assert start(launch).ready == b"R"
    assert start(launch).failure() == (125, "the container is running already")


def test_a_limit_of_address_space_is_named(start: Start) -> None:
    launch = Launch(wasm_from_text(f"(module {START})"), extra=[("rlimit", "as:1073741824:1073741824")])
    code, cause = start(launch).failure()
    assert code == 125
    assert "RLIMIT_AS" in cause


def test_compiled_code_that_is_required_and_missing(start: Start) -> None:
    launch = Launch(wasm_from_text(f"(module {START})"), extra=[("aot", "require")])
    code, cause = start(launch).failure()
    assert code == 126
    assert "has not been compiled" in cause


@pytest.mark.parametrize("section", ["4 GiB memory", "huge table", "many locals"])
def test_extreme_sizes_neither_abort_nor_hang(start: Start, section: str) -> None:
    bodies = {
        "4 GiB memory": f"(memory 65536) {START}",
        "huge table": f"(table 4294967295 funcref) {START}",
        "many locals": f'(func (export "_start") (local {"i64 " * 49000}))',
    }
    container = start(Launch(wasm_from_text(f"(module {bodies[section]})", "--no-check")))
    if container.ready == b"R":
        assert container.wait() in {0, 134}
    else:
        assert container.failure()[0] == 126
