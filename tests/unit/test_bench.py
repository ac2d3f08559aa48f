"""What the benchmarks compute from what they read: ratios, sums of counters, verdicts."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import figures, kernels, os_memory, paired, shared_code
from bench.commands import CommandFailed
from bench.figures import Figure, Section, Verdict
from bench.os_memory import Load
from bench.paired import Contestant
from bench.workplace import Workplace

_MEMINFO = """\
MemTotal:       25276510 kB
AnonPages:           100 kB
Shmem:                 7 kB
KReclaimable:       9999 kB
SReclaimable:         30 kB
SUnreclaim:           20 kB
KernelStack:           5 kB
PageTables:           40 kB
Percpu:                6 kB
HugePages_Total:       0
"""
_ROLLUP = "00400000-7fff0000 ---p 00000000 00:00 0 [rollup]\nPss:  90 kB\nPss_Anon:  50 kB\nPss_File:  33 kB\n"
_SMAPS = """\
00400000-00500000 r-xp 00001000 fe:00 1                          /libexec/runner
Size:               1024 kB
Rss:                1000 kB
Pss:                 500 kB
7f0000000000-7f0000010000 r--p 00000000 fe:00 2                  /store/code
Rss:                  64 kB
7f0000010000-7f0000210000 r-xp 00010000 fe:00 2                  /store/code
Size:               2048 kB
Rss:                 800 kB
Pss:                 400 kB
Private_Dirty:         8 kB
Anonymous:             4 kB
7ffe00000000-7ffe00002000 r-xp 00000000 00:00 0                  [vdso]
Rss:                   4 kB
"""


def test_turns_alternate_and_those_of_the_warm_up_do_not_count() -> None:
    calls: list[tuple[str, int]] = []

    def contestant(name: str) -> Contestant:
        def measure(turn: int) -> float:
            calls.append((name, turn))
            return float(turn)

        return Contestant(name, measure)

    times = paired.alternate([contestant("a"), contestant("b")], turns=2, warm_up=1)
    assert calls == [("a", -1), ("b", -1), ("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert times == {"a": [0.0, 1.0], "b": [0.0, 1.0]}


def test_a_ratio_is_that_of_the_medians_and_sure_where_every_turn_agrees() -> None:
    assert paired.ratio([2.0, 20.0, 6.0], [1.0, 10.0, 3.0]) == paired.Ratio(2.0, 2.0, 2.0)
    unsure = paired.ratio([1.0, 2.0, 9.0, 2.0], [1.0, 1.0, 1.0, 2.0])
    assert unsure.low < unsure.value == 2.0 < unsure.high
    assert unsure == paired.ratio([1.0, 2.0, 9.0, 2.0], [1.0, 1.0, 1.0, 2.0])


def test_the_mean_of_ratios_is_geometric() -> None:
    assert paired.geometric_mean([([2.0], [1.0]), ([1.0], [2.0])]).value == pytest.approx(1.0)
    with pytest.raises(ValueError):
        paired.geometric_mean([([], [])])


def test_memory_is_the_sum_of_seven_counters() -> None:
    counters = os_memory.parse_counters(_MEMINFO)
    assert sum(counters.values()) == 100 + 7 + 30 + 20 + 5 + 40 + 6
    with pytest.raises(KeyError):
        os_memory.parse_counters(_MEMINFO.replace("Percpu", "Other"))
    assert os_memory.parse_file_pss(_ROLLUP) == 33


def test_memory_is_the_change_over_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([dict.fromkeys(os_memory.COUNTERS, 1000), dict.fromkeys(os_memory.COUNTERS, 1010)])
    monkeypatch.setattr(os_memory, "_read_counters", lambda: next(readings))
    removed: list[int] = []
    cost = os_memory.measure(Load(4, lambda number: number, removed.append, settle_seconds=0))
    assert cost.total == 7 * 10 / 4
    assert removed == [4]


def test_what_was_started_before_a_failure_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os_memory, "_read_counters", dict)
    removed: list[int] = []

    def start(number: int) -> None:
        if number == 2:
            raise CommandFailed("the third one")

    with pytest.raises(CommandFailed, match="the third one"):
        os_memory.measure(Load(5, start, removed.append, settle_seconds=0))
    assert removed == [2]


def test_code_is_the_executable_mappings_of_other_files_than_the_program() -> None:
    found = shared_code.parse_code(_SMAPS, "/libexec/runner")
    assert found == shared_code.Mapping(size=2048, rss=800, pss=400, private_dirty=8, anonymous=4)


def test_a_goal_is_the_most_that_a_figure_may_be() -> None:
    assert Figure("a", 1.3, "x", 1.3).verdict is Verdict.REACHED
    assert Figure("a", 1.31, "x", 1.3).verdict is Verdict.MISSED
    assert Figure("a", 1.31, "x").verdict is Verdict.NONE


def test_tables_show_goals_verdicts_and_skips() -> None:
    section = Section("s", "Title", (Figure("ps", 1.456, "x", 1.3, 1.4, 1.5, "note"),), ("podman is not installed",))
    text = figures.as_text(section)
    assert "ps      1.46 x  1.40 – 1.50  ≤ 1.30  MISSED   note" in text
    assert "skipped: podman is not installed" in text
    markdown = figures.as_markdown(section)
    assert "| ps | 1.46 x | 1.40 – 1.50 | ≤ 1.30 | MISSED | note |" in markdown
    assert "- skipped: podman is not installed" in markdown


def test_the_list_of_kernels_is_fixed() -> None:
    assert kernels.names() == [
        "base64", "bytecode", "chacha20", "collatz", "crc32", "fannkuch", "levenshtein", "life", "mandelbrot",
        "matrix", "nbody", "queens", "quicksort", "sha256", "sieve", "spectral_norm",
    ]  # fmt: skip


def test_a_kernel_that_calls_the_c_library_is_refused(tmp_path: Path) -> None:
    header = Path(kernels.__file__).parent / "kernels" / "kernel.h"
    clearing = "static uint8_t data[9999];\nvoid prepare(void) {}\nuint64_t run(uint32_t work) {\n"
    source = tmp_path / "clears.c"
    source.write_text(f'#define WORK 1\n#include "{header}"\n{clearing}{_CLEARED_BY_A_LOOP}')
    with pytest.raises(CommandFailed, match="memset"):
        kernels.check_alone(Workplace(tmp_path), source)
    source.write_text(source.read_text().replace("data[i] = 0", "data[i] = i & 1"))
    kernels.check_alone(Workplace(tmp_path), source)


_CLEARED_BY_A_LOOP = """\
    for (uint32_t i = 0; i < sizeof data; i++) data[i] = 0;
    return data[work];
}
"""
