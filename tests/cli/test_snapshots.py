"""What the command prints, character by character: help, usage errors, empty lists, wrong templates.

`make snapshots` writes the files in tests/cli/snapshots anew; what changed in them is then read in the diff.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from tests.support.command import Wpod
from wpod.cli import verbs

_DIRECTORY = Path(__file__).with_name("snapshots")
_WRITES = os.environ.get("WPOD_TESTS_WRITE_SNAPSHOTS") == "1"
_GROUPS = ("container", "image", "volume", "system")

# Name of the snapshot file -> command lines, all run on a store that isn't there. An empty line is `wpod` alone.
_CASES: dict[str, str] = {
    "version": """
--version
-v""",
    "usage-errors": """

volume
run
run --rm
run -e
run --name
run --rm=maybe alpine
run --memory lots alpine
run --cpus none alpine
run -v data alpine
run --pull sometimes alpine
run --network '' alpine
run --name a/b alpine
rm
rm --all web
stop --time soon web
kill --signal NONE web
ps web
images a b
tag alpine
push
volume create a b
volume rm
logs --tail all web
wait --condition done web
completion
completion tcsh
ps --sort weight
ps --filter nonsense
ps --filter nonsense=1
ps --filter status=odd
images --filter nonsense=1
volume ls --filter nonsense=1
ps --quiet --format json --last x
images --quiet --format json
build a b
--log-level loud ps
--root
logs --since yesterday web
help nonsense
login
save
inspect --type pod web""",
    "unknown-flags": """
--nonsense
--nonsense ps
-x ps
ps --nonsense
ps -x
ps -ax
run --nonsense alpine
run -dX alpine
run --gpus all alpine
images --al
volume ls --nonsense
info -x
exec --nonsense web
ps --""",
    "not-there-yet": """
run -p 80/sctp alpine
run --network pasta:-t,80 alpine
network create -d macvlan m
run --restart=always alpine
run --device /dev/null alpine
run --network slirp4netns alpine
run --mount type=image,source=a,target=/b alpine
run -v /a:/b:U alpine
run --log-driver journald alpine
run --security-opt label=type:x alpine
run --ulimit host alpine
exec -d web ls
ps --watch 1
ps -w 1
images --history
pull --all-tags alpine
--remote ps
-c there ps
volume create --opt a=b""",
    "unknown-commands": """
nonsense
nonsense --help
volume nonsense
image nonsense x
container nonsense
system nonsense
RUN alpine
attach web
pod
pod create
network update x
container attach web
system prune
mount""",
    "empty-lists": """
ps
ps -a
ps --format json
ps --format '{{json .}}'
ps --format table
ps -q
ps --noheading
ps --size
ps --format '{{.Names}}'
ps --format 'table {{.Names}}\\t{{.Status}}'
ps -a --filter name=x
images
images --format json
images -q
images --noheading
images --digests
images --format '{{.Repository}}'
images --format 'table {{.Repository}} {{.ID}}'
images nothing
volume ls
volume ls --format json
volume ls -q
volume ls --noheading
volume ls --format '{{.Name}}'
volume inspect --all
rm --all
stop --all
kill --all
rmi --all
volume rm --all
container prune --force
image prune --force
volume prune --force""",
    "templates": """
ps --format '{{.Nonsense}}'
ps --format '{{.Names'
ps --format '{{if .Names}}'
ps --format '{{nonsense .Names}}'
ps --format '{{.Names | nonsense}}'
ps --format 'table {{.Nonsense}}'
images --format '{{.Nonsense}}'
images --format '{{range .Nonsense}}{{end}}'
volume ls --format '{{.Nonsense}}'
info --format '{{.Nonsense}}'
info --format '{{.Host.Nonsense}}'
version --format '{{.Nonsense}}'
version --format '{{.Client.Nonsense}}'
version --format '{{.Client.Version}} {{.Client.APIVersion}}'
version --format '{{.Server.Version}}'""",
    "what-is-not-there": """
inspect web
inspect a b
inspect --format '{{.Id}}' web
container inspect web
image inspect alpine
volume inspect data
inspect --latest
logs web
wait web
stop web
kill web
start web
restart web
rm web
rm -f web
rm --ignore web
rm a b
rmi alpine
rmi -f alpine
volume rm data
volume rm -f data
exec web ls
container exists web
image exists alpine
volume exists data
tag alpine beer
untag alpine
history alpine
save alpine
logs --latest
stop --latest
wait --ignore web
container cleanup web""",
}


def _help_names() -> dict[str, str]:
    """`help-WORDS` -> the command line that gives this help."""
    commands = [" ".join(verb.words) for _, verb in verbs.all_verbs()]
    named = {f"help-{words.replace(' ', '-')}": f"{words} --help" for words in (*_GROUPS, *commands)}
    return {"help": "--help", **named}


def _shown(wpod: Wpod, line: str) -> str:
    """The command line and its result as one block of text."""
    result = wpod(*shlex.split(line))
    blocks = [f"$ wpod {line}".rstrip(), f"status {result.status}"]
    for name, text in (("stdout", result.out), ("stderr", result.err)):
        if text:
            rest = text.replace(str(wpod.store), "<store>").replace(str(wpod.scratch), "<scratch>")
            blocks.append(f"--- {name}{'' if rest.endswith(chr(10)) else ' (without a newline at its end)'}")
            blocks.append(rest.removesuffix("\n"))
    return "\n".join(blocks) + "\n"


def _compare(name: str, text: str) -> None:
    path = _DIRECTORY / f"{name}.txt"
    if _WRITES:
        _DIRECTORY.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"no snapshot {path.name}: make snapshots"
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", _CASES)
def test_output(fresh_one: Wpod, name: str) -> None:
    lines = _CASES[name].removeprefix("\n").split("\n")
    _compare(name, "\n".join(_shown(fresh_one, line) for line in lines))


@pytest.mark.parametrize("name", _help_names())
def test_help(fresh_one: Wpod, name: str) -> None:
    _compare(name, _shown(fresh_one, _help_names()[name]))


def test_every_alias_has_the_same_help(fresh_one: Wpod) -> None:
    """But for the words at its beginning and the list of the other ways to type it."""
    for words, other in (
        ("run", "container run"),
        ("ps", "container ls"),
        ("images", "image list"),
        ("info", "system info"),
    ):
        of_alias = fresh_one(*other.split(), "--help").ok().out.replace(f"wpod {other} ", f"wpod {words} ", 1)
        assert of_alias == fresh_one(*words.split(), "--help").ok().out


def test_help_is_the_same_however_it_is_asked_for(fresh_one: Wpod) -> None:
    asked = [("volume", "ls", "--help"), ("help", "volume", "ls"), ("volume", "ls", "-h"), ("volume", "ls", "-qh")]
    assert len({fresh_one(*words).ok().out for words in asked}) == 1


def test_no_snapshot_is_left_over() -> None:
    assert {path.stem for path in _DIRECTORY.iterdir()} == {*_CASES, *_help_names()}


def test_nothing_is_made_by_looking(fresh_one: Wpod) -> None:
    for line in ("ps -a", "images", "volume ls", "info", "version", "inspect web", "rm -f web"):
        fresh_one(*shlex.split(line))
    assert not fresh_one.store.exists()
