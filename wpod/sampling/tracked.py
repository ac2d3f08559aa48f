"""One container as the sampler knows it: its processes, its cgroup, and what was read of them last."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence

from wpod.errors import StoreError
from wpod.formats import state_file
from wpod.formats.meter import NOTHING, Reading
from wpod.formats.state_file import Kind
from wpod.frozen import frozen, replace
from wpod.kernel import cgroup_counters
from wpod.kernel.cgroup_counters import Directories, MemoryCounters
from wpod.model.container import Container
from wpod.model.memory import UNKNOWN, Breakdown, Limit, LimitKind
from wpod.model.network import NetworkMode
from wpod.model.sample import NO_TRAFFIC, ContainerSample, HelperSample, Traffic
from wpod.sampling import host
from wpod.sampling.mappings import Region
from wpod.sampling.members import Member
from wpod.sampling.process import Counters, Descriptors, Process, kernel_stack_bytes

_FORBIDDEN = "its memory can't be read: it is another user's"
# Shares of shared pages change with the others that have them, which no counter of this process tells.
_READ_AGAIN_SECONDS = 5.0
# One container's costly counters take at most this part of a processor: a process of 50 GB is walked page by page.
_LARGEST_SHARE = 0.01


@frozen
class Residence:
    """What a container has in the machine's sum of all processes: Pss, page tables and kernel stacks."""

    container: int
    helpers: int


class Tracked:
    """A container that runs. `alive` is asked each time; the rest is of use while that is true."""

    def __init__(self, container: Container, state_path: str, descriptors: Descriptors) -> None:
        """Raises ProcessLookupError where its main process is gone."""
        state = container.observed.state
        if state is None or state.pid <= 0:
            raise ProcessLookupError("no process yet")
        self.container = container
        self._descriptors = descriptors
        self._state: int | None = None
        self.main = Process(state.pid, descriptors, state.start_ticks)
        self.keeper: Process | None = None
        if container.record.plan.kind is Kind.NATIVE and container.observed.monitored:
            with contextlib.suppress(ProcessLookupError):
                self.keeper = Process(state.keeper_pid, descriptors, state.keeper_start_ticks)
        with contextlib.suppress(StoreError):
            self._state = state_file.open_for_reading(state_path) if self._linear_base else None
        self._cgroup = Directories()
        if container.record.plan.limits.needs_cgroup:
            self._cgroup = cgroup_counters.own_directories(container.record.container_id, state.pid)
        self.members: Sequence[Member] = ()
        self._counters: list[tuple[Process, Counters]] = []
        self._cpu: int | None = None
        self._cpu_percent: float | None = None
        self._live: state_file.Live | None = None
        self._memory = UNKNOWN
        self._group: MemoryCounters | None = None
        self.read_at: float | None = None
        self._cost = 0.0
        self._touched: object = None
        self._traffic, self._rates, self._traffic_at = NO_TRAFFIC, NO_TRAFFIC, 0.0
        self._helper_memory = 0
        self._problem = ""
        self._residence = Residence(0, 0)
        self._tables_and_stacks = 0
        self._shown: tuple[object, ContainerSample] | None = None

    @property
    def _linear_base(self) -> int:
        state = self.container.observed.state
        return state.linear_base if state is not None else 0

    def look(self, interval: float) -> bool:
        """The cheap counters; False where the container has ended."""
        main = self.main.counters()
        if main is None:
            return False
        self._counters = [(self.main, main)]
        for one in self.members:
            counters = one.process.counters() if not one.helps else None
            if counters is not None:
                self._counters.append((one.process, counters))
        used = self._processor_nanoseconds()
        if self._cpu is not None and interval > 0:
            self._cpu_percent = max(0, used - self._cpu) / interval / 1e7
        self._cpu = used
        if self._state is not None:
            self._live = state_file.read_live(self._state, self._live)
        return True

    def is_due(self, now: float) -> bool:
        """Whether its memory should be read where it is wanted: something was touched, or it is long ago."""
        if self.read_at is None:
            return True
        age = now - self.read_at
        if age < self._cost / _LARGEST_SHARE:
            return False
        return age >= _READ_AGAIN_SECONDS or bool(self._cgroup.memory) or self._marks() != self._touched

    def read(self, now: float, reading: Reading = NOTHING) -> None:
        """The costly counters, as far as `reading` doesn't have them."""
        begin = time.perf_counter()
        marks = self._marks()
        try:
            found = self._processes_memory(reading)
        except PermissionError:
            found, self._problem = None, _FORBIDDEN
        else:
            self._problem = ""
        self._group = cgroup_counters.memory(self._cgroup.memory) if self._cgroup.memory else None
        self._memory = self._with_group(found) if found is not None else UNKNOWN
        self._helper_memory = self._read_helpers(reading)
        self._residence = self._reside()
        self._read_traffic(now, reading)
        self._touched = marks
        self.read_at = now
        self._cost = time.perf_counter() - begin

    def sample(self, now: float, common_helpers: int | None) -> ContainerSample:
        """All that is known. `common_helpers` is its share of helpers that serve several, None where unknown."""
        state = self.container.observed.state
        up = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - state.started_boottime if state else 0
        age = now - self.read_at if self.read_at is not None else None
        average = 100 * self._cpu / up if self._cpu is not None and up > 0 else None
        basis = (self.container, self.read_at, self._live, self._cpu, common_helpers, len(self._counters))
        if self._shown is None or self._cgroup.any or not _same(self._shown[0], basis):
            self._shown = basis, self._fresh_sample(common_helpers)
        return replace(
            self._shown[1], memory_age=age, cpu_percent=self._cpu_percent, cpu_average_percent=average
        )  # fmt: skip

    def _fresh_sample(self, common_helpers: int | None) -> ContainerSample:
        memory = self._memory
        if memory.own is not None:
            helpers = self._helper_memory + common_helpers if common_helpers is not None else None
            memory = replace(memory, helpers=helpers)
        group = self._cgroup.memory
        return ContainerSample(
            container=self.container,
            memory=memory,
            limits=self._limits(),
            cpu_nanoseconds=self._cpu,
            processes=self._tasks(),
            traffic=self._traffic,
            rates=self._rates,
            pressure=host.parse_pressure(cgroup_counters.pressure_text(group)) if group else None,
            problem=self._problem,
        )

    def helper_samples(self) -> list[HelperSample]:
        """Its own helpers, together: the monitor, and what mounts its root."""
        if self.keeper is None or not self._helper_memory:
            return []
        serves = (self.container.record.container_id,)
        keeper = self.keeper
        return [HelperSample("monitor", keeper.pid, serves, self._helper_memory, None, keeper.started_nanoseconds)]

    def residence(self) -> Residence:
        """Its part of what all processes of the machine have together, as it was read last."""
        return self._residence

    def _reside(self) -> Residence:
        memory = self._memory
        if memory.own is None:
            return Residence(0, self._helper_memory)
        parts = (memory.own, memory.linear, memory.code, memory.shared)
        return Residence(sum(part or 0 for part in parts) + self._tables_and_stacks, self._helper_memory)

    def close(self) -> None:
        """Let go of what is kept open; the members are somebody else's."""
        self.main.close()
        if self.keeper is not None:
            self.keeper.close()
            self.keeper = None
        if self._state is not None:
            os.close(self._state)
            self._state = None

    def _processor_nanoseconds(self) -> int:
        directory = self._cgroup.cpu
        whole = cgroup_counters.processor_nanoseconds(directory) if directory else None
        return whole if whole is not None else sum(counters.cpu_nanoseconds for _, counters in self._counters)

    def _marks(self) -> tuple[object, ...]:
        return tuple([(process.pid, counters.touched) for process, counters in self._counters])

    def _processes_memory(self, reading: Reading) -> Breakdown | None:
        """The parts that its processes have; None where all have ended. Raises PermissionError."""
        own = linear = code = shared = swap = threads = 0
        tables: int | None = 0
        region = self._region()
        found, size, files = False, 0, 0
        for process, counters in self._counters:
            memory = process.memory(region, reading)
            if memory is None:
                continue
            found = True
            own, linear = own + memory.mapped.own, linear + memory.mapped.linear
            code, shared = code + memory.mapped.code, shared + memory.mapped.shared
            size, files = size + memory.mapped.linear_size, files + memory.mapped.file_pages
            swap, threads = swap + memory.mapped.swap, threads + counters.threads
            tables = tables + memory.page_tables if tables is not None and memory.page_tables is not None else None
        if not found:
            return None
        stack = kernel_stack_bytes()
        kernel = tables + threads * stack if tables is not None and stack is not None else None
        self._tables_and_stacks = kernel or 0
        return Breakdown(
            own, linear if region else None, kernel, code, shared, swap=swap, linear_size=size if region else None,
            linear_limit=self._live.linear_limit_bytes if self._live and region else None, file_pages=files,
        )  # fmt: skip

    def _with_group(self, found: Breakdown) -> Breakdown:
        """What only a memory cgroup of its own can tell is added."""
        group = self._group
        if group is None:
            return found
        kernel = found.kernel
        if kernel is not None and group.kernel_beyond is not None:
            kernel += group.kernel_beyond
        elif kernel is not None and group.kernel_whole is not None:
            kernel = max(kernel, group.kernel_whole)
        return replace(found, kernel=kernel, cache=group.cache)

    def _region(self) -> Region | None:
        live, base = self._live, self._linear_base
        if live is None or not base:
            return None
        return Region(base, max(live.linear_used_bytes, live.linear_limit_bytes))

    def _limits(self) -> tuple[Limit, ...]:
        found = []
        live, group = self._live, self._group
        if live is not None and self.container.record.plan.limits.memory_bytes:
            used = max(live.linear_used_bytes, self._memory.linear_size or 0)
            found.append(Limit(LimitKind.GUEST_PAGES, live.linear_limit_bytes, used))
        if group is not None and group.limit is not None:
            found.append(Limit(LimitKind.CGROUP, group.limit, group.current))
        return tuple(found)

    def _tasks(self) -> int:
        found = cgroup_counters.tasks(self._cgroup.pids) if self._cgroup.pids else None
        return found if found is not None else sum(counters.threads for _, counters in self._counters)

    def _read_helpers(self, reading: Reading) -> int:
        """What its own helpers have, without those that have ended meanwhile."""
        helping = [one.process for one in self.members if one.helps]
        processes = [self.keeper, *helping] if self.keeper is not None else helping
        return sum(process.proportional(reading) or 0 for process in processes)

    def _read_traffic(self, now: float, reading: Reading) -> None:
        moved = [process.transfers(reading) for process, _ in self._counters]
        known = [one for one in moved if one is not None]
        links = self.main.network() if self._has_links else None
        read = sum(one[0] for one in known) if known else None
        written = sum(one[1] for one in known) if known else None
        fresh = Traffic(read, written, *(links or (None, None)))
        seconds = now - self._traffic_at
        if self._traffic_at and seconds > 0:
            self._rates = Traffic(*(
                max(0, new - old) * 1000 // max(1, int(seconds * 1000)) if new is not None and old is not None else None
                for new, old in zip(fresh.__dict__.values(), self._traffic.__dict__.values(), strict=True)
            ))  # fmt: skip
        self._traffic, self._traffic_at = fresh, now

    @property
    def _has_links(self) -> bool:
        """Whether it has a network namespace of its own with something in it."""
        plan = self.container.record.plan
        others = (NetworkMode.NONE, NetworkMode.HOST, NetworkMode.CONTAINER)
        return plan.kind is Kind.NATIVE and plan.network not in others


def _same(one: object, other: object) -> bool:
    """Whether two tuples hold the same objects, or equal numbers: comparing containers would look at all of them."""
    assert isinstance(one, tuple)
    assert isinstance(other, tuple)
    return all(a is b or (isinstance(a, (int, float)) and a == b) for a, b in zip(one, other, strict=True))
