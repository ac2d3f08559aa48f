"""The exit status and the wording of every way to end (wpod.__main__)."""

from __future__ import annotations

import inspect
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wpod import __main__ as entry
from wpod import __version__, errors
from wpod.commands.session import Codes, exit_code
from wpod.errors import InUse, NotThere, WpodError
from wpod.output.streams import Output, OutputError

CODES = {
    "WpodError": 125, "UsageError": 125, "NotSupportedYet": 125, "NotThere": 125, "AccessDenied": 125,
    "AmbiguousName": 125, "InUse": 125, "PortInUse": 125,
    "NameTaken": 125, "CannotInvoke": 126, "ProgramNotFound": 127, "InvalidImage": 125, "DigestMismatch": 125,
    "RegistryError": 125, "StoreError": 125, "MissingProgram": 125, "NoNetworks": 125, "CannotEnforce": 125,
}  # fmt: skip


def guarded(action: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, *argv: str) -> tuple[int, str, str]:
    """Status, stdout and stderr of a command that does this."""
    streams = [os.pipe(), os.pipe()]
    monkeypatch.setattr(entry, "_dispatch", lambda output, words: action())
    status = entry._guarded(Output(streams[0][1], streams[1][1]), list(argv))
    texts = []
    for reader, writer in streams:
        os.close(writer)
        with os.fdopen(reader) as file:
            texts.append(file.read())
    return status, texts[0], texts[1]


def raising(error: BaseException) -> Callable[[], None]:
    def action() -> None:
        raise error

    return action


def test_every_error_class_is_in_the_table() -> None:
    found = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, WpodError)}
    assert found == set(CODES)


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_each_error_class_has_its_status_and_two_lines(name: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made = getattr(errors, name)("the cause", hint="the way out")
    message = "the cause is not supported yet" if name == "NotSupportedYet" else "the cause"
    assert guarded(raising(made), monkeypatch) == (code, "", f"error: {message}\nhint: the way out\n")


def test_a_status_of_its_own_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    assert guarded(raising(WpodError("x", code=42)), monkeypatch)[0] == 42
    assert guarded(raising(OutputError("full")), monkeypatch) == (125, "", "error: full\n")


@pytest.mark.parametrize("status", [0, 1, 2, 42, 255])
def test_what_a_command_returns_is_the_status(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert guarded(lambda: status, monkeypatch) == (status, "", "")


@pytest.mark.parametrize(
    ("error", "plain", "removal"), [(NotThere("x"), 125, 1), (InUse("x"), 125, 2), (WpodError("x"), 125, 125)]
)
def test_the_status_of_removals(error: WpodError, plain: int, removal: int) -> None:
    assert (exit_code(error), exit_code(error, Codes.REMOVAL)) == (plain, removal)


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (RuntimeError("two\nlines"), "RuntimeError: two lines"), (KeyError("x"), "KeyError: 'x'"),
        (OSError(28, "full"), "OSError"),
        (RecursionError(), "RecursionError: no message"), (MemoryError(), "MemoryError: no message"),
        (ValueError(""), "ValueError"),
        (UnicodeEncodeError("utf-8", "\udcff", 0, 1, "bad"), "UnicodeEncodeError"),
        (RuntimeError("\x1b[2J"), r"\\x1b\[2J"),
        (AssertionError("odd"), "AssertionError: odd"), (RuntimeError("\udcff"), "RuntimeError"),
    ],
)  # fmt: skip
def test_the_unexpected_is_one_line_and_no_traceback(
    error: Exception, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    monkeypatch.setattr(entry, "_dispatch", lambda output, words: raising(error)())
    status = entry._guarded(Output(writer, writer), ["ps"])
    os.close(writer)
    with os.fdopen(reader, errors="surrogateescape") as file:
        data = file.read()
    assert status == 125
    first, hint, *rest = data.splitlines()
    assert re.match(f"error: unexpected failure: .*{shown}", first)
    assert hint.startswith("hint: this is a bug in wpod")
    assert rest == []


@pytest.mark.parametrize(
    ("argv", "traced"),
    [
        (["--log-level=debug", "ps"], True), (["--log-level", "debug", "ps"], True), (["--log-level=trace"], True),
        (["ps"], False), (["--log-level=info"], False), (["--log-level", "warn", "debug"], False), (["debug"], False),
    ],
)  # fmt: skip
def test_debugging_shows_where_it_happened(argv: list[str], traced: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    status, _, talk = guarded(raising(RuntimeError("x")), monkeypatch, *argv)
    assert status == 125
    assert ("Traceback" in talk) is traced


def test_interruptions(monkeypatch: pytest.MonkeyPatch) -> None:
    assert guarded(raising(KeyboardInterrupt()), monkeypatch) == (130, "", "")
    assert guarded(raising(entry.Ended(signal.SIGTERM)), monkeypatch) == (143, "", "")
    assert guarded(raising(entry.Ended(signal.SIGHUP)), monkeypatch) == (129, "", "")
    assert guarded(raising(BrokenPipeError()), monkeypatch) == (141, "", "")


# --- as a process -------------------------------------------------------------------------------------------------

WAITING = """
import sys, time
from wpod import __main__ as entry
def dispatch(output, argv):
    try:
        output.line("ready")
        time.sleep(60)
    except BaseException as error:
        output.line("undone")
        raise
entry._dispatch = dispatch
entry.main()
"""


def start(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **options.pop("environment", {})}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **options}
    return subprocess.Popen([sys.executable, *arguments], env=environment, **streams)


def wpod(*arguments: str, **options: Any) -> tuple[int, bytes, bytes]:
    process = start("-m", "wpod", *arguments, **options)
    data, talk = process.communicate(timeout=60)
    return process.returncode, data or b"", talk or b""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_undoes_and_has_its_status(number: signal.Signals, status: int) -> None:
    process = start("-c", WAITING)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    data, talk = process.communicate(timeout=60)
    assert (process.returncode, data, talk) == (status, b"undone\n", b"")


IMPORTING = """
import os, signal, sys
class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == "wpod.errors":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupted())
sys.argv = ["wpod", "--version"]
from wpod.entry import run
run()
"""


def test_an_interrupt_while_modules_are_imported_shows_nothing() -> None:
    process = start("-c", IMPORTING)
    assert process.communicate(timeout=60) == (b"", b"")
    assert process.returncode == -signal.SIGINT


def test_an_ignored_interrupt_stays_ignored() -> None:
    process = start("-c", IMPORTING, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    assert process.communicate(timeout=60) == (f"wpod version {__version__}\n".encode(), b"")
    assert process.returncode == 0


def test_nohup_is_respected() -> None:
    process = start("-c", WAITING, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143


def test_version_and_help() -> None:
    assert wpod("--version") == (0, f"wpod version {__version__}\n".encode(), b"")
    status, data, talk = wpod("ps", "--help")
    assert (status, talk) == (0, b"")
    assert data.startswith(b"Usage: wpod ps")


@pytest.mark.parametrize(
    "words", [(), ("nonsense",), ("--nonsense",), ("ps", "--nonsense"), ("rm",), ("volume",), ("\udcff",)]
)
def test_usage_errors_are_125_and_plain(words: tuple[str, ...]) -> None:
    status, data, talk = wpod(*words)
    assert (status, data) == (125, b"")
    lines = talk.splitlines()
    assert lines[0].startswith(b"error: ")
    assert all(line.startswith(b"hint: ") for line in lines[1:])
    assert len(lines) <= 2


def test_a_reader_that_goes_away_gets_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = start("-m", "wpod", "--version", stdout=writer)
    os.close(writer)
    _, talk = process.communicate(timeout=60)
    assert (process.returncode, talk) == (141, b"")


def test_what_cannot_be_written_is_no_success() -> None:
    with Path("/dev/full").open("wb") as full:
        status, _, talk = wpod("--version", stdout=full)
    assert status == 125
    assert talk.startswith(b"error: standard output can't be written: No space left")
    with Path("/dev/full").open("wb") as full:
        assert wpod("--version", stdout=full, stderr=full)[0] == 125


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_descriptors(closed: tuple[int, ...], tmp_path: Path) -> None:
    """The first file that is opened must not become stdout: the database would get the output."""

    def close() -> None:
        for number in closed:
            os.close(number)

    environment = {"WPOD_ROOT": str(tmp_path / "store")}
    assert wpod("volume", "create", "v", environment=environment)[0] == 0
    database = (tmp_path / "store" / "wpod.db").read_bytes()
    status, _, talk = wpod("ps", environment=environment, preexec_fn=close)
    assert status == (125 if 1 in closed else 0)
    assert (b"error: standard output" in talk) == (1 in closed and 2 not in closed)
    assert (tmp_path / "store" / "wpod.db").read_bytes() == database


@pytest.mark.parametrize("locale", [{"LANG": "C"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0"}, {"LANG": "no_SUCH"}])
def test_any_locale_and_any_bytes(locale: dict[str, str], tmp_path: Path) -> None:
    environment = {"WPOD_ROOT": str(tmp_path / "store"), **locale}
    process = start("-m", "wpod", "rm", os.fsdecode(b"\xff"), "\u00fc", environment=environment)
    data, talk = process.communicate(timeout=60)
    assert (process.returncode, data) == (1, b"")
    assert len(talk.splitlines()) == 2
    assert all(line.startswith(b"error: no container with name or ID") for line in talk.splitlines())
