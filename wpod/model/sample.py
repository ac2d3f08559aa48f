"""What one look of the sampler finds: containers, helpers, and the machine."""

from __future__ import annotations

from wpod.frozen import frozen
from wpod.model.container import Container
from wpod.model.memory import UNKNOWN, Breakdown, Limit


@frozen
class Traffic:
    """Bytes since the container's start, None where it can't be told."""

    read: int | None = None
    written: int | None = None
    received: int | None = None
    sent: int | None = None


NO_TRAFFIC = Traffic()


@frozen
class Pressure:
    """PSI (psi.rst of the kernel): the share of the last 10 and 60 s in which some, or all, tasks waited; percent."""

    some_10: float
    some_60: float
    full_10: float
    full_60: float


@frozen
class ContainerSample:
    """One container. All but `container` is empty for one that doesn't run.

    `memory_age` tells how many seconds before this look the memory was read (costly counters aren't read each time),
    None where it never was. `cpu_percent` is that since the look before, 100 a whole processor; None at the first one.
    `cpu_average_percent` is that since its start. Rates (bytes a second) are as traffic, between two readings.
    `problem` says why something is unknown that could be known.
    """

    container: Container
    memory: Breakdown = UNKNOWN
    memory_age: float | None = None
    limits: tuple[Limit, ...] = ()
    cpu_nanoseconds: int | None = None
    cpu_percent: float | None = None
    cpu_average_percent: float | None = None
    processes: int | None = None
    traffic: Traffic = NO_TRAFFIC
    rates: Traffic = NO_TRAFFIC
    pressure: Pressure | None = None
    problem: str = ""

    @property
    def container_id(self) -> str:
        return self.container.record.container_id

    @property
    def name(self) -> str:
        return self.container.record.name


@frozen
class ProcessRow:
    """One process of a container. `cpu_percent` is that since it was asked for before, 100 a whole processor."""

    pid: int
    parent: int
    command: tuple[str, ...]
    user: str
    state: str
    threads: int
    started_nanoseconds: int
    cpu_nanoseconds: int
    cpu_percent: float
    resident: int


@frozen
class HelperSample:
    """A process of wpod's that serves containers: `monitor`, `network holder`, `pasta`, `aardvark-dns`, …

    `memory` is Pss, page tables and kernel stacks; it is divided evenly among those that it `serves` (IDs).
    `started_nanoseconds` is since 1970, 0 where it isn't known (recordings of before it was kept).
    """

    name: str
    pid: int
    serves: tuple[str, ...]
    memory: int | None
    cpu_percent: float | None = None
    started_nanoseconds: int = 0


@frozen
class HostSample:
    """The machine. used = containers + helpers + others + cache + unattributed, exactly; see docs/memory.md.

    `containers` is without helpers and with page cache charged to them; `cache` is the rest of the page cache that
    nobody maps, and slab that the kernel can take back.
    """

    total: int
    free: int
    containers: int
    helpers: int
    others: int
    cache: int
    swap_total: int
    swap_used: int
    cpu_percent: float | None = None
    processors: int = 1
    pressure: Pressure | None = None

    @property
    def used(self) -> int:
        return self.total - self.free

    @property
    def unattributed(self) -> int:
        """What nothing explains; below 0 where more is explained than is used."""
        return self.used - self.containers - self.helpers - self.others - self.cache

    @property
    def explained(self) -> float:
        """The part of what is used that adds up; 1.0 is all of it."""
        return 1.0 - abs(self.unattributed) / self.used if self.used else 1.0


@frozen
class Snapshot:
    """One look. `containers` are oldest first; `interval` is the time since the look before in seconds, 0 at the first.

    `problems` are records that can't be read, in words.
    """

    containers: tuple[ContainerSample, ...]
    helpers: tuple[HelperSample, ...]
    host: HostSample
    wall_nanoseconds: int
    interval: float
    problems: tuple[str, ...] = ()
