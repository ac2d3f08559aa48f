"""The option table, and everything that is made from it or must agree with it."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Iterator

import pytest

from tests.meta.sources import TOP
from wpod.cli import accept, generate, podman_surface, quick, verbs
from wpod.cli.table import Completes, Kind, Option, Verb
from wpod.cli.verbs import container as container_verbs
from wpod.cli.verbs import image as image_verbs
from wpod.cli.verbs import volume as volume_verbs
from wpod.commands.completion import SHELLS
from wpod.queries import filters, images, volumes

_VERBS = {" ".join(verb.words): verb for _, verb in verbs.all_verbs()}
# Where a flag is not quite podman's own; its help or note says more.
_OTHER_SHORTS = {("volume create", "d")}  # podman's manual has -d, its help has not


def _options() -> Iterator[tuple[str, Option]]:
    for words, verb in _VERBS.items():
        yield from ((words, option) for option in verb.options)
    yield from (("", option) for option in verbs.GLOBALS)


@pytest.mark.parametrize("name", generate.files())
def test_what_is_made_from_the_table_is_in_step(name: str) -> None:
    """`make docs` writes it."""
    assert (TOP / name).read_text(encoding="utf-8") == generate.files()[name]


@pytest.mark.parametrize("words", [*_VERBS, "__complete"])
def test_every_handler_is_there(words: str) -> None:
    verb = verbs.table_of(words)
    handler = accept.Invocation(verb, words, None, ()).handler()  # type: ignore[arg-type] # only imports
    names = list(inspect.signature(handler).parameters)
    assert [name.lstrip("_") for name in names] == ["session", "options", "arguments"]
    assert inspect.getdoc(handler)


@pytest.mark.parametrize("words", _VERBS)
def test_every_command_says_what_it_does(words: str) -> None:
    verb = _VERBS[words]
    assert verb.summary[0].isupper() and not verb.summary.endswith("."), verb.summary
    assert len(verb.summary) < 90
    names = [name for option in (*verb.options, *verbs.GLOBALS) for name in option.names]
    assert sorted(names) == sorted(set(names)), "a name twice"


@pytest.mark.parametrize("words", _VERBS)
def test_every_option_says_what_it_does(words: str) -> None:
    for option in _VERBS[words].options:
        assert option.help and not option.help.endswith("."), option.key
        assert len(option.names[0]) > 1, "the long name is the first"
        assert all(len(name) == 1 or name == name.lower() for name in option.names)
        assert bool(option.metavar) == (option.kind is not Kind.FLAG), option.key


def test_defaults_and_choices_are_taken_by_their_parser() -> None:
    for words, option in _options():
        for text in (*option.choices, option.default):
            if text and option.parse:
                option.parse(text)
        assert bool(option.choices) == (option.completes is Completes.WORDS), (words, option.key)


def test_every_example_is_accepted() -> None:
    for words, verb in _VERBS.items():
        for example in verb.examples:
            argv = [word for word in shlex.split(example) if word[:1] not in "<>"]
            if argv[0] == "wpod":
                assert quick.parse(argv[1:]).verb.words, (words, example)


def test_the_commands_that_people_meet_first_have_examples() -> None:
    for words in (
        "run",
        "create",
        "ps",
        "start",
        "stop",
        "rm",
        "logs",
        "exec",
        "inspect",
        "images",
        "pull",
        "build",
        "info",
    ):
        assert _VERBS[words].examples, words


def test_options_are_cut_as_podmans() -> None:
    """A flag that takes a value there takes one here, and its short form is the same."""
    for words, verb in _VERBS.items():
        if not podman_surface.has_command(words):
            continue
        for option in verb.options:
            takes_value = podman_surface.takes_value(words, option.key)
            if takes_value is None:
                continue
            assert takes_value == (option.kind is not Kind.FLAG), (words, option.key)
            shorts = {name for name in option.names if len(name) == 1}
            theirs = {letter for letter in _letters() if podman_surface.long_name(words, letter) == option.key}
            assert shorts == theirs or (words, *shorts) in _OTHER_SHORTS, (words, option.key)


def _letters() -> str:
    return "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def test_the_index_and_the_tables_agree() -> None:
    for index in verbs.INDEX.values():
        for words, function in index.items():
            verb = verbs.table_of(words)
            own = " ".join(verb.words)
            assert index[own] == function, words
            assert words == own or words in verbs.aliases(verb), words


def test_the_filters_in_the_help_are_those_that_there_are() -> None:
    assert set(container_verbs.PS_FILTERS) == set(filters.KEYS) - {"label!", "pod"}
    assert set(image_verbs.IMAGES_FILTERS) == set(images.FILTERS)
    assert set(volume_verbs.FILTERS) == set(volumes.FILTERS)


def test_the_shells_are_those_that_have_a_script() -> None:
    (positional,) = _VERBS["completion"].positionals
    assert set(positional.choices) == set(SHELLS)


def test_hot_commands_need_no_typer() -> None:
    """Those that scripts call all day; the others may take the time."""
    hot = {words for words, verb in _VERBS.items() if verb.hot}
    assert hot == {"run", "create", "ps", "start", "stop", "kill", "rm", "wait", "logs", "port", "inspect",
                   "exec", "images", "stats"}  # fmt: skip


def _guests(verb: Verb) -> bool:
    """The words of a guest, and those of ps(1) in `top` for podman's users."""
    return any(positional.name in ("ARGUMENT", "FIELD") for positional in verb.positionals)


def test_what_follows_the_image_is_the_guests() -> None:
    for words, verb in _VERBS.items():
        assert verb.stop_at_first_positional == _guests(verb), words
