"""The cache of compiled modules: found, pruned, checked, and what a note keeps from being tried again."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command import eventually
from wpod.errors import MissingProgram, StoreError, WpodError
from wpod.runtime.modules import cache, digests
from wpod.runtime.modules import compile as compiling
from wpod.runtime.modules.compile import CompileStatus, ensure_compiled

MODULE = b"\0asm\x01\0\0\0"
DIGEST = f"sha256:{hashlib.sha256(MODULE).hexdigest()}"
OTHER = f"sha256:{'e' * 64}"
BUILD = "ab" * 32
HEX = DIGEST.removeprefix("sha256:")


def cache_file(
    digest: str = DIGEST, build: str = BUILD, content: bytes = b"code" * 100, size: int | None = None
) -> bytes:
    """A file as rust/aot-cache/src/header.rs lays it out."""
    head = struct.pack(
        "<8sII32s32s32sIIII9Q32s", b"WPODWAOT", 2, 0, b"wamr", bytes.fromhex(digest[7:]), bytes.fromhex(build), 0, 0,
        3, 0,
        0, 512 + len(content) if size is None else size, *(0,) * 7, hashlib.sha256(content).digest(),
    ).ljust(480, b"\0")  # fmt: skip
    return head + hashlib.sha256(head).digest() + content


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "aot"
    made.mkdir()
    return made


@pytest.fixture
def module(tmp_path: Path) -> str:
    path = tmp_path / "main.wasm"
    path.write_bytes(MODULE)
    return str(path)


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Installs a compiler that is a shell script: $output, $note and $started are files, $lock a descriptor."""
    libexec = tmp_path / "libexec"
    libexec.mkdir()
    monkeypatch.setenv("WPOD_LIBEXEC_DIR", str(libexec))
    (tmp_path / "compiled").write_bytes(cache_file())

    def install(action: str) -> Path:
        program = libexec / cache.COMPILER
        started = tmp_path / "started"
        program.write_text(
            f'#!/bin/sh\n[ "$1" = --identity ] && echo {BUILD} && exit\n'
            "while [ $# -gt 0 ]; do case $1 in --output) output=$2;; --note) note=$2;; --lock) lock=$2;; esac\n"
            "shift; done\n"
            f"echo x >> {started}\ncompiled={tmp_path}/compiled\ngo={tmp_path}/go\nbuild={BUILD}\n{action}\n"
        )
        program.chmod(0o755)
        return started

    return install


SUCCEED = "cp $compiled $output.part; chmod 444 $output.part; mv $output.part $output; rm -f $note"


def starts(started: Path) -> int:
    return len(started.read_text().splitlines()) if started.exists() else 0


# --- finding ------------------------------------------------------------------------------------------------------


def test_a_file_is_found_unless_the_compiler_is_newer(directory: Path, compiler: Callable[[str], Path]) -> None:
    path = Path(cache.cache_path(str(directory), DIGEST))
    assert cache.find(str(directory), DIGEST) is None
    assert cache.find(str(directory / "none"), DIGEST) is None
    path.write_bytes(cache_file())
    os.utime(path, (1, 1))
    assert cache.find(str(directory), DIGEST) == str(path)  # no compiler: nothing could be newer
    compiler("")
    assert cache.find(str(directory), DIGEST) is None
    later = time.time_ns() + 10**9
    os.utime(path, ns=(later, later))
    assert cache.find(str(directory), DIGEST) == str(path)
    assert cache.find(str(directory), OTHER) is None


def test_files_are_listed_by_name(directory: Path) -> None:
    for name in ("b" * 64 + ".waot", "a" * 64 + ".waot", "." + "c" * 64 + ".waot.77", "d" * 64 + ".lock", "readme"):
        (directory / name).write_bytes(b"12345")
    assert [(file.digest[7:10], file.size_bytes) for file in cache.files(str(directory))] == [("aaa", 5), ("bbb", 5)]
    assert cache.files(str(directory / "none")) == []


# --- pruning ------------------------------------------------------------------------------------------------------


def test_what_no_module_needs_goes(directory: Path) -> None:
    kept, gone = HEX, OTHER[7:]
    for name in (f"{kept}.waot", f"{kept}.lock", f"{kept}.note"):
        (directory / name).write_bytes(b"12345")
    for name in (f"{gone}.waot", f"{gone}.lock", f"{gone}.note", f".{gone}.waot.12", f".{kept}.waot.13", "rubbish"):
        (directory / name).write_bytes(b"1234567")
    assert cache.prune(str(directory), [DIGEST]) == 6 * 7
    assert sorted(path.name for path in directory.iterdir()) == [f"{kept}.lock", f"{kept}.note", f"{kept}.waot"]
    assert cache.prune(str(directory), []) == 15
    assert cache.prune(str(directory / "none"), []) == 0


@pytest.mark.parametrize("keep", [[DIGEST], []])
def test_what_a_compiler_is_writing_stays(keep: list[str], directory: Path) -> None:
    names = [f"{HEX}.lock", f".{HEX}.waot.99", f".{HEX}.waot.99.stack"]
    for name in names:
        (directory / name).touch()
    with (directory / f"{HEX}.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cache.prune(str(directory), keep)
        assert sorted(path.name for path in directory.iterdir()) == sorted(names)
    cache.prune(str(directory), [])
    assert list(directory.iterdir()) == []


def test_a_directory_in_the_cache_is_a_clear_error(directory: Path) -> None:
    (directory / "strange").mkdir()
    with pytest.raises(StoreError, match="strange can't be removed"):
        cache.prune(str(directory), [])


# --- checking -----------------------------------------------------------------------------------------------------


def checked(directory: Path, data: bytes, mode: int = 0o444, digest: str = DIGEST) -> str | None:
    path = Path(cache.cache_path(str(directory), digest))
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    path.chmod(mode)
    return cache.check(cache.CacheFile(str(path), digest, len(data)))


def test_a_good_file_has_nothing_wrong(directory: Path) -> None:
    assert checked(directory, cache_file()) is None
    header = cache.read_header(cache.cache_path(str(directory), DIGEST))
    assert (header.module_digest, header.engine_build, header.engine) == (DIGEST, BUILD, "wamr")


def test_every_damaged_byte_is_found(directory: Path) -> None:
    whole = cache_file(content=b"code")
    for offset in range(len(whole)):
        damaged = bytearray(whole)
        damaged[offset] ^= 1
        assert checked(directory, bytes(damaged)) is not None, offset


@pytest.mark.parametrize(
    ("data", "mode", "word"),
    [
        (b"", 0o444, "truncated"), (cache_file()[:511], 0o444, "truncated"), (cache_file()[:-1], 0o444, "truncated"),
        (cache_file() + b"x", 0o444, "truncated"), (b"\0" * 600, 0o444, "format"), (cache_file(), 0o664, "by others"),
        (cache_file(), 0o446, "by others"), (cache_file(OTHER), 0o444, "compiled from"),
        (cache_file(size=5), 0o444, "truncated"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(data: bytes, mode: int, word: str, directory: Path) -> None:
    found = checked(directory, data, mode)
    assert found is not None
    assert word in found
    assert HEX in found


def test_another_user_s_file_is_not_ours(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checked(directory, cache_file()) is None
    path = cache.cache_path(str(directory), DIGEST)
    if os.geteuid() == 0:
        os.chown(path, 4242, 4242)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4243)
    assert "belongs to user" in str(cache.check(cache.CacheFile(path, DIGEST, 0)))


def test_a_link_is_not_a_file_of_the_cache(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(cache_file())
    path = cache.cache_path(str(directory), DIGEST)
    os.symlink(tmp_path / "elsewhere", path)
    assert cache.check(cache.CacheFile(path, DIGEST, 0)) is not None
    os.unlink(path)
    assert "can't be read" in str(cache.check(cache.CacheFile(path, DIGEST, 0)))


# --- compiling ----------------------------------------------------------------------------------------------------


def test_a_module_is_compiled_once(module: str, directory: Path, compiler: Callable[[str], Path]) -> None:
    started = compiler(SUCCEED)
    first = ensure_compiled(module, DIGEST, str(directory / "new"), 10)
    assert (first.status, first.path) == (CompileStatus.READY, cache.cache_path(str(directory / "new"), DIGEST))
    assert ensure_compiled(module, DIGEST, str(directory / "new"), 10) == first
    assert starts(started) == 1
    assert stat.S_IMODE((directory / "new").stat().st_mode) & 0o022 == 0


def test_nobody_waits_longer_than_its_patience(
    module: str, directory: Path, compiler: Callable[[str], Path], tmp_path: Path
) -> None:
    started = compiler(f"while [ ! -e $go ]; do sleep 0.02; done; {SUCCEED}")
    assert ensure_compiled(module, DIGEST, str(directory), 0.05).status is CompileStatus.RUNNING
    again = ensure_compiled(module, DIGEST, str(directory), 0.05)
    assert (again.status, again.reason) == (CompileStatus.RUNNING, "the module is being compiled")
    assert starts(started) == 1  # the second caller started no second compiler
    (tmp_path / "go").touch()
    assert ensure_compiled(module, DIGEST, str(directory), 10).status is CompileStatus.READY
    assert starts(started) == 1


def test_what_cannot_be_compiled_is_not_tried_again(
    module: str, directory: Path, compiler: Callable[[str], Path]
) -> None:
    started = compiler(r'printf "%s\n1\nthe module is odd" $build > $note; exit 1')
    for _ in range(3):
        found = ensure_compiled(module, DIGEST, str(directory), 10)
        assert (found.status, found.path, found.reason) == (CompileStatus.FAILED, None, "the module is odd")
    assert starts(started) == 1


def test_another_build_of_the_engine_tries_again(module: str, directory: Path, compiler: Callable[[str], Path]) -> None:
    (directory / f"{HEX}.note").write_text(f"{'cd' * 32}\n3\nan older engine's reason")
    started = compiler(SUCCEED)
    assert ensure_compiled(module, DIGEST, str(directory), 10).status is CompileStatus.READY
    assert starts(started) == 1


def test_a_compiler_that_dies_is_tried_three_times(
    module: str, directory: Path, compiler: Callable[[str], Path]
) -> None:
    started = compiler("kill -9 $$")
    reasons = [ensure_compiled(module, DIGEST, str(directory), 10).reason for _ in range(5)]
    assert starts(started) == 3
    died = "the compiler died; `wpod doctor` tells whether it starts"
    assert reasons == [died] * 3 + ["the compiler died 3 times"] * 2


@pytest.mark.parametrize("note", ["", "x", f"{BUILD}\n", f"{BUILD}\nmany\nreason", "\xff\0\n\n\n", "y" * 100_000])
def test_a_damaged_note_is_none(note: str, module: str, directory: Path, compiler: Callable[[str], Path]) -> None:
    (directory / f"{HEX}.note").write_bytes(note.encode("latin-1"))
    compiler(SUCCEED)
    assert ensure_compiled(module, DIGEST, str(directory), 10).status is CompileStatus.READY


def test_an_older_file_of_this_build_is_taken_as_new(
    module: str, directory: Path, compiler: Callable[[str], Path]
) -> None:
    path = Path(cache.cache_path(str(directory), DIGEST))
    path.write_bytes(cache_file())
    os.utime(path, (1, 1))
    started = compiler(SUCCEED)
    assert cache.find(str(directory), DIGEST) is None
    assert ensure_compiled(module, DIGEST, str(directory), 10).path == str(path)
    assert starts(started) == 0
    assert cache.find(str(directory), DIGEST) == str(path)


@pytest.mark.parametrize("data", [b"", cache_file(build="cd" * 32), b"x" * 600])
def test_a_file_of_another_build_is_written_anew(
    data: bytes, module: str, directory: Path, compiler: Callable[[str], Path]
) -> None:
    path = Path(cache.cache_path(str(directory), DIGEST))
    path.write_bytes(data)
    os.utime(path, (1, 1))
    compiler(SUCCEED)
    assert ensure_compiled(module, DIGEST, str(directory), 10).status is CompileStatus.READY
    assert path.read_bytes() == cache_file()


def test_the_compiler_gets_the_lock_and_nothing_else(
    module: str, directory: Path, compiler: Callable[[str], Path], tmp_path: Path
) -> None:
    secret = os.open("/etc/hostname", os.O_RDONLY)
    os.set_inheritable(secret, True)
    try:
        compiler(f"ls /proc/$$/fd > {tmp_path}/fds; env > {tmp_path}/env; echo $lock >> {tmp_path}/fds; {SUCCEED}")
        ensure_compiled(module, DIGEST, str(directory), 10)
    finally:
        os.close(secret)
    *held, lock = (tmp_path / "fds").read_text().split()
    assert lock in held
    assert {"WPOD_LIBEXEC_DIR", "HOME"}.isdisjoint(
        line.split("=")[0] for line in (tmp_path / "env").read_text().splitlines()
    )


def test_no_compiler_and_no_directory_are_clear_errors(
    module: str, directory: Path, compiler: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises((MissingProgram, StoreError), match=cache.COMPILER):
        ensure_compiled(module, DIGEST, str(directory), 10)
    compiler(SUCCEED)
    with pytest.raises(WpodError, match="can't be written"):
        ensure_compiled(module, DIGEST, "/proc/none", 10)
    assert compiling.engine_build() == BUILD
    eventually(lambda: not list(directory.glob("*.part")))


# --- digests ------------------------------------------------------------------------------------------------------


def test_a_module_of_an_image_is_hashed_once(module: str, tmp_path: Path) -> None:
    assert digests.module_digest(module, str(tmp_path)) == DIGEST
    Path(module).write_bytes(b"changed")
    assert digests.module_digest(module, str(tmp_path)) == DIGEST
    assert digests.module_digest(module, None) == f"sha256:{hashlib.sha256(b'changed').hexdigest()}"
    assert [path.name for path in tmp_path.glob("module-digests*")] == ["module-digests.json"]


@pytest.mark.parametrize(
    "memo",
    [
        "",
        "{",
        "[]",
        "null",
        "5",
        "[" * 100_000,
        '{"MODULE": 5}',
        '{"MODULE": "x"}',
        '{"MODULE": "sha256:../../x"}',
        '{"x": null}',
    ],
)
def test_a_damaged_memory_is_none(memo: str, module: str, tmp_path: Path) -> None:
    (tmp_path / "module-digests.json").write_text(memo.replace("MODULE", module))
    assert digests.module_digest(module, str(tmp_path)) == DIGEST
    assert json.loads((tmp_path / "module-digests.json").read_text())[module] == DIGEST


def test_a_module_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="can't be read"):
        digests.module_digest(str(tmp_path / "none"), None)
    with pytest.raises(StoreError, match="can't be read"):
        digests.module_digest(str(tmp_path), None)


def test_a_compiler_of_a_session_of_its_own_leaves_others_the_processor() -> None:
    """Niceness alone counts nothing against other sessions (sched(7), autogroup)."""
    for own_session in (True, False):
        process = subprocess.Popen(["sleep", "60"], start_new_session=own_session)
        try:
            compiling.lower(process.pid)
            assert os.getpriority(os.PRIO_PROCESS, process.pid) == 19
            group = Path(f"/proc/{process.pid}/autogroup")
            shown = group.read_text().split() if group.exists() else []
            if shown:  # empty where a cgroup with a share of its own comes before the session's
                assert (shown[-1] == "19") == own_session
        finally:
            process.kill()
            process.wait()
