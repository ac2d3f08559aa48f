"""wpod logs"""

from __future__ import annotations

from wpod.commands.container.select import Selector, selected
from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import WpodError
from wpod.formats.log_line import LogEntry, Stream
from wpod.frozen import frozen
from wpod.logs.follow import Follower
from wpod.logs.read import Selection, entries
from wpod.model.container import Container, Status
from wpod.output.streams import Output
from wpod.queries import containers as queries


@frozen
class _Style:
    timestamps: bool
    names: bool


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """The guest's bytes, each stream to its own; several containers are shown one after the other."""
    chosen = selected(session, options, arguments, Selector(all_name=""))
    tail = options.number("tail")
    selection = Selection(_stamp(options.text("since")), _stamp(options.text("until")), tail if tail >= 0 else None)
    style = _Style(options.flag("timestamps"), options.flag("names"))

    def show(name: str) -> str:
        container = queries.find(session.store, name)
        if container.record.plan.log_driver == "none":
            raise WpodError(f"container {container.record.name} keeps no log (--log-driver none)")
        _show(session, container, selection, style, follow=options.flag("follow"))
        return ""

    return session.for_each(chosen, show)


def _show(session: Session, container: Container, selection: Selection, style: _Style, *, follow: bool) -> None:
    own = session.store.paths.container(container.record.container_id)
    printer = _Printer(session.output, container.record.name, style)
    if not follow:
        for entry in entries(own.log_file, selection):
            printer.show(entry)
        return
    follower = Follower(own.log_file)
    for entry in follower.before(selection):
        printer.show(entry)
    for entry in follower.entries(lambda: queries.observe(own).status is not Status.RUNNING):
        if selection.until and entry.time > selection.until:
            return
        if selection.holds(entry):
            printer.show(entry)


class _Printer:
    """Writes entries; what -t and -n add stands only where a line begins."""

    def __init__(self, output: Output, name: str, style: _Style) -> None:
        self._output = output
        self._name = name
        self._style = style
        self._inside: set[Stream] = set()

    def show(self, entry: LogEntry) -> None:
        data = entry.output
        if entry.stream not in self._inside:
            data = self._prefix(entry) + data
        if entry.complete:
            self._inside.discard(entry.stream)
        else:
            self._inside.add(entry.stream)
        if entry.stream is Stream.STDOUT:
            self._output.write(data)
        else:
            self._output.write_error(data)

    def _prefix(self, entry: LogEntry) -> bytes:
        parts = [self._name] if self._style.names else []
        if self._style.timestamps:
            from wpod.times import local_stamp

            parts.append(local_stamp(entry.time))
        return "".join(f"{part} " for part in parts).encode()


def _stamp(text: str) -> str:
    """--since and --until as the log writes times. Raises UsageError."""
    if not text:
        return ""
    from wpod.times import log_stamp, parse_moment

    return log_stamp(parse_moment(text))
