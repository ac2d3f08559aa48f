"""Completion as it is typed in bash, zsh and fish."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import conftest as base
from tests.cli import shells
from tests.support.account import Account
from tests.support.command import Wpod
from tests.support.images import ImageSource
from wpod.cli import completion, verbs
from wpod.cli.table import Completes

_COMPLETIONS = Path(__file__).parents[2] / "completions"
_SHELLS = ("bash", "zsh", "fish")
_IMAGE = "localhost/probe-native:latest"
_GROUPS = ["container", "image", "network", "system", "volume"]

# What is typed, and all that may stand in place of the last word. `{…}` is filled in by `_expected`.
_CASES: dict[str, list[str]] = {
    # commands
    "wpod vol": ["volume"],
    "wpod volume ": ["create", "exists", "inspect", "list", "ls", "prune", "rm"],
    "wpod --root /tmp volume i": ["inspect"],
    "wpod help volu": ["volume"],
    "wpod nonsense ": [],
    "wpod __": [],
    # options
    "wpod run --pul": ["--pull"],
    "wpod ps --s": ["--size", "--sort", "--sync"],
    "wpod ps --all --a": [],  # given once is enough
    "wpod run -e A=b --env": ["--env", "--env-file"],  # but these may be given again
    "wpod run -dit --rm --name x --re": ["--read-only", "--replace"],
    "wpod volume ls --ro": ["--root"],
    "wpod run -- --pul": [],
    # values, in both ways to give them
    "wpod run --pull n": ["never", "newer"],
    "wpod run --pull=n": ["--pull=never", "--pull=newer"],
    "wpod run --pull=": ["--pull=always", "--pull=missing", "--pull=never", "--pull=newer"],
    "wpod build --pull ": ["{directories}"],  # its value is only ever attached
    "wpod run --rm=": ["--rm=false", "--rm=true"],
    "wpod ps -aq --sort si": ["size"],
    "wpod wait --condition exited,r": ["exited,removing", "exited,running"],
    "wpod kill -s KI": ["KILL"],
    "wpod kill --signal=SIGUS": ["--signal=SIGUSR1", "--signal=SIGUSR2"],
    "wpod run -e ": [],
    # names
    "wpod rm ": ["resting", "running"],
    "wpod rm -f resting ": ["running"],
    "wpod stop ": ["running"],
    "wpod exec -it r": ["running"],
    "wpod rm --all ": [],
    "wpod exec running ": [],
    "wpod rmi ": ["{images}"],
    "wpod run loc": ["{images}"],
    "wpod run probe": ["probe-native:latest"],
    "wpod run localhost/probe-native:l": [_IMAGE],
    "wpod inspect ": ["{images}", "backend", "data", "resting", "running", "wpod"],
    "wpod network rm ": ["backend", "wpod"],
    "wpod run --network ": ["backend", "bridge", "host", "none", "wpod"],
    "wpod create --network=b": ["--network=backend", "--network=bridge"],
    "wpod network inspect ba": ["backend"],
    "wpod network connect backend re": ["resting"],
    "wpod volume rm ": ["data"],
    "wpod completion ": ["bash", "fish", "zsh"],
    # files
    "wpod run --env-file ": ["blue directory", "green", "values.env"],
    "wpod run --env-file=v": ["--env-file=values.env"],
    "wpod load -i bl": ["blue directory"],
    "wpod --root g": ["green"],
    "wpod run -v ": ["blue directory", "data:", "green"],
    "wpod run -v data:": [],
    # the guest's own words
    f"wpod run {_IMAGE} ": [],
    f"wpod run {_IMAGE} --pul": [],
    f"wpod run --rm {_IMAGE} run --pull=": [],
}


@dataclass
class Setting:
    """A store with something in it, a directory with files, and shells that find wpod."""

    wpod: Wpod
    directory: Path
    environment: dict[str, str]
    scripts: Path
    started: dict[str, shells.Shell]
    stack: ExitStack

    def shell(self, name: str) -> shells.Shell:
        if name not in self.started:
            start = shells.bash if name == "bash" else shells.zsh
            self.started[name] = self.stack.enter_context(start(self.scripts, self.environment, self.directory))
        return self.started[name]

    def candidates(self, name: str, typed: str) -> list[str]:
        if name != "fish":
            return self.shell(name).candidates(typed)
        return shells.fish_offers(self.scripts / "wpod.fish", self.environment, self.directory, typed)


@pytest.fixture(scope="module")
def setting(
    root_account: Account,
    places: base.Places,
    command: tuple[str, ...],
    archives: Callable[[ImageSource], Path],
    probe_sources: dict[str, ImageSource],
) -> Iterator[Setting]:
    wpod = places.new(root_account)
    wpod("load", "--quiet", "--input", archives(probe_sources["native"])).ok()
    wpod("volume", "create", "data").ok()
    wpod("network", "create", "backend").ok()
    wpod("run", "-d", "--name", "running", _IMAGE, "idle").ok()
    wpod("create", "--name", "resting", _IMAGE, "exit", "0").ok()
    directory = wpod.scratch / "work"
    (directory / "blue directory").mkdir(parents=True)
    (directory / "green").mkdir()
    (directory / "values.env").touch()
    scripts = wpod.scratch / "scripts"
    (scripts / "completions").mkdir(parents=True)
    shutil.copy(_COMPLETIONS / "wpod.bash", scripts / "completions" / "wpod")
    shutil.copy(_COMPLETIONS / "_wpod", scripts)
    shutil.copy(_COMPLETIONS / "wpod.fish", scripts)
    programs = os.path.dirname(shutil.which(command[0]) or command[0])
    environment = wpod.variables({"PATH": f"{programs}:{os.environ['PATH']}"})
    with ExitStack() as stack:
        yield Setting(wpod, directory, environment, scripts, {}, stack)
    base.close(wpod)
    root_account.remove_tree(wpod.scratch)


def _expected(words: list[str]) -> list[str]:
    filled = {"{images}": [_IMAGE], "{directories}": ["blue directory", "green"]}
    return sorted(one for word in words for one in filled.get(word, [word]))


def _as_shown(shell: str, typed: str, words: list[str]) -> list[str]:
    """bash replaces what follows the last = or :, so the part before stands in the line once."""
    last = typed.rpartition(" ")[2]
    cut = max(last.rfind("="), last.rfind(":")) + 1 if shell == "bash" else 0
    return [word if number == 0 else word[cut:] for number, word in enumerate(words)]


@pytest.mark.parametrize("shell", _SHELLS)
@pytest.mark.parametrize("typed", _CASES)
def test_candidates(setting: Setting, shell: str, typed: str) -> None:
    found = [word.rstrip("/") for word in setting.candidates(shell, typed)]
    assert sorted(found) == sorted(_as_shown(shell, typed, _expected(_CASES[typed])))


@pytest.mark.parametrize("shell", _SHELLS)
def test_every_command_is_offered(setting: Setting, shell: str) -> None:
    single = {words for index in verbs.INDEX.values() for words in index if " " not in words and words[0] != "_"}
    assert sorted(setting.candidates(shell, "wpod ")) == sorted({*single, *_GROUPS, "help"})


@pytest.mark.parametrize("shell", ["bash", "zsh"])
@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("wpod vol", "wpod volume "),
        ("wpod run --pull=al", "wpod run --pull=always "),
        ("wpod run -v da", "wpod run -v data:"),  # the target follows: no blank
        ("wpod run -v bl", "wpod run -v blue\\ directory/"),
        ("wpod run localhost/probe-native:l", f"wpod run {_IMAGE} "),
    ],
)
def test_a_single_candidate_is_put_in(setting: Setting, shell: str, typed: str, line: str) -> None:
    assert setting.shell(shell).line(typed, shells.TAB) == line


def test_fish_tells_about_each_word(setting: Setting) -> None:
    code = f"source {setting.scripts / 'wpod.fish'}; complete -C 'wpod volume cr'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", code], env=setting.environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "create\tCreate a named volume\n"


def test_an_id_is_offered_once_its_beginning_is_typed(setting: Setting) -> None:
    container = setting.wpod("ps", "--quiet", "--no-trunc").ok().line
    assert setting.candidates("fish", f"wpod rm {container[:4]}") == [container[:12]]
    assert setting.candidates("fish", f"wpod rm {container[:20]}") == [container]


def test_the_root_of_the_line_is_looked_into(setting: Setting) -> None:
    assert setting.candidates("fish", f"wpod --root {setting.wpod.scratch / 'elsewhere'} rm ") == []
    elsewhere = {**setting.environment, "WPOD_ROOT": str(setting.wpod.scratch / "elsewhere")}
    found = shells.fish_offers(
        setting.scripts / "wpod.fish", elsewhere, setting.directory, f"wpod --root {setting.wpod.store} rm "
    )
    assert found == ["resting", "running"]


@pytest.mark.parametrize("store", ["/dev/null", "/proc/self/nothing"])
def test_a_store_that_can_not_be_read_has_no_names(fresh_one: Wpod, store: str) -> None:
    done = fresh_one("__complete", "--", "rm", "", environment={"WPOD_ROOT": store}).ok()
    assert (done.out, done.err) == ("words \n", "")


def test_nothing_is_written_by_completing(fresh_one: Wpod) -> None:
    fresh_one("__complete", "--", "inspect", "").ok()
    assert not fresh_one.store.exists()


@pytest.mark.parametrize(("shell", "file"), [("bash", "wpod.bash"), ("zsh", "_wpod"), ("fish", "wpod.fish")])
def test_the_scripts_are_printed_and_written(fresh_one: Wpod, shell: str, file: str) -> None:
    script = (_COMPLETIONS / file).read_text()
    assert fresh_one("completion", shell).ok().out == script
    target = fresh_one.scratch / "tmp" / "script"
    assert fresh_one("completion", shell, "--file", target).ok().out == ""
    assert target.read_text() == script
    target.unlink()


def test_a_wrong_shell_and_a_wrong_file(fresh_one: Wpod) -> None:
    fresh_one("completion", "tcsh").fails(125, "tcsh", "bash, fish or zsh")
    fresh_one("completion", "bash", "-f", "/nonexistent/x").fails(125, "/nonexistent/x", "No such file")


def test_every_option_of_every_command_is_offered() -> None:
    for _, verb in verbs.all_verbs():
        offered = {word for word, _ in completion.expected([*verb.words, "--"]).words}
        longs = {f"--{name}" for option in (*verb.options, *verbs.GLOBALS) for name in option.names if len(name) > 1}
        assert offered == longs | {"--help"}, verb.words


def test_every_value_is_completed_as_the_table_says() -> None:
    for _, verb in verbs.all_verbs():
        for option in verb.options:
            found = completion.expected([*verb.words, f"--{option.key}="])
            if option.completes is not Completes.NOTHING:
                assert found.completes is option.completes, (verb.words, option.key)
            if option.choices:
                assert [word for word, _ in found.words] == list(option.choices), (verb.words, option.key)
