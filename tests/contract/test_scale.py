"""run --scale: several ordinary containers by one command, or none of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.contract.conftest import Subject
from tests.support.command import Wpod, eventually

pytestmark = pytest.mark.own  # podman has no --scale


def names(wpod: Wpod) -> list[str]:
    return sorted(wpod("ps", "--all", "--format", "{{.Names}}").ok().out.split())


def scaled(
    subject: Subject, count: int, *options: str, guest: tuple[str, ...] = ("line", "up", "+", "idle")
) -> list[str]:
    done = subject.wpod("run", "-d", "--scale", str(count), *options, subject.image, *guest).ok()
    return done.out.splitlines()


def test_each_is_a_container_of_its_own(subject: Subject) -> None:
    wpod = subject.wpod
    found = scaled(subject, 4, "--name", "web", "--label", "a=b", "-v", "/own")
    assert names(wpod) == ["web-1", "web-2", "web-3", "web-4"]
    assert [wpod.field(f"web-{number}", "{{.Id}}") for number in range(1, 5)] == found
    assert len({wpod.field(name, "{{.State.Pid}}") for name in found}) == 4
    assert sorted(wpod("ps", "--no-trunc", "--quiet", "--filter", "label=a=b").ok().out.split()) == sorted(found)
    for name in found:
        eventually(lambda name=name: wpod("logs", name).ok().out == "up\n")  # type: ignore[misc]
    assert len(wpod("volume", "ls", "--quiet").ok().out.split()) == 4
    assert wpod("stop", "web-2").ok().line == "web-2"
    assert wpod.field("web-2", "{{.State.Status}} {{.State.ExitCode}}") == "exited 143"
    assert wpod("start", "web-2").ok().line == "web-2"
    eventually(lambda: wpod("logs", "web-2").ok().out == "up\nup\n")
    wpod("kill", "web-3").ok()
    assert wpod("wait", "web-3").ok().line == "137"
    wpod("rm", "--volumes", "web-3").ok()
    assert len(wpod("ps", "--quiet").ok().out.split()) == 3
    wpod("rm", "--force", "--all", "--volumes", "--time", "0").ok()
    assert names(wpod) == []
    assert wpod("volume", "ls", "--quiet").ok().out == ""


def test_the_exit_status_is_each_one_s_own(subject: Subject) -> None:
    found = scaled(subject, 3, guest=("exit", "7"))
    assert subject.wpod("wait", *found).ok().out == "7\n7\n7\n"
    (base,) = {name.rpartition("-")[0] for name in names(subject.wpod)}
    assert names(subject.wpod) == [f"{base}-{number}" for number in (1, 2, 3)]


def test_with_rm_they_are_gone_when_they_have_ended(subject: Subject) -> None:
    found = scaled(subject, 3, "--rm", "--name", "gone", guest=("exit", "0"))
    assert len(found) == 3
    eventually(lambda: names(subject.wpod) == [])


def test_they_can_replace_those_of_before(subject: Subject) -> None:
    first = scaled(subject, 2, "--name", "web")
    second = scaled(subject, 3, "--replace", "--name", "web")
    assert not set(first) & set(second)
    assert names(subject.wpod) == ["web-1", "web-2", "web-3"]


def test_limits_hold_for_each(subject: Subject) -> None:
    for name in scaled(subject, 2, "--ulimit", "nofile=77:88", "--timeout", "300", "--read-only"):
        pid = subject.wpod.field(name, "{{.State.Pid}}")
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"Max open files +77 +88 ", limits), limits


def test_where_one_cannot_be_made_there_is_none(subject: Subject) -> None:
    wpod = subject.wpod
    wpod("create", "--name", "web-3", subject.image, "idle").ok()
    wpod("run", "-d", "--scale", "4", "--name", "web", "-v", "/own", subject.image, "idle").fails(
        125, "web-3", "in use"
    )
    assert names(wpod) == ["web-3"]
    assert wpod("volume", "ls", "--quiet").ok().out == ""


def test_where_the_guest_cannot_be_started_there_is_none(subject: Subject) -> None:
    wpod = subject.wpod
    wpod("run", "-d", "--scale", "3", "--entrypoint", "/missing", subject.image).fails(127, "/missing")
    wpod("run", "-d", "--scale", "3", "-w", "/missing", subject.image).fails(126, "/missing")
    assert names(wpod) == []


@pytest.mark.wasm
def test_a_module_that_is_refused_is_refused_once(subject: Subject) -> None:
    done = subject.wpod(
        "run", "-d", "--scale", "3", "--name", "x", "--wasm-aot=off", "--memory", "1100k", subject.image, "idle"
    )
    done.fails(126, "memory")
    assert done.stdout == b""
    assert names(subject.wpod) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-d", "--scale", "0"), ("--scale", "from 1")),
        (("-d", "--scale", "-1"), ("--scale", "from 1")),
        (("-d", "--scale", "many"), ("--scale", "whole number")),
        (("-d", "--scale", "100001"), ("--scale", "100000")),
        (("--scale", "2"), ("--scale", "--detach")),
        (("-d", "--scale", "2", "--cidfile", "ids"), ("--scale", "--cidfile")),
        (("-d", "--scale", "2", "--name", "a b"), ("name",)),
    ],
)
def test_what_makes_no_sense_is_refused(subject: Subject, options: tuple[str, ...], words: tuple[str, ...]) -> None:
    subject.wpod("run", *options, subject.image, "idle").fails(125, *words)
    assert names(subject.wpod) == []


def test_one_is_a_scale_too(subject: Subject) -> None:
    assert len(scaled(subject, 1, "--name", "only")) == 1
    assert names(subject.wpod) == ["only-1"]
