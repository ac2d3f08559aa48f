"""From argv to the exit status: the only place that exits, and that words a failure for the user."""

from __future__ import annotations

import gc
import itertools
import os
import sys

from wpod.deferred import defer

# Before anything imports them: 8, 5, 3, 3 and 1 ms that the commands which are used most need not pay.
defer("inspect", "hashlib", "json", "re", "signal")

from wpod.errors import ExitCode, WpodError  # noqa: E402
from wpod.output.streams import Output  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

    from wpod.cli.accept import Invocation

_BROKEN_PIPE = 141  # 128 + SIGPIPE, what a program gives whose reader went away
_HOT_THRESHOLD = 50_000  # a command makes a few thousand objects and ends: collecting them costs 1 to 2 ms


class Ended(KeyboardInterrupt):
    """SIGTERM or SIGHUP: undone like Ctrl-C, but with its own status."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main() -> None:
    """Run wpod and exit."""
    gc.set_threshold(_HOT_THRESHOLD)
    _open_standard_descriptors()
    _catch_signals()
    _leave(_guarded(Output(), sys.argv[1:]))


def _leave(status: int) -> NoReturn:
    """End the process, where nothing can be waiting for an orderly end (threads, what is run at exit) at once.

    The interpreter would take each of its objects apart, 5 to 10 ms of a command, and the kernel does it anyway.
    Nothing is lost: `Output` writes without a buffer, and the session has been closed.
    """
    if "threading" in sys.modules or "atexit" in sys.modules:
        sys.exit(status)
    os._exit(status)


def _guarded(output: Output, argv: list[str]) -> int:
    try:
        return _dispatch(output, argv)
    except WpodError as error:
        output.error(error.message, error.hint)
        return int(error.code)
    except BrokenPipeError:
        return _BROKEN_PIPE
    except Ended as ended:
        return 128 + ended.number
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the last one: whatever it is, it is told in one line
        return _unexpected(output, error, argv)


def _dispatch(output: Output, argv: list[str]) -> int:
    from wpod.cli import quick
    from wpod.commands.session import Session

    try:
        invocation = _parse(argv)
    except quick.VersionWanted:
        from wpod import __version__

        output.line(f"wpod version {__version__}")
        return int(ExitCode.SUCCESS)
    except quick.HelpWanted as wanted:
        from wpod.cli import typer_app

        output.text(typer_app.help_text(wanted.words))
        return int(ExitCode.SUCCESS)
    session = Session(output, invocation.options, ("wpod", *argv))
    try:
        return int(invocation.handler()(session, invocation.options, invocation.arguments))
    finally:
        session.close()


def _parse(argv: list[str]) -> Invocation:
    """By the small parser where the command is a hot one, else by typer."""
    from wpod.cli import quick, verbs

    line = quick.split(argv)
    verb = verbs.table_of(line.words)
    if verb.hot:
        return quick.parse_verb(verb, line)
    from wpod.cli import typer_app

    return typer_app.parse(argv)


def _unexpected(output: Output, error: Exception, argv: list[str]) -> int:
    text = " ".join(str(error).split()) or "no message"
    output.error(
        f"unexpected failure: {type(error).__name__}: {text}",
        "this is a bug in wpod: please report it with the output of the command with --log-level=debug",
    )
    if any(word in ("--log-level=debug", "--log-level=trace") for word in argv) or _follows(argv, "--log-level"):
        import traceback

        for line in "".join(traceback.format_exception(error)).splitlines():
            output.talk(line)
    return int(ExitCode.FAILED)


def _follows(argv: list[str], name: str) -> bool:
    return any(word == name and after in ("debug", "trace") for word, after in itertools.pairwise(argv))


def _open_standard_descriptors() -> None:
    """Fill closed descriptors 0 to 2: else the next opened file, the database even, would become stdout.

    stdout is filled with something that can't be written, so that data written to it is an error.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # takes the lowest free number, this one


def _catch_signals() -> None:
    import _signal as signal  # type: ignore[import-not-found]  # the module that `signal` is a cover of: see entry.py

    def end(number: int, _frame: FrameType | None) -> None:
        raise Ended(number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup's ignored SIGHUP stays ignored
            signal.signal(number, end)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # see wpod/entry.py
        signal.signal(signal.SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    main()
