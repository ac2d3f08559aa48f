"""The sampler: looks at all containers of a store, at their helpers and at the machine, as often as it is asked.

Theory of operation. A look costs a few system calls for each container: `stat` of its main process, which is kept
open, and its state file. Memory is read from the kernel's account of its mappings, which costs ten times as much: at
each look for those that are wanted and have touched something since, and in turns for the others within a budget of
time. Each sample tells how old its memory is. The records are read again when somebody has committed to the database.
A container that ends is noticed by its process; nothing is ever read of another process that has got its number.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from wpod.formats.meter import NOTHING, Reading
from wpod.formats.state_file import Kind
from wpod.model.container import Container, RootKind, Status
from wpod.model.network import NetworkMode
from wpod.model.sample import ContainerSample, HelperSample, HostSample, Snapshot
from wpod.queries import containers as queries
from wpod.sampling import host
from wpod.sampling.ahead import Ahead, begin
from wpod.sampling.members import Members
from wpod.sampling.process import Descriptors
from wpod.sampling.serving import Helpers, share
from wpod.sampling.tracked import Tracked
from wpod.storage.store import Store

# What those that nobody wants to see may take of a look, as a part of the time between looks; of the first look in all.
_TURNS_SHARE = 0.01
_FIRST_SECONDS = 0.3
# How many of those that don't run are looked at again at each look, in turns.
_STILL_IN_TURNS = 20


class Sampler:
    """Looks at one store. It reads through the store's connection, so that one must not be another thread's.

    Not thread-safe. Keeps two descriptors for each running process; `close` gives them back.
    """

    def __init__(self, store: Store, only: Collection[str] | None = None, ahead: Ahead | None = None) -> None:
        """`only` are the IDs of those that it shall look at; its figures of the machine are of no use then.

        `ahead` reads memory for the first look already; without it, that is begun now where it is worth it.
        """
        self._store = store
        self._only = frozenset(only) if only is not None else None
        self._ahead = ahead or begin(store.paths.containers, len(only) if only is not None else None)
        self._descriptors = Descriptors()
        self._members = Members(self._descriptors)
        self._helpers = Helpers(store, self._descriptors)
        self._containers: dict[str, Container] = {}
        self._tracked: dict[str, Tracked] = {}
        self._problems: tuple[str, ...] = ()
        self._mark: object = None
        self._last = 0.0
        self._busy = (0, 1)
        self._turn = 0

    def tick(self, wanted: Collection[str] | None = None) -> Snapshot:
        """Look now. `wanted` are the IDs whose memory shall be fresh, None all of them.

        A container that ends meanwhile is told as ended, or as it was a moment before. Raises StoreError where the
        database can't be read.
        """
        now = time.monotonic()
        interval = now - self._last if self._last else 0.0
        self._read_records()
        self._look(interval)
        self._read_memory(now, interval, wanted)
        snapshot = self._snapshot(now, interval)
        self._last = now
        return snapshot

    def process_ids(self, container_id: str) -> tuple[int, ...]:
        """The processes of a container as the last look found them, the main one first; none where it doesn't run."""
        one = self._tracked.get(container_id)
        return (one.main.pid, *sorted(other.process.pid for other in one.members if not other.helps)) if one else ()

    def close(self) -> None:
        """Give back what is kept open; the store stays open."""
        self._collect()
        for one in self._tracked.values():
            one.close()
        self._tracked.clear()
        self._members.close()
        self._helpers.close()

    def _read_records(self) -> None:
        mark = self._store.database.change_mark()
        if mark != self._mark:
            self._mark = mark
            found, problems = queries.listing(self._store)
            self._problems = tuple(problem.message for problem in problems)
            self._containers = {
                one.record.container_id: one
                for one in reversed(found)
                if self._only is None or one.record.container_id in self._only
            }
            for container_id in self._tracked.keys() - self._containers.keys():
                self._lose(container_id)
        else:
            self._look_at_still_ones()
        for container_id, one in list(self._containers.items()):
            if one.observed.status is Status.RUNNING:
                self._track(container_id, one)

    def _look_at_still_ones(self) -> None:
        """In turns: a start whose note in the database came too early for us, or never, must not be missed for ever."""
        still = [one for one in self._containers.values() if one.observed.status is not Status.RUNNING]
        for position in range(min(_STILL_IN_TURNS, len(still))):
            self._observe(still[(self._turn + position) % len(still)])
        self._turn = (self._turn + _STILL_IN_TURNS) % len(still) if still else 0

    def _observe(self, container: Container) -> None:
        fresh = queries.join(self._store, container.record)
        if queries.is_gone(fresh):
            self._containers.pop(container.record.container_id, None)
        else:
            self._containers[container.record.container_id] = fresh

    def _track(self, container_id: str, container: Container) -> None:
        known = self._tracked.get(container_id)
        state = container.observed.state
        if known is not None:
            if state is not None and (known.main.pid, known.main.start_ticks) == (state.pid, state.start_ticks):
                known.container = container
                return
            self._lose(container_id)
        try:
            path = self._store.paths.container(container_id).state
            self._tracked[container_id] = Tracked(container, path, self._descriptors)
        except ProcessLookupError:
            # It ends at this moment, or its main process isn't there yet. Its end is noted in its own file alone, so it
            # is asked again until that is so: it would be running for ever otherwise.
            self._observe(container)

    def _lose(self, container_id: str) -> None:
        self._tracked.pop(container_id).close()

    def _look(self, interval: float) -> None:
        native = [one for one in self._tracked.values() if one.container.record.plan.kind is Kind.NATIVE]
        self._members.update(
            [one.main.pid for one in native],
            {one.keeper.pid: one.main.pid for one in native if one.keeper is not None and _is_mounted(one.container)},
        )
        members = self._members.by_main() if native else {}
        for one in native:
            one.members = members.get(one.main.pid, ())
        for container_id, one in list(self._tracked.items()):
            if not one.look(interval):
                self._lose(container_id)
                self._observe(one.container)

    def _read_memory(self, now: float, interval: float, wanted: Collection[str] | None) -> None:
        chosen = self._tracked.keys() if wanted is None else self._tracked.keys() & set(wanted)
        reading = self._collect()
        for container_id in chosen:
            if self._tracked[container_id].is_due(now):
                self._tracked[container_id].read(now, reading)
        others = [one for container_id, one in self._tracked.items() if container_id not in chosen]
        others.sort(key=lambda one: one.read_at or 0.0)
        end = time.perf_counter() + (interval * _TURNS_SHARE if self._last else _FIRST_SECONDS)
        for one in others:
            if time.perf_counter() >= end:
                break
            if one.is_due(now):
                one.read(now, reading)

    def _collect(self) -> Reading:
        """What was read ahead, the first time; nothing afterwards."""
        ahead, self._ahead = self._ahead, None
        return ahead.collect() if ahead is not None else NOTHING

    def _snapshot(self, now: float, interval: float) -> Snapshot:
        networked = [container_id for container_id, one in self._tracked.items() if _needs_helpers(one.container)]
        self._helpers.update(networked)
        common = self._helpers.samples(now, interval)
        shares = _shares(common)
        samples = []
        for container_id, container in self._containers.items():
            one = self._tracked.get(container_id)
            sample = one.sample(now, shares.get(container_id, 0)) if one is not None else ContainerSample(container)
            samples.append(sample)
        helpers = [helper for one in self._tracked.values() for helper in one.helper_samples()]
        return Snapshot(
            containers=tuple(samples),
            helpers=(*common, *helpers),
            host=self._host(samples, common, interval),
            wall_nanoseconds=time.time_ns(),
            interval=interval,
            problems=self._problems,
        )

    def _host(self, samples: list[ContainerSample], common: list[HelperSample], interval: float) -> HostSample:
        memory = host.memory()
        residences = [one.residence() for one in self._tracked.values()]
        helpers = sum(one.memory or 0 for one in common) + sum(one.helpers for one in residences)
        containers = sum((one.memory.total or 0) - (one.memory.helpers or 0) for one in samples)
        charged_cache = sum(one.memory.cache or 0 for one in samples)
        in_processes = sum(one.container for one in residences)
        busy, processors = host.busy_nanoseconds()
        before, self._busy = self._busy[0], (busy, processors)
        return HostSample(
            total=memory.total,
            free=memory.free,
            containers=containers,
            helpers=helpers,
            others=memory.of_processes - in_processes - helpers,
            cache=memory.unmapped_cache - charged_cache,
            swap_total=memory.swap_total,
            swap_used=memory.swap_total - memory.swap_free,
            cpu_percent=(busy - before) / interval / 1e7 if interval and before else None,
            processors=processors,
            pressure=host.pressure(),
        )


def _is_mounted(container: Container) -> bool:
    """Whether a process that its keeper has started provides its root."""
    return container.record.plan.root.kind is RootKind.FUSE_OVERLAY


def _needs_helpers(container: Container) -> bool:
    return container.record.plan.network is NetworkMode.NETWORKS


def _shares(helpers: list[HelperSample]) -> dict[str, int | None]:
    """What each container pays for those that serve several; None where one of them can't be read."""
    found: dict[str, int | None] = {}
    for one in helpers:
        for position, container_id in enumerate(one.serves):
            before = found.get(container_id, 0)
            part = share(one.memory, len(one.serves), position) if one.memory is not None else None
            found[container_id] = before + part if before is not None and part is not None else None
    return found
