"""create, start, stop, restart, kill, wait, rm: states, codes, echoes, names."""

from __future__ import annotations

import os
import re
import time

import pytest

from tests.contract.conftest import Subject
from tests.support import leftovers
from tests.support.command import eventually


def test_a_container_goes_through_its_states(subject: Subject) -> None:
    wpod = subject.wpod
    container = wpod("create", "--name", "one", subject.image, "idle").ok().line
    assert re.fullmatch(r"[0-9a-f]{64}", container)
    assert wpod.field("one", "{{.State.Status}}") == "created"
    assert wpod("start", "one").ok().line == "one"
    assert wpod.field("one", "{{.State.Status}} {{.State.Running}}") == "running true"
    assert int(wpod.field("one", "{{.State.Pid}}")) > 1
    assert wpod("stop", "-t", "20", "one").ok().line == "one"
    assert wpod.field("one", "{{.State.Status}} {{.State.ExitCode}}") == "exited 143"
    assert wpod("start", container[:12]).ok().line == container[:12]
    assert wpod.field(container, "{{.State.Status}}") == "running"
    assert wpod("rm", "-f", "-t", "0", container).ok().line == container
    wpod("inspect", "one").fails(125, "one")


def test_start_attached_gives_output_and_code(subject: Subject) -> None:
    subject.wpod("create", "--name", "a", subject.image, "line", "hello", "+", "err", "oops", "+", "exit", "9").ok()
    result = subject.wpod("start", "--attach", "a").exits(9)
    assert (result.stdout, result.stderr) == (b"hello\n", b"oops\n")


def test_stopping_what_is_stopped_is_fine(subject: Subject) -> None:
    subject.wpod("run", "--name", "done", subject.image, "line", "x").ok()
    assert subject.wpod("stop", "done").ok().line == "done"
    subject.wpod("kill", "done").fails(125, "running")


def test_restart_starts_anew(subject: Subject) -> None:
    container = subject.detached((), "line", "started", "+", "idle")
    eventually(lambda: subject.wpod("logs", container).stdout == b"started\n")
    first = subject.wpod.field(container, "{{.State.Pid}}")
    assert subject.wpod("restart", "-t", "5", container).ok().line == container
    assert subject.wpod.field(container, "{{.State.Pid}}") != first
    eventually(lambda: subject.wpod("logs", container).stdout == b"started\nstarted\n")


def test_wait_prints_one_code_per_container(subject: Subject) -> None:
    first = subject.detached((), "exit", "3")
    second = subject.detached((), "sleep", "300", "+", "exit", "4")
    assert subject.wpod("wait", first, second).ok().out == "3\n4\n"
    assert subject.wpod("wait", first).ok().out == "3\n"


@pytest.mark.parametrize("verb", ["stop", "kill", "start", "wait", "logs", "inspect", "restart"])
def test_what_is_not_there_is_125(subject: Subject, verb: str) -> None:
    result = subject.wpod(verb, "not-there").fails(125, "not-there")
    assert result.out.strip() in ("", "[]")


def test_rm_codes(subject: Subject) -> None:
    container = subject.detached(("--name", "busy"), "idle")
    subject.wpod("rm", "not-there").fails(1, "not-there")
    subject.wpod("rm", "-f", "not-there").ok()
    result = subject.wpod("rm", "busy")
    result.fails(2, "busy" if container not in result.err else container)
    assert subject.wpod("rm", "-f", "-t", "0", "busy").ok().line == "busy"
    subject.wpod("container", "exists", "busy").exits(1)


@pytest.mark.own  # podman 4 removes nothing where one name is wrong
def test_several_arguments_go_on_past_an_error(subject: Subject) -> None:
    for name in ("a", "b"):
        subject.wpod("create", "--name", name, subject.image, "idle").ok()
    result = subject.wpod("rm", "a", "not-there", "b")
    assert result.status == 1
    assert result.out.split() == ["a", "b"]
    assert "not-there" in result.err
    assert subject.wpod("ps", "-aq").ok().out == ""


def test_a_name_in_use_is_refused_and_replace_takes_it(subject: Subject) -> None:
    first = subject.wpod("create", "--name", "mine", subject.image, "idle").ok().line
    subject.wpod("create", "--name", "mine", subject.image, "idle").fails(125, "mine", "in use")
    subject.wpod("run", "--rm", "--name", "mine", subject.image, "line", "x").fails(125, "mine", "in use")
    second = subject.wpod("run", "-d", "--replace", "--name", "mine", subject.image, "idle").ok().out.split()[-1]
    assert second != first
    assert subject.wpod("ps", "-aq", "--no-trunc").ok().line == second


@pytest.mark.parametrize("name", ["../x", "a b", "-x", ".hidden", "a/b", "ü"])
def test_a_bad_name_is_refused(subject: Subject, name: str) -> None:
    subject.wpod("create", f"--name={name}", subject.image, "idle").fails(125, "name")
    assert subject.wpod("ps", "-aq").ok().out == ""


def test_id_prefixes_are_taken_and_ambiguous_ones_refused(subject: Subject) -> None:
    made = [subject.wpod("create", subject.image, "idle").ok().line for _ in range(17)]
    letters = [identifier[0] for identifier in made]
    twice = next(letter for letter in letters if letters.count(letter) > 1)
    subject.wpod("inspect", "--type", "container", twice).exits(125)
    assert subject.wpod.field(made[0][:10], "{{.Id}}") == made[0]


def test_rm_option_leaves_nothing(subject: Subject) -> None:
    subject.wpod("run", "--rm", "--name", "gone", subject.image, "exit", "3").exits(3)
    assert subject.wpod("ps", "-aq").ok().out == ""
    subject.detached(("--rm", "--name", "gone"), "sleep", "200")
    eventually(lambda: subject.wpod("ps", "-aq").out == "")
    subject.wpod("create", "--name", "gone", subject.image, "idle").ok()


def test_stop_of_an_rm_container_removes_it(subject: Subject) -> None:
    subject.detached(("--rm", "--name", "short"), "idle")
    subject.wpod("stop", "-t", "10", "short").ok()
    eventually(lambda: subject.wpod("ps", "-aq").out == "")


def test_cidfile_is_written_and_never_overwritten(subject: Subject) -> None:
    file = subject.wpod.scratch / "home" / "cid"
    container = subject.wpod("run", "-d", "--cidfile", file, subject.image, "idle").ok().line
    assert file.read_text().strip() == container
    subject.wpod("run", "-d", "--cidfile", file, subject.image, "idle").fails(125, str(file))
    assert file.read_text().strip() == container
    assert subject.wpod("ps", "-aq", "--no-trunc").ok().line == container
    file.unlink()


def test_rm_force_of_one_that_ignores_signals(subject: Subject) -> None:
    container = subject.detached(("--stop-signal", "CONT"), "spin")
    before = time.monotonic()
    assert subject.wpod("rm", "-f", "-t", "1", container).ok().line == container
    assert time.monotonic() - before < 30


def test_stop_all_and_rm_all(subject: Subject) -> None:
    made = {subject.detached((), "idle") for _ in range(3)}
    stopped = subject.wpod("stop", "-a", "-t", "5").ok().out.split()
    assert set(stopped) == made
    assert set(subject.wpod("rm", "-a").ok().out.split()) == made


@pytest.mark.own
def test_a_detached_container_has_one_process_of_ours(subject: Subject) -> None:
    """wasm: the runner and nothing else. Native: the container's own and one monitor."""
    container = subject.detached((), "line", "up", "+", "idle")
    eventually(lambda: subject.wpod("logs", container).stdout == b"up\n")
    main = int(subject.wpod.field(container, "{{.State.Pid}}"))
    others = {pid: command for pid, command in leftovers.processes_of(subject.wpod.store).items() if pid != main}
    if subject.is_wasm:
        assert others == {}
    else:
        monitors = [command for command in others.values() if "wpod-monitor" in command]
        assert len(monitors) == 1, others
        assert all("wpod-monitor" in command or "fuse-overlayfs" in command for command in others.values()), others
        assert not any("python" in command for command in others.values())


@pytest.mark.own
def test_the_main_process_has_only_its_own_descriptors(subject: Subject) -> None:
    """No pipe of the caller, no database, no socket of the manager stays open in what goes on running."""
    container = subject.detached((), "line", "up", "+", "idle")
    eventually(lambda: subject.wpod("logs", container).stdout == b"up\n")
    main = subject.wpod.field(container, "{{.State.Pid}}")
    opened = [os.readlink(f"/proc/{main}/fd/{number}") for number in os.listdir(f"/proc/{main}/fd")]
    assert not [link for link in opened if "wpod.db" in link or link.startswith("socket:")], opened


def test_start_of_a_running_container_is_fine(subject: Subject) -> None:
    container = subject.detached((), "idle")
    pid = subject.wpod.field(container, "{{.State.Pid}}")
    subject.wpod("start", container).ok()
    assert subject.wpod.field(container, "{{.State.Pid}}") == pid


def test_labels_and_annotations_are_recorded(subject: Subject) -> None:
    options = ("--label", "one=1", "-l", "two", "--annotation", "note=text")
    container = subject.wpod("create", *options, subject.image, "idle").ok().line
    assert subject.wpod.field(container, '{{.Config.Labels.one}} {{index .Config.Labels "two"}}|') == "1 |"
    assert subject.wpod.field(container, '{{index .Config.Annotations "note"}}') == "text"


def test_inspect_of_several_prints_what_it_found(subject: Subject) -> None:
    container = subject.wpod("create", subject.image, "idle").ok().line
    result = subject.wpod("inspect", container, "not-there")
    assert result.status == 125
    assert [found["Id"] for found in result.json] == [container]
    assert "not-there" in result.err


def test_times_are_told_with_an_offset(subject: Subject) -> None:
    container = subject.wpod("create", subject.image, "line", "x").ok().line
    (found,) = subject.wpod("inspect", container).ok().json
    assert found["State"]["StartedAt"] == "0001-01-01T00:00:00Z"
    assert found["State"]["FinishedAt"] == "0001-01-01T00:00:00Z"
    subject.wpod("start", "-a", container).ok()
    (found,) = subject.wpod("inspect", container).ok().json
    moment = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
    for when in (found["Created"], found["State"]["StartedAt"], found["State"]["FinishedAt"]):
        assert moment.fullmatch(when), when
        assert not when.startswith("0001"), when


@pytest.mark.own
def test_nobody_else_can_write_into_the_store(subject: Subject) -> None:
    container = subject.wpod("create", subject.image, "idle").ok().line
    for path in (subject.wpod.store, subject.wpod.store / "containers" / container):
        found = path.stat()
        assert (found.st_uid, found.st_mode & 0o022) == (subject.wpod.account.uid, 0), path
