"""Commands over many containers: together, in the order asked for, each with its own outcome."""

from __future__ import annotations

import pytest

from tests.contract.conftest import Subject
from tests.support.command import eventually

_MORE_THAN_A_GROUP = 40  # operations/remove.py forgets 32 by one transaction


def scaled(subject: Subject, count: int, *options: str) -> list[str]:
    return subject.wpod("run", "-d", "--scale", str(count), *options, subject.image, "idle").ok().out.splitlines()


@pytest.mark.own
def test_who_ignores_his_signal_holds_up_nobody(subject: Subject) -> None:
    wpod = subject.wpod
    stubborn = subject.detached(("--name", "stubborn", "--stop-signal", "CONT"), "spin")
    subject.detached(("--name", "ready", "--stop-signal", "KILL"), "idle")
    arguments = ("stop", "--time", "-1", "stubborn", "ready")
    stopping = wpod.start(*arguments)
    eventually(lambda: wpod.field("ready", "{{.State.Status}}") == "exited")
    assert stopping.poll() is None  # it waits for the other one, for ever
    assert wpod.field(stubborn, "{{.State.Status}}") == "running"
    wpod("kill", "stubborn").ok()
    assert wpod.finish(stopping, arguments).ok().out == "stubborn\nready\n"


@pytest.mark.own
def test_all_whose_time_is_up_are_killed(subject: Subject) -> None:
    """Those who may take longer are no hindrance where they stand before."""
    wpod = subject.wpod
    names = {"patient": "3600", "short": "1", "none": "0"}
    for name, seconds in names.items():
        subject.detached(("--name", name, "--stop-signal", "CONT", "--stop-timeout", seconds), "spin")
    arguments = ("stop", *names)
    stopping = wpod.start(*arguments)
    for name in ("none", "short"):
        eventually(lambda name=name: wpod.field(name, "{{.State.Status}}") == "exited")  # type: ignore[misc]
        assert wpod.field(name, "{{.State.ExitCode}}") == "137"
    assert stopping.poll() is None
    wpod("kill", "patient").ok()
    assert wpod.finish(stopping, arguments).ok().out.split() == list(names)


@pytest.mark.own
def test_what_cannot_be_removed_holds_up_nobody(subject: Subject) -> None:
    wpod = subject.wpod
    found = scaled(subject, _MORE_THAN_A_GROUP, "--name", "web", "-v", "/own")
    wpod("stop", "--all", "--time", "0").ok()
    wpod("start", "web-3", "web-38").ok()
    done = wpod("rm", "--volumes", *found[:20], "missing", found[0], *found[20:])
    assert done.status == 2, done.explain()
    running = {wpod.field(name, "{{.Id}}") for name in ("web-3", "web-38")}
    assert done.out.split() == [name for name in found if name not in running]
    for word in ("web-3", "web-38", "missing", found[0]):
        assert word in done.err
    assert set(wpod("ps", "--all", "--no-trunc", "--quiet").ok().out.split()) == running
    assert len(wpod("volume", "ls", "--quiet").ok().out.split()) == len(running)
    again = wpod("rm", "--force", "--all", "--volumes", "--time", "0").ok()
    assert set(again.out.split()) == running
    assert wpod("ps", "--all", "--quiet").ok().out == wpod("volume", "ls", "--quiet").ok().out == ""
    assert list((wpod.store / "containers").iterdir()) == list((wpod.store / "volumes").iterdir()) == []


@pytest.mark.own
def test_listing_while_all_are_removed(subject: Subject) -> None:
    """Whoever asks meanwhile gets whole answers: a container is there, or it isn't."""
    wpod = subject.wpod
    known = set(scaled(subject, _MORE_THAN_A_GROUP, "--name", "web"))
    arguments = ("rm", "--force", "--all", "--time", "0")
    removing = wpod.start(*arguments)
    ended = False
    while not ended:
        ended = removing.poll() is not None
        done = wpod("ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.State}}").ok()
        assert done.stderr == b""
        rows = [line.split() for line in done.out.splitlines()]
        assert {row[0] for row in rows} <= known
        assert {row[1] for row in rows} <= {"Up", "Exited", "Created"}, done.out
    assert set(wpod.finish(removing, arguments).ok().out.split()) == known
    assert rows == []


@pytest.mark.own
def test_two_who_remove_the_same_in_opposite_orders(subject: Subject) -> None:
    """Neither waits for a lock while it holds another one's: both end, and each container is removed once."""
    wpod = subject.wpod
    found = scaled(subject, _MORE_THAN_A_GROUP)
    orders = [("rm", "--force", "--time", "0", *names) for names in (found, found[::-1])]
    removals = [wpod.start(*arguments) for arguments in orders]
    done = [wpod.finish(process, arguments).ok() for process, arguments in zip(removals, orders, strict=True)]
    assert sorted(done[0].out.split() + done[1].out.split()) == sorted(found)
    assert wpod("ps", "--all", "--quiet").ok().out == ""
