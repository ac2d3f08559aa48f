"""The option table: what every command accepts, said once.

Theory of operation. One `Verb` per command stands in `wpod/cli/verbs/GROUP.py`, made by a function
of its own, so that `wpod ps` builds the table of `ps` and nothing else (an import that built all of
them would cost every command some milliseconds). From this table come both parsers (`quick`, `typer_app`),
the help, the completions of three shells and docs/compatibility.md. What podman has beyond it stands as
bare facts in `podman_surface`; those flags are refused by name.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass


class Kind(enum.Enum):
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


class Status(enum.Enum):
    """How a flag or command compares with podman's of the same name (docs/compatibility.md)."""

    WORKS = "works"
    DIFFERS = "differs"
    NOT_YET = "not there yet"


class Completes(enum.Enum):
    """What the shell offers for a value."""

    NOTHING = "nothing"
    CONTAINERS = "containers"
    RUNNING_CONTAINERS = "running-containers"
    IMAGES = "images"
    VOLUMES = "volumes"
    FILES = "files"
    DIRECTORIES = "directories"
    SIGNALS = "signals"
    WORDS = "words"


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `names`: long name first, without dashes (`("env", "e")`); the first one is its key.

    `parse` turns one value into what the handler gets and raises UsageError or ValueError with the reason;
    None keeps the text. `default` is what the help shows and what `Options.text` and `.number` give where
    the option is absent. `choices` are the words that `parse` accepts, for help and completion. `note` says
    how the option differs from podman's (`status` DIFFERS).
    """

    names: tuple[str, ...]
    kind: Kind
    help: str
    parse: Callable[[str], object] | None = None
    metavar: str = ""
    default: str = ""
    status: Status = Status.WORKS
    note: str = ""
    completes: Completes = Completes.NOTHING
    choices: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The name by which handlers ask for it."""
        return self.names[0]


@dataclass(frozen=True, slots=True)
class Positional:
    """What follows the options. `maximum` None: any number.

    `unless` names options that stand in for it (`--all`, `--latest`, `--cidfile`): with one of them the
    minimum is 0, and with `--all` or `--latest` an argument is refused.
    """

    name: str
    minimum: int = 1
    maximum: int | None = 1
    completes: Completes = Completes.NOTHING
    unless: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verb:
    """One command. `words` as typed (`("volume", "ls")`), other ways to type it stand in the index
    (`wpod.cli.verbs.INDEX`).

    `handler` is `MODULE:FUNCTION` with the contract of `wpod.commands.session.Handler`; the module is
    imported when the command line has been accepted. `stop_at_first_positional`: all after the first
    positional argument belongs to the guest.
    """

    words: tuple[str, ...]
    summary: str
    handler: str
    options: tuple[Option, ...] = ()
    positionals: tuple[Positional, ...] = ()
    stop_at_first_positional: bool = False
    hot: bool = False
    examples: tuple[str, ...] = ()
    status: Status = Status.WORKS
    note: str = ""


def flag(names: str, text: str, note: str = "") -> Option:
    """A FLAG; `names` separated by blanks, long first. A note makes its status DIFFERS."""
    return Option(tuple(names.split()), Kind.FLAG, text, note=note, status=Status.DIFFERS if note else Status.WORKS)
