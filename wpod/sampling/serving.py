"""The processes of wpod's that serve several containers: network holder, pasta, aardvark-dns; and whom they serve.

They are found as the commands find them: by the holder's socket and by noted process numbers. Asked only when something
has changed, for a connection to the holder keeps it from ending.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

from wpod import paths
from wpod.errors import WpodError
from wpod.frozen import frozen
from wpod.model.sample import HelperSample
from wpod.sampling.process import Descriptors, Process
from wpod.storage.store import Store

_READ_AGAIN_SECONDS = 5.0
# How processes are called (proc_pid_comm(5)): a noted number may be another process's by now. pasta runs as passt.avx2.
_CALLED = {"pasta": ("pasta", "passt"), "aardvark-dns": ("aardvark-dns",)}


@frozen
class Helper:
    """One of them."""

    name: str
    process: Process
    serves: tuple[str, ...]


class Helpers:
    """Those of one store."""

    def __init__(self, store: Store, descriptors: Descriptors) -> None:
        self._store = store
        self._descriptors = descriptors
        self._helpers: list[Helper] = []
        self._memory: dict[int, tuple[float, int | None]] = {}
        self._cpu: dict[int, int] = {}
        self._asked_for: frozenset[str] | None = None

    def update(self, networked: Collection[str]) -> None:
        """Look again where other containers (IDs) run on networks than before, or one of the helpers has ended."""
        wanted = frozenset(networked)
        if wanted == self._asked_for and all(one.process.counters() for one in self._helpers):
            return
        self.close()
        self._asked_for = wanted
        if wanted:
            self._helpers = list(self._find(wanted))

    def samples(self, now: float, interval: float) -> list[HelperSample]:
        """What each costs now; those that have ended meanwhile are left out."""
        found = []
        for one in self._helpers:
            counters = one.process.counters()
            if counters is None:
                continue
            before = self._cpu.get(one.process.pid)
            self._cpu[one.process.pid] = counters.cpu_nanoseconds
            percent = (counters.cpu_nanoseconds - before) / interval / 1e7 if before is not None and interval else None
            found.append(HelperSample(one.name, one.process.pid, one.serves, self._read(one, now), percent,
                                      one.process.started_nanoseconds))  # fmt: skip
        return found

    def close(self) -> None:
        """Let go of all."""
        for one in self._helpers:
            one.process.close()
        self._helpers = []
        self._memory.clear()
        self._cpu.clear()
        self._asked_for = None

    def _read(self, one: Helper, now: float) -> int | None:
        read_at, known = self._memory.get(one.process.pid, (0.0, None))
        if not read_at or now - read_at >= _READ_AGAIN_SECONDS:
            known = one.process.proportional()
            self._memory[one.process.pid] = now, known
        return known

    def _find(self, networked: frozenset[str]) -> Iterator[Helper]:
        try:
            run = paths.runtime_path(self._store.paths.root)
        except WpodError:
            return
        if not os.path.isdir(f"{run}/network"):
            return
        served = tuple(sorted(networked))
        if os.geteuid() != 0:
            found = _holder(run)
            if found is not None:
                number, told = found
                served = tuple(sorted(networked & told)) or served
                yield from self._made("network holder", number, served)
                yield from self._noted("pasta", f"{run}/network/pasta.pid", served)
        named = {one.name for one in self._store.networks.readable()[0] if one.dns}
        asking = {lease.container_id for lease in self._store.networks.leases() if lease.network in named}
        yield from self._noted("aardvark-dns", f"{run}/network/names/aardvark.pid", tuple(sorted(asking & networked)))

    def _noted(self, name: str, pid_file: str, serves: tuple[str, ...]) -> Iterator[Helper]:
        try:
            with open(pid_file, encoding="utf-8") as file:
                number = int(file.read())
            with open(f"/proc/{number}/comm", encoding="utf-8", errors="replace") as file:
                called = file.read()
        except (OSError, ValueError):
            return
        if called.startswith(_CALLED[name]):
            yield from self._made(name, number, serves)

    def _made(self, name: str, number: int, serves: tuple[str, ...]) -> Iterator[Helper]:
        if not serves:
            return
        try:
            yield Helper(name, Process(number, self._descriptors), serves)
        except ProcessLookupError:
            return


def share(amount: int, number: int, position: int) -> int:
    """The part of an amount for one of several; all parts together are the amount."""
    return amount // number + (1 if position < amount % number else 0)


def _holder(run: str) -> tuple[int, frozenset[str]] | None:
    from wpod.net import holder

    try:
        connection = holder.connect(run)
        if connection is None:
            return None
        try:
            return connection.namespace.pid, frozenset(connection.containers())
        finally:
            connection.close()
    except WpodError:
        return None
