"""What a guest finds: arguments, environment, working directory, user, descriptors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contract.conftest import Subject
from tests.support import guests, images
from tests.support.command import Result

Run = Callable[..., Result]
Report = Callable[..., dict[str, Any]]


@pytest.fixture
def report(run: Run) -> Report:
    """Run the probe's `report` and read it."""

    def reported(options: tuple[str, ...] = (), *guest: str, image: str = "") -> dict[str, Any]:
        found: dict[str, Any] = json.loads(run(options, *(guest or ("report",)), image=image).ok().stdout)
        return found

    return reported


@pytest.fixture(scope="session")
def configured(archives: Callable[[images.ImageSource], Path]) -> Callable[[Subject], str]:
    """An image whose config says everything: entry point with an argument, cmd, env, working directory, labels."""
    loaded: set[tuple[str, str]] = set()

    def name_of(subject: Subject) -> str:
        source = guests.SOURCES / "probe.c"
        program = guests.wasm_from_c(source) if subject.is_wasm else guests.native_from_c(source)
        path = "/main.wasm" if subject.is_wasm else "/main"
        name = f"localhost/configured-{subject.kind}:latest"
        config = {
            "Entrypoint": [path, "line", "entry", "+"],
            "Cmd": ["report", "+", "line", "from cmd"],
            "Env": ["FROM_IMAGE=yes", "BOTH=image", "WITH_EQUALS=a=b=c"],
            "WorkingDir": "/data",
            "Labels": {"colour": "blue", "a.b": "c"},
            "StopSignal": "SIGINT",
        }
        if (subject.label, name) not in loaded:
            archive = archives(images.with_program(name, program, config, wasm=subject.is_wasm))
            subject.wpod("load", "--quiet", "--input", archive).ok()
            loaded.add((subject.label, name))
        return name

    return name_of


def _report_in(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = next(json.loads(line) for line in result.out.splitlines() if line.startswith("{"))
    return found


@pytest.mark.parametrize(
    "words",
    [("report", "a b", "", "--", "-v", "--rm"), ("report", "é", "日本", 'quo"te', "back\\slash", "$HOME", "*")],
    ids=["options", "characters"],
)
def test_arguments_arrive_exactly(report: Report, words: tuple[str, ...]) -> None:
    assert report((), *words)["argv"][1:] == list(words)


def test_entrypoint_and_cmd_of_the_image(subject: Subject, run: Run, configured: Callable[[Subject], str]) -> None:
    result = run((), image=configured(subject)).ok()
    assert result.out.splitlines()[0] == "entry"
    assert result.out.splitlines()[-1] == "from cmd"


def test_arguments_replace_cmd_and_keep_the_entrypoint(
    subject: Subject, run: Run, configured: Callable[[Subject], str]
) -> None:
    assert run((), "line", "mine", image=configured(subject)).ok().out == "entry\nmine\n"


def test_entrypoint_option_clears_cmd(subject: Subject, run: Run, configured: Callable[[Subject], str]) -> None:
    program = "/main.wasm" if subject.is_wasm else "/main"
    assert run(("--entrypoint", program), image=configured(subject)).ok().out == ""
    assert run(("--entrypoint", program), "line", "only", image=configured(subject)).ok().out == "only\n"
    as_list = json.dumps([program, "line", "listed"])
    assert run(("--entrypoint", as_list), image=configured(subject)).ok().out == "listed\n"


def test_environment_is_image_then_file_then_option(
    subject: Subject, run: Run, configured: Callable[[Subject], str]
) -> None:
    listing = subject.wpod.scratch / "home" / "variables"
    listing.write_text("# a comment\n\nFROM_FILE=file value\nBOTH=file\nPASSED\n")
    listing.chmod(0o644)
    options = ("--env-file", str(listing), "-e", "EXTRA=x y", "-e", "EMPTY=", "-e", "LANG")
    found = dict(entry.split("=", 1) for entry in _report_in(run(options, image=configured(subject)).ok())["env"])
    expected = {
        "FROM_IMAGE": "yes", "BOTH": "file", "WITH_EQUALS": "a=b=c", "FROM_FILE": "file value",
        "EXTRA": "x y", "EMPTY": "", "LANG": "C.UTF-8",
    }  # fmt: skip
    assert {name: found.get(name) for name in expected} == expected
    assert "PASSED" not in found


@pytest.mark.wasm
def test_a_wasm_guest_gets_no_variable_that_nobody_asked_for(report: Report) -> None:
    assert report()["env"] == []
    assert report(("-e", "ONE=1"))["env"] == ["ONE=1"]


@pytest.mark.native
def test_a_native_guest_gets_the_usual_variables(report: Report) -> None:
    found = dict(entry.split("=", 1) for entry in report(("--hostname", "box"))["env"])
    assert found["PATH"] == "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert found["HOSTNAME"] == "box"
    assert found["HOME"] == "/root"
    assert "container" in found
    assert set(found) <= {"PATH", "HOSTNAME", "HOME", "container", "TERM"}


def test_nothing_of_the_callers_environment_leaks(subject: Subject) -> None:
    result = subject.wpod("run", "--rm", subject.image, "report", environment={"SECRET_OF_HOST": "leak"}).ok()
    assert "SECRET_OF_HOST" not in result.out


def test_working_directory_of_image_and_option(
    subject: Subject, run: Run, configured: Callable[[Subject], str]
) -> None:
    assert run((), "same", ".", "/data", image=configured(subject)).ok().out == "entry\nyes\n"
    assert run(("-w", "/tmp"), "same", ".", "/tmp", image=configured(subject)).ok().out == "entry\nyes\n"
    assert run(("-w", "/tmp"), "write", "here", "x", "+", "read", "/tmp/here").ok().out == "ok\nx"


def test_a_working_directory_that_is_missing_is_refused(subject: Subject) -> None:
    subject.wpod("run", "--rm", "-w", "/not/there", subject.image, "line", "ran").fails(126, "/not/there")


def test_only_the_three_streams_are_open(report: Report, subject: Subject) -> None:
    found = report()["descriptors"]
    if subject.is_wasm:
        # preopened directories are descriptors too; nothing else of the host may be among them
        assert found[:3] == [0, 1, 2]
        assert len(found) <= 5, found
    else:
        assert found == [0, 1, 2]


@pytest.mark.native
@pytest.mark.parametrize(
    ("user", "uid", "gid"),
    [("app", 1000, 1000), ("1000", 1000, 1000), ("7:8", 7, 8), ("app:staff", 1000, 50), ("root", 0, 0)],
)
def test_user_by_name_and_number(subject: Subject, user: str, uid: int, gid: int) -> None:
    found = json.loads(subject.wpod("run", "--rm", "-u", user, subject.image, "report").ok().stdout)
    assert (found["uid"], found["gid"]) == (uid, gid)


def test_a_user_that_is_not_in_the_image_is_refused(subject: Subject) -> None:
    result = subject.wpod("run", "--rm", "-u", "nobody-here", subject.image, "report")
    result.fails(126 if subject.is_reference else result.status, "nobody-here")
    assert result.status in (125, 126)
    assert subject.wpod("ps", "-aq").ok().out == ""


@pytest.mark.native
def test_hostname(subject: Subject) -> None:
    found = json.loads(subject.wpod("run", "--rm", "--hostname", "some-box", subject.image, "report").ok().stdout)
    assert found["hostname"] == "some-box"


def test_hostname_is_in_etc_hostname(subject: Subject) -> None:
    result = subject.wpod("run", "--rm", "--hostname", "some-box", subject.image, "read", "/etc/hostname").ok()
    assert result.out.strip() == "some-box"


@pytest.mark.own  # podman adds limits of its own here, which a machine may forbid it to set
@pytest.mark.native
def test_ulimit_reaches_the_guest(subject: Subject) -> None:
    found = json.loads(subject.wpod("run", "--rm", "--ulimit", "nofile=77:88", subject.image, "report").ok().stdout)
    assert found["nofile"] == 77


def test_options_after_the_image_are_the_guests(subject: Subject) -> None:
    found = json.loads(subject.wpod("run", "--rm", subject.image, "report", "-d", "--rm", "-it").ok().stdout)
    assert found["argv"][1:] == ["report", "-d", "--rm", "-it"]


def test_stop_signal_of_the_image_is_used(subject: Subject, configured: Callable[[Subject], str]) -> None:
    container = subject.wpod("run", "-d", configured(subject), "idle").ok().line
    subject.wpod.until_running(container)
    subject.wpod("stop", "--time", "20", container).ok()
    assert subject.wpod("wait", container).ok().line == "130"


def test_container_and_image_can_be_inspected(subject: Subject, configured: Callable[[Subject], str]) -> None:
    container = subject.wpod("create", "--name", "look", "--label", "mine=1", configured(subject), "idle").ok().line
    (found,) = subject.wpod("inspect", "look").ok().json
    assert found["Id"] == container
    assert found["Name"] == "look"
    assert found["State"]["Status"] == "created"
    assert found["State"]["Running"] is False
    assert found["Config"]["Labels"] == {"colour": "blue", "a.b": "c", "mine": "1"}
    assert found["Config"]["Cmd"] == ["idle"]
    assert "FROM_IMAGE=yes" in found["Config"]["Env"]
    assert found["Config"]["WorkingDir"] == "/data"
    assert found["ImageName"] == f"localhost/configured-{subject.kind}:latest"
    assert subject.wpod.field("look", '{{index .Config.Labels "a.b"}}') == "c"
    assert subject.wpod.field("look", "{{json .Config.Cmd}}") == '["idle"]'
