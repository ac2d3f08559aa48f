"""What the sampler reads: the kernel's texts, processes that come and go, shares, and sums."""

from __future__ import annotations

import mmap
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from wpod.model.memory import DEFINITIONS, SWAP, Breakdown, Limit, LimitKind, Part, first_to_bite
from wpod.model.sample import HostSample, Pressure
from wpod.sampling import ahead, host, mappings, process
from wpod.sampling.mappings import MappedMemory, Region
from wpod.sampling.process import Descriptors, Process
from wpod.sampling.serving import share


def _mapping(start: int, permissions: str, kilobytes: dict[str, int], name: str = "") -> str:
    lines = {"Size": 4096, "KernelPageSize": 4, "MMUPageSize": 4, "Rss": 0, "Pss": 0, "Pss_Dirty": 0, "Shared_Clean": 0,
             "Shared_Dirty": 0, "Private_Clean": 0, "Private_Dirty": 0, "Referenced": 0, "Anonymous": 0, "KSM": 0,
             "LazyFree": 0, "Swap": 0, "SwapPss": 0, "Locked": 0, **kilobytes}  # fmt: skip
    head = f"{start:x}-{start + 0x400000:x} {permissions} 00000000 fe:00 17 {name}\n"
    return head + "".join(f"{key}:{value:>12} kB\n" for key, value in lines.items()) + "VmFlags: rd mr\n"


def _divided(
    *mapped: str, pss: int, swap: int = 0, files: int | None = None, linear: Region | None = None
) -> MappedMemory | None:
    of_files = f"Pss_File: {files} kB\n" if files is not None else ""
    rollup = f"0-1 ---p 0 00:00 0 [rollup]\nRss: 1 kB\nPss: {pss} kB\nPss_Anon: 3 kB\n{of_files}SwapPss: {swap} kB\n"
    return mappings.divide("".join(mapped).encode(), mappings.sums(rollup.encode()), linear)


def test_anonymous_memory_is_own_and_what_is_left_is_shared() -> None:
    heap = _mapping(0x1000000, "rw-p", {"Pss": 110, "Private_Dirty": 100, "Anonymous": 120})
    file = _mapping(0x2000000, "r--p", {"Pss": 8, "Private_Clean": 8}, "/usr/lib/libc.so.6")
    assert _divided(heap, file, pss=119, swap=5) == MappedMemory(100 << 10, 0, 0, 19 << 10, 5 << 10)
    assert _divided(heap, file, pss=119, files=8) == MappedMemory(100 << 10, 0, 0, 19 << 10, 0, file_pages=8 << 10)


def test_written_pages_of_a_mapped_file_are_own_and_others_are_not() -> None:
    data = _mapping(0x1000000, "rw-p", {"Pss": 30, "Private_Dirty": 12, "Private_Clean": 18, "Anonymous": 12}, "/a b")
    assert _divided(data, pss=30) == MappedMemory(12 << 10, 0, 0, 18 << 10, 0)


def test_executable_mappings_are_code_and_those_of_the_linear_memory_are_linear() -> None:
    code = _mapping(0x1000000, "r-xp", {"Pss": 40, "Private_Dirty": 40, "Anonymous": 40})
    linear = _mapping(0x2000000, "rw-p", {"Pss": 64, "Private_Dirty": 60, "Anonymous": 60})
    beside = _mapping(0x6000000, "rw-p", {"Pss": 4, "Private_Dirty": 4, "Anonymous": 4})
    region = Region(0x2000000, 0x4000000)
    assert _divided(code, linear, beside, pss=108, linear=region) == MappedMemory(
        4096, 60 << 10, 40 << 10, 4096, 0, 4 << 20
    )  # fmt: skip


def test_an_ended_process_gives_nothing_instead_of_zero() -> None:
    assert mappings.divide(b"", mappings.sums(b""), None) is None
    assert mappings.page_table_bytes(b"Name:\tx\nState:\tZ (zombie)\n") is None


def test_older_kernels_have_fewer_lines() -> None:
    text = _mapping(0x1000000, "rw-p", {"Pss": 8, "Private_Dirty": 8, "Anonymous": 8})
    older = "\n".join(line for line in text.splitlines() if not line.startswith(("Pss_Dirty", "KSM")))
    assert _divided(older + "\n", pss=8) == MappedMemory(8 << 10, 0, 0, 0, 0)


def test_this_process_adds_up_to_what_the_kernel_says() -> None:
    rollup, smaps = Path("/proc/self/smaps_rollup").read_bytes(), Path("/proc/self/smaps").read_bytes()
    divided = mappings.divide(smaps, mappings.sums(rollup), None)
    assert divided is not None
    assert divided.total == mappings.proportional(rollup)
    assert divided.own > 1 << 20
    assert divided.code > 1 << 16


@pytest.fixture
def child() -> Iterator[int]:
    """A process that sleeps."""
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    yield pid
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ChildProcessError, ProcessLookupError):
        return


@pytest.mark.parametrize("kept", [True, False], ids=["kept open", "opened each time"])
def test_the_end_of_a_process_is_noticed(child: int, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    descriptors = Descriptors()
    if not kept:
        monkeypatch.setattr(descriptors, "_left", 0)
    found = Process(child, descriptors)
    assert found.counters() is not None
    assert found.memory() is not None
    os.kill(child, signal.SIGKILL)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert found.counters() is None, "a zombie has ended"
    os.waitpid(child, 0)
    assert found.counters() is None
    assert found.memory() is None
    assert found.proportional() is None
    assert found.transfers() is None
    found.close()


def test_a_number_that_was_given_again_is_another_process(child: int) -> None:
    with pytest.raises(ProcessLookupError):
        Process(child, Descriptors(), start_ticks=1)


def test_what_is_read_by_path_is_of_the_process_that_was_meant(child: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends, and its number is another's when the costly files are read."""
    found = Process(child, Descriptors())
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    other = process.content  # what the files of this process say stands for those of the number's next owner
    monkeypatch.setattr(
        process, "content", lambda path, **how: other(path.replace(f"/{child}/", f"/{os.getpid()}/"), **how)
    )
    assert found.memory() is None
    assert found.proportional() is None
    assert found.network() is None


def test_descriptors_are_given_back(child: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    descriptors = Descriptors()
    found = Process(child, descriptors)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    found.close()
    found.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_own_memory_of_a_process_is_what_it_has_taken() -> None:
    own = Process(os.getpid(), Descriptors())
    before = own.memory()
    taken = mmap.mmap(-1, 16 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for page in range(0, 16 << 20, mmap.PAGESIZE):  # one by one: nothing else of that size comes and goes
        taken[page] = 1
    after = own.memory()
    assert before is not None
    assert after is not None
    assert abs(after.mapped.own - before.mapped.own - (16 << 20)) < 1 << 20
    taken.close()
    own.close()


def test_shares_are_the_whole() -> None:
    assert [share(10, 3, position) for position in range(3)] == [4, 3, 3]


def test_the_total_is_the_sum_of_what_is_known() -> None:
    assert Breakdown().total is None
    assert Breakdown(own=1, linear=2, kernel=None, code=4, shared=8, helpers=16, cache=32, swap=64).total == 63
    assert set(DEFINITIONS) == set(Part)
    assert [Breakdown(own=5).part(part) for part in Part] == [5, None, None, None, None, None, None]


def test_the_limit_with_the_least_room_bites_first() -> None:
    pages, group = Limit(LimitKind.GUEST_PAGES, 100, 90), Limit(LimitKind.CGROUP, 200, 195)
    assert first_to_bite((pages, group)) is group
    assert first_to_bite(()) is None
    assert Limit(LimitKind.CGROUP, 0, 5).share == 1.0


def test_the_machine_adds_up_exactly() -> None:
    sample = HostSample(total=100, free=20, containers=10, helpers=5, others=40, cache=15, swap_total=0, swap_used=0)
    assert sample.used == 80
    assert sample.unattributed == 10
    assert sample.explained == 1 - 10 / 80
    assert host.memory().of_processes > 0


def test_pressure_is_read_and_anything_else_is_none() -> None:
    text = "some avg10=1.50 avg60=0.25 avg300=0.00 total=7\nfull avg10=0.50 avg60=0.00 avg300=0.00 total=3\n"
    assert host.parse_pressure(text) == Pressure(1.5, 0.25, 0.5, 0.0)
    assert host.parse_pressure("") is None
    assert host.parse_pressure("some avg10=x\n") is None


def test_the_document_says_what_the_code_says() -> None:
    """docs/memory.md, where each column is defined."""
    rows = (Path(__file__).parents[2] / "docs" / "memory.md").read_text()
    for part, one in DEFINITIONS.items():
        assert f"| {part.value} | {one.letter} | {one.meaning} | {one.formula} | {one.source} |" in rows
    assert f"**swap**: {SWAP.meaning} ({SWAP.formula}, {SWAP.source})" in rows.replace("\n  ", " ")


def test_processes_are_listed_and_those_that_have_ended_are_not(child: int) -> None:
    from wpod.sampling.process_list import ProcessList

    known = ProcessList()
    own, other = known.rows([os.getpid(), child])
    assert own.pid == other.parent == os.getpid()
    assert own.resident > 1 << 20
    assert own.command
    assert abs(own.started_nanoseconds - time.time_ns()) < 86_400 * 10**9
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert [row.pid for row in known.rows([os.getpid(), child])] == [os.getpid()]


def test_a_meter_is_started_where_it_is_worth_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    libexec = tmp_path / "libexec"
    libexec.mkdir()
    (libexec / "wpod-meter").write_text('#!/bin/sh\necho "keeper 7 8 9 10"\n')
    (libexec / "wpod-meter").chmod(0o755)
    containers = tmp_path / "containers"
    assert ahead.begin(str(containers)) is None
    for number in range(20):
        (containers / str(number)).mkdir(parents=True)
    monkeypatch.setenv("WPOD_LIBEXEC_DIR", str(tmp_path / "none"))
    assert ahead.begin(str(containers)) is None
    monkeypatch.setenv("WPOD_LIBEXEC_DIR", str(libexec))
    assert ahead.begin(str(containers), 3) is None
    descriptors = len(os.listdir("/proc/self/fd"))
    meter = ahead.begin(str(containers))
    assert meter is not None
    assert meter.collect().shares == {(7, 8): (9, 10)}
    assert len(os.listdir("/proc/self/fd")) == descriptors
