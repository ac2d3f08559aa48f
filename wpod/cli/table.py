"""The option table: what every command accepts, said once.

Theory of operation. One `Verb` per command stands in `wpod/cli/verbs/GROUP.py`, made by a function
of its own, so that `wpod ps` builds the table of `ps` and nothing else (an import that built all of
them would cost every command some milliseconds). From this table come both parsers (`quick`, `typer_app`),
the help, the completions of three shells and docs/compatibility.md. What podman has beyond it stands as
bare facts in `podman_surface`; those flags are refused by name.
"""

from __future__ import annotations

from wpod.enumeration import Enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Kind(Enum):
    """How an option takes values, in pflag's terms.

    FLAG: bool (`--rm`, `--rm=false`, bundles as in `-dit`). VALUE: the last one given wins. LIST: each
    occurrence is one value, as it is (stringArray). COMMAS: each occurrence is split at commas, with
    CSV quoting (stringSlice). OPTIONAL: a value only when attached (`--pull=never`); alone it is `true`.
    """

    FLAG = "flag"
    VALUE = "value"
    LIST = "list"
    COMMAS = "commas"
    OPTIONAL = "optional"


class Status(Enum):
    """How a flag or command compares with podman's of the same name (docs/compatibility.md)."""

    WORKS = "works"
    DIFFERS = "differs"
    NOT_YET = "not there yet"


class Completes(Enum):
    """What the shell offers for a value."""

    NOTHING = "nothing"
    CONTAINERS = "containers"
    RUNNING_CONTAINERS = "running-containers"
    IMAGES = "images"
    VOLUMES = "volumes"
    NETWORKS = "networks"
    NETWORK_MODES = "network-modes"  # networks, and the words that name none
    OBJECTS = "objects"  # containers, images and volumes
    FILES = "files"
    DIRECTORIES = "directories"
    SOURCES = "sources"  # of a mount: directories and volumes
    SIGNALS = "signals"
    WORDS = "words"


class Option:
    """One option. `names`: long name first, without dashes (`("env", "e")`); the first one is its key.

    `parse` turns one value into what the handler gets and raises UsageError or ValueError with the reason;
    None keeps the text. `default` is what the help shows and what `Options.text` and `.number` give where
    the option is absent. `choices` are the words that `parse` accepts, for help and completion. `note` says
    how the option differs from podman's; with it the status is DIFFERS. `section` is the heading under which
    the help shows it ("" is "Options"); set by `section`.

    Not a dataclass, nor are the others here: each such decorator takes 1 ms, in every command.
    """

    __slots__ = ("choices", "completes", "default", "help", "kind", "metavar", "names", "note", "parse", "section")

    def __init__(  # noqa: PLR0913, PLR0917 - a row of a table
        self,
        names: tuple[str, ...],
        kind: Kind,
        help: str,
        parse: Callable[[str], object] | None = None,
        metavar: str = "",
        default: str = "",
        note: str = "",
        completes: Completes = Completes.NOTHING,
        choices: tuple[str, ...] = (),
    ) -> None:
        self.names = names
        self.kind = kind
        self.help = help
        self.parse = parse
        self.metavar = metavar
        self.default = default
        self.note = note
        self.completes = completes
        self.choices = choices
        self.section = ""

    @property
    def key(self) -> str:
        """The name by which handlers ask for it."""
        return self.names[0]

    @property
    def status(self) -> Status:
        """How it compares with podman's option of this name."""
        return Status.DIFFERS if self.note else Status.WORKS


class Positional:
    """What follows the options. `maximum` None: any number. `choices`: the words for Completes.WORDS.

    `unless` names options that stand in for it (`--all`, `--latest`, `--cidfile`): with one of them the
    minimum is 0, and with `--all` or `--latest` an argument is refused.
    """

    __slots__ = ("choices", "completes", "maximum", "minimum", "name", "unless")

    def __init__(  # noqa: PLR0913, PLR0917 - a row of a table
        self,
        name: str,
        minimum: int = 1,
        maximum: int | None = 1,
        completes: Completes = Completes.NOTHING,
        unless: tuple[str, ...] = (),
        choices: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.minimum = minimum
        self.maximum = maximum
        self.completes = completes
        self.unless = unless
        self.choices = choices


class Verb:
    """One command. `words` as typed (`("volume", "ls")`); other ways to type it stand in the index
    (`wpod.cli.verbs.INDEX`).

    `handler` is `MODULE:FUNCTION` with the contract of `wpod.commands.session`; the module is imported when the
    command line has been accepted. `stop_at_first_positional`: all after the first positional argument
    belongs to the guest. `hot`: served by the small parser. `note`: how it differs from podman's.
    """

    __slots__ = (
        "examples", "handler", "hot", "note", "options", "positionals", "stop_at_first_positional", "summary", "words",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913, PLR0917 - a row of a table
        self,
        words: tuple[str, ...],
        summary: str,
        handler: str,
        options: tuple[Option, ...] = (),
        positionals: tuple[Positional, ...] = (),
        stop_at_first_positional: bool = False,
        hot: bool = False,
        examples: tuple[str, ...] = (),
        note: str = "",
    ) -> None:
        self.words = words
        self.summary = summary
        self.handler = handler
        self.options = options
        self.positionals = positionals
        self.stop_at_first_positional = stop_at_first_positional
        self.hot = hot
        self.examples = examples
        self.note = note

    @property
    def status(self) -> Status:
        """How it compares with podman's command of this name."""
        return Status.DIFFERS if self.note else Status.WORKS


def flag(names: str, text: str, note: str = "") -> Option:
    """A FLAG; `names` separated by blanks, long first."""
    return Option(tuple(names.split()), Kind.FLAG, text, note=note)


def section(title: str, options: tuple[Option, ...]) -> tuple[Option, ...]:
    """The same options, freshly made ones, under a heading of the help."""
    for option in options:
        option.section = title
    return options
