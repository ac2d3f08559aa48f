"""wpod top: the full-screen view, its recordings, one look of it for scripts; with a container, its processes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import BinaryIO

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode, UsageError, WpodError
from wpod.sampling.sampler import Sampler
from wpod.top.filter import Filter
from wpod.top.model import Model
from wpod.top.moment import Moment
from wpod.top.observe import Observer

_BETWEEN_LOOKS_SECONDS = 0.5  # processor time and rates need two
_WIDTH, _HEIGHT = 80, 24
_LARGEST = 1000
_LINES_AROUND_ROWS = 12


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """The view that the options ask for."""
    if arguments or options.flag("latest"):
        _refuse_together(options)
        from wpod.commands.container import processes

        return processes.execute(session, options, arguments)
    Filter(options.text("filter"), lambda _: None, 0)  # a wrong one is told before anything is read
    if options.flag("once"):
        return _once(session, options)
    for name in ("format", "size"):
        if options.given(name):
            raise UsageError(f"--{name} is for --once")
    return _screen(session, options)


def _refuse_together(options: Options) -> None:
    for name in ("once", "record", "replay", "filter", "format", "size", "interval"):
        if options.given(name):
            raise UsageError(f"--{name} is for the view of all containers; of one its processes are listed")


def _interval(options: Options) -> float:
    interval = options.number("interval")
    if interval <= 0:
        raise UsageError("invalid interval, must be a positive number greater zero")
    return float(interval)


def _screen(session: Session, options: Options) -> int:
    replay, record = options.text("replay"), options.text("record")
    if replay and record:
        raise UsageError("--record and --replay cannot be used together")
    interval = _interval(options)
    file = _opened(record) if record else None
    try:
        if file is not None and not session.output.terminal:
            return _record_only(session, file, interval)
        from wpod.tui import app, terminal
        from wpod.tui.feed import Source

        ability = terminal.present()
        if replay:
            _check(replay)
        source = Source(root=session.root or None, replay=replay, record=file)
        return app.run(app.Opening(source, ability, interval, options.text("filter")))
    finally:
        if file is not None:
            file.close()


def _opened(path: str) -> BinaryIO:
    """A new recording; one that is there stays as it is. Raises WpodError."""
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
    except FileExistsError:
        raise WpodError(f"{path} is there already", hint="record to another file, or remove it") from None
    except OSError as error:
        raise WpodError(f"{path} can't be written: {error.strerror}") from None


def _record_only(session: Session, file: BinaryIO, interval: float) -> int:
    """Without a terminal, as from a systemd unit: until somebody ends it."""
    from wpod.top.recording import Writer

    writer = Writer(file)
    for moment in _moments(session, interval):
        try:
            writer.write(moment)
        except OSError as error:
            raise WpodError(f"the recording can't be written: {error.strerror}") from None
    return int(ExitCode.SUCCESS)


def _moments(session: Session, interval: float) -> Iterator[Moment]:
    """One after the other, for ever."""
    sampler, observer = Sampler(session.store), Observer()
    try:
        while True:
            yield observer.moment(sampler.tick())
            time.sleep(interval)
    finally:
        sampler.close()


def _check(path: str) -> None:
    """Raises WpodError for what is no recording, before the screen is taken."""
    from wpod.top.recording import replayed

    if next(replayed(path), None) is None:
        raise WpodError(f"{path} holds no whole moment")


def _once(session: Session, options: Options) -> int:
    """One look, printed."""
    if options.text("record"):
        raise UsageError("--record and --once cannot be used together")
    model = Model()
    replay = options.text("replay")
    if replay:
        from wpod.top.recording import replayed

        for moment in replayed(replay):
            model.take(moment)
    else:
        for number, moment in enumerate(_moments(session, _BETWEEN_LOOKS_SECONDS)):
            model.take(moment)
            if number:
                break
    if model.moment is None:
        raise WpodError(f"{replay} holds no whole moment")
    model.set_filter(options.text("filter"))
    model.cursor = model.rows[0].key if model.rows else ""
    session.output.text(_text(model, model.moment, options))
    for problem in model.moment.problems:
        session.output.error(problem)
    return int(ExitCode.FAILED) if model.moment.problems else int(ExitCode.SUCCESS)


def _text(model: Model, moment: Moment, options: Options) -> str:
    from wpod.top.board import Board, Look, status_words, text_of

    if options.text("format") == "json":
        from wpod.top.recording import line_of

        return line_of(moment, {item.container_id for row in model.rows for item in row.items})
    place = options.text("replay")
    width, height = _size(options.text("size"), len(model.rows))
    status = status_words(model, _BETWEEN_LOOKS_SECONDS, replays=bool(place)).replace("LIVE 0.5s", "ONCE")
    if options.text("format") == "svg":
        from wpod.tui.picture import svg

        return svg(Board(model, Look(width, height, status, place=place)).lines(), width, "wpod top")
    look = Look(width, height, status, ascii_only=not _is_unicode(), letters=True, keys="", place=place)
    return text_of(Board(model, look).lines()).rstrip("\n") + "\n"


def _is_unicode() -> bool:
    import locale

    return "utf" in locale.getencoding().lower()


def _size(text: str, rows: int) -> tuple[int, int]:
    """WIDTHxHEIGHT; without one as many lines as there are rows, and as wide as the terminal."""
    if text:
        width, _, height = text.partition("x")
        if width.isdecimal() and height.isdecimal() and 20 <= int(width) <= _LARGEST and 5 <= int(height) <= _LARGEST:
            return int(width), int(height)
        raise UsageError(f"--size {text} is not WIDTHxHEIGHT, 20x5 to {_LARGEST}x{_LARGEST}")
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) >= 20:
        return min(int(columns), _LARGEST), max(_HEIGHT, rows + _LINES_AROUND_ROWS)
    try:
        return max(20, os.get_terminal_size(1).columns), max(_HEIGHT, rows + _LINES_AROUND_ROWS)
    except OSError:
        return _WIDTH, max(_HEIGHT, rows + _LINES_AROUND_ROWS)
