"""ps and logs: filters, formats, order, and bytes."""

from __future__ import annotations

import os
import re
import signal
import time
from datetime import datetime, timedelta

import pytest

from tests.contract.conftest import Subject
from tests.support.command import eventually


@pytest.fixture
def three(subject: Subject) -> dict[str, str]:
    """A running, an exited (code 7) and a created container."""
    running = subject.detached(("--name", "up", "--label", "tier=front"), "line", "here", "+", "idle")
    subject.wpod("run", "--name", "down", "--label", "tier=back", subject.image, "exit", "7").exits(7)
    created = subject.wpod("create", "--name", "new", subject.image, "idle").ok().line
    return {"up": running, "down": subject.wpod.field("down", "{{.Id}}"), "new": created}


def _names(subject: Subject, *options: str) -> list[str]:
    return subject.wpod("ps", "--format", "{{.Names}}", *options).ok().out.split()


def test_ps_shows_the_running_and_with_all_the_others(subject: Subject, three: dict[str, str]) -> None:
    assert _names(subject) == ["up"]
    assert sorted(_names(subject, "-a")) == ["down", "new", "up"]


def test_ps_quiet_and_no_trunc(subject: Subject, three: dict[str, str]) -> None:
    assert subject.wpod("ps", "-q").ok().line == three["up"][:12]
    assert subject.wpod("ps", "-q", "--no-trunc").ok().line == three["up"]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (("status=exited",), {"down"}),
        (("status=running",), {"up"}),
        (("status=created", "status=running"), {"new", "up"}),
        (("name=ow",), {"down"}),
        (("label=tier",), {"up", "down"}),
        (("label=tier=front",), {"up"}),
        (("label=tier", "status=exited"), {"down"}),
        (("exited=7",), {"down"}),
        (("name=nothing",), set()),
    ],
)
def test_filters(subject: Subject, three: dict[str, str], filters: tuple[str, ...], names: set[str]) -> None:
    options = [word for one in filters for word in ("--filter", one)]
    assert set(_names(subject, "-a", *options)) == names


def test_filters_by_id_and_ancestor(subject: Subject, three: dict[str, str]) -> None:
    assert _names(subject, "-a", "--filter", f"id={three['new'][:12]}") == ["new"]
    assert set(_names(subject, "-a", "--filter", f"ancestor={subject.image}")) == set(three)
    assert set(_names(subject, "-a", "--filter", "before=down")) == {"up"}
    assert set(_names(subject, "-a", "--filter", "since=down")) == {"new"}


def test_an_unknown_filter_is_refused(subject: Subject) -> None:
    subject.wpod("ps", "--filter", "nonsense=1").fails(125, "nonsense")


@pytest.mark.own  # podman accepts any field while the list is empty
def test_an_unknown_field_is_refused_even_on_an_empty_list(subject: Subject) -> None:
    subject.wpod("ps", "--format", "{{.Nonsense}}").fails(125, "nonsense")


def test_ps_as_json(subject: Subject, three: dict[str, str]) -> None:
    found = {entry["Names"][0]: entry for entry in subject.wpod("ps", "-a", "--format", "json").ok().json}
    assert set(found) == set(three)
    assert found["up"]["Id"] == three["up"]
    assert found["up"]["State"] == "running"
    assert found["down"]["ExitCode"] == 7
    assert found["down"]["Labels"] == {"tier": "back"}
    assert found["up"]["Image"] == subject.image
    assert isinstance(found["up"]["Created"], int)


def test_an_empty_list(subject: Subject) -> None:
    assert subject.wpod("ps", "-a", "--format", "json").ok().json == []
    assert subject.wpod("ps", "-aq").ok().out == ""
    (header,) = subject.wpod("ps", "-a").ok().out.splitlines()
    assert header.split()[:3] == ["CONTAINER", "ID", "IMAGE"]


def test_the_table(subject: Subject, three: dict[str, str]) -> None:
    header, *rows = subject.wpod("ps", "-a").ok().out.splitlines()
    for title in ("CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"):
        assert title in header
    by_name = {row.split()[-1]: row for row in rows}
    assert re.search(r"Exited \(7\) .* ago", by_name["down"])
    assert re.search(r"Up ", by_name["up"])
    assert "Created" in by_name["new"]


def test_sorting(subject: Subject, three: dict[str, str]) -> None:
    assert _names(subject, "-a", "--sort", "names") == ["down", "new", "up"]
    assert _names(subject, "-a", "--sort", "created") == ["up", "down", "new"]


def test_logs_keep_streams_and_bytes(subject: Subject) -> None:
    container = subject.detached((), "line", "é\tx", "+", "err", "oops", "+", "line", "")
    subject.wpod("wait", container).ok()
    result = subject.wpod("logs", container).ok()
    assert (result.stdout, result.stderr) == ("é\tx\n\n".encode(), b"oops\n")


def test_logs_tail(subject: Subject) -> None:
    container = subject.detached((), "lines", "50")
    subject.wpod("wait", container).ok()
    assert subject.wpod("logs", "--tail", "2", container).ok().out == "line 48\nline 49\n"
    assert subject.wpod("logs", "--tail", "0", container).ok().out == ""
    assert len(subject.wpod("logs", "--tail", "-1", container).ok().out.splitlines()) == 50
    assert len(subject.wpod("logs", "--tail", "500", container).ok().out.splitlines()) == 50


def test_logs_with_times(subject: Subject) -> None:
    container = subject.detached((), "line", "stamped")
    subject.wpod("wait", container).ok()
    text = subject.wpod("logs", "-t", container).ok().line
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d) stamped", text)


def test_logs_since(subject: Subject) -> None:
    container = subject.detached((), "line", "early", "+", "sleep", "2200", "+", "line", "late")
    subject.wpod("wait", container).ok()
    stamps = dict(reversed(line.split(" ", 1)) for line in subject.wpod("logs", "-t", container).ok().out.splitlines())
    between = datetime.fromisoformat(re.sub(r"\.\d+", "", stamps["late"])) - timedelta(seconds=1)
    assert subject.wpod("logs", "--since", between.isoformat(), container).ok().out == "late\n"
    assert subject.wpod("logs", "--since", str(int(between.timestamp())), container).ok().out == "late\n"
    assert subject.wpod("logs", "--since", "1h", container).ok().out == "early\nlate\n"
    assert subject.wpod("logs", "--since", str(int(time.time()) + 3600), container).ok().out == ""


def test_logs_follow_ends_with_the_container(subject: Subject) -> None:
    container = subject.detached((), "ticks", "5", "150")
    assert subject.wpod("logs", "-f", container).ok().out == "".join(f"tick {i}\n" for i in range(5))


def test_following_stops_at_ctrl_c(subject: Subject) -> None:
    container = subject.detached((), "line", "here", "+", "idle")
    process = subject.wpod.start("logs", "-f", container)
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    os.killpg(process.pid, signal.SIGINT)
    subject.wpod.finish(process)
    assert subject.wpod.field(container, "{{.State.Status}}") == "running"


def test_logs_of_several_starts_are_all_there(subject: Subject) -> None:
    subject.wpod("run", "--name", "again", subject.image, "line", "once").ok()
    subject.wpod("start", "-a", "again").ok()
    eventually(lambda: subject.wpod("logs", "again").out == "once\nonce\n")


def test_a_bad_since_or_tail_is_refused(subject: Subject) -> None:
    container = subject.wpod("create", subject.image, "idle").ok().line
    subject.wpod("logs", "--since", "not a time", container).fails(125, "not a time")
    subject.wpod("logs", "--tail", "many", container).fails(125, "many")
