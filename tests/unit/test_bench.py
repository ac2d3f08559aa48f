"""What the benchmarks compute from what they read: ratios, sums of counters, verdicts."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bench import (
    comparison,
    contestants,
    empty_cgroups,
    figures,
    guard,
    kernels,
    memory,
    network_load,
    network_peers,
    network_requests,
    os_memory,
    paired,
    plots,
    report,
    scale2000,
    shared_code,
)
from bench.commands import CommandFailed
from bench.figures import Figure, Section, Verdict
from bench.guard import Judgement, Outcome, Reading
from bench.managers import Started
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


def test_helpers_of_all_do_not_make_a_reading_doubtful() -> None:
    cost = os_memory.Cost(50, {}, 0.0, processes=102, ended_meanwhile=0, start_milliseconds=1.0, helpers=2)
    assert cost.doubt == ""
    assert "103 processes" in replace(cost, processes=103).doubt


def test_what_wrk_tells() -> None:
    output = "  Latency Distribution\n     50%  173.00us\n     75%    2.18ms\nRequests/sec:   9747.79\n"
    assert network_requests.told(output) == (pytest.approx(173e-6), 9747.79)
    with pytest.raises(CommandFailed, match="Socket errors: connect 0, read 3"):
        network_requests.told(f"{output}  Socket errors: connect 0, read 3, write 0, timeout 0\n")
    with pytest.raises(CommandFailed, match="unable to connect"):
        network_requests.told("unable to connect to 127.0.0.1:1 Connection refused")


def test_what_changes_left_is_told_by_its_sort() -> None:
    before = {"lease": ["a"], "rule": ["one", "two"]}
    assert network_load.differences(before, before) == []
    after = {"lease": ["a", "b"], "rule": ["two"]}
    assert network_load.differences(before, after) == ["lease left: b", "rule gone: one"]


def test_each_way_to_publish_has_its_own_ports() -> None:
    labels = (network_peers.WPOD, network_peers.WASM, network_peers.SLIRP, network_peers.PASTA)
    ports = {network_peers.port_of(label, number) for label in labels for number in range(-5, 400)}
    assert len(ports) == 4 * 405


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


def _sample(kilobytes: float, doubt: int = 0) -> comparison.Sample:
    cost = os_memory.Cost(10, {"AnonPages": kilobytes}, 1.0, 10, doubt, 5.0)
    return comparison.Sample(cost, (Started(0.1, 0.2), Started(0.3, 0.6)))


def test_start_up_is_the_time_of_all_over_their_number() -> None:
    assert _sample(1).command_milliseconds == pytest.approx(40)
    assert _sample(1).line_milliseconds == pytest.approx(80)


def test_a_comparison_shows_the_spread_and_leaves_out_what_others_disturbed() -> None:
    samples = {("wpod wasm", 10): [_sample(180), _sample(500, doubt=1), _sample(190)]}
    section = comparison.section_of("comparison", "Title", samples, [])
    memory = section.figures[0]
    assert (memory.name, memory.value, memory.low, memory.high) == ("wpod wasm, 10: memory", 185, 180, 190)
    assert not memory.note
    assert "| wpod wasm | 185 (180 – 190) |" in figures.as_markdown(section)
    doubtful = comparison.section_of("comparison", "Title", {("a", 10): [_sample(500, doubt=1)]}, [])
    assert doubtful.figures[0].note.startswith("doubtful: 1 other")


def test_a_contestant_that_fails_is_named_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def sample_of(contestant: contestants.Contestant, count: int) -> comparison.Sample:
        if (contestant.label, count) == ("b", 5):
            raise CommandFailed("too many")
        return _sample(count)

    monkeypatch.setattr(comparison, "sample_of", sample_of)
    both = [contestants.Contestant(label, lambda _number: Started(0, 0), str) for label in "ab"]
    skipped: list[str] = []
    samples = comparison.take(both, {5: 2, 6: 1}, 2, skipped)
    assert {key: len(row) for key, row in samples.items()} == {("a", 5): 2, ("a", 6): 1}
    assert skipped == ["b with 5: too many"]


def test_a_slow_contestant_takes_one_turn_with_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "sample_of", lambda contestant, count: _sample(count))
    quick = contestants.Contestant("quick", lambda _number: Started(0, 0), str)
    samples = comparison.take([quick, replace(quick, label="slow", slow=True)], {10: 2, 400: 2}, 5, [])
    assert {key: len(row) for key, row in samples.items()} == {
        ("quick", 10): 2, ("slow", 10): 2, ("quick", 400): 2, ("slow", 400): 1,
    }  # fmt: skip


def test_processes_of_a_daemon_and_of_two_kinds_are_no_doubt() -> None:
    cost = os_memory.Cost(10, {}, 0, 21, 0, 1, daemon_processes=1)
    assert not cost.doubt
    assert replace(cost, daemon_processes=0).doubt
    assert not os_memory.Cost(10, {}, 0, 15, 0, 1, kinds=2).doubt
    assert os_memory.Cost(10, {}, 0, 16, 0, 1, kinds=2).doubt == "16 processes began for 10 containers"


def test_one_command_starts_all_and_a_daemon_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([dict.fromkeys(os_memory.COUNTERS, value) for value in (1000, 1100, 1500)])
    monkeypatch.setattr(os_memory, "_read_counters", lambda: next(readings))
    known = iter([{1}, {1, 2}, {1, 2, 3, 4}])
    monkeypatch.setattr(os_memory, "_processes", lambda: next(known))
    monkeypatch.setattr(os_memory, "_wait_until_gone", lambda pids: None)
    started: list[int] = []
    removed: list[int] = []
    load = Load(
        2, started.append, removed.append, 0, starts=os_memory.Starts.AT_ONCE, surroundings=contextlib.nullcontext
    )
    cost = os_memory.measure(load)
    assert (started, removed) == ([2], [2])
    assert (cost.total, cost.daemon_kB, cost.processes, cost.doubt) == (7 * 500 / 2, 700, 3, "")


_CGROUPS_OF_OTHERS = "4:memory:/session\n3:cpu,cpuacct:/\n0::/\n"
_CGROUPS_OF_ONE = "4:memory:/wpod/abc\n3:cpu,cpuacct:/wpod/abc\n0::/\n"
_MOUNTS = """\
30 25 0:26 / /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup rw,memory
31 25 0:27 / /sys/fs/cgroup/cpu rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
32 25 0:28 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw
"""


def test_cgroups_that_a_container_has_for_itself() -> None:
    own = empty_cgroups.parse_own(_CGROUPS_OF_ONE, _CGROUPS_OF_OTHERS)
    assert own == {"memory": "/wpod/abc", "cpu,cpuacct": "/wpod/abc"}
    points = empty_cgroups.parse_mounts(_MOUNTS)
    assert (points["memory"], points["cpu"], points[""]) == (
        "/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/unified",
    )  # fmt: skip


def test_flat_is_the_cost_among_the_most_over_that_among_some() -> None:
    samples = {("wpod wasm", count): [_sample(kilobytes)] for count, kilobytes in ((10, 300), (100, 200), (2000, 210))}
    found = comparison.section_of("scale2000", "Title", samples, []).figures
    (flat,) = scale2000.flatness(found, samples)
    assert flat.name == "wpod wasm: among 2000 to among 100"
    assert (flat.value, flat.verdict) == (pytest.approx(1.05), Verdict.REACHED)


def test_the_first_run_and_disturbed_ones_do_not_count() -> None:
    assert memory.calm_of([_sample(9), _sample(1), _sample(500, doubt=2), _sample(3)]) == [1, 3]


_KEY = ("start", "run -d")


@pytest.mark.parametrize(
    ("now", "outcome"),
    [(0.55, Outcome.KEPT), (0.56, Outcome.GREW), (0.2, Outcome.KEPT), (None, Outcome.UNMEASURED)],
)
def test_a_ratio_grew_beyond_the_recorded_spread_and_a_tolerance(now: float | None, outcome: Outcome) -> None:
    recorded = {_KEY: Reading(0.5, 0.4, 0.501)}
    measured = {} if now is None else {_KEY: Reading(now, now - 0.3, now + 0.3)}
    (judgement,) = guard.judge(recorded, measured, {_KEY: 0.1})
    assert judgement.outcome is outcome
    assert judgement.limit == pytest.approx(0.551)


def test_what_was_never_recorded_is_not_judged() -> None:
    (judgement,) = guard.judge({}, {_KEY: Reading(9, 9, 9)}, {_KEY: 0.1})
    assert judgement.outcome is Outcome.UNRECORDED
    assert guard.status_of([judgement]) == 2


def test_one_that_grew_decides_the_exit_status() -> None:
    kept, grew = Judgement(_KEY, Outcome.KEPT), Judgement(("kernels", "mean"), Outcome.GREW)
    assert guard.status_of([kept]) == 0
    assert guard.status_of([kept, grew]) == 1
    assert guard.grown_sections([kept, grew]) == {"kernels"}
    assert guard.status_of([Judgement(_KEY, Outcome.UNMEASURED)]) == 2


def test_of_two_measurements_the_lesser_counts() -> None:
    first, second = Reading(2, 1, 3), Reading(1.5, 1, 2)
    assert guard.lesser({_KEY: first}, {_KEY: second}) == {_KEY: second}
    assert guard.lesser({_KEY: second}, {_KEY: first}) == {_KEY: second}


def test_the_guard_reads_what_a_run_writes() -> None:
    samples = {("wpod native", 100): [_sample(470), _sample(474)], ("crun native", 100): [_sample(350), _sample(354)]}
    section = comparison.section_of("comparison", "Title", samples, [])
    found = guard.readings({"comparison": section.as_json()["figures"]})
    assert found["comparison", "wpod native, 100: memory"] == Reading(472, 470, 474)
    assert found["comparison", guard.OWN_PART] == Reading(120, 116, 124)


def test_every_guarded_figure_is_measured_by_its_benchmark() -> None:
    """By name: comparison and start have lists of their own, kernels its means."""
    labels = {label for label, _ in contestants.DENSE}
    for section, name in guard.TOLERANCES:
        if section == "comparison" and name != guard.OWN_PART:
            assert name.partition(",")[0] in labels
    assert {"wpod native", "crun native"} <= labels


def test_rows_of_numbers_take_one_line_of_json() -> None:
    document = {"a": [1, 2.5, -3], "b": ["x", "y"], "c": [], "d": [{"e": [4]}]}
    text = report.as_json(document)
    assert '"a": [1, 2.5, -3]' in text
    assert json.loads(text) == document


MACHINE = {"processor": "X", "cores": 2, "load_average": 0.1, "versions": {"wpod": "1", "podman": "4"}}


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a whole run of two benchmarks has left."""
    sections = [Section(name, name.title(), (Figure("time", 5, "ms"),)) for name in ("start", "many")]
    document = {
        "schema_version": 1, "taken": "2026-01-02T03:04:05+00:00", "scale": "full", "machine": MACHINE,
        "sections": {section.name: section.as_json() for section in sections}, "failures": {"many": "once"},
    }  # fmt: skip
    (tmp_path / "latest.json").write_text(json.dumps(document))
    (tmp_path / "latest.md").write_text("# Figures\n\n" + "\n".join(map(figures.as_markdown, sections)))
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    monkeypatch.setattr(report, "draw", lambda _: ([], "not drawn"))
    monkeypatch.setattr(report, "write_readme", lambda _: None)
    monkeypatch.setattr(report, "_interpreter", lambda: "python")
    return tmp_path


@pytest.mark.parametrize("name", ["start", "many"])
def test_one_benchmark_is_recorded_beside_the_others(name: str, recorded: Path) -> None:
    before = json.loads((recorded / "latest.json").read_text())
    other = next(iter({"start", "many"} - {name}))
    for taken in ("2026-02-02T00:00:00+00:00", "2026-03-03T00:00:00+00:00"):
        section = Section(name, name.title(), (Figure("time", 4, "ms"),))
        document = {"taken": taken, "sections": {name: section.as_json()}}
        assert report.record(document, [section]) == ["not drawn"]
        after = json.loads((recorded / "latest.json").read_text())
        assert after["sections"][name] == {"taken": taken, **section.as_json()}
        assert after["sections"][other] == before["sections"][other]
        assert (after["taken"], list(after["sections"])) == (before["taken"], ["start", "many"])
        assert after["failures"] == {key: words for key, words in before["failures"].items() if key != name}
        text = (recorded / "latest.md").read_text()
        for part in ("# Figures\n\n## Start\n\n", "## Many\n\n", "5 ms", "4 ms"):
            assert text.count(part) == 1, part
        assert text.count("Taken") == text.count(f"## {name.title()}\n\nTaken {taken}, after the others.\n\n| ") == 1


def test_a_benchmark_without_a_place_is_the_last() -> None:
    section = Section("screen", "Screen", (Figure("time", 4, "ms"),))
    assert report.with_block("# Figures\n\n## Start\n\nx\n", section, "now").startswith(
        "# Figures\n\n## Start\n\nx\n\n## Screen\n\nTaken now, after the others.\n\n| "
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cores": 4}, "cores"),
        ({"versions": {"wpod": "1", "podman": "5"}}, "podman 4 then and 5 now"),
        ({"versions": {"wpod": "1"}}, "podman 4 then and None now"),
    ],
)
def test_figures_of_another_machine_are_not_recorded(change: dict[str, Any], words: str, recorded: Path) -> None:
    report.check_recordable({**MACHINE, "load_average": 0.4, "versions": {"wpod": "2", "podman": "4"}})
    with pytest.raises(report.NotRecordable, match=words):
        report.check_recordable({**MACHINE, **change})
    (recorded / "latest.json").unlink()
    with pytest.raises(report.NotRecordable, match="no whole run"):
        report.check_recordable(MACHINE)


def test_the_readme_has_a_place_for_figures_and_keeps_the_rest() -> None:
    readme = (Path(kernels.__file__).parents[1] / "README.md").read_text()
    written = report.with_section(readme, "| a | b |")
    assert "| a | b |" in written
    assert report.with_section(written, "| c | d |") == report.with_section(readme, "| c | d |")
    assert written.partition("## Figures")[0] == readme.partition("## Figures")[0]
    with pytest.raises(ValueError, match="no place"):
        report.with_section("# Other", "x")


def test_names_in_a_picture_are_moved_apart_and_keep_their_order() -> None:
    assert plots.apart([0.0, 1.0, 3.0], 0.5) == [0.0, 1.0, 3.0]
    moved = plots.apart([1.0, 0.0, 1.1, 1.2], 0.5)
    assert moved == pytest.approx([0.6, 0.0, 1.1, 1.6])
    tight = sorted(plots.apart([0.2, 0.2, 0.2, 0.6], 0.5))
    assert all(after - before >= 0.4999 for before, after in pairwise(tight))


def test_pictures_show_figures_by_contestant_and_number() -> None:
    section = comparison.section_of("comparison", "T", {("a", 100): [_sample(2)], ("a", 10): [_sample(3)]}, [])
    document = {"sections": {"comparison": section.as_json()}}
    assert plots.series_of(document, "comparison", "memory") == {
        "a": [plots.Point(10, 3, 3, 3), plots.Point(100, 2, 2, 2)]
    }
    assert plots.series_of(document, "scale2000", "memory") == {}
