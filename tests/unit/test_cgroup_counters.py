"""What is read of a container's own cgroup, on v2 and v1."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wpod.kernel import cgroup, cgroup_counters
from wpod.kernel.cgroup import Hierarchy
from wpod.kernel.cgroup_counters import Directories, MemoryCounters, MemoryKill

_STAT_V2 = """anon 1048576
file 409600
kernel 163840
kernel_stack 16384
pagetables 40960
sec_pagetables 0
percpu 1000
sock 8192
vmalloc 0
shmem 4096
file_mapped 102400
slab 90000
"""


# The rest of a memory cgroup that nobody is in any more, by the file of its events.
_EMPTIED = {
    "memory__events": {"memory__stat": "anon 0\nfile 0\n", "memory__current": "0\n"},
    "memory__oom_control": {"memory__stat": "cache 0\nrss 0\n", "memory__usage_in_bytes": "0\n"},
}


def _files(directory: Path, **contents: str) -> str:
    for name, content in contents.items():
        (directory / name.replace("__", ".")).write_text(content)
    return str(directory)


def test_v2(tmp_path: Path) -> None:
    directory = _files(
        tmp_path, memory__stat=_STAT_V2, memory__current="1630208\n", memory__max="67108864\n",
        memory__events="low 0\noom 1\noom_kill 2\n", cpu__stat="usage_usec 1234\nuser_usec 1000\n", pids__current="3\n",
        memory__pressure="some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    )  # fmt: skip
    kernel = 163840 - 16384 - 40960 + 8192
    assert cgroup_counters.memory(directory) == MemoryCounters(
        1630208, 67108864, None, 409600 - 102400, 409600, kernel, None, 2
    )
    assert cgroup_counters.processor_nanoseconds(directory) == 1_234_000
    assert cgroup_counters.tasks(directory) == 3
    assert cgroup_counters.pressure_text(directory).startswith("some ")


def test_v2_before_linux_5_18_counts_no_whole(tmp_path: Path) -> None:
    stat = _STAT_V2.replace("kernel 163840\n", "")
    directory = _files(tmp_path, memory__stat=stat, memory__current="1630208\n", memory__max="max\n")
    found = cgroup_counters.memory(directory)
    assert found is not None
    assert found.limit is None
    assert found.kernel_beyond == 90000 + 1000 + 8192


def test_v1(tmp_path: Path) -> None:
    directory = _files(
        tmp_path, memory__stat="cache 409600\nrss 1048576\nmapped_file 102400\nswap 4096\n",
        memory__usage_in_bytes="1630208\n", memory__limit_in_bytes="67108864\n",
        memory__kmem__usage_in_bytes="319488\n", memory__kmem__tcp__usage_in_bytes="4096\n",
        memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 0\n",
    )  # fmt: skip
    assert cgroup_counters.memory(directory) == MemoryCounters(
        1630208, 67108864, 4096, 307200, 409600, None, 323584, 0
    )  # fmt: skip
    (tmp_path / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    unlimited = cgroup_counters.memory(directory)
    assert unlimited is not None
    assert unlimited.limit is None


def test_a_cgroup_that_has_gone_tells_nothing(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    assert cgroup_counters.memory(gone) is None
    assert cgroup_counters.tasks(gone) is None
    assert cgroup_counters.processor_nanoseconds(gone) is None
    assert cgroup_counters.pressure_text(gone) == ""
    assert cgroup_counters.memory(_files(tmp_path, memory__stat="nonsense\n")) is None


def test_only_a_container_s_own_cgroup_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "hierarchy", lambda: Hierarchy.V2)
    monkeypatch.setattr(cgroup, "ROOT", str(tmp_path))
    container = "0123456789abcdef" * 4
    scope = f"/system.slice/wpod-{container}-1f.scope"
    (tmp_path / scope[1:]).mkdir(parents=True)
    (tmp_path / scope[1:] / "cgroup.controllers").write_text("memory pids\n")
    place = ""
    monkeypatch.setattr(cgroup, "path_of", lambda _pid: place)
    place = "/user.slice"
    assert cgroup_counters.own_directories(container, os.getpid()) == Directories()
    place = scope
    own = str(tmp_path) + scope
    assert cgroup_counters.own_directories(container, os.getpid()) == Directories(own, "", own)


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ({"memory__events": "oom 3\noom_kill 1\n", "memory__peak": "67100672\n", "memory__max": "67108864\n"},
         MemoryKill(67100672, 67108864)),
        ({"memory__events": "oom 1\noom_kill 1\n", "memory__max": "67108864\n"}, MemoryKill(0, 67108864)),
        ({"memory__events": "oom 0\noom_kill 1\n", "memory__peak": "4096\n", "memory__max": "max\n"},
         MemoryKill(4096, None)),
        ({"memory__events": "max 9\noom 1\noom_kill 0\n", "memory__peak": "67108864\n"}, None),
        ({"memory__oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
          "memory__max_usage_in_bytes": "8388608\n", "memory__limit_in_bytes": "8388608\n"},
         MemoryKill(8388608, 8388608)),
        ({"memory__oom_control": "oom_kill 1\n", "memory__max_usage_in_bytes": "4096\n",
          "memory__limit_in_bytes": "9223372036854771712\n"}, MemoryKill(4096, None)),
        ({"memory__oom_control": "oom_kill_disable 0\nunder_oom 1\n"}, None),  # before Linux 4.13
        ({"pids__current": "0\n"}, None),
    ],
    ids=["v2", "v2 before 5.19", "v2 without a limit", "v2 not killed", "v1", "v1 without a limit", "v1 before 4.13",
         "no memory controller"],
)  # fmt: skip
def test_a_kill_is_told_by_what_is_left_of_the_cgroup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contents: dict[str, str], expected: MemoryKill | None
) -> None:
    container = "0123456789abcdef" * 4
    own = tmp_path / "memory" / container
    own.mkdir(parents=True)
    monkeypatch.setattr(cgroup, "directories", lambda name: (f"{tmp_path}/cpu/{name}", f"{tmp_path}/memory/{name}"))
    _files(own, **_EMPTIED.get(next(iter(contents)), {}), **contents)
    assert cgroup_counters.memory_kill(container) == expected
    assert cgroup_counters.memory_kill(container[::-1]) is None
