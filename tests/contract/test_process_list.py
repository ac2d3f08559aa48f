"""The processes of a container: podman's list, its descriptors, and wpod's columns of memory."""

from __future__ import annotations

import os
import pty
import re
from typing import Any

import pytest

from tests import conftest as base
from tests.contract.conftest import Subject
from tests.support import guests, images
from tests.support.command import eventually

_GO_DURATION = re.compile(r"(\d+h)?(\d+m)?[0-9.]+(s|ms|µs)")


@pytest.fixture
def up(subject: Subject) -> str:
    """A running container."""
    container = subject.detached(("--name", "up"), "line", "up", "+", "idle")
    eventually(lambda: subject.wpod("logs", container).stdout == b"up\n")
    return container


def _top(subject: Subject, *words: str) -> list[list[str]]:
    """The rows as cells, without the header."""
    return [line.split() for line in subject.wpod("top", *words).ok().out.splitlines()[1:]]


def _program(subject: Subject) -> str:
    return "/main.wasm" if subject.is_wasm else "/main"


def test_the_usual_columns(subject: Subject, up: str) -> None:
    header, row = subject.wpod("top", "up").ok().out.splitlines()
    assert header.split() == ["USER", "PID", "PPID", "%CPU", "ELAPSED", "TTY", "TIME", "COMMAND"]
    user, pid, parent, percent, elapsed, terminal, used, *command = row.split()
    assert (user, terminal) == ("root", "?")
    assert command == [_program(subject), "line", "up", "+", "idle"]
    assert float(percent) < 100
    assert _GO_DURATION.fullmatch(elapsed) and _GO_DURATION.fullmatch(used)
    if subject.is_wasm:  # it has no process namespace of its own
        assert pid == subject.wpod.field("up", "{{.State.Pid}}")
    else:
        assert (pid, parent) == ("1", "0")


def test_descriptors_by_words_by_commas_and_by_their_codes(subject: Subject, up: str) -> None:
    first = _top(subject, "up", "pid", "user", "args")
    assert first == _top(subject, "up", "pid,user,args") == _top(subject, "up", "%p", "%U,%a")
    assert first[0][1:3] == ["root", _program(subject)]
    assert subject.wpod("top", "up", "state,nice,pgid,tty").ok().out.split()[:4] == ["STATE", "NI", "PGID", "TTY"]


def test_the_latest(subject: Subject, up: str) -> None:
    assert _top(subject, "--latest", "args") == _top(subject, "up", "args")
    assert _top(subject, "-l", "pid,args") == _top(subject, up, "pid,args")
    assert subject.wpod("container", "top", "up", "args").ok().out == subject.wpod("top", "up", "args").ok().out


def test_the_user_has_the_name_that_the_image_gives(subject: Subject) -> None:
    subject.detached(("--name", "other", "--user", "app"), "idle")
    assert _top(subject, "other", "user,ruser,group") == [["app", "app", "app"]]
    subject.detached(("--name", "nameless", "--user", "4321"), "idle")
    assert _top(subject, "nameless", "user") == [["4321"]]


@pytest.mark.native
def test_processes_of_exec_are_there(subject: Subject, up: str) -> None:
    process = subject.wpod.start("exec", "-u", "app", "up", "/main", "idle")
    eventually(lambda: len(_top(subject, "up", "pid")) == 2)
    eventually(lambda: _top(subject, "up", "args")[1] == ["/main", "idle"])
    first, second = _top(subject, "up", "pid,ppid,user,args")
    assert first == ["1", "0", "root", "/main", "line", "up", "+", "idle"]
    assert int(second[0]) > 1
    assert second[1:] == ["0", "app", "/main", "idle"]
    subject.wpod("rm", "--force", "--time", "0", "up").ok()
    subject.wpod.finish(process)


@pytest.mark.native
def test_the_terminal_of_an_exec(subject: Subject, up: str) -> None:
    main, other = pty.openpty()
    streams = {"stdin": other, "stdout": other, "stderr": other}
    process = subject.wpod.start("exec", "-it", "up", "/main", "cat", **streams)
    os.close(other)
    eventually(lambda: [row[1:] for row in _top(subject, "up", "tty,args")[1:]] == [["/main", "cat"]])
    first, second = _top(subject, "up", "tty")
    assert first == ["?"]
    assert re.fullmatch(r"pts/\d+", second[0])
    os.write(main, b"\x04")
    assert process.wait(30) == 0
    os.close(main)


def test_names_are_those_of_the_root_that_the_guest_has(subject: Subject) -> None:
    """Also where it has written them itself, and where its root can't be written."""
    accounts = "chief:x:0:0::/:\n"
    words = ("write", "/etc/passwd", accounts, "+", "line", "done", "+", "idle")
    subject.detached(("--name", "own", "--user", "0"), *words)
    eventually(lambda: "done" in subject.wpod("logs", "own").out)
    assert subject.wpod("logs", "own").ok().out == "ok\ndone\n"
    assert _top(subject, "own", "user") == [["chief"]]
    subject.detached(("--name", "fixed", "--user", "app", "--read-only"), "idle")
    assert _top(subject, "fixed", "user,group") == [["app", "app"]]


@pytest.mark.own
def test_names_of_a_large_image(subject: Subject, archives: base.Archives) -> None:
    """A wasm guest's root is an overlay then, which nobody but its runner has."""
    source = guests.SOURCES / "probe.c"
    program = guests.wasm_from_c(source) if subject.is_wasm else guests.native_from_c(source)
    more = {"data/large": images.File(b"x" * (2 << 20))}
    image = images.with_program(f"localhost/large-{subject.kind}:latest", program, wasm=subject.is_wasm, more=more)
    base.load(subject.wpod, archives, image)
    subject.wpod("run", "-d", "--name", "large", "--user", "app", image.name, "idle").ok()
    assert _top(subject, "large", "user,group") == [["app", "app"]]


@pytest.mark.native
def test_what_confines_a_process(subject: Subject) -> None:
    subject.detached(("--name", "one", "--cap-drop", "all", "--cap-add", "chown"), "idle")
    (row,) = _top(subject, "one", "seccomp,capeff,capprm,capbnd,capinh,capamb")
    assert row[:4] == ["filter", "CHOWN", "CHOWN", "CHOWN"]
    subject.detached(("--name", "two", "--security-opt", "seccomp=unconfined", "--cap-drop", "all"), "idle")
    assert _top(subject, "two", "seccomp,capeff,capbnd") == [["disabled", "none", "none"]]


@pytest.mark.wasm
def test_what_confines_the_process_of_a_wasm_guest(subject: Subject, up: str) -> None:
    assert _top(subject, "up", "seccomp,capeff,capprm,comm") == [["filter", "none", "none", "wpod-runner"]]


@pytest.mark.own  # podman finds host processes by cgroups, which are hidden from it here
def test_numbers_and_users_of_the_host(subject: Subject, up: str) -> None:
    ((host_pid, user_id, host_user),) = _top(subject, "up", "hpid,huid,huser")
    assert host_pid == subject.wpod.field("up", "{{.State.Pid}}")
    assert (int(user_id), host_user) == (subject.wpod.account.uid, subject.wpod.account.name)


@pytest.mark.own
def test_memory_is_what_stats_says(subject: Subject, up: str) -> None:
    words = ("own", "linear", "kernel", "code", "shared", "swap")
    header, row = subject.wpod("top", "up", ",".join(words)).ok().out.splitlines()
    assert re.split(r"  +", header.strip()) == [f"{word.upper()} KiB" for word in words]
    (document,) = subject.wpod("stats", "--no-stream", "--format", "json", "up").ok().json
    memory: dict[str, Any] = document["wpod"]["memory"]
    for word, cell in zip(words[:3], row.split()[:3], strict=True):
        if memory[word] is None:
            assert cell == "-"
        else:
            assert abs(int(cell) - memory[word] // 1024) <= 64, word
    assert (row.split()[1] == "-") == (not subject.is_wasm)


def test_only_what_runs_has_processes(subject: Subject) -> None:
    subject.wpod("create", "--name", "still", subject.image, "idle").ok()
    subject.wpod("top", "still").fails(125, "running")
    subject.wpod("top", "nobody").fails(125, "nobody")


@pytest.mark.own  # podman executes ps(1) inside then
def test_what_is_no_descriptor_is_refused(subject: Subject, up: str) -> None:
    subject.wpod("top", "up", "pid,nonsense").fails(125, 'unknown descriptor "nonsense"', "ppid")
    subject.wpod("top", "up", "-eo", "pid").fails(125, "-eo", "not supported yet", "ppid")
    subject.wpod("top", "up", "aux").fails(125, 'unknown descriptor "aux"')
