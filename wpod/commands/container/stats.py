"""wpod stats"""

from __future__ import annotations

import time

from wpod import paths
from wpod.errors import ExitCode, UsageError
from wpod.sampling import ahead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wpod.commands.options import Options
    from wpod.commands.session import Session
    from wpod.model.sample import ContainerSample, Snapshot

_TO_TOP_AND_CLEAR = b"\x1b[H\x1b[J"


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """Figures of running containers, once or again and again until they are gone or somebody ends it."""
    if sum((bool(arguments), options.flag("all"), options.flag("latest"))) > 1:
        raise UsageError("--all, --latest and containers cannot be used together")
    interval = options.number("interval")
    if interval <= 0:
        raise UsageError("invalid interval, must be a positive number greater zero")
    of_all = not (arguments or options.flag("latest"))
    printer = _Printer(session, options, of_all=of_all)
    # Before the modules that look are imported: that takes as long as the reading.
    reading = ahead.begin(paths.store_paths(session.root or None).containers) if of_all else None
    from wpod.model.container import Status
    from wpod.sampling.sampler import Sampler

    def is_shown(sample: ContainerSample) -> bool:
        asked_for = named is not None or options.flag("all")
        return asked_for or sample.container.observed.status is Status.RUNNING

    named = _named(session, options, arguments)
    sampler = Sampler(session.store, named, reading)
    try:
        while True:
            snapshot = sampler.tick()
            shown = [one for one in snapshot.containers if is_shown(one)]
            printer.show(shown, snapshot)
            if options.flag("no-stream") or printer.once or (named is not None and not shown):
                break
            time.sleep(interval)
    finally:
        sampler.close()
    for problem in snapshot.problems:
        session.output.error(problem)
    return int(ExitCode.FAILED) if snapshot.problems else int(ExitCode.SUCCESS)


def _named(session: Session, options: Options, arguments: tuple[str, ...]) -> frozenset[str] | None:
    """IDs, None for all. Raises NotThere."""
    from wpod.queries import containers as queries

    if options.flag("latest"):
        return frozenset((queries.latest(session.store).record.container_id,))
    if not arguments:
        return None
    return frozenset(queries.find(session.store, name).record.container_id for name in arguments)


class _Printer:
    """Writes one look after the other in the format that was asked for. `once`: one look is a whole document.

    `of_all`: every container was looked at, so that the machine's figures mean something.
    """

    def __init__(self, session: Session, options: Options, *, of_all: bool) -> None:
        self._output = session.output
        self._of_all = of_all
        self._format = options.text("format").strip()
        if options.text("output"):
            if self._format:
                raise UsageError("--output and --format cannot be used together")
            self._format = options.text("output")
        self._whole = options.flag("no-trunc")
        self._resets = not (options.flag("no-reset") or options.flag("no-stream")) and session.output.terminal
        self._first = True
        self.once = self._format == "openmetrics"
        if self._format not in ("", "table", "csv", "json", "openmetrics"):
            self._rows([], None)  # a wrong template is told before anything is read

    def show(self, samples: list[ContainerSample], snapshot: Snapshot) -> None:
        """One look."""
        text = self._text(samples, snapshot)
        if self._resets:
            self._output.write(_TO_TOP_AND_CLEAR)
        self._output.text(text)
        self._first = False

    def _text(self, samples: list[ContainerSample], snapshot: Snapshot) -> str:
        from wpod.output import figures

        if self._format == "csv":
            return figures.csv(samples, snapshot, heading=self._first)
        if self._format == "openmetrics":
            from wpod.output import openmetrics

            return openmetrics.text(samples, snapshot, whole=self._of_all)
        if self._format not in ("", "table"):
            from wpod.output import template

            if template.wants_json(self._format):
                from wpod.output import json

                return json.document([figures.document(one, snapshot) for one in samples], 1) + "\n"
        return self._rows(samples, snapshot)

    def _rows(self, samples: list[ContainerSample], snapshot: Snapshot | None) -> str:
        from wpod.output import figures

        rows = [figures.row(one, snapshot, whole=self._whole) for one in samples] if snapshot is not None else []
        if self._format not in ("", "table"):
            from wpod.output import template

            return template.rows(self._format, rows, figures.HEADERS)
        from wpod.output import tables

        lines = [[str(one[column]) for column in figures.COLUMNS] for one in rows]
        return tables.table([figures.HEADERS[column] for column in figures.COLUMNS], lines)
