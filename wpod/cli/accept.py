"""What both parsers share: the meaning of one value, and every usage error in its one wording.

The parsers differ only in how they cut the command line into options and arguments (`quick` by its own
loop, `typer_app` by click's); which of them ran can't be told from the outcome.
"""

from __future__ import annotations

import sys

from wpod.cli import values, verbs
from wpod.cli.table import Kind, Option, Positional, Verb
from wpod.commands.options import Options
from wpod.errors import NotSupportedYet, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wpod.commands.session import Session

Given = dict[str, list[object]]


class Invocation:
    """An accepted command line: what to call, and with what."""

    __slots__ = ("arguments", "options", "verb", "words")

    def __init__(self, verb: Verb, words: str, options: Options, arguments: tuple[str, ...]) -> None:
        self.verb = verb
        self.words = words
        self.options = options
        self.arguments = arguments

    def handler(self) -> Callable[[Session, Options, tuple[str, ...]], int]:
        """Import what the table names. A command whose module isn't there is a broken installation."""
        module, _, function = self.verb.handler.partition(":")
        __import__(module)  # `importlib` is one more import
        found: Callable[[Session, Options, tuple[str, ...]], int] = getattr(sys.modules[module], function)
        return found


def option_maps(verb: Verb) -> tuple[dict[str, Option], dict[str, Option]]:
    """By long and by short name; the global options may stand after the command too, unless it has its own."""
    longs = {option.names[0]: option for option in verbs.GLOBALS}
    shorts: dict[str, Option] = {}
    for option in verb.options:
        for name in option.names:
            (shorts if len(name) == 1 else longs)[name] = option
    return longs, shorts


def take(given: Given, option: Option, text: str, words: str) -> None:
    """Add one occurrence. Raises UsageError naming the option, the word and the reason."""
    try:
        if option.kind is Kind.FLAG:
            given[option.key] = [values.boolean(text)]
            return
        pieces = values.comma_fields(text) if option.kind is Kind.COMMAS and text else [text]
        parsed = [option.parse(piece) if option.parse else piece for piece in pieces]
    except NotSupportedYet:
        raise
    except (ValueError, UsageError) as error:
        reason = error.message if isinstance(error, UsageError) else str(error)
        raise usage(f'invalid argument "{text}" for "{spelled(option)}" flag: {reason}', words) from None
    if option.kind in (Kind.VALUE, Kind.OPTIONAL):
        given[option.key] = list(parsed)
    else:
        given.setdefault(option.key, []).extend(parsed)


def finish(verb: Verb, words: str, given: Given, arguments: list[str]) -> Invocation:
    """Check the arguments' number and put the defaults in. Raises UsageError."""
    _check_arguments(verb, words, given, arguments)
    defaults: dict[str, object] = {}
    for option in (*verbs.GLOBALS, *verb.options):
        parse = option.parse
        defaults[option.key] = (parse(option.default) if parse else option.default) if option.default else None
    return Invocation(verb, words, Options(defaults, given), tuple(arguments))


def spelled(option: Option) -> str:
    """`-m, --memory`, as in messages."""
    short = next((f"-{name}, " for name in option.names if len(name) == 1), "")
    return f"{short}--{option.names[0]}"


def usage(message: str, words: str) -> UsageError:
    """A usage error of a command, with the way to its help."""
    return UsageError(message, hint=f"see: wpod {words} --help" if words else "see: wpod --help")


def needs_value(name: str, words: str, bundle: str = "") -> UsageError:
    """The last word is an option that takes a value."""
    where = f"{name!r} in {bundle}" if bundle else f"--{name}"
    return usage(f"flag needs an argument: {where}", words)


def unknown_long(name: str, verb: Verb | None, words: str) -> UsageError:
    """No such flag, or one of podman's that isn't there yet."""
    from wpod.cli import podman_surface

    if name and podman_surface.takes_value(_canonical(verb), name) is not None:
        return NotSupportedYet(f"--{name}")
    return usage(f"unknown flag: --{name}", words)


def unknown_short(letter: str, bundle: str, verb: Verb | None, words: str) -> UsageError:
    """As `unknown_long`; podman's own is named by its long name."""
    from wpod.cli import podman_surface

    long = podman_surface.long_name(_canonical(verb), letter)
    if long:
        return NotSupportedYet(f"--{long}")
    return usage(f"unknown shorthand flag: {letter!r} in {bundle}", words)


def unknown_command(words: str) -> UsageError:
    """No such command, or one of podman's that isn't there yet."""
    from wpod.cli import podman_surface

    if podman_surface.has_command(words):
        return NotSupportedYet(f"the command {words}")
    group = words.rpartition(" ")[0]
    return usage(f'unknown command "{words}"', group)


def missing_command(group: str) -> UsageError:
    """`wpod` or `wpod volume` alone."""
    return usage(f"missing command: wpod {group + ' ' if group else ''}COMMAND", group)


def _canonical(verb: Verb | None) -> str:
    return " ".join(verb.words) if verb else ""


def _check_arguments(verb: Verb, words: str, given: Given, arguments: list[str]) -> None:
    minimum, maximum = 0, 0
    unlimited = False
    for positional in verb.positionals:
        instead = next((name for name in positional.unless if given.get(name, [False])[-1] is not False), None)
        if instead and positional.maximum is None:
            if instead in ("all", "latest") and arguments:
                raise usage(f"no arguments are needed with --{instead}", words)
            unlimited = True
            continue
        if not instead:
            minimum += positional.minimum
        unlimited = unlimited or positional.maximum is None
        maximum += positional.maximum or 0
    if len(arguments) < minimum:
        raise usage(f"wpod {words}: {_missing(verb.positionals, len(arguments))} is missing", words)
    if not unlimited and len(arguments) > maximum:
        limit = f"at most {maximum} argument{'s' if maximum > 1 else ''}" if maximum else "no arguments"
        raise usage(f"wpod {words} takes {limit}, received {len(arguments)}", words)


def _missing(positionals: tuple[Positional, ...], received: int) -> str:
    for positional in positionals:
        if received < positional.minimum:
            ways = [positional.name, *(f"--{name}" for name in positional.unless if name != "filter")]
            return " or ".join(ways)
        received -= positional.minimum
    return positionals[-1].name
