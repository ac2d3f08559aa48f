"""What may stand at the cursor of a command line: the hidden command `__complete`, which the shells' scripts ask.

Theory of operation. The words before the cursor are walked through as the parsers would, but nothing in them
is refused: whoever is still typing has time to be right. What is expected then comes from the option table;
names of containers, images and volumes come from `wpod.commands.completion`, files from the shell itself.

The answer is lines. The first one is `KIND PREFIX`: KIND is `words`, `files` or `directories` (which the
shell adds to the words), PREFIX is what of the typed word stands before the file's name (`--authfile=`). Each
further line is a whole word, a tab, and a few words about it. A word that ends with `:`, `=` or `,` goes on.
"""

from __future__ import annotations

from wpod.cli import accept, verbs
from wpod.cli.table import Completes, Kind, Option, Positional, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wpod.commands.options import Options
    from wpod.commands.session import Session

Candidate = tuple[str, str]

_SHELL_KINDS = {
    Completes.FILES: "files",
    Completes.DIRECTORIES: "directories",
    Completes.SOURCES: "directories",
}
_TRUTH: list[Candidate] = [("true", ""), ("false", "")]


class Expected:
    """What fits: ready words, or a kind of names. `prefix` stands before each, `typed` after it so far.

    `taken` are arguments that stand there already and aren't offered again; `root` is the line's --root.
    """

    __slots__ = ("completes", "prefix", "root", "taken", "typed", "words")

    def __init__(self, typed: str = "", root: str = "") -> None:
        self.words: list[Candidate] = []
        self.completes = Completes.NOTHING
        self.prefix = ""
        self.typed = typed
        self.taken: tuple[str, ...] = ()
        self.root = root


def offer(session: Session, _options: Options, arguments: tuple[str, ...]) -> int:
    """Print what may stand in place of the last argument. Never an error: no store means no names."""
    from wpod.commands import completion
    from wpod.errors import ExitCode

    found = expected(arguments)
    names = completion.names(found.completes.value, found.typed, found.root or session.root)
    fitting = [
        f"{found.prefix}{word}\t{about}\n"
        for word, about in (*found.words, *names)
        if word.startswith(found.typed) and word not in found.taken
    ]
    kind = _SHELL_KINDS.get(found.completes, "words")
    session.output.text(f"{kind} {found.prefix}\n" + "".join(fitting))
    return ExitCode.SUCCESS


def expected(words: Sequence[str]) -> Expected:
    """What may stand in place of the last word; the others stand before it. Pure."""
    walk = _Walk()
    for word in words[:-1]:
        walk.take(word)
    return walk.at(words[-1] if words else "")


class _Walk:
    """How far the words before the cursor have come. `dead`: nothing can be said of what follows them."""

    def __init__(self) -> None:
        self.words = ""
        self.verb: Verb | None = None
        self.longs: dict[str, Option] = {option.key: option for option in verbs.GLOBALS}
        self.shorts: dict[str, Option] = {}
        self.given: dict[str, str] = {}
        self.arguments: list[str] = []
        self.waiting: Option | None = None
        self.options_ended = False
        self.helping = False
        self.dead = False

    def take(self, word: str) -> None:
        if self.waiting is not None:
            self.given[self.waiting.key] = word
            self.waiting = None
        elif word == "--" and not self.options_ended:
            self.options_ended = True
        elif word.startswith("--") and not self.options_ended:
            name, equals, text = word[2:].partition("=")
            self._option(self.longs.get(name), attached=text if equals else None)
        elif word.startswith("-") and word != "-" and not self.options_ended:
            self._bundle(word[1:])
        else:
            self._argument(word)

    def _option(self, option: Option | None, attached: str | None) -> None:
        if option is None:
            return
        if attached is None and _takes_word(option):
            self.waiting = option
        else:
            self.given[option.key] = "true" if attached is None else attached

    def _bundle(self, letters: str) -> None:
        for position, letter in enumerate(letters):
            option = self.shorts.get(letter)
            if option is not None and _takes_word(option):
                rest = letters[position + 1 :]
                self._option(option, rest.removeprefix("=") if rest else None)
                return
            self._option(option, None)

    def _argument(self, word: str) -> None:
        if self.verb is not None:
            self.arguments.append(word)
            self.dead = self.dead or self.verb.stop_at_first_positional
            return
        if word == "help" and not self.words:
            self.helping = True
            return
        self.words = f"{self.words} {word}".strip()
        if verbs.is_command(self.words):
            self.verb = verbs.table_of(self.words)
            self.longs, self.shorts = accept.option_maps(self.verb)
            self.dead = self.helping
        else:
            self.dead = not verbs.is_group(self.words)

    def at(self, current: str) -> Expected:
        found = Expected(current, self.given.get("root", ""))
        if self.dead:
            return found
        if self.waiting is not None:
            _value(found, self.waiting)
        elif current.startswith("-") and not self.options_ended:
            self._at_option(found, current)
        elif self.verb is None:
            found.words = list(_commands(self.words, helping=self.helping))
        else:
            self._at_argument(found, self.verb)
        return found

    def _at_option(self, found: Expected, current: str) -> None:
        name, equals, text = current[2:].partition("=")
        option = self.longs.get(name)
        if equals and option is not None:
            found.prefix, found.typed = f"--{name}=", text
            _value(found, option)
        elif not equals:
            found.words = [
                (f"--{name}", one.help)
                for name, one in self.longs.items()
                if one.key not in self.given or one.kind in (Kind.LIST, Kind.COMMAS)
            ]
            found.words.append(("--help", "Show this help"))

    def _at_argument(self, found: Expected, verb: Verb) -> None:
        positional = _position(verb, len(self.arguments))
        if positional is None or any(self.given.get(name, "false") != "false" for name in positional.unless):
            return
        found.completes = positional.completes
        found.words = [(word, "") for word in positional.choices]
        found.taken = tuple(self.arguments)


def _takes_word(option: Option) -> bool:
    return option.kind not in (Kind.FLAG, Kind.OPTIONAL)


def _value(found: Expected, option: Option) -> None:
    """The values of an option; of a list of words the one after the last comma."""
    found.completes = option.completes
    found.words = [(word, "") for word in option.choices]
    if option.kind is Kind.FLAG:
        found.words = _TRUTH
    if option.kind is Kind.COMMAS and option.choices:
        before, comma, found.typed = found.typed.rpartition(",")
        found.taken = tuple(before.split(","))
        found.prefix += before + comma
    if ":" in option.metavar and ":" in found.typed:
        found.completes, found.words = Completes.NOTHING, []  # behind SOURCE: is a path in the container


def _position(verb: Verb, number: int) -> Positional | None:
    for positional in verb.positionals:
        if positional.maximum is None or number < positional.maximum:
            return positional
        number -= positional.maximum
    return None


def _commands(group: str, *, helping: bool) -> Iterator[Candidate]:
    """The commands and groups that begin with the group's words, each once."""
    prefix = f"{group} " if group else ""
    seen: set[str] = set()
    for index in verbs.INDEX.values():
        for words in index:
            name, more, _ = words.removeprefix(prefix).partition(" ")
            if words.startswith(prefix) and name not in seen and not name.startswith("__"):
                seen.add(name)
                yield name, "A group of commands" if more else verbs.table_of(words).summary
    if not group and not helping:
        yield "help", "Show the help of a command"
