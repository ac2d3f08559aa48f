"""Actions on containers: to whom they go, the command line that they are, and what is read from its end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Archives, Places, filled
from tests.support.account import Account
from tests.support.command import Wpod, eventually
from tests.support.images import ImageSource
from wpod import programs
from wpod.errors import MissingProgram, WpodError
from wpod.programs import Finished
from wpod.top.moment import Facts, Item, State
from wpod.tui import actions
from wpod.tui.actions import Action, Failure, Outcome, Target

_ID = {"web": "a" * 64, "db": "b" * 64}


def item(name: str, state: State = State.RUNNING, *, started: int = 1, image: str = "localhost/one:1") -> Item:
    return Item(Facts(_ID.get(name, name * 64), name, "wasm", image, "", started_nanoseconds=started, state=state))


def target(name: str, *, running: bool = True, image: str = "localhost/one:1") -> Target:
    return Target(_ID[name], name, 1, image, running)


WEB, DB = target("web"), target("db")


def test_keys_are_those_of_the_menu() -> None:
    assert {action.key: action.verb for action in Action} == {
        "s": "start", "t": "stop", "r": "restart", "k": "kill", "d": "rm", "u": "pull",
    }  # fmt: skip


def test_what_ends_something_is_asked_about() -> None:
    assert {action for action in Action if action.destroys} == {
        Action.STOP, Action.RESTART, Action.KILL, Action.REMOVE,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("state", "keys"),
    [
        (State.RUNNING, "trkdu"),
        (State.CREATED, "srdu"),
        (State.ENDED, "srdu"),
        (State.FAILED, "srdu"),
        (State.UNREADABLE, "rdu"),
    ],
)
def test_what_applies_in_which_state(state: State, keys: str) -> None:
    assert "".join(action.key for action in Action if action.applies(item("web", state))) == keys


def test_without_an_image_there_is_nothing_to_pull() -> None:
    assert not Action.PULL.applies(item("web", image=""))


def test_those_that_fit_keep_their_order() -> None:
    items = (item("web"), item("c", State.ENDED), item("db"))
    assert [one.facts.name for one in actions.fitting(Action.KILL, items)] == ["web", "db"]


def test_targets_are_what_was_seen() -> None:
    assert actions.targets_of([item("web", started=7), item("db", State.ENDED)]) == (
        Target(_ID["web"], "web", 7, "localhost/one:1", running=True),
        Target(_ID["db"], "db", 1, "localhost/one:1", running=False),
    )


def test_an_action_goes_to_the_same_run_only() -> None:
    seen = actions.targets_of([item("web", started=1), item("db", started=2), item("c", started=3), item("d")])
    now = [item("d"), item("db", started=99), item("web", started=1), item("e")]
    kept, dropped = actions.still_same(seen, now)
    assert [one.name for one in kept] == ["web", "d"]
    assert [one.name for one in dropped] == ["db", "c"]


def test_one_that_ended_meanwhile_is_still_the_same() -> None:
    seen = actions.targets_of([item("web", State.RUNNING)])
    assert actions.still_same(seen, [item("web", State.ENDED)]) == (seen, ())


def test_names_are_shown_and_ids_are_executed() -> None:
    assert actions.command_words(Action.KILL, (WEB, DB)) == ("wpod", "kill", "web", "db")
    assert actions.executed_words(Action.KILL, (WEB, DB)) == ("kill", _ID["web"], _ID["db"])


def test_only_what_runs_is_removed_by_force() -> None:
    ended = target("db", running=False)
    assert actions.command_words(Action.REMOVE, (ended,)) == ("wpod", "rm", "db")
    assert actions.command_words(Action.REMOVE, (WEB, ended)) == ("wpod", "rm", "-f", "web", "db")
    assert actions.executed_words(Action.REMOVE, (WEB, ended)) == ("rm", "-f", _ID["web"], _ID["db"])


def test_images_are_pulled_once() -> None:
    other = target("db", image="localhost/two:2")
    both = ("localhost/one:1", "localhost/two:2")
    assert actions.command_words(Action.PULL, (WEB, other, WEB)) == ("wpod", "pull", *both)
    assert actions.executed_words(Action.PULL, (WEB, other, WEB)) == ("pull", *both)


def test_the_root_is_named_where_it_was_given() -> None:
    assert actions.executed_words(Action.STOP, (WEB,), "/srv/s") == ("--root", "/srv/s", "stop", _ID["web"])
    assert actions.command_text(Action.STOP, (WEB,), "/srv/my store") == "wpod --root '/srv/my store' stop web"


@pytest.mark.parametrize(
    ("action", "targets", "asked"),
    [
        (Action.KILL, (WEB,), "Kill 1 container?"),
        (Action.RESTART, (WEB, DB), "Restart 2 containers?"),
        (Action.REMOVE, (WEB,), "Remove 1 container, which runs?"),
        (Action.REMOVE, (WEB, target("db", running=False)), "Remove 2 containers, 1 of them running?"),
        (Action.REMOVE, (target("db", running=False),), "Remove 1 container?"),
        (Action.PULL, (WEB, DB), "Pull 1 image?"),
    ],
)
def test_questions(action: Action, targets: tuple[Target, ...], asked: str) -> None:
    assert actions.question(action, targets) == asked


def outcome(status: int, stdout: str = "", stderr: str = "", action: Action = Action.KILL) -> Outcome:
    return actions.outcome_of(action, (WEB, DB), Finished(status, stdout.encode(), stderr.encode()))


def test_all_went_well() -> None:
    assert outcome(0, f"{_ID['web']}\n{_ID['db']}\n") == Outcome(Action.KILL, ("web", "db"), ())


def test_those_that_were_gone_already_are_done() -> None:
    assert outcome(0, f"{_ID['db']}\n", action=Action.REMOVE).done == ("web", "db")


def test_one_failed_with_its_hint() -> None:
    said = f"error: container {_ID['db']} is not running\nhint: start it: now\n"
    assert outcome(125, f"{_ID['web']}\n", said) == Outcome(
        Action.KILL, ("web",), (Failure("container db is not running", "start it: now"),)
    )


def test_each_hint_goes_with_its_error() -> None:
    found = outcome(125, "", "error: one\nwarning: be careful\nerror: two\nhint: for two\nother\n")
    assert found.failures == (Failure("one"), Failure("two", "for two"))
    assert found.warnings == ("be careful",)


def test_an_end_without_a_word_is_a_failure() -> None:
    assert outcome(137).failures == (Failure("wpod kill: exit status 137"),)
    assert outcome(1, "", "Traceback\nMemoryError\n").failures == (Failure("wpod kill: MemoryError"),)


def test_what_is_said_cannot_drive_the_terminal() -> None:
    assert outcome(1, "", "error: \x1b[2Jx\n").failures == (Failure("\\x1b[2Jx"),)


def test_nothing_to_do() -> None:
    assert asyncio.run(actions.carry_out(Action.KILL, ())) == Outcome(Action.KILL, (), ())


def test_each_image_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, ...]] = []

    async def run(words: tuple[str, ...], **_: object) -> Finished:
        ran.append(words[-2:])
        if words[-1].endswith("two:2"):
            return Finished(125, b"", b"error: no registry\nhint: name one\n")
        return Finished(0, b"c" * 64 + b"\n", b"")

    monkeypatch.setattr(programs, "run_apart", run)
    found = asyncio.run(actions.carry_out(Action.PULL, (target("db", image="localhost/two:2"), WEB, WEB)))
    assert ran == [("pull", "localhost/two:2"), ("pull", "localhost/one:1")]
    assert found == Outcome(Action.PULL, ("localhost/one:1",), (Failure("no registry", "name one"),))


def test_a_program_that_cannot_be_started_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "own_command", lambda: ("/nonexistent/python",))
    found = asyncio.run(actions.carry_out(Action.KILL, (WEB,)))
    assert found.done == ()
    assert "/nonexistent/python" in found.failures[0].text


# The door: programs that run beside an event loop.


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def slow(done: Path) -> tuple[str, ...]:
    """Half a second, then it writes its process number into a file."""
    code = (
        "import os, sys, time; time.sleep(0.5); open(sys.argv[1] + '.new', 'w').write(str(os.getpid())); "
        "os.rename(sys.argv[1] + '.new', sys.argv[1])"
    )
    return (*python(code), str(done))


def test_a_program_runs_apart_with_its_streams_kept() -> None:
    code = (
        "import os, sys; print(os.getsid(0) == os.getpid(), os.environ['X'], repr(sys.stdin.read())); "
        "print('e', file=sys.stderr); sys.exit(3)"
    )
    finished = asyncio.run(programs.run_apart(python(code), environment={**os.environ, "X": "y"}))
    assert finished == Finished(3, b"True y ''\n", b"e\n")


def test_what_it_left_behind_is_not_waited_for() -> None:
    code = "import subprocess; print(subprocess.Popen(['sleep', '60']).pid)"
    finished = asyncio.run(asyncio.wait_for(programs.run_apart(python(code), environment=os.environ), 30))
    os.kill(int(finished.stdout), signal.SIGKILL)


def test_a_signal_and_long_output() -> None:
    code = "import os, sys; sys.stdout.write('x' * 300000); sys.stdout.flush(); os.kill(os.getpid(), 9)"
    finished = asyncio.run(programs.run_apart(python(code), environment=os.environ))
    assert (finished.status, len(finished.stdout)) == (137, 300000)


def test_several_at_once() -> None:
    async def all_of_them() -> list[Finished]:
        return await asyncio.gather(
            *(programs.run_apart(python(f"print({number})"), environment=os.environ) for number in range(3))
        )

    assert [finished.stdout for finished in asyncio.run(all_of_them())] == [b"0\n", b"1\n", b"2\n"]


def test_cancelling_stops_the_waiting_alone(tmp_path: Path) -> None:
    done = tmp_path / "done"

    async def cancelled() -> int:
        before = len(os.listdir("/proc/self/fd"))
        task = asyncio.create_task(programs.run_apart(slow(done), environment=os.environ))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(200):  # the loop goes on: the child is reaped and nothing stays open
            if done.exists() and len(os.listdir("/proc/self/fd")) == before:
                break
            await asyncio.sleep(0.05)
        return len(os.listdir("/proc/self/fd")) - before

    assert asyncio.run(cancelled()) == 0
    with pytest.raises(ChildProcessError):
        os.waitpid(int(done.read_text()), os.WNOHANG)


def test_an_action_goes_on_after_the_loop(tmp_path: Path) -> None:
    """Who leaves the screen does not leave a container half removed."""
    done = tmp_path / "done"

    async def left() -> None:
        task = asyncio.create_task(programs.run_apart(slow(done), environment=os.environ))
        await asyncio.sleep(0.1)
        task.cancel()

    asyncio.run(left())
    eventually(done.exists)
    os.waitpid(int(done.read_text()), 0)


def test_a_missing_program() -> None:
    with pytest.raises(MissingProgram):
        asyncio.run(programs.run_apart(("/nonexistent/program",), environment={}))


def test_no_descriptor_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", fail)
    with pytest.raises(WpodError, match="Too many open files"):
        asyncio.run(programs.run_apart(python(""), environment=os.environ))


def test_the_own_command_does_not_look_into_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json.py", "signal.py", "gc.py", "wpod.py"):
        (tmp_path / name).write_text("raise SystemExit('a stranger')")
    monkeypatch.chdir(tmp_path)
    finished = programs.run([*programs.own_command(), "--version"])
    assert (finished.status, finished.stderr) == (0, b"")
    assert finished.stdout.startswith(b"wpod version ")


# The command line itself.


@pytest.fixture
def stocked(
    places: Places,
    root_account: Account,
    archives: Archives,
    probe_sources: dict[str, ImageSource],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Wpod]:
    """A store with the wasm probe, which this process finds by --root alone."""
    with filled(places.new(root_account), archives, probe_sources["wasm"]) as wpod:
        for name, value in wpod.variables().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("WPOD_ROOT", str(wpod.scratch / "other"))
        yield wpod


def test_a_container_goes_through_all_actions(stocked: Wpod, probe_sources: dict[str, ImageSource]) -> None:
    made = ("--network", "none", probe_sources["wasm"].name, "idle")
    names = {"web": stocked("create", "--name", "web", *made).ok().line}
    stranger = Target("c" * 64, "gone", 1, "")

    def act(action: Action, *, running: bool) -> Outcome:
        targets = (Target(names["web"], "web", 1, "", running), stranger)
        return asyncio.run(actions.carry_out(action, targets, str(stocked.store)))

    def status() -> str:
        return stocked.field("web", "{{.State.Status}}")

    for action, running, after in (
        (Action.START, False, "running"),
        (Action.RESTART, True, "running"),
        (Action.STOP, True, "exited"),
        (Action.RESTART, False, "running"),
        (Action.KILL, True, ""),
    ):
        found = act(action, running=running)
        assert found.done == ("web",), found
        assert len(found.failures) == 1, found
        assert "gone" in found.failures[0].text
        assert not after or status() == after
    eventually(lambda: status() == "exited")
    assert act(Action.KILL, running=True).done == ()
    assert len(act(Action.KILL, running=True).failures) == 2
    stocked("start", "web").ok()
    refused = act(Action.REMOVE, running=False)  # one that was started since is not removed
    assert refused.done == ()
    assert any("running" in failure.text and failure.hint for failure in refused.failures), refused
    assert act(Action.REMOVE, running=True).failures == ()
    stocked("inspect", "web").fails(125, "web")
