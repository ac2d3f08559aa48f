"""Streams, terminals and surroundings that aren't as expected: one error or the usual output, never a traceback."""

from __future__ import annotations

import fcntl
import os
import pty
import resource
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support.command import Result, Wpod

# Commands that print something on an empty store, by both parsers and by the help.
_PRINTING = (
    ("ps",), ("ps", "--format", "json"), ("images",), ("volume", "ls"), ("info",), ("version",), ("--help",),
    ("--version",), ("run", "--help"), ("completion", "bash"),
)  # fmt: skip
_CANNOT_WRITE = "standard output can't be written"
_TOP = Path(__file__).parents[2]
_ESCAPE = b"\x1b["


def _closing(*numbers: int) -> Callable[[], None]:
    """For `before_exec`: what `<&-`, `>&-` and `2>&-` do."""

    def close() -> None:
        for number in numbers:
            os.close(number)

    return close


@pytest.mark.parametrize("arguments", _PRINTING, ids=" ".join)
def test_without_standard_output_printing_fails(fresh_one: Wpod, arguments: tuple[str, ...]) -> None:
    fresh_one(*arguments, before_exec=_closing(0, 1)).fails(125, _CANNOT_WRITE)


@pytest.mark.parametrize("arguments", _PRINTING, ids=" ".join)
def test_on_a_full_device_printing_fails(fresh_one: Wpod, arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        process = fresh_one.start(*arguments, stdout=full)
    fresh_one.finish(process, arguments).fails(125, _CANNOT_WRITE, "No space left on device")


@pytest.mark.parametrize("arguments", _PRINTING, ids=" ".join)
def test_a_reader_that_has_gone_ends_it_quietly(fresh_one: Wpod, arguments: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = fresh_one.start(*arguments, stdout=writing)
    os.close(writing)
    result = fresh_one.finish(process, arguments).exits(141)
    assert result.err == ""


def test_head_gets_its_line(fresh_one: Wpod) -> None:
    line = " ".join(fresh_one.program)
    done = subprocess.run(
        ["sh", "-c", f"{line} run --help | head -n 1"],
        env=fresh_one.variables(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("Usage: wpod run [OPTIONS] IMAGE [ARGUMENT...]\n", "")


def test_without_any_stream_the_status_tells(fresh_one: Wpod) -> None:
    everything = _closing(0, 1, 2)
    fresh_one("ps", "-q", before_exec=everything).exits(0)  # nothing to print: nothing is lost
    fresh_one("ps", before_exec=everything).exits(125)
    fresh_one("rm", "nothing", before_exec=everything).exits(1)
    fresh_one("nonsense", before_exec=everything).exits(125)


def test_closed_streams_do_not_become_the_database(fresh_one: Wpod) -> None:
    """Descriptor 1 is free: the first file that is opened would get it, and what is printed with it."""
    fresh_one("volume", "create", "first", before_exec=_closing(0, 1)).fails(125, _CANNOT_WRITE)
    fresh_one("volume", "create", "second", before_exec=_closing(0, 1, 2)).exits(125)
    assert fresh_one("volume", "ls", "--quiet").ok().out == "first\nsecond\n"


def test_without_standard_error_failures_are_failures(fresh_one: Wpod) -> None:
    assert fresh_one("images", "--quiet", before_exec=_closing(2)).ok().out == ""
    result = fresh_one("inspect", "nothing", before_exec=_closing(2)).exits(125)
    assert result.json == []


def test_standard_error_on_a_full_device_changes_nothing(fresh_one: Wpod) -> None:
    with Path("/dev/full").open("wb") as full:
        process = fresh_one.start("volume", "inspect", "nothing", stderr=full)
    assert fresh_one.finish(process).exits(125).json == []


@pytest.mark.parametrize("arguments", [("ps",), ("run", "--help"), ("info", "--format", "{{.Store.GraphRoot}}")])
def test_the_locale_changes_no_byte(fresh_one: Wpod, arguments: tuple[str, ...]) -> None:
    usual = fresh_one(*arguments).ok().stdout
    for locale in ("C", "POSIX", "xx_YY.nonsense", ""):
        result = fresh_one(*arguments, environment={"LANG": locale, "LC_ALL": locale, "PYTHONCOERCECLOCALE": "0"})
        assert result.ok().stdout == usual


def test_arguments_that_are_not_utf8(fresh_one: Wpod) -> None:
    odd = b"\xff\xfe\x80"
    for arguments in ((b"inspect", odd), (b"image", b"inspect", odd), (b"volume", b"inspect", odd)):
        result = fresh_one(*arguments).fails(125)
        assert odd in result.stderr, result.explain()
    fresh_one(b"rm", odd).fails(1, "no such container")
    fresh_one(odd).fails(125, "unknown command")
    fresh_one(b"ps", b"--" + odd).fails(125, "unknown flag")
    fresh_one(b"ps", b"-" + odd).fails(125, "unknown shorthand flag")
    fresh_one(b"run", b"--name", odd, b"image").fails(125, "--name")
    fresh_one(b"run", b"-v", b"/nothing/" + odd + b":/x", b"image").fails(125)
    fresh_one(b"ps", b"--filter", b"name=" + odd).ok()
    fresh_one(b"ps", b"--format", odd).ok()
    fresh_one(b"info", b"--format", odd).ok()
    fresh_one(b"--root", b"/nothing/" + odd, b"ps").ok()
    fresh_one(b"help", odd).fails(125, "unknown command")


def test_control_characters_are_shown_and_not_obeyed(fresh_one: Wpod) -> None:
    result = fresh_one("inspect", "a\x1b[31m\rb\x07").fails(125)
    assert "a\\x1b[31m" in result.err
    assert not {"\x1b", "\r", "\x07"} & set(result.err)


def test_home_and_runtime_directory_unset(fresh: Wpod) -> None:
    unset = {"HOME": None, "XDG_RUNTIME_DIR": None}
    for arguments in (("ps", "-a"), ("images",), ("volume", "ls"), ("inspect", "--help"), ("version",)):
        fresh(*arguments, environment=unset).ok()
    info = fresh("info", "--format", "json", environment={**unset, "WPOD_ROOT": None}).ok().json
    assert info["store"]["graphRoot"].endswith("/wpod")


def test_no_environment_at_all(fresh: Wpod) -> None:
    nothing: Mapping[str, str | None] = dict.fromkeys(fresh.variables())
    fresh("--root", fresh.store, "ps", environment=nothing).ok()
    fresh("--root", fresh.store, "info", environment=nothing).ok()


def test_home_is_nowhere(fresh: Wpod) -> None:
    nowhere = fresh.scratch / "nowhere"
    environment = {"HOME": str(nowhere), "XDG_RUNTIME_DIR": str(nowhere), "WPOD_ROOT": None}
    for arguments in (("ps", "-a"), ("images",), ("info",), ("version",)):
        fresh(*arguments, environment=environment).ok()
    assert not nowhere.exists()  # looking makes nothing


def test_the_working_directory_is_gone(fresh: Wpod) -> None:
    def leave() -> None:
        directory = fresh.scratch / "tmp" / f"gone-{os.getpid()}"
        directory.mkdir()
        os.chdir(directory)
        directory.rmdir()

    for arguments in (("ps", "-a"), ("images",), ("volume", "create", "kept"), ("info",), ("run", "--help")):
        fresh(*arguments, before_exec=leave).ok()
    for arguments in (
        ("--root", "relative", "ps"), ("run", "-v", "./a:/b", "image"), ("run", "--env-file", "a", "image"),
        ("load", "-i", "a.tar"), ("completion", "bash", "-f", "script"), ("build", "."),
    ):  # fmt: skip
        fresh(*arguments, before_exec=leave).fails(125)
    fresh("ps", before_exec=leave, environment={"WPOD_ROOT": "relative"}).fails(125, "working directory is gone")


def test_few_descriptors(fresh_one: Wpod) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))

    for arguments in (("ps", "-a"), ("images",), ("volume", "create", "kept"), ("run", "--help")):
        fresh_one(*arguments, before_exec=limit).ok()


def _on_terminal(
    wpod: Wpod, arguments: tuple[str, ...], size: tuple[int, int], environment: Mapping[str, str | None]
) -> Result:
    """Run a command whose streams are all a terminal of this size; `stdout` has both."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    process = wpod.start(*arguments, environment=environment, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # the last one who had the other end open has gone
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    result = wpod.finish(process, arguments)
    return Result(result.arguments, result.status, shown, b"")


@pytest.mark.parametrize("size", [(1, 1), (0, 0), (24, 20), (65535, 65535)], ids=str)
@pytest.mark.parametrize("arguments", [*_PRINTING, ("nonsense",), ("ps", "-a", "--no-trunc")], ids=" ".join)
def test_terminals_of_any_size(fresh_one: Wpod, arguments: tuple[str, ...], size: tuple[int, int]) -> None:
    result = _on_terminal(fresh_one, arguments, size, {"TERM": "xterm"})
    assert result.status == (125 if arguments == ("nonsense",) else 0), result.explain()
    assert b"Traceback (most" not in result.stdout
    assert b"error: unexpected failure" not in result.stdout


@pytest.mark.parametrize(
    "environment", [{"TERM": None}, {"TERM": "dumb"}, {"TERM": "nonsense"}, {"NO_COLOR": "1"}], ids=str
)
def test_no_escapes_where_they_are_not_wanted(fresh_one: Wpod, environment: Mapping[str, str | None]) -> None:
    for arguments in (("ps",), ("images",), ("info",), ("run", "--help"), ("nonsense",)):
        assert _ESCAPE not in _on_terminal(fresh_one, arguments, (24, 80), environment).stdout


def test_off_a_terminal_nothing_depends_on_its_size(fresh_one: Wpod) -> None:
    for arguments in (("run", "--help"), ("--help",), ("ps",), ("info", "--format", "{{.Host.Arch}}")):
        usual = fresh_one(*arguments).ok().stdout
        assert fresh_one(*arguments, environment={"COLUMNS": "20", "LINES": "2", "TERM": "xterm"}).ok().stdout == usual
        assert _ESCAPE not in usual


def test_a_bug_is_told_in_a_line_and_debug_tells_more(fresh_one: Wpod) -> None:
    """The last resort: an exception that nobody foresaw. A module that isn't there brings one about."""
    code = "import sys; sys.modules['wpod.commands.system.version'] = None; from wpod.__main__ import main; main()"
    plain, debug = (
        subprocess.run(
            [sys.executable, "-c", code, *more, "version"],
            env=fresh_one.variables(), cwd=_TOP, capture_output=True, text=True, check=False,
        )
        for more in ((), ("--log-level=debug",))
    )  # fmt: skip
    assert plain.returncode == debug.returncode == 125
    assert [line.partition(":")[0] for line in plain.stderr.splitlines()] == ["error", "hint"]
    assert "unexpected failure: ModuleNotFoundError" in plain.stderr
    assert "Traceback" in debug.stderr
