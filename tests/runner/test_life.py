"""How a container of the runner begins and ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.runner.conftest import Start
from tests.runner.launching import Container, Launch, wait_for_output
from tests.support.guests import wasm_from_text
from wpod.formats.log_line import Stream
from wpod.formats.state_file import Cause, Confinement, Phase

WASI = "wasi_snapshot_preview1"
# (data "..." ) at 64, its iovec at 0: prints the text and goes on.
PRINT = """
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (func $print (param $fd i32) (param $length i32)
    (i32.store (i32.const 0) (i32.const 64))
    (i32.store (i32.const 4) (local.get $length))
    (drop (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
"""


def module(body: str, *, imports: str = "", memory: str = '(memory (export "memory") 1)') -> Path:
    return wasm_from_text(f'(module {imports} {PRINT} {memory} (data (i32.const 64) "hello\\n") {body})')


def start_function(code: str) -> str:
    return f'(func $_start (export "_start") {code})'


def exit_with(code: int) -> Path:
    imports = '(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))'
    return module(start_function(f"(call $exit (i32.const {code})) unreachable"), imports=imports)


@pytest.mark.parametrize(("code", "status"), [(0, 0), (42, 42), (126, 126), (256, 0), (-1, 255)])
def test_the_guest_decides_its_exit_status(start: Start, code: int, status: int) -> None:
    container = start(Launch(exit_with(code)))
    assert container.ready == b"R"
    assert container.wait() == status
    state = container.state
    assert (state.phase, state.status, state.cause) == (Phase.EXITED, status, Cause.EXITED)
    assert not container.locked


def test_returning_from_start_is_success(start: Start) -> None:
    container = start(Launch(module(start_function("(call $print (i32.const 1) (i32.const 6))"))))
    assert container.wait() == 0
    assert container.output() == b"hello\n"


TRAPS = {
    "unreachable": "unreachable",
    "integer divide by zero": "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
    "out of bounds memory access": "(drop (i32.load (i32.const 0x7fffffff)))",
    "stack overflow": "(call $_start)",
}


@pytest.mark.parametrize("reason", TRAPS)
def test_a_trap_is_134_and_one_line(start: Start, reason: str) -> None:
    container = start(Launch(module(start_function(TRAPS[reason]))))
    assert container.ready == b"R"
    assert container.wait() == 134
    assert container.state.cause is Cause.TRAP
    assert container.output(Stream.STDERR) == f"error: wasm trap: {reason} (in function _start)\n".encode()
    assert reason in container.state.reason


def test_a_trap_names_an_unexported_function(start: Start) -> None:
    text = '(module (memory (export "memory") 1) (func $inner unreachable) (func (export "_start") (call $inner)))'
    container = start(Launch(wasm_from_text(text, "--debug-names")))
    assert container.wait() == 134
    assert container.output(Stream.STDERR) == b"error: wasm trap: unreachable (in function inner)\n"


def test_memory_grows_under_confinement_up_to_the_cap(start: Start) -> None:
    body = start_function(
        """(if (i32.ne (memory.grow (i32.const 3)) (i32.const 1)) (then unreachable))
           (i32.store (i32.const 0x3fffc) (i32.const 1))
           (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
           (call $print (i32.const 1) (i32.const 6))"""
    )
    container = start(Launch(module(body), extra=[("memory-max-bytes", str(4 * 65536 + 1))]))
    assert container.wait() == 0, container.output()
    state = container.state
    assert (state.linear_used_bytes, state.linear_limit_bytes) == (4 * 65536, 4 * 65536)


def busy(start: Start) -> Container:
    container = start(Launch(module(start_function("(call $print (i32.const 1) (i32.const 6)) (loop (br 0))"))))
    wait_for_output(container, b"hello\n")
    return container


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1])
def test_a_signal_ends_a_busy_guest_at_once(start: Start, number: signal.Signals) -> None:
    container = busy(start)
    assert container.locked
    assert container.state.phase is Phase.RUNNING
    container.process.send_signal(number)
    assert container.wait() == 128 + number
    state = container.state
    assert (state.cause, state.signal, state.status) == (Cause.SIGNAL, number, 128 + number)


def test_a_kill_leaves_the_state_running_and_the_lock_free(start: Start) -> None:
    container = busy(start)
    container.process.kill()
    assert container.wait() == -signal.SIGKILL
    assert container.state.phase is Phase.RUNNING
    assert not container.locked


def test_a_fault_of_the_engine_is_a_signal(start: Start) -> None:
    container = busy(start)
    container.process.send_signal(signal.SIGSEGV)
    assert container.wait() == 128 + signal.SIGSEGV
    assert (container.state.cause, container.state.signal) == (Cause.SIGNAL, signal.SIGSEGV)


def test_the_timeout_ends_a_busy_guest(start: Start) -> None:
    launch = Launch(module(start_function("(loop (br 0))")), extra=[("timeout-seconds", "1")])
    container = start(launch)
    assert container.wait() == 255
    assert container.state.cause is Cause.TIMEOUT


def test_the_process_is_confined(start: Start) -> None:
    container = busy(start)
    held = container.state.confinement
    wanted = Confinement.NO_NEW_PRIVILEGES | Confinement.SECCOMP | Confinement.CAPABILITIES_DROPPED
    assert held & wanted == wanted
    status = Path(f"/proc/{container.process.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"
    assert {fields[name].strip("0") for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {""}
    assert fields["Threads"] == "1"


def test_no_descriptor_of_the_starter_is_kept(start: Start) -> None:
    leaked = os.open("/etc/hostname", os.O_RDONLY)
    os.set_inheritable(leaked, True)
    try:
        container = busy(start)
    finally:
        os.close(leaked)
    directory = Path(f"/proc/{container.process.pid}/fd")
    targets = {os.readlink(entry) for entry in directory.iterdir()}
    own = {"/dev/null", *(str(container.directory / name) for name in ("state", "log", "root", "log/container.log"))}
    assert targets == own


def test_the_trap_and_the_output_reach_the_terminal_too(start: Start) -> None:
    body = start_function(
        "(call $print (i32.const 1) (i32.const 6)) (call $print (i32.const 2) (i32.const 3)) unreachable"
    )
    container = start(Launch(module(body), terminal=True))
    out, err = container.process.communicate(timeout=30)
    assert out == b"hello\n"
    assert err == b"hel" + b"error: wasm trap: unreachable (in function _start)\n"
    assert container.output() == out + err


def test_a_reader_that_left_ends_the_guest_as_it_ends_a_program(start: Start) -> None:
    container = start(
        Launch(module(start_function("(loop (call $print (i32.const 1) (i32.const 6)) (br 0))")), terminal=True)
    )
    assert container.process.stdout
    container.process.stdout.close()
    assert container.process.wait(30) == 128 + signal.SIGPIPE
    container.process.stdout = None


def test_a_start_function_runs_confined_and_before_start(start: Start) -> None:
    body = """(func $first (call $print (i32.const 1) (i32.const 6))) (start $first)
              (func (export "_start") (call $print (i32.const 2) (i32.const 6)))"""
    container = start(Launch(module(body)))
    assert container.wait() == 0
    assert container.output() == b"hello\nhello\n"
    assert (container.output(Stream.STDOUT), container.output(Stream.STDERR)) == (b"hello\n", b"hello\n")


def test_a_start_function_that_never_ends_is_a_running_guest(start: Start) -> None:
    container = start(Launch(module('(func $first (loop (br 0))) (start $first) (func (export "_start"))')))
    assert container.ready == b"R"
    container.process.terminate()
    assert container.wait() == 128 + signal.SIGTERM
