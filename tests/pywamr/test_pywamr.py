"""pywamr: what it says about modules, and what it runs."""

from __future__ import annotations

import shutil
import subprocess
import threading
from pathlib import Path

import pytest
import pywamr

from wpod import paths

ARITHMETIC = """(module
  (memory (export "memory") 2 16)
  (data (i32.const 16) "hello")
  (global (export "answer") i32 (i32.const 42))
  (table (export "table") 3 7 funcref)
  (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)
  (func (export "wide") (param i64) (result i64) local.get 0 i64.const 1 i64.add)
  (func (export "half") (param f64) (result f64) local.get 0 f64.const 0.5 f64.mul)
  (func (export "single") (param f32) (result f32) local.get 0)
  (func (export "both") (param i32 i64) (result i64 i32) local.get 1 local.get 0)
  (func (export "nothing"))
  (func (export "grow") (result i32) i32.const 1 memory.grow)
  (func $boom (export "boom") unreachable)
  (func (export "far") (result i32) i32.const -4 i32.load)
  (func $deep (export "deep") (result i32) call $deep i32.const 1 i32.add)
  (func (export "divide") (param i32 i32) (result i32) local.get 0 local.get 1 i32.div_s))"""

COMMAND = r"""(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 100))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.store (i32.const 4) (i32.load (i32.const 8)))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
    (drop (call $sizes (i32.const 16) (i32.const 20)))
    (call $exit (i32.add (i32.const 40) (i32.load (i32.const 16))))))"""


@pytest.fixture(scope="module")
def assemble(tmp_path_factory: pytest.TempPathFactory):
    """Text format to bytes, with wabt's assembler."""
    program = shutil.which("wat2wasm")
    assert program, "apt-get install wabt"
    directory = tmp_path_factory.mktemp("wat")

    def assembled(text: str, *flags: str) -> bytes:
        source, target = directory / "module.wat", directory / "module.wasm"
        source.write_text(text)
        subprocess.run([program, "--debug-names", *flags, str(source), "-o", str(target)], check=True)
        return target.read_bytes()

    return assembled


@pytest.fixture(scope="module")
def arithmetic(assemble) -> pywamr.Module:
    return pywamr.Module.load(assemble(ARITHMETIC))


def test_exports_are_listed_with_their_types(arithmetic: pywamr.Module) -> None:
    exports = {export.name: (export.kind, export.type) for export in arithmetic.exports}
    assert exports["add"] == ("function", "(i32, i32) -> (i32)")
    assert exports["both"] == ("function", "(i32, i64) -> (i64, i32)")
    assert exports["nothing"] == ("function", "() -> ()")
    assert exports["answer"] == ("global", "i32")
    assert exports["memory"][0] == "memory"
    assert exports["table"] == ("table", "funcref 3..7")
    assert arithmetic.imports == []


def test_memory_limits_and_features(arithmetic: pywamr.Module, assemble) -> None:
    assert arithmetic.memory is not None
    assert (arithmetic.memory.minimum_pages, arithmetic.memory.maximum_pages) == (2, 16)
    assert [feature.name for feature in arithmetic.features] == ["multi-value"]
    unlimited = pywamr.Module.load(assemble("(module (memory 3))"))
    assert unlimited.memory is not None
    assert (unlimited.memory.minimum_pages, unlimited.memory.maximum_pages) == (3, None)
    assert pywamr.Module.load(assemble("(module)")).memory is None


def test_features_that_the_engine_has(assemble) -> None:
    text = """(module (memory 1) (type $t (func (result i32)))
      (func $f (type $t) (i32x4.extract_lane 0 (i32x4.splat (i32.const 1))))
      (func (type $t) (return_call $f))
      (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 1)))
      (func (result i32) (i32.extend8_s (i32.trunc_sat_f32_s (f32.const 1)))))"""
    module = pywamr.Module.load(assemble(text, "--enable-tail-call"))
    found = {feature.name: feature.supported for feature in module.features}
    assert found == dict.fromkeys(
        ["bulk-memory", "saturating-float-to-int", "sign-extension", "simd", "tail-call"], True
    )


@pytest.mark.parametrize(
    ("text", "flag", "missing"),
    [
        ("(module (memory i64 1))", "--enable-memory64", "memory64"),
        ("(module (memory 1 2 shared))", "--enable-threads", "threads"),
        (
            "(module (memory 1 2 shared) (func (drop (i32.atomic.load (i32.const 0)))))",
            "--enable-threads",
            "threads",
        ),
        ("(module (tag $e) (func (throw $e)))", "--enable-exceptions", "exceptions"),
    ],
)
def test_missing_features_are_named(assemble, text: str, flag: str, missing: str) -> None:
    data = assemble(text, flag)
    unsupported = [feature.name for feature in pywamr.features(data) if not feature.supported]
    assert unsupported == [missing]
    with pytest.raises(pywamr.InvalidModule):
        pywamr.Module.load(data)


def test_calls(arithmetic: pywamr.Module) -> None:
    instance = arithmetic.instantiate()
    assert instance.call("add", 40, 2) == 42
    assert instance.call("add", 0xFFFFFFFF, 0) == -1
    assert instance.call("wide", 2**63 - 1) == -(2**63)
    assert instance.call("wide", 2**64 - 1) == 0
    assert instance.call("half", 5) == 2.5
    assert instance.call("single", 0.5) == 0.5
    assert instance.call("both", 1, -2) == (-2, 1)
    assert instance.call("nothing") is None


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("missing", (), "no function of this name"),
        ("memory", (), "no function of this name"),
        ("add", (1,), "takes 2 arguments"),
        ("add", (1, 2.5), "not a value of type i32"),
        ("add", (1, True), "not a value of type i32"),
        ("add", (1, "2"), "not a value of type i32"),
        ("add", (1, 2**32), "not a value of type i32"),
        ("wide", (2**64,), "not a value of type i64"),
    ],
)
def test_wrong_calls(arithmetic: pywamr.Module, name: str, arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(pywamr.CallFailed, match=message):
        arithmetic.instantiate().call(name, *arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "arguments", "kind"),
    [
        ("boom", (), "unreachable"),
        ("far", (), "out-of-bounds-memory"),
        ("deep", (), "stack-overflow"),
        ("divide", (1, 0), "divide-by-zero"),
        ("divide", (-(2**31), -1), "integer-overflow"),
    ],
)
def test_traps(arithmetic: pywamr.Module, name: str, arguments: tuple[int, ...], kind: str) -> None:
    instance = arithmetic.instantiate()
    with pytest.raises(pywamr.Trap) as caught:
        instance.call(name, *arguments)
    assert caught.value.kind == kind
    assert "\n" not in str(caught.value)
    assert instance.call("add", 1, 1) == 2, "usable after a trap"


def test_a_trap_names_the_function(arithmetic: pywamr.Module) -> None:
    with pytest.raises(pywamr.Trap) as caught:
        arithmetic.instantiate().call("boom")
    assert caught.value.function == "boom"


def test_memory(arithmetic: pywamr.Module) -> None:
    instance = arithmetic.instantiate(max_memory_pages=3)
    assert instance.read(16, 5) == b"hello"
    instance.write(16, b"WORLD")
    assert instance.read(16, 5) == b"WORLD"
    assert instance.memory_bytes == 2 * 65536
    assert instance.call("grow") == 2
    assert instance.call("grow") == -1, "capped"
    assert instance.memory_bytes == 3 * 65536
    with pytest.raises(pywamr.CallFailed):
        instance.read(3 * 65536, 1)
    with pytest.raises(pywamr.CallFailed):
        instance.write(3 * 65536 - 2, b"abc")
    assert arithmetic.instantiate().read(16, 5) == b"hello", "instances don't share memory"


def test_a_command(assemble) -> None:
    module = pywamr.Module.load(assemble(COMMAND))
    assert module.wasi == "preview1"
    assert all(wanted.known for wanted in module.imports)
    result = module.run(["name", "argument"], ["A=B"], stdin=b"some text")
    assert (result.exit_code, result.stdout, result.stderr) == (42, b"some text", b"some text")
    assert module.run().exit_code == 40


def test_unknown_imports_are_named(assemble) -> None:
    module = pywamr.Module.load(assemble('(module (import "env" "frob" (func)) (func (export "_start")))'))
    assert [(wanted.module, wanted.name, wanted.known) for wanted in module.imports] == [("env", "frob", False)]
    assert module.wasi is None
    for attempt in (module.instantiate, module.run):
        with pytest.raises(pywamr.InstantiationError, match=r"env\.frob"):
            attempt()


def test_not_a_command(arithmetic: pywamr.Module) -> None:
    with pytest.raises(pywamr.InstantiationError, match="not a WASI command"):
        arithmetic.run()


@pytest.mark.parametrize(
    ("data", "content", "words"),
    [
        (b"", "empty", "an empty file"),
        (b"\x7fELF\x02\x01", "elf", "an ELF program"),
        (b"(module)", "text", "text format"),
        (b"\0asm\x0d\0\x01\0", "component", "component"),
        (b"\0asm\x07\0\0\0", "other-version", "version 7"),
        (b"\0asm", "truncated", "truncated"),
        (b"\0aot\x06\0\0\0", "compiled", "compiled"),
        (b"whatever", "unknown", "no WebAssembly header"),
        (b"\0asm\x01\0\0\0\x01\xff\xff\xff\xff\x0f", "module", "malformed"),
    ],
)
def test_what_is_not_a_module(data: bytes, content: str, words: str) -> None:
    assert pywamr.recognise(data) == content
    for refuse in (pywamr.Module.load, pywamr.validate):
        with pytest.raises(pywamr.InvalidModule, match=words) as caught:
            refuse(data)
        assert "\n" not in str(caught.value)


def test_every_truncation_is_refused_or_loads(assemble) -> None:
    whole = assemble(COMMAND)
    pywamr.validate(whole)
    refused = 0
    for length in range(len(whole)):
        try:
            pywamr.validate(whole[:length])
        except pywamr.InvalidModule:
            refused += 1
    assert refused > len(whole) // 2


def test_threads_do_not_disturb_each_other(arithmetic: pywamr.Module) -> None:
    wrong: list[object] = []

    def work(seed: int) -> None:
        instance = arithmetic.instantiate()
        for turn in range(200):
            if instance.call("add", seed, turn) != seed + turn:
                wrong.append((seed, turn))
            try:
                instance.call("far")
                wrong.append("no trap")
            except pywamr.Trap as trap:
                if trap.kind != "out-of-bounds-memory":
                    wrong.append(trap)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_compile(assemble, tmp_path: Path) -> None:
    compiler = paths.part("wpod-aot-compiler")
    module, output = tmp_path / "module.wasm", tmp_path / "module.waot"
    module.write_bytes(assemble(ARITHMETIC))
    pywamr.compile(module, output, compiler=compiler)
    assert output.stat().st_mode & 0o777 == 0o444
    module.write_bytes(b"not a module")
    with pytest.raises(pywamr.CompileError) as caught:
        pywamr.compile(module, tmp_path / "other.waot", compiler=compiler)
    assert caught.value.exit_status == 3
    assert not (tmp_path / "other.waot").exists()
    with pytest.raises(OSError, match="No such file"):
        pywamr.compile(module, output, compiler=tmp_path / "no-compiler")
