"""The thread that looks: it has its own connection to the store, and sends one message for each moment.

Theory of operation. The screen never waits for a look. The thread writes what it found into one place and says so;
what the screen has not fetched by the next moment is replaced. The screen in turn writes what it wants (whose memory
shall be fresh, whose processes and log it shows) into one place that the thread reads before its next look.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import BinaryIO

from wpod.errors import WpodError, system_failures
from wpod.formats.log_line import LogEntry
from wpod.frozen import field, frozen
from wpod.logs.follow import Follower
from wpod.logs.read import Selection
from wpod.sampling.process_list import ProcessList
from wpod.sampling.sampler import Sampler
from wpod.storage.store import Store, open_store
from wpod.top.detail import Closeup
from wpod.top.moment import Moment
from wpod.top.observe import Observer
from wpod.top.recording import Writer, replayed

_LOG_LINES = 500
_FROZEN_SECONDS = 2.0
_FASTEST_REPLAY_SECONDS = 0.01


@frozen
class Wish:
    """What the screen wants. `fresh`: whose memory shall be of this look, None all. `closeup`: an ID or "" for none."""

    fresh: frozenset[str] | None = None
    closeup: str = ""
    interval: float = 1.0
    hidden: bool = False


@frozen
class News:
    """One message. `closeup` is of the container that was wished; `error` ends the feed."""

    moment: Moment | None = None
    closeup: Closeup | None = None
    error: WpodError | None = None
    over: bool = False


@frozen
class Source:
    """Where moments come from: a store, or a recording that is replayed; and where they are recorded to, if at all."""

    root: str | None = None
    replay: str = ""
    record: BinaryIO | None = field(default=None)


class Feed(threading.Thread):
    """Runs until `stop`. `tell` is called in this thread, with one piece of news at a time."""

    def __init__(self, source: Source, tell: Callable[[News], None], wish: Wish) -> None:
        super().__init__(name="feed", daemon=True)
        self._source, self._tell = source, tell
        self._wish = wish
        self._changed = threading.Event()
        self._stopped = threading.Event()

    def ask(self, wish: Wish, *, soon: bool = False) -> None:
        """What is wanted from the next look on; `soon`: have that at once."""
        self._wish = wish
        if soon:
            self._changed.set()

    def stop(self) -> None:
        """End; returns when it has."""
        self._stopped.set()
        self._changed.set()
        if self.is_alive():
            self.join(5)

    def run(self) -> None:
        """Look, tell, wait."""
        try:
            with system_failures():
                if self._source.replay:
                    self._replay()
                else:
                    self._look()
        except WpodError as error:
            self._tell(News(error=error))

    def _look(self) -> None:
        store = open_store(self._source.root)
        sampler, observer, closely = Sampler(store), Observer(), _Closely(store)
        writer = Writer(self._source.record) if self._source.record is not None else None
        try:
            while not self._stopped.is_set():
                wish = self._wish
                self._changed.clear()
                begin = time.monotonic()
                moment = observer.moment(sampler.tick(wish.fresh))
                if writer is not None:
                    writer.write(moment)
                closeup = closely.look(wish, sampler) if wish.closeup else None
                self._tell(News(moment, closeup))
                pause = max(wish.interval, _FROZEN_SECONDS) if wish.hidden else wish.interval
                self._changed.wait(max(0.0, pause - (time.monotonic() - begin)))
        finally:
            closely.close()
            sampler.close()
            store.database.close()

    def _replay(self) -> None:
        for moment in replayed(self._source.replay):
            if self._stopped.is_set():
                return
            self._tell(News(moment))
            wish = self._wish
            self._stopped.wait(max(_FASTEST_REPLAY_SECONDS, moment.interval * wish.interval))
            while self._wish.hidden and not self._stopped.is_set():  # frozen: the recording waits
                self._changed.wait(_FROZEN_SECONDS)
                self._changed.clear()
        self._tell(News(over=True))


class _Closely:
    """What is read of one container alone, while it is looked at."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._processes = ProcessList()
        self._container_id = ""
        self._follower: Follower | None = None
        self._log: list[str] = []

    def look(self, wish: Wish, sampler: Sampler) -> Closeup:
        """Its processes, and its log as far as it has come."""
        if wish.closeup != self._container_id:
            self.close()
            self._container_id = wish.closeup
            self._open_log()
        elif self._follower is not None:
            self._log = [*self._log, *map(_line, self._follower.fresh())][-_LOG_LINES:]
        return Closeup(
            wish.closeup,
            tuple(self._processes.rows(sampler.process_ids(wish.closeup))),
            tuple(self._log),
        )

    def _open_log(self) -> None:
        try:
            self._follower = Follower(self._store.paths.container(self._container_id).log_file)
            self._log = [_line(entry) for entry in self._follower.before(Selection(tail=_LOG_LINES))]
        except WpodError as error:
            self._log = [error.message]

    def close(self) -> None:
        """Let go of the log."""
        if self._follower is not None:
            self._follower.close()
        self._follower = None
        self._log = []


def _line(entry: LogEntry) -> str:
    return entry.content.decode(errors="replace").rstrip("\n")
