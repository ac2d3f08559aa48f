"""The two parsers are one: hundreds of command lines through both, with their exact outcome; and what some mean."""

from __future__ import annotations

import random
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from wpod.cli import quick, typer_app, verbs
from wpod.cli.accept import Invocation
from wpod.errors import WpodError
from wpod.model.image import Platform
from wpod.model.network import NetworkMode, NetworkWord
from wpod.model.request import AotPolicy, MountKind, PullPolicy, UlimitRequest

Parser = Callable[[Sequence[str]], Invocation]
_PARSERS: dict[str, Parser] = {"quick": quick.parse, "typer": typer_app.parse}
_REFUSED = "  ! "
_FUZZ_LINES = 1500
_FUZZ_WORDS = (
    "-- - -a -q --all --rm --rm=false -e A=b --env -f x -it -dit --help -h --root /tmp --root=/x --name web -v /a:/b "
    "--format json -n 3 -n3 --last=3 -l --latest --filter name=a --time -t 5 --nope -z --pull --pull=never alpine ls "
    "--version -= --= = -e= -d= --publish -p 80 --cidfile --all=false help ---x --all= -ax"
).split()


def _sections() -> dict[str, list[tuple[str, str]]]:
    """The lines of the file by their heading: the command line and its outcome."""
    found: dict[str, list[tuple[str, str]]] = {}
    heading = ""
    text = Path(__file__).with_name("command_lines.txt").read_text(encoding="utf-8")
    for line in text.partition("\n\n")[2].splitlines():
        if line.startswith("# "):
            heading = line[2:]
            continue
        typed, _, outcome = line.partition(_REFUSED)
        found.setdefault(heading, []).append((typed, outcome))
    return found


def _outcome(parse: Parser, argv: Sequence[str]) -> tuple[str, Any]:
    """What is told of a line in the file, and everything else that must agree."""
    try:
        invocation = parse(argv)
    except WpodError as error:
        return error.message, (type(error), error.hint, error.code)
    except quick.HelpWanted as wanted:
        return f"<help {wanted.words}>".replace(" >", ">"), None
    except quick.VersionWanted:
        return "<version>", None
    options = invocation.options
    keys = {option.key for option in (*invocation.verb.options, *verbs.GLOBALS)}
    given = {key: options.values(key, object) for key in sorted(keys) if options.given(key)}
    defaults = {key: options._default(key) for key in sorted(keys)}
    return "", (invocation.words, invocation.verb.words, given, defaults, invocation.arguments)


@pytest.mark.parametrize("heading", _sections())
def test_both_parsers_do_the_same(heading: str) -> None:
    wrong = []
    for typed, expected in _sections()[heading]:
        quickly, by_typer = (_outcome(parse, shlex.split(typed)) for parse in _PARSERS.values())
        if quickly != by_typer or quickly[0] != expected:
            wrong.append(f"wpod {typed}\n  expected {expected!r}\n  quick    {quickly}\n  typer    {by_typer}")
    assert not wrong, "\n".join(wrong)


def test_the_list_is_long_and_without_doubles() -> None:
    lines = [typed for section in _sections().values() for typed, _ in section]
    assert len(lines) > 300
    assert sorted(lines) == sorted(set(lines))


def test_every_command_is_in_the_list() -> None:
    accepted = [f"{typed} " for section in _sections().values() for typed, refused in section if not refused]
    for _, verb in verbs.all_verbs():
        words = " ".join(verb.words)
        assert any(typed.startswith(f"{words} ") for typed in accepted), words


def test_both_parsers_agree_on_random_lines() -> None:
    chosen = random.Random(20)  # always the same lines
    commands = [words for index in verbs.INDEX.values() for words in index]
    for _ in range(_FUZZ_LINES):
        before = chosen.choices(_FUZZ_WORDS, k=chosen.choice((0, 0, 0, 1, 2)))
        argv = [*before, *chosen.choice(commands).split(), *chosen.choices(_FUZZ_WORDS, k=chosen.randint(0, 5))]
        quickly, by_typer = (_outcome(parse, argv) for parse in _PARSERS.values())
        assert quickly == by_typer, argv


@pytest.fixture(params=_PARSERS)
def parse(request: pytest.FixtureRequest) -> Callable[[str], Invocation]:
    return lambda typed: _PARSERS[request.param](shlex.split(typed))


@pytest.mark.parametrize(
    ("typed", "name", "expected"),
    [
        ("run --rm alpine", "rm", True),
        ("run --rm=false alpine", "rm", False),
        ("run --rm --rm=0 alpine", "rm", False),
        ("run alpine --rm", "rm", False),
        ("run -dit alpine", "detach", True),
        ("run -dit alpine", "interactive", True),
        ("run -dit alpine", "tty", True),
        ("run -d=false -it alpine", "detach", False),
        ("pull --tls-verify=false alpine", "tls-verify", False),
        ("pull --tls-verify alpine", "tls-verify", True),
    ],
)
def test_flags(parse: Callable[[str], Invocation], typed: str, name: str, expected: bool) -> None:
    assert parse(typed).options.flag(name) is expected


def test_a_flag_that_was_not_given_is_told_from_a_false_one(parse: Callable[[str], Invocation]) -> None:
    assert parse("pull --tls-verify=false alpine").options.given("tls-verify")
    assert not parse("pull alpine").options.given("tls-verify")


@pytest.mark.parametrize(
    ("typed", "arguments"),
    [
        ("run alpine ls -l --rm", ("alpine", "ls", "-l", "--rm")),
        ("run --rm alpine -- -x", ("alpine", "--", "-x")),
        ("run -- alpine --rm", ("alpine", "--rm")),
        ("run alpine ''", ("alpine", "")),
        ("exec -it web sh -c 'echo -e x'", ("web", "sh", "-c", "echo -e x")),
        ("rm -f -- -web --all", ("-web", "--all")),
        ("rm web -f db", ("web", "db")),
        ("ps", ()),
        ("run 'a\nb'", ("a\nb",)),
    ],
)
def test_arguments(parse: Callable[[str], Invocation], typed: str, arguments: tuple[str, ...]) -> None:
    assert parse(typed).arguments == arguments


@pytest.mark.parametrize(
    ("typed", "name", "expected"),
    [
        ("run -e A=b -e NAME --env=C= alpine", "env", ("A=b", "NAME", "C=")),
        ("run -e A=b,c alpine", "env", ("A=b,c",)),
        ("run --env-file a,b --env-file c alpine", "env-file", ("a", "b", "c")),
        ("run -l a=b,c=d alpine", "label", (("a", "b,c=d"),)),
        ("run --annotation 'a=b,c=d,\"e=f,g\"' alpine", "annotation", (("a", "b"), ("c", "d"), ("e", "f,g"))),
        ("run --cap-add net_admin,CAP_SYS_TIME --cap-add all alpine", "cap-add", ("NET_ADMIN", "SYS_TIME", "ALL")),
        ("ps --filter name=a,id=b -f label=x=y", "filter", (("name", "a"), ("id", "b"), ("label", "x=y"))),
        ("run --name a --name b alpine", "name", ("b",)),
        ("run --memory 64m alpine", "memory", (64 << 20,)),
        ("run -m=1.5g alpine", "memory", (3 << 29,)),
        ("run -m65536 alpine", "memory", (65536,)),
        ("run --memory-swap -1 alpine", "memory-swap", (-1,)),
        ("run --cpus 1.5 alpine", "cpus", (150_000,)),
        ("run --pids-limit=-1 alpine", "pids-limit", (0,)),
        ("run --ulimit nofile=1:2 alpine", "ulimit", (UlimitRequest("nofile", 1, 2),)),
        ("run --ulimit as=5,core=-1 alpine", "ulimit", (UlimitRequest("as", 5, 5), UlimitRequest("core", -1, -1))),
        ("run --network host alpine", "network", (NetworkWord(NetworkMode.HOST),)),
        ("run --pull ifnotpresent alpine", "pull", (PullPolicy.MISSING,)),
        ("run --wasm-aot off alpine", "wasm-aot", (AotPolicy.OFF,)),
        ("run --platform WASI/wasm alpine", "platform", (Platform("wasi", "wasm"),)),
        ("run --entrypoint '[\"a\",\"b c\"]' alpine", "entrypoint", (("a", "b c"),)),
        ("run --entrypoint 'a b' alpine", "entrypoint", (("a b",),)),
        ("run --entrypoint '' alpine", "entrypoint", ((),)),
        ("kill -s sigterm web", "signal", (15,)),
        ("kill --signal=9 web", "signal", (9,)),
        ("stop -t -1 web", "time", (-1,)),
        ("wait --interval 1m30s web", "interval", (90.0,)),
        ("wait -i 250ms web", "interval", (0.25,)),
        ("wait -i 500 web", "interval", (0.5,)),
        ("build --pull .", "pull", ("true",)),
        ("build --pull=never .", "pull", ("never",)),
        ("--root /a ps --root=/b", "root", ("/b",)),
    ],
)  # fmt: skip
def test_values(parse: Callable[[str], Invocation], typed: str, name: str, expected: tuple[object, ...]) -> None:
    assert parse(typed).options.values(name, object) == expected


def test_mounts(parse: Callable[[str], Invocation]) -> None:
    options = parse("run -v /a:/b:ro -v data:/c --mount 'type=bind,\"source=/a,b\",dst=/d/,ro=false' alpine").options
    read_only, volume = options.values("volume", object)
    assert (read_only.kind, read_only.source, read_only.target, read_only.read_only) == (
        MountKind.BIND,
        "/a",
        "/b",
        True,
    )
    assert (volume.kind, volume.source, volume.target, volume.read_only) == (MountKind.VOLUME, "data", "/c", False)
    (mount,) = options.values("mount", object)
    assert (mount.kind, mount.source, mount.target, mount.read_only) == (MountKind.BIND, "/a,b", "/d", False)


def test_aliases_are_the_same_command(parse: Callable[[str], Invocation]) -> None:
    assert parse("container ls -a").verb.handler == parse("ps -a").verb.handler
    assert parse("image rm alpine").verb.handler == parse("rmi alpine").verb.handler
