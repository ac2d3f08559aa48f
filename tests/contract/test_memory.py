"""Guests with known allocations, and what `stats` says of them: each column, and their sum."""

from __future__ import annotations

import csv
import io
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import conftest as base
from tests.contract.conftest import Subject
from tests.support import leftovers
from tests.support.breakdown import grew, memories, unchanged
from tests.support.command import Result, eventually
from tests.support.images import ImageSource
from wpod.output import sizes

pytestmark = pytest.mark.own
_KIB = 1024
_SIZE = 8192


@pytest.fixture
def load(
    subject: Subject, load_sources: dict[str, ImageSource], archives: base.Archives
) -> Iterator[Callable[..., str]]:
    """Starts a guest with these allocations, by its name; it is there when they are made."""
    image = load_sources[subject.kind]
    base.load(subject.wpod, archives, image)

    # All by one engine: the first ones would be interpreted while the compiler is at it, with more memory of their own.
    engine = ("--wasm-aot=require",) if subject.is_wasm else ()

    def started(name: str, *allocations: str, options: tuple[str, ...] = ()) -> str:
        subject.wpod("run", "-d", "--name", name, *engine, *options, image.name, *allocations).ok()
        eventually(lambda: subject.wpod("logs", name).ok().out.startswith("ready"))
        return name

    yield started
    subject.wpod("rm", "--force", "--all", "--time", "0").ok()


def _stats(subject: Subject, *names: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = subject.wpod("stats", "--no-stream", "--format", "json", *names).ok().json
    return found


def _memories(subject: Subject, *names: str) -> list[dict[str, int | None]]:
    """The parts of containers out of one look, for what is shared changes with each that comes and goes.

    Containers of other tests have the same files mapped: one that comes or goes between two readings of the look makes
    them differ, so it is a look beside which another one told the same.
    """
    looks = [memories(_stats(subject, *names))]

    def agree() -> bool:
        looks.append(memories(_stats(subject, *names)))
        return looks[-1] == looks[-2]

    eventually(agree)
    return [looks[-1][name] for name in names]


def test_touched_memory_is_own_or_linear_and_reserved_memory_is_nothing(
    subject: Subject, load: Callable[..., str]
) -> None:
    names = (
        load("without"), load("touched", "anonymous", str(_SIZE)), load("reserved", "reserve", str(_SIZE)),
    )  # fmt: skip
    without, touched, reserved = _memories(subject, *names)
    part = "linear" if subject.is_wasm else "own"
    grew(touched, without, part, _SIZE)
    unchanged(touched, without, part)
    unchanged(reserved, without)
    if subject.is_wasm:
        for memory in (touched, reserved):
            grew(memory, without, "linear_size", _SIZE)
    else:
        assert without["linear"] is None
        assert without["linear_size"] is None


@pytest.mark.native
def test_shared_memory_is_counted_once(subject: Subject, load: Callable[..., str]) -> None:
    """Two processes of the container have it mapped."""
    without, shared = _memories(subject, load("without"), load("shared", "shared", str(_SIZE)))
    grew(shared, without, "shared", _SIZE)
    (document,) = _stats(subject, "shared")
    assert document["wpod"]["tasks"] == 2
    assert document["pids"] == "2"


@pytest.mark.native
def test_cache_and_sockets_are_told_with_a_cgroup(subject: Subject, load: Callable[..., str]) -> None:
    if not subject.is_root:
        return  # no cgroup can be had here; the machine with systemd has that case
    load("first")  # the image's files are read, and charged to no container's cgroup
    limit = ("--memory", "64m")
    load("sockets", "sockets", "4096", options=limit)
    held, pairs = subject.wpod("logs", "sockets").ok().out.split()[1:]
    assert int(held) > 4096
    load("cached", "cache", "/tmp/file", str(_SIZE), options=limit)
    load("without", "pairs", pairs, options=limit)
    without, cached, sockets = _memories(subject, "without", "cached", "sockets")
    grew(cached, without, "cache", _SIZE)
    unchanged(cached, without, "cache")
    grew(sockets, without, "kernel", int(held))
    unchanged(sockets, without, "kernel")


def test_without_a_cgroup_the_cache_is_unknown_and_not_0(subject: Subject, load: Callable[..., str]) -> None:
    (memory,) = _memories(subject, load("one"))
    assert memory["cache"] is None
    row = subject.wpod("stats", "--no-stream", "--format", "{{.Cache}} {{.LimitPerc}}", "one").ok().line
    assert row == "- -"


def test_growth_is_seen_by_a_sampler_that_goes_on(subject: Subject, load: Callable[..., str]) -> None:
    """One `stats` that streams sees each step, and the end."""
    volume = subject.wpod.account.directory(subject.wpod.scratch / f"steps-{subject.kind}")
    load("growing", "step", "/steps/step", options=("-v", f"{volume}:/steps"))
    process = subject.wpod.start("stats", "--interval", "1", "--output", "csv", "growing")
    time.sleep(1.5)
    for _ in range(3):
        (volume / "step").touch()
        subject.wpod.account.own(volume / "step")
        eventually(lambda: not (volume / "step").exists())
    time.sleep(2.5)
    subject.wpod("rm", "--force", "--time", "0", "growing").ok()
    rows = _rows(subject.wpod.finish(process, ("stats",)).ok())
    part = "linear" if subject.is_wasm else "own"
    amounts = [int(row[part]) for row in rows if row["status"] == "running" and row[part]]
    assert abs(amounts[-1] - amounts[0] - (3 << 20)) <= 64 * _KIB
    assert amounts == sorted(amounts)


def _rows(result: Result) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(result.out)))


def test_a_limit_is_told_with_what_it_counts(subject: Subject, load: Callable[..., str]) -> None:
    if not (subject.is_wasm or subject.is_root):
        return
    load("limited", "anonymous", str(_SIZE), options=("--memory", "32m"))
    (document,) = _stats(subject, "limited")
    limits = {one["kind"]: one for one in document["wpod"]["limits"]}
    assert set(limits) == {
        *(["guest pages"] if subject.is_wasm else []),
        *(["cgroup"] if subject.is_root else []),
    }
    for one in limits.values():
        assert _SIZE * _KIB <= one["used"] < one["allowed"] <= 32 << 20
    assert document["mem_usage"].split(" / ")[1] in ("33.55MB", "32.51MB")
    assert 20 < float(document["mem_percent"].rstrip("%")) < 60


def test_restarts_and_ends_are_followed(subject: Subject, load: Callable[..., str]) -> None:
    load("one", "anonymous", str(_SIZE))
    process = subject.wpod.start("stats", "--all", "--interval", "1", "--output", "csv")
    time.sleep(1.2)
    subject.wpod("restart", "--time", "0", "one").ok()
    time.sleep(1.2)
    subject.wpod("stop", "--time", "0", "one").ok()
    eventually(lambda: subject.wpod("ps", "-aq", "--filter", "status=exited").out)
    time.sleep(2.2)
    process.terminate()
    result = subject.wpod.finish(process, ("stats",))
    rows = [row for row in _rows(result) if row["name"] == "one"]
    part = "linear" if subject.is_wasm else "own"
    running = [int(row[part]) for row in rows if row["status"] == "running" and row[part]]
    assert max(running) >= _SIZE * _KIB
    assert rows[-1]["status"] == "exited"
    assert rows[-1][part] == ""
    assert rows[-1]["tasks"] == ""


def test_what_is_not_running_has_zeros_as_podman_shows_it(subject: Subject) -> None:
    subject.wpod("create", "--name", "still", subject.image, "idle").ok()
    assert subject.wpod("stats", "--no-stream", "--format", "{{.Name}}").ok().out == ""
    shown = "{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.MemPerc}} {{.NetIO}} {{.PIDS}} {{.UpTime}}"
    for which in ("--all", "--latest", "still"):
        line = subject.wpod("stats", "--no-stream", "--format", shown, which).ok().line
        assert line == "still 0.00% 0B / 0B 0.00% 0B / 0B 0 0s"


def test_wrong_words_are_refused(subject: Subject) -> None:
    subject.wpod("stats", "--no-stream", "nobody").fails(125, "nobody")
    subject.wpod("stats", "--all", "--latest").fails(125, "cannot be used together")
    subject.wpod("stats", "--all", "nobody").fails(125, "cannot be used together")
    subject.wpod("stats", "--interval", "0").fails(125, "positive number")
    subject.wpod("stats", "--format", "{{.Nope}}").fails(125, "Nope")
    subject.wpod("stats", "--format", "json", "--output", "csv").fails(125, "together")


def test_openmetrics_holds_the_parts_and_ends(subject: Subject, load: Callable[..., str]) -> None:
    load("one", "anonymous", str(_SIZE))
    (document,) = _stats(subject, "one")
    text = subject.wpod("stats", "--format", "openmetrics").ok().out
    assert text.endswith("\n# EOF\n")
    part = "linear" if subject.is_wasm else "own"
    line = next(line for line in text.splitlines() if 'name="one"' in line and f'part="{part}"' in line)
    assert abs(int(line.split()[-1]) - document["wpod"]["memory"][part]) <= 64 * _KIB
    host = [line.split() for line in text.splitlines() if line.startswith("wpod_host_memory_bytes")]
    amounts = {words[0].split('"')[1]: int(words[1]) for words in host}
    total = int(Path("/proc/meminfo").read_text().split()[1]) * _KIB
    assert sum(amounts.values()) == total
    families = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(set(families)) == len(families)


def test_ps_shows_memory_where_it_is_asked(subject: Subject, load: Callable[..., str]) -> None:
    load("one", "anonymous", str(_SIZE))
    subject.wpod("create", "--name", "still", subject.image, "idle").ok()
    table = subject.wpod("ps", "-a", "--memory", "--sort", "memory").ok().out.splitlines()
    assert table[0].split()[-3:] == ["MEMORY", "LIMIT", "HIT"]
    assert "still" in table[1]
    assert table[1].split()[-1] == "0B"
    assert float(table[2].split()[-1].removesuffix("MB")) > 8
    documents = subject.wpod("ps", "--memory", "--format", "json").ok().json
    assert documents[0]["Wpod"]["MemoryBytes"] > _SIZE * _KIB
    assert "MemoryBytes" not in subject.wpod("ps", "--format", "json").ok().json[0]["Wpod"]


def test_each_has_its_own_row_with_its_own_memory(subject: Subject, load: Callable[..., str]) -> None:
    load("small")
    load("large", "anonymous", str(_SIZE))
    by_name = {one["name"]: one["wpod"]["memory"] for one in _stats(subject)}
    part = "linear" if subject.is_wasm else "own"
    assert by_name["large"][part] - by_name["small"][part] > 7 << 20
    base.close(subject.wpod)
    assert _stats(subject) == []


def test_memory_tells_in_words_and_as_json(subject: Subject, load: Callable[..., str]) -> None:
    for name in ("one", "two"):
        load(name, "anonymous", str(_SIZE))
    text = subject.wpod("memory", "one").ok().out
    assert text.startswith(f"one ({subject.kind}) has ")
    assert "with two" in text
    assert "wpod stop one" in text
    (document,) = subject.wpod("why", "--format", "json", "one").ok().json
    part = "linear" if subject.is_wasm else "own"
    assert document["Memory"][part] >= _SIZE * _KIB
    assert any(document["Id"] != other for file in document["Files"] for other in file["SharedWith"])
    assert all(0 <= file["ShareBytes"] <= file["ResidentBytes"] for file in document["Files"])
    amounts = [one["SavesBytes"] or 0 for one in document["Advice"][:-1]]
    assert amounts == sorted(amounts, reverse=True)
    if subject.is_wasm:
        commands = [one["Command"] for one in document["Advice"]]
        assert any("--scale 2" in command and command.startswith("wpod rm -f ") for command in commands)


def test_memory_of_what_does_not_run_is_an_error(subject: Subject) -> None:
    subject.wpod("create", "--name", "still", subject.image, "idle").ok()
    subject.wpod("memory", "still").fails(125, "still", "wpod start still")
    subject.wpod("memory", "nobody").fails(125, "nobody")


def test_a_limit_that_is_near_is_named_with_a_way_out(subject: Subject, load: Callable[..., str]) -> None:
    if not (subject.is_wasm or subject.is_root):
        return
    load("tight", "anonymous", "20480", options=("--memory", "22m"))
    text = subject.wpod("memory", "tight").ok().out
    assert "of its limit" in text
    assert "--memory 46137344" in text


def _hit(subject: Subject, name: str) -> Any:
    """As `inspect` tells it; `ps` tells the same."""
    hit = subject.wpod("inspect", name).ok().json[0]["Wpod"]["MemoryLimitHit"]
    (row,) = subject.wpod("ps", "-a", "--filter", f"name=^{name}$", "--format", "json").ok().json
    assert row["Wpod"]["MemoryLimitHit"] == hit
    return hit


def _hit_line(subject: Subject) -> str:
    """The column of the table and of a template for the one container that there is."""
    line = subject.wpod("ps", "-a", "--format", "{{.MemoryLimitHit}}").ok().out.removesuffix("\n")
    heading, row = subject.wpod("ps", "-a", "--memory").ok().out.splitlines()
    assert row[heading.index("LIMIT HIT") :] == line
    return line


@pytest.mark.wasm
def test_growth_that_is_refused_is_kept_with_its_pages(
    subject: Subject, load_sources: dict[str, ImageSource], archives: base.Archives
) -> None:
    """The guest ends by itself; what it was refused is told afterwards, and after another start."""
    base.load(subject.wpod, archives, load_sources["wasm"])
    image = load_sources["wasm"].name
    subject.wpod("run", "-d", "--name", "greedy", "--memory", "4m", image, "anonymous", "16384").ok()
    assert subject.wpod("wait", "greedy").ok().line == "3"
    hit = _hit(subject, "greedy")
    assert (hit["Limit"], hit["Killed"], hit["ThisRun"], hit["ExitCode"]) == ("guest pages", False, True, 3)
    assert hit["Times"] >= 1
    assert hit["LimitBytes"] == 3 << 20
    assert hit["UsedBytes"] == hit["GuestPages"] * 65536 <= hit["LimitBytes"]
    assert _hit_line(subject) == f"guest pages 3MiB ({hit['GuestPages']} pages)"
    first = hit["FinishedAt"]
    subject.wpod("start", "greedy").ok()
    assert subject.wpod("wait", "greedy").ok().line == "3"
    again = _hit(subject, "greedy")
    assert again["ThisRun"]
    assert again["FinishedAt"] != first


def test_a_kill_for_want_of_memory_is_kept_across_restarts(subject: Subject, load: Callable[..., str]) -> None:
    """Files in a tmpfs count for the cgroup and not for a wasm guest's own limit, which refuses nothing then.

    A native one's monitor stores the kill. A wasm one has nobody who could: its cgroup tells of it until something
    takes that away, which stores it then.
    """
    if not subject.is_root:
        return  # no cgroup can be had here
    volume = subject.wpod.account.directory(subject.wpod.scratch / f"steps-of-the-killed-{subject.kind}")
    load(
        "killed", "anonymous", "3072", "cache", "/tmp/file", "3072", "step", "/steps/step",
        options=("--memory", "8m", "--tmpfs", "/tmp", "-v", f"{volume}:/steps"),
    )  # fmt: skip
    assert _hit(subject, "killed") is None
    assert _hit_line(subject) == ""

    def step() -> bool:
        (volume / "step").touch()
        return subject.wpod("inspect", "--format", "{{.State.Running}}", "killed").ok().line == "false"

    eventually(step)
    hit = _hit(subject, "killed")
    assert (hit["Limit"], hit["Killed"], hit["ThisRun"], hit["ExitCode"]) == ("cgroup", True, True, 137)
    assert hit["LimitBytes"] == 8 << 20
    assert 7 << 20 < hit["UsedBytes"] <= 8 << 20
    if subject.is_wasm:
        assert 3 << 20 < hit["GuestPages"] * 65536 <= 7 << 20
        assert hit["Breakdown"] is None
        line = f"cgroup 8MiB ({hit['GuestPages']} pages)"
    else:
        assert hit["GuestPages"] is None
        assert 3 << 20 <= hit["Breakdown"]["AnonymousBytes"] <= 8 << 20
        assert 3 << 20 <= hit["Breakdown"]["FileBytes"] <= 8 << 20
        assert sum(hit["Breakdown"].values()) <= 9 << 20
        parts = [sizes.binary(hit["Breakdown"][f"{name}Bytes"]) for name in ("Anonymous", "File", "Kernel")]
        line = "cgroup 8MiB (anonymous {}, file {}, kernel {})".format(*parts)
    assert _hit_line(subject) == line
    (volume / "step").unlink(missing_ok=True)

    def told() -> str:
        state = subject.wpod.field("killed", "{{.State.OOMKilled}} {{.State.ExitCode}} {{.Wpod.Cause}}")
        shown = subject.wpod("ps", "-a", "--format", "{{.Status}}").ok().line
        return f"{state} {' '.join(shown.split()[:2])}"

    assert told() == "true 137 out_of_memory Exited (137)"
    # a writing command's sweep, and what takes the cgroup away
    for command in (("volume", "prune", "--force"), ("container", "cleanup", "killed")):
        subject.wpod(*command).ok()
        assert _hit(subject, "killed") == hit
        assert told() == "true 137 out_of_memory Exited (137)"
    assert leftovers.cgroups_of([subject.wpod.field("killed", "{{.Id}}")]) == []
    subject.wpod("start", "killed").ok()
    assert _hit(subject, "killed") == {**hit, "ThisRun": False}
    assert _hit_line(subject) == f"earlier run: {line}"
    eventually(step)  # killed again, and started with its cgroup still there
    again = _hit(subject, "killed")
    assert again["ThisRun"]
    (volume / "step").unlink(missing_ok=True)
    subject.wpod("restart", "killed").ok()
    assert _hit(subject, "killed") == {**again, "ThisRun": False}
    assert subject.wpod.field("killed", "{{.State.OOMKilled}}") == "false"
    subject.wpod("rm", "--force", "--time", "0", "killed").ok()


def test_a_kill_by_somebody_else_is_no_want_of_memory(subject: Subject, load: Callable[..., str]) -> None:
    """The keeper's own, with a memory cgroup around it."""
    if not subject.is_root:
        return
    load("killed", "anonymous", "1024", options=("--memory", "16m"))
    state = subject.wpod("inspect", "killed").ok().json[0]["State"]
    for pid in {state["Pid"], state["ConmonPid"]} - {0}:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: subject.wpod.field("killed", "{{.State.Running}}") == "false")
    for _ in range(2):
        assert subject.wpod.field("killed", "{{.State.OOMKilled}} {{.State.ExitCode}}") == "false 137"
        assert _hit(subject, "killed") is None
        subject.wpod("container", "cleanup", "killed").ok()


def test_an_end_that_is_noted_late_is_told_all_the_same(
    subject: Subject, load: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is gone, its keeper has not written that yet, and nothing comes after it in the database."""
    if not subject.is_root:
        return  # the sampler runs in this process
    from wpod.model.container import Status
    from wpod.queries import containers as queries
    from wpod.sampling.sampler import Sampler
    from wpod.storage.store import open_store

    load("late", "anonymous", "16")
    store = open_store(str(subject.wpod.store))
    sampler = Sampler(store)
    try:
        (before,) = sampler.tick().containers
        assert before.container.observed.state is not None
        os.kill(before.container.observed.state.pid, signal.SIGKILL)
        early = [before.container]
        now = queries.join
        monkeypatch.setattr(queries, "join", lambda *words: early.pop() if early else now(*words))
        eventually(lambda: sampler.tick().containers[0].container.observed.status is Status.EXITED)
        assert not early
    finally:
        sampler.close()
        store.database.close()


def test_containers_that_come_and_go_are_never_mixed_up(subject: Subject, load: Callable[..., str]) -> None:
    """A sampler looks without a pause while containers start and end, one large one among small ones."""
    if not subject.is_root:
        return  # the sampler runs in this process
    from wpod.model.container import Status
    from wpod.sampling.sampler import Sampler
    from wpod.storage.store import open_store

    load("large", "anonymous", str(_SIZE))
    before = len(os.listdir("/proc/self/fd"))
    store = open_store(str(subject.wpod.store))
    sampler = Sampler(store)
    part = "linear" if subject.is_wasm else "own"
    stop = threading.Event()
    churn = threading.Thread(target=_come_and_go, args=(subject, stop))
    churn.start()
    seen: set[str] = set()
    try:
        end = time.monotonic() + 8
        while time.monotonic() < end:
            for one in sampler.tick().containers:
                amount = getattr(one.memory, part)
                if one.container.observed.status is not Status.RUNNING:
                    assert one.memory.total is None
                elif amount is not None:
                    assert (amount > 7 << 20) == (one.name == "large"), one.name
                    seen.add(one.container_id)
    finally:
        stop.set()
        churn.join()
        sampler.close()
        store.database.close()
    assert len(seen) > 3
    assert len(os.listdir("/proc/self/fd")) == before


def _come_and_go(subject: Subject, stop: threading.Event) -> None:
    image = subject.image
    while not stop.is_set():
        subject.wpod("run", "-d", "--name", "small", image, "idle").ok()
        subject.wpod("restart", "--time", "0", "small").ok()
        subject.wpod("kill", "small").ok()
        subject.wpod("rm", "--force", "--time", "0", "small").ok()
        subject.wpod("run", "--rm", image, "line", "gone").ok()
