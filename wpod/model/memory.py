"""The memory of one container in parts that add up: what each part is, how it is computed and from what.

The definitions stand here once; `stats`, `memory` and `top` show them, and docs/memory.md is tested against them.
Every amount is an int of bytes, or None where it can't be told: None is shown as `-`, never as 0 and never guessed.
"""

from __future__ import annotations

from wpod.enumeration import Enum
from wpod.frozen import frozen


class Part(Enum):
    """The parts, in the order in which they are shown: from what goes with the container to what the kernel can take.

    They are disjoint. Swap is none of them: it is not in memory.
    """

    OWN = "own"
    LINEAR = "linear"
    KERNEL = "kernel"
    CODE = "code"
    SHARED = "shared"
    HELPERS = "helpers"
    CACHE = "cache"


@frozen
class Definition:
    """What one column says. `letter` stands for it where there are no colours."""

    letter: str
    meaning: str
    formula: str
    source: str


DEFINITIONS = {
    Part.OWN: Definition(
        "P", "anonymous memory that nobody else has: heap, stacks, pages that were written to",
        "the lesser of Anonymous and Private_Clean + Private_Dirty, over all mappings that are neither executable nor"
        " linear memory, of all its processes",
        "/proc/PID/smaps",
    ),
    Part.LINEAR: Definition(
        "L", "the touched part of the guest's linear memory (wasm)",
        "as own, over the mappings between the linear memory's address and its greatest size",
        "/proc/PID/smaps, address and sizes from the state file",
    ),
    Part.KERNEL: Definition(
        "K", "page tables and kernel stacks; with a memory cgroup of its own, slab and sockets too",
        "VmPTE + Threads x size of a kernel stack, of all its processes; with a cgroup v2 + kernel - pagetables -"
        " kernel_stack + sock; with a cgroup v1 the greater of that and kmem.usage_in_bytes + kmem.tcp.usage_in_bytes",
        "/proc/PID/status; memory.stat, or memory.kmem.* on v1",
    ),
    Part.CODE: Definition(
        "X", "machine code: its share of what is shared, and its private copies",
        "Pss over the executable mappings of all its processes",
        "/proc/PID/smaps",
    ),
    Part.SHARED: Definition(
        "S", "its share of mapped files, shared memory, and pages that it has from a common template",
        "Pss - own - linear - code, of all its processes",
        "/proc/PID/smaps_rollup",
    ),
    Part.HELPERS: Definition(
        "h", "its monitor, and its share of the processes that serve several: network holder, pasta, aardvark-dns",
        "(Pss + VmPTE + kernel stacks) of each helper, divided by the number of those that it serves; RssAnon +"
        " RssShmem in the place of Pss where a helper has made its mappings unreadable",
        "/proc/PID/smaps_rollup, /proc/PID/status",
    ),
    Part.CACHE: Definition(
        "c", "file pages charged to its cgroup that nobody maps (with a memory cgroup of its own)",
        "file - file_mapped; on v1 cache - mapped_file",
        "memory.stat",
    ),
}  # fmt: skip

SWAP = Definition(
    "s", "what was swapped out; not in memory, so not in the total", "SwapPss of all its processes",
    "/proc/PID/smaps_rollup",
)  # fmt: skip


@frozen
class Breakdown:
    """One reading of one container. See `DEFINITIONS`.

    `linear_size` is how large the guest's memory is to the guest, `linear_limit` to what it may grow; most of that may
    be untouched, and costs nothing. All three are None for a native container. `file_pages` is what of code and shared
    is pages of files: neighbours that have the same files mapped move it without anybody taking anything.
    """

    own: int | None = None
    linear: int | None = None
    kernel: int | None = None
    code: int | None = None
    shared: int | None = None
    helpers: int | None = None
    cache: int | None = None
    swap: int | None = None
    linear_size: int | None = None
    linear_limit: int | None = None
    file_pages: int | None = None

    def part(self, part: Part) -> int | None:
        """One part."""
        found: int | None = self.__dict__[part.value]
        return found

    @property
    def total(self) -> int | None:
        """The sum of the parts that are known; None where its processes couldn't be read."""
        if self.own is None:
            return None
        return (self.own + (self.linear or 0) + (self.kernel or 0) + (self.code or 0) + (self.shared or 0)
                + (self.helpers or 0) + (self.cache or 0))  # fmt: skip


UNKNOWN = Breakdown()
NEAR_ITS_LIMIT = 0.9  # a share of a limit from which on somebody should look


class LimitKind(Enum):
    """What a limit counts."""

    GUEST_PAGES = "guest pages"
    CGROUP = "cgroup"


@frozen
class Limit:
    """A limit of memory: what it allows, and how much of it is used as it counts."""

    kind: LimitKind
    allowed: int
    used: int

    @property
    def share(self) -> float:
        """How full it is; 1.0 is at the limit."""
        return self.used / self.allowed if self.allowed else 1.0


def first_to_bite(limits: tuple[Limit, ...]) -> Limit | None:
    """The one with the least room left."""
    return min(limits, key=lambda limit: limit.allowed - limit.used, default=None)
