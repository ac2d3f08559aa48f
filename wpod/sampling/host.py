"""The machine's own counters (proc_meminfo(5), proc_stat(5), psi.rst of the kernel)."""

from __future__ import annotations

import os

from wpod.frozen import frozen
from wpod.model.sample import Pressure

_KIBIBYTE = 1024


@frozen
class HostMemory:
    """Bytes out of /proc/meminfo. `mapped` counts file pages and shared memory that somebody has mapped."""

    total: int
    free: int
    anonymous: int
    mapped: int
    file: int
    reclaimable_slab: int
    page_tables: int
    kernel_stacks: int
    swap_total: int
    swap_free: int

    @property
    def of_processes(self) -> int:
        """What all processes have together; the sum of their Pss, page tables and kernel stacks."""
        return self.anonymous + self.mapped + self.page_tables + self.kernel_stacks

    @property
    def unmapped_cache(self) -> int:
        """Page cache that nobody maps, and slab that the kernel can take back."""
        return max(0, self.file - self.mapped) + self.reclaimable_slab


def memory() -> HostMemory:
    """As it is now."""
    with open("/proc/meminfo", encoding="utf-8") as file:
        rows = {name: int(rest.split()[0]) * _KIBIBYTE for name, _, rest in (line.partition(":") for line in file)}
    return HostMemory(
        total=rows["MemTotal"], free=rows["MemFree"], anonymous=rows["AnonPages"], mapped=rows["Mapped"],
        file=rows["Cached"] + rows["Buffers"] + rows["SwapCached"], reclaimable_slab=rows["SReclaimable"],
        page_tables=rows["PageTables"], kernel_stacks=rows["KernelStack"], swap_total=rows["SwapTotal"],
        swap_free=rows["SwapFree"],
    )  # fmt: skip


def busy_nanoseconds() -> tuple[int, int]:
    """Processor time that was used, by anything, since the machine's start; and how many processors there are."""
    with open("/proc/stat", encoding="utf-8") as file:
        fields = [int(word) for word in file.readline().split()[1:9]]
        processors = 0
        for line in file:
            if not line.startswith("cpu"):
                break
            processors += 1
    user, nice, system, _idle, _waiting, interrupt, soft_interrupt, stolen = fields
    ticks = user + nice + system + interrupt + soft_interrupt + stolen
    return ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK"), max(1, processors)


def pressure() -> Pressure | None:
    """Memory pressure of the machine, None where the kernel doesn't keep it."""
    try:
        with open("/proc/pressure/memory", encoding="utf-8") as file:
            return parse_pressure(file.read())
    except OSError:
        return None


def parse_pressure(text: str) -> Pressure | None:
    """`some avg10=0.00 avg60=0.00 …`, then the same for `full`; None for anything else."""
    rows = {}
    for line in text.splitlines():
        word, *pairs = line.split()
        try:
            rows[word] = {key: float(value) for key, _, value in (pair.partition("=") for pair in pairs)}
        except ValueError:
            return None
    try:
        some, full = rows["some"], rows["full"]
        return Pressure(some["avg10"], some["avg60"], full["avg10"], full["avg60"])
    except KeyError:
        return None
