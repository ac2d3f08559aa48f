"""One process, read through /proc; a number that was given to another process is noticed.

Theory of operation. An open file of /proc/PID belongs to the process that had the number when it was opened: after its
end a read fails with ESRCH, whoever has the number by then. So `stat` is kept open, which is also twice as fast as
opening it each time. Files that are read by path are believed when `stat` can still be read afterwards, for the number
was taken all that time. Where no more descriptors are to be had, the start time in `stat` tells the same.
"""

from __future__ import annotations

import os
import time

from wpod.formats.meter import NOTHING, Reading
from wpod.frozen import frozen
from wpod.kernel.pidfd import stat_fields
from wpod.sampling import mappings
from wpod.sampling.mappings import MappedMemory, Region, content

_STAT_BYTES = 1024
_SHORT = frozenset(("smaps_rollup", "status", "io"))  # given whole by the first read
_TICKS = os.sysconf("SC_CLK_TCK")
_NANOSECONDS_OF_A_TICK = 1_000_000_000 // _TICKS
# Read once, so that a process has always begun at the same time; a clock that is set later moves no beginning.
_BOOT_NANOSECONDS = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
# The stack of a thread in the kernel (THREAD_SIZE of each architecture); of others it isn't known.
_KERNEL_STACKS = dict.fromkeys(("x86_64", "aarch64", "riscv64", "ppc64le", "s390x", "loongarch64"), 16384)


def kernel_stack_bytes() -> int | None:
    """The size of one kernel stack here, None where it isn't known."""
    return _KERNEL_STACKS.get(os.uname().machine)


class Descriptors:
    """How many descriptors may be kept open: what the soft limit leaves beside those of the rest of the program."""

    _RESERVED = 256

    def __init__(self) -> None:
        limit = os.sysconf("SC_OPEN_MAX")  # the soft limit (sysconf(3)), -1 for none
        self._left = 1_000_000 if limit < 0 else max(0, limit - self._RESERVED)

    def keep(self, path: str) -> int | None:
        """A descriptor for reading, None where the allowance is used up. Raises OSError."""
        if self._left <= 0:
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._left -= 1
        return descriptor

    def close(self, descriptor: int) -> None:
        """Give one back."""
        os.close(descriptor)
        self._left += 1


@frozen
class Counters:
    """What is read each time. Processor time includes that of children that were waited for.

    `touched` changes where the process gets or loses pages: its page faults, and its resident pages.
    """

    cpu_nanoseconds: int
    threads: int
    touched: tuple[bytes, bytes, bytes]


@frozen
class ProcessMemory:
    """What is read rarely. `page_tables` None: it can't be told."""

    mapped: MappedMemory
    page_tables: int | None


class Process:
    """A process that is there when this is made: `start_ticks` (field 22 of its stat) tells it from later ones."""

    def __init__(self, pid: int, descriptors: Descriptors, start_ticks: int | None = None) -> None:
        """Raises ProcessLookupError where there is none with that number and start time (or it is a zombie)."""
        self.pid = pid
        self._path = f"/proc/{pid}/stat"
        self._descriptors = descriptors
        self._stat: int | None = None
        self._counted: tuple[bytes, Counters] = (b"", Counters(0, 0, (b"", b"", b"")))
        self._known: tuple[object, ProcessMemory | None] = (None, None)
        try:
            self._stat = descriptors.keep(self._path)
            fields = stat_fields(self._stat_text())
        except OSError as error:
            self.close()
            raise ProcessLookupError(f"process {pid} is gone: {error.strerror}") from None
        self.start_ticks = int(fields[19])
        self.parent = int(fields[1])
        if fields[0] in (b"Z", b"X") or start_ticks not in (None, self.start_ticks):
            self.close()
            raise ProcessLookupError(f"process {pid} is another one or has ended")

    @property
    def identity(self) -> tuple[int, int]:
        """What names it for good, as long as the machine runs."""
        return self.pid, self.start_ticks

    @property
    def started_nanoseconds(self) -> int:
        """When it began, since 1970, to a tick."""
        return _BOOT_NANOSECONDS + self.start_ticks * _NANOSECONDS_OF_A_TICK

    def counters(self) -> Counters | None:
        """None where it has ended, also as a zombie."""
        try:
            text = self._stat_text()
        except OSError:
            return None
        if text == self._counted[0]:  # of most processes: they wait
            return self._counted[1]
        fields = stat_fields(text)
        if fields[0] in (b"Z", b"X") or int(fields[19]) != self.start_ticks:
            return None
        ticks = int(fields[11]) + int(fields[12]) + int(fields[13]) + int(fields[14])
        found = Counters(ticks * _NANOSECONDS_OF_A_TICK, int(fields[17]), (fields[7], fields[9], fields[21]))
        self._counted = text, found
        return found

    def memory(self, linear: Region | None = None, reading: Reading = NOTHING) -> ProcessMemory | None:
        """None where it has ended. Raises PermissionError where it is somebody else's.

        Where it has touched nothing since, and its share of all is as before, so are the parts.
        """
        before = self.counters()
        known = reading.accounts.get(self.identity)
        region = (linear.start, linear.bytes_) if linear is not None else (0, 0)
        if known is not None and before is not None and (known.touched, known.region) == (before.touched, region):
            return ProcessMemory(MappedMemory(*known.parts), known.page_tables)
        whole = mappings.sums(self._read("smaps_rollup"))
        state = (before.touched if before else None, whole, linear)
        if self._known[0] == state and self._known[1] is not None:
            return self._known[1] if self.counters() else None
        mapped = mappings.divide(self._read("smaps"), whole, linear)
        tables = mappings.page_table_bytes(self._read("status"))
        if mapped is None or not self.counters():
            return None
        self._known = state, ProcessMemory(mapped, tables)
        return self._known[1]

    def proportional(self, reading: Reading = NOTHING) -> int | None:
        """Its share of memory with its page tables and kernel stacks; None where it has ended or that can't be told.

        Where its mappings can't be read, it is without its file pages.
        """
        share, tables = reading.shares.get(self.identity) or self._share_and_tables()
        counters, stack = self.counters(), kernel_stack_bytes()
        if share is None or tables is None or counters is None or stack is None:
            return None
        return share + tables + counters.threads * stack

    def _share_and_tables(self) -> tuple[int | None, int | None]:
        status = self._read("status")
        try:
            share = mappings.proportional(self._read("smaps_rollup"))
        except PermissionError:
            share = mappings.unshared(status)
        return share, mappings.page_table_bytes(status)

    def transfers(self, reading: Reading = NOTHING) -> tuple[int, int] | None:
        """Bytes read from and written to storage; None where that can't be told."""
        known = reading.accounts.get(self.identity)
        if known is not None:
            return known.moved
        try:
            rows = dict(line.split(b": ") for line in self._read("io").splitlines())
            found = int(rows[b"read_bytes"]), int(rows[b"write_bytes"])
        except (OSError, KeyError, ValueError):
            return None
        return found if self.counters() else None

    def network(self) -> tuple[int, int] | None:
        """Bytes received and sent by the links of its network namespace but the loopback; None where unknown."""
        try:
            lines = self._read("net/dev").splitlines()[2:]
        except OSError:
            return None
        received = sent = 0
        for line in lines:
            name, _, rest = line.partition(b":")
            if name.strip() != b"lo":
                fields = rest.split()
                received += int(fields[0])
                sent += int(fields[8])
        return (received, sent) if self.counters() else None

    def close(self) -> None:
        """Let go of what is kept open."""
        if self._stat is not None:
            self._descriptors.close(self._stat)
            self._stat = None

    def _stat_text(self) -> bytes:
        """Raises OSError."""
        return os.pread(self._stat, _STAT_BYTES, 0) if self._stat is not None else content(self._path)

    def _read(self, name: str) -> bytes:
        """Raises PermissionError; nothing where the process has gone."""
        try:
            return content(f"/proc/{self.pid}/{name}", once=name in _SHORT)
        except (FileNotFoundError, ProcessLookupError):
            return b""
