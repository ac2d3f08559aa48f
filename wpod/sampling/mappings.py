"""The memory of a process out of the kernel's account of its mappings (proc_pid_smaps(5))."""

from __future__ import annotations

import functools
import os
import re

from wpod.frozen import frozen

_KIBIBYTE = 1024
_CHUNK_BYTES = 1 << 15  # larger ones are memory that the C library asks the kernel for each time


@frozen
class Region:
    """A range of addresses."""

    start: int
    bytes_: int

    @property
    def end(self) -> int:
        return self.start + self.bytes_


@frozen
class MappedMemory:
    """Bytes. own + linear + code + shared is all that the process has in memory, its share of what is shared.

    `linear_size` is how much of the linear memory's region the guest may use now, touched or not; `file_pages` what of
    code and shared is pages of files.
    """

    own: int
    linear: int
    code: int
    shared: int
    swap: int
    linear_size: int = 0
    file_pages: int = 0

    @property
    def total(self) -> int:
        return self.own + self.linear + self.code + self.shared


@functools.cache
def _mapping() -> re.Pattern[bytes]:
    """One mapping: start, end, permissions, and the lines that matter, in the kernel's order."""
    return re.compile(
        rb"^([0-9a-f]+)-([0-9a-f]+) (.).(.). [^\n]*\n(?:(?:Size|KernelPageSize|MMUPageSize|Rss):[^\n]*\n)+"
        rb"Pss: +(\d+) kB\n(?:Pss_Dirty:[^\n]*\n)?Shared_Clean:[^\n]*\nShared_Dirty:[^\n]*\n"
        rb"Private_Clean: +(\d+) kB\nPrivate_Dirty: +(\d+) kB\nReferenced:[^\n]*\nAnonymous: +(\d+) kB\n",
        re.MULTILINE,
    )


@functools.cache
def _rollup() -> re.Pattern[bytes]:
    return re.compile(rb"^(Pss|Pss_File|SwapPss): +(\d+) kB$", re.MULTILINE)


def sums(rollup: bytes) -> dict[bytes, int]:
    """Pss, Pss_File and SwapPss of the text of a smaps_rollup, in kilobytes; nothing where the process has ended."""
    return {name: int(value) for name, value in _rollup().findall(rollup)}


def divide(smaps: bytes, whole: dict[bytes, int], linear: Region | None) -> MappedMemory | None:
    """The parts (see `wpod.model.memory`); `whole` as `sums` gives it. None where the process has ended.

    The sum is the rollup's: Pss of a single mapping is cut to whole kilobytes, which adds up over many.
    """
    if b"Pss" not in whole or not smaps:
        return None
    start, end = (linear.start, linear.end) if linear is not None else (0, 0)
    own = in_linear = code = size = 0
    for address, beyond, readable, executable, share, clean, dirty, anonymous in _mapping().findall(smaps):
        # The state file is told of growth at the guest's next call to the system; the mappings know it at once.
        if end and readable == b"r" and start <= int(address, 16) < end:
            size += int(beyond, 16) - int(address, 16)
        if share == b"0":
            continue
        if executable == b"x":
            code += int(share)
            continue
        # Private pages of a mapped file are the page cache's; what was written to them is anonymous.
        private = min(int(anonymous), int(clean) + int(dirty))
        if private and start <= int(address, 16) < end:
            in_linear += private
        else:
            own += private
    shared = max(0, whole[b"Pss"] - own - in_linear - code)
    return MappedMemory(
        own * _KIBIBYTE, in_linear * _KIBIBYTE, code * _KIBIBYTE, shared * _KIBIBYTE,
        whole.get(b"SwapPss", 0) * _KIBIBYTE, size, whole.get(b"Pss_File", 0) * _KIBIBYTE,
    )  # fmt: skip


def page_table_bytes(status: bytes) -> int | None:
    """VmPTE out of the text of /proc/PID/status; None where there is none: a kernel thread, or a zombie."""
    at = status.find(b"\nVmPTE:")
    return int(status[at + 7 : status.index(b" kB", at)]) * _KIBIBYTE if at >= 0 else None


def unshared(status: bytes) -> int | None:
    """RssAnon and RssShmem out of the text of /proc/PID/status, which everybody may read; None as above."""
    amounts = re.findall(rb"^(?:RssAnon|RssShmem):\s+(\d+) kB$", status, re.MULTILINE)
    return sum(int(amount) for amount in amounts) * _KIBIBYTE if amounts else None


def proportional(rollup: bytes) -> int | None:
    """Pss out of the text of a smaps_rollup; None where the process has ended."""
    found = sums(rollup).get(b"Pss")
    return found * _KIBIBYTE if found is not None else None


def content(path: str, *, once: bool = False) -> bytes:
    """A file of /proc, whole; `once`: it is a short one, which the first read gives whole. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = chunk = os.read(descriptor, _CHUNK_BYTES)
        while chunk and not once:  # the kernel gives a page at a time
            chunk = os.read(descriptor, _CHUNK_BYTES)
            text += chunk
        return text
    finally:
        os.close(descriptor)
