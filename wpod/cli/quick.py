"""The small parser: from argv to an accepted command line with nothing but the table of one command.

Theory of operation. pflag's grammar: long options with `=` or the next word, short ones in bundles
(`-dit`, `-efoo`, `-e=foo`), flags with an attached truth value (`--rm=false`), `--`, and for `run`,
`create` and `exec` everything after the first argument is the guest's. It serves the commands that the
table calls hot; `typer_app` serves the rest from the same table. tests/cli/command_lines.txt is run
through both.
"""

from __future__ import annotations

from wpod.cli import accept, verbs
from wpod.cli.accept import Given, Invocation
from wpod.cli.table import Kind, Option, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class HelpWanted(Exception):
    """--help stood on the command line; `words` is the command or group, "" for wpod itself."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class VersionWanted(Exception):
    """--version stood before any command."""


class Line:
    """A command line cut at its command. `verb` None: the words aren't a command (a group, nothing, help)."""

    __slots__ = ("given", "rest", "words")

    def __init__(self, words: str, given: Given, rest: list[str]) -> None:
        self.words = words
        self.given = given
        self.rest = rest


def split(argv: Sequence[str]) -> Line:
    """Find the command's words; global options before and between them are taken.

    Raises UsageError, HelpWanted, VersionWanted.
    """
    given: Given = {}
    words = ""
    rest = list(argv)
    while True:
        word = rest.pop(0) if rest else None
        if word is None or word == "--":
            raise accept.missing_command(words)
        if word.startswith("-") and word != "-":
            _global_option(word, rest, given, words)
            continue
        if words in ("", "help") and word == "help":
            raise HelpWanted(" ".join(one for one in rest if not one.startswith("-")))
        words = f"{words} {word}" if words else word
        if verbs.is_command(words):
            return Line(words, given, rest)
        if not verbs.is_group(words):
            raise accept.unknown_command(words)


def parse(argv: Sequence[str]) -> Invocation:
    """The accepted command line. Raises UsageError, HelpWanted, VersionWanted."""
    line = split(argv)
    return parse_verb(verbs.table_of(line.words), line)


def parse_verb(verb: Verb, line: Line) -> Invocation:
    """What stands after the command's words. Raises UsageError, HelpWanted."""
    reader = _Reader(verb, line)
    reader.read()
    if reader.help:
        raise HelpWanted(line.words)
    return accept.finish(verb, line.words, line.given, reader.arguments)


class _Reader:
    """One pass over the words after the command."""

    def __init__(self, verb: Verb, line: Line) -> None:
        self.verb = verb
        self.words = line.words
        self.given = line.given
        self.longs, self.shorts = accept.option_maps(verb)
        self.rest = line.rest
        self.position = 0
        self.arguments: list[str] = []
        self.help = False

    def read(self) -> None:
        while self.position < len(self.rest):
            word = self._next()
            if word == "--":
                break
            if word.startswith("--"):
                self._long(word)
            elif word.startswith("-") and word != "-":
                self._bundle(word)
            else:
                self.arguments.append(word)
                if self.verb.stop_at_first_positional:
                    break
        self.arguments += self.rest[self.position :]

    def _next(self) -> str:
        word = self.rest[self.position]
        self.position += 1
        return word

    def _long(self, word: str) -> None:
        name, equals, text = word[2:].partition("=")
        option = self.longs.get(name)
        if option is None:
            if name == "help":
                self.help = True
                return
            raise accept.unknown_long(name, self.verb, self.words)
        if not equals:
            text = self._value(option, name)
        accept.take(self.given, option, text, self.words)

    def _bundle(self, word: str) -> None:
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            option = self.shorts.get(letter)
            if option is None:
                if letter == "h":
                    self.help = True
                    return
                raise accept.unknown_short(letter, word, self.verb, self.words)
            attached = letters[1:] if letters.startswith("=") and len(letters) > 1 else ""
            if attached:
                letters = ""
            elif option.kind is not Kind.FLAG and letters:
                attached, letters = letters, ""
            text = attached or self._value(option, letter, word)
            accept.take(self.given, option, text, self.words)

    def _value(self, option: Option, name: str, bundle: str = "") -> str:
        if option.kind in (Kind.FLAG, Kind.OPTIONAL):
            return "true"
        if self.position == len(self.rest):
            raise accept.needs_value(name, self.words, bundle)
        return self._next()


def _global_option(word: str, rest: list[str], given: Given, words: str) -> None:
    name, equals, text = word[2:].partition("=") if word.startswith("--") else ("", "", "")
    if name == "help" or word[:2] == "-h":
        raise HelpWanted(words)
    if (name == "version" or word[:2] == "-v") and not words:
        raise VersionWanted
    if not word.startswith("--"):
        raise accept.unknown_short(word[1], word, None, words)
    option = next((known for known in verbs.GLOBALS if known.key == name), None)
    if option is None:
        raise accept.unknown_long(name, None, words)
    if not equals:
        if not rest:
            raise accept.needs_value(name, words)
        text = rest.pop(0)
    accept.take(given, option, text, words)
