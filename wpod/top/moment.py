"""One moment as `wpod top` sees it: what a recording holds, and what is shown, whether live or replayed."""

from __future__ import annotations

from wpod.enumeration import Enum
from wpod.frozen import frozen
from wpod.model.memory import UNKNOWN, Breakdown, Limit, first_to_bite
from wpod.model.sample import NO_TRAFFIC, HelperSample, HostSample, Pressure, Traffic

KINDS = ("wasm", "native")


class State(Enum):
    """What the sign in front of a row says. The value is the word in recordings and filters."""

    RUNNING = "running"
    CREATED = "created"
    ENDED = "ended"
    FAILED = "failed"
    UNREADABLE = "unreadable"


@frozen
class Facts:
    """What seldom changes about a container. `family` is the name that its replicas share (`--scale`), or "".

    `started_nanoseconds` is 0 before the first start and tells, with the ID, one run from the next; `pid` is 0 where it
    doesn't run. `ports` are as `ps` writes them. `ending` says why it ended, in words, or "".
    """

    container_id: str
    name: str
    kind: str
    image: str
    command: str
    family: str = ""
    labels: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    ports: str = ""
    created_nanoseconds: int = 0
    started_nanoseconds: int = 0
    finished_nanoseconds: int = 0
    pid: int = 0
    state: State = State.RUNNING
    exit_code: int = 0
    ending: str = ""


@frozen
class Item:
    """One container at one moment. What isn't known is None, and empty for one that doesn't run."""

    facts: Facts
    memory: Breakdown = UNKNOWN
    memory_age: float | None = None
    limits: tuple[Limit, ...] = ()
    cpu_percent: float | None = None
    processes: int | None = None
    traffic: Traffic = NO_TRAFFIC
    rates: Traffic = NO_TRAFFIC
    pressure: Pressure | None = None
    problem: str = ""

    @property
    def container_id(self) -> str:
        return self.facts.container_id

    @property
    def limit_share(self) -> float | None:
        """How full the limit that bites first is, 1.0 at the limit; None without one."""
        bite = first_to_bite(self.limits)
        return bite.share if bite is not None else None


@frozen
class Moment:
    """All of it. `interval` is the time since the moment before in seconds, 0 at the first."""

    items: tuple[Item, ...]
    helpers: tuple[HelperSample, ...]
    host: HostSample
    wall_nanoseconds: int
    interval: float
    problems: tuple[str, ...] = ()
