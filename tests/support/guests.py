"""Guests for tests and examples: compiled once, kept under the digest of what they are made of."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

TOP = Path(__file__).parents[2]
SOURCES = TOP / "tests" / "fixtures" / "guests"
CACHE = Path(os.environ.get("WPOD_TESTS_GUESTS", TOP / "build" / "guests"))
_WASM_C = ("clang", "--target=wasm32-wasi", "-O2", "-Wl,--strip-debug", "-Wl,-z,stack-size=65536")
_NATIVE_C = ("cc", "-O2", "-static")
_GO_OLDEST = (1, 21)


class MissingCompiler(Exception):
    """A guest can't be built here; the message is the reason of a skip."""


def wasm_from_c(source: Path, *flags: str) -> Path:
    """A WASI preview 1 module of one C file."""
    return _built(source.stem + ".wasm", (*_WASM_C, *flags), [source])


def wasm_with_sockets(source: Path) -> Path:
    """A module of one C file and WAMR's lib-socket, which is not part of this tree: the engine's crate brings it."""
    library = _lib_socket()
    flags = (f"-I{library}/inc", "-ffunction-sections", "-Wl,--gc-sections")
    return wasm_from_c(source, *flags, str(library / "src/wasi/wasi_socket_ext.c"))


@cache
def _lib_socket() -> Path:
    command = ("cargo", "metadata", "--format-version=1", "--offline", "--locked")
    manifest = ("--manifest-path", str(TOP / "rust" / "Cargo.toml"))
    told = subprocess.run([*command, *manifest], capture_output=True, text=True, check=True).stdout
    (crate,) = (one for one in json.loads(told)["packages"] if one["name"] == "wamrx-sys")
    return Path(crate["manifest_path"]).parent / "wasm-micro-runtime/core/iwasm/libraries/lib-socket"


def native_from_c(source: Path, *flags: str) -> Path:
    """A static Linux program of one C file."""
    return _built(source.stem, (*_NATIVE_C, *flags), [source])


def wasm_from_text(text: str, *flags: str, name: str = "module") -> Path:
    """A module of WebAssembly text; `--no-check` among the flags lets invalid ones through."""
    digest = hashlib.sha256("\0".join((text, *flags)).encode()).hexdigest()[:16]
    target = CACHE / digest / f"{name}.wasm"
    if target.exists():
        return target
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "module.wat"
        source.write_text(text)
        _compile(["wat2wasm", *flags, "-o", "{out}", str(source)], target)
    return target


def wasm_from_go(package: Path) -> Path:
    """A WASI preview 1 module of a Go package. Raises MissingCompiler below Go 1.21."""
    go = go_program()
    sources = [*sorted(package.glob("*.go")), package / "go.mod"]
    environment = {
        "GOOS": "wasip1",
        "GOARCH": "wasm",
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=mod",
    }
    command = (go, "build", "-trimpath", "-ldflags=-s -w")
    return _built(package.name + ".wasm", command, sources, environment=environment, cwd=package)


@cache
def go_program() -> str:
    """Path of a Go compiler that knows wasip1. Raises MissingCompiler."""
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go"):
        if not candidate or not os.access(candidate, os.X_OK):
            continue
        text = subprocess.run([candidate, "version"], capture_output=True, text=True, check=False).stdout
        version = re.search(r"go(\d+)\.(\d+)", text)
        if version and (int(version[1]), int(version[2])) >= _GO_OLDEST:
            return candidate
    raise MissingCompiler("Go 1.21 or newer is not installed")


@cache
def _compiler_version(program: str) -> str:
    flag = "version" if Path(program).name == "go" else "--version"
    return subprocess.run([program, flag], capture_output=True, text=True, check=True).stdout


def _built(
    name: str,
    command: Sequence[str],
    sources: Sequence[Path],
    *,
    environment: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> Path:
    if shutil.which(command[0]) is None:
        raise MissingCompiler(f"{command[0]} is not installed")
    digest = hashlib.sha256(repr((command, _compiler_version(command[0]), environment)).encode())
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    target = CACHE / digest.hexdigest()[:16] / name
    if not target.exists():
        inputs = [] if cwd else [str(source) for source in sources]
        _compile([*command, "-o", "{out}", *inputs], target, environment, cwd)
    return target


def _compile(
    command: Sequence[str], target: Path, environment: dict[str, str] | None = None, cwd: Path | None = None
) -> None:
    """Compile beside the target and rename: several workers may build the same guest."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as directory:
        out = Path(directory) / target.name
        done = subprocess.run(
            [str(out) if word == "{out}" else word for word in command],
            env={**os.environ, **(environment or {})},
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        out.chmod(0o755)
        out.rename(target)
