"""typer over the same table: help, and the parsing of every command that `quick` doesn't serve.

Theory of operation. Each command is declared to typer as a function whose signature is made from its
table, when it is asked for (declaring all of them takes 100 ms). typer and the click inside it then cut the
command line and write the help. Click's grammar isn't quite pflag's, so its option parser is subclassed
where they differ: `--rm=false`, `-e=NAME`, -h. What a value means and how an error reads is `accept`'s, for
both parsers. The only module that imports typer; its version is pinned, for the parser class is not public.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from typing import Annotated, Any

import typer
import typer.main
from typer._click import Command, Context, HelpFormatter
from typer._click.parser import _Option, _OptionParser, _ParsingState
from typer.core import TyperCommand, TyperGroup

from wpod.cli import accept, verbs
from wpod.cli.accept import Given, Invocation
from wpod.cli.quick import HelpWanted, VersionWanted
from wpod.cli.table import Kind, Option, Verb

_HELP = Option(("help",), Kind.FLAG, "Show this help")
_VERSION = Option(("version", "v"), Kind.FLAG, "Show the version")
_WIDTH = 100
_NARROWEST = 50
_LEFT_WIDTH = 30
_SUMMARY = "Run WebAssembly and native containers side by side, without a daemon"
_FIRST_STEPS = (
    "wpod pull REGISTRY/NAME:TAG",
    "wpod run --rm NAME:TAG",
    "wpod run -d --name web NAME:TAG",
    "wpod ps",
    "wpod logs -f web",
    "wpod rm -f web",
)
_GROUP_SUMMARIES = {
    "container": "Manage containers",
    "image": "Manage images",
    "volume": "Manage named volumes",
    "system": "Manage wpod itself",
}


def parse(argv: Sequence[str]) -> Invocation:
    """As `quick.parse`: the accepted command line, or UsageError, HelpWanted, VersionWanted."""
    invocation = _Group("").main(list(argv), prog_name="wpod", standalone_mode=False)
    assert isinstance(invocation, Invocation)
    return invocation


def help_text(words: str) -> str:
    """The help of a command or group, "" for wpod itself. Raises UsageError where there is none."""
    context = Context(_Group(""), info_name="wpod", terminal_width=_width())
    command: Command = context.command
    done = ""
    for word in words.split():
        done = f"{done} {word}".strip()
        found = command.get_command(context, word) if isinstance(command, _Group) else None
        if found is None:
            raise accept.unknown_command(done)
        command = found
        context = Context(command, info_name=word, parent=context, terminal_width=_width())
    return command.get_help(context) + "\n"


def _width() -> int:
    """The terminal's, from 50 to 100; always 100 elsewhere, so that help in a file doesn't depend on a terminal."""
    return max(min(os.get_terminal_size(1).columns, _WIDTH), _NARROWEST) if os.isatty(1) else _WIDTH


class _TableOption(_Option):
    """Click's record of an option, which hands each occurrence to the table instead of keeping it."""

    def __init__(self, option: Option, given: Given, words: str) -> None:
        names = [f"-{name}" if len(name) == 1 else f"--{name}" for name in option.names]
        super().__init__(None, names, option.key)  # type: ignore[arg-type] # nothing reads the parameter
        self.option = option
        self._given = given
        self._words = words

    @property
    def takes_value(self) -> bool:
        return self.option.kind not in (Kind.FLAG, Kind.OPTIONAL)

    def process(self, value: Any, state: _ParsingState) -> None:
        if self.option is _HELP:
            state.opts["help"] = True
        elif self.option is _VERSION:
            raise VersionWanted
        else:
            accept.take(self._given, self.option, "true" if value is None else value, self._words)


class _Parser(_OptionParser):
    """Click's parser with pflag's grammar."""

    def __init__(self, verb: Verb | None, words: str, given: Given, *, stop_at_first: bool) -> None:
        super().__init__()
        self.allow_interspersed_args = not stop_at_first
        self._verb = verb
        self._words = words
        self._given = given

    def declare(self, option: Option, names: Sequence[str]) -> None:
        """Make an option known by these of its names."""
        made = _TableOption(option, self._given, self._words)
        for name in names:
            if len(name) == 1:
                self._short_opt[f"-{name}"] = made
            else:
                self._long_opt[f"--{name}"] = made

    def _process_args_for_options(self, state: _ParsingState) -> None:
        """Before the command only options may stand: -- ends the line there, and help is given at once."""
        while self._verb is None and state.rargs:
            if state.rargs[0] == "--":
                raise accept.missing_command(self._words)
            if state.rargs[0] == "-" or not state.rargs[0].startswith("-"):
                return
            self._process_opts(state.rargs.pop(0), state)
            if state.opts.get("help"):
                raise HelpWanted(self._words)
        super()._process_args_for_options(state)

    def _match_long_opt(self, opt: str, explicit_value: str | None, state: _ParsingState) -> None:
        if not opt.startswith("--"):
            return super()._match_long_opt(opt, explicit_value, state)  # no such one: click goes on with -x
        option = self._long_opt.get(opt)
        if option is None:
            raise accept.unknown_long(opt[2:], self._verb, self._words)
        if explicit_value is None and option.takes_value:
            explicit_value = self._following(state, opt[2:], "")
        return option.process(explicit_value, state)

    def _match_short_opt(self, arg: str, state: _ParsingState) -> None:
        position = 1
        while position < len(arg):
            letter = arg[position]
            position += 1
            option = self._short_opt.get(f"-{letter}")
            if option is None:
                if letter == "h":
                    state.opts["help"] = True
                    return
                raise accept.unknown_short(letter, arg, self._verb, self._words)
            rest, value = arg[position:], None
            if len(rest) > 1 and rest[0] == "=":
                value, position = rest[1:], len(arg)
            elif option.takes_value:
                value, position = rest or self._following(state, letter, arg), len(arg)
            option.process(value, state)

    def _following(self, state: _ParsingState, name: str, bundle: str) -> str:
        if not state.rargs:
            raise accept.needs_value(name, self._words, bundle)
        return state.rargs.pop(0)


class _Leaf(TyperCommand):
    """A command whose parsing is its table's."""

    verb: Verb

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        given: Given = ctx.obj["given"]
        words = _words(ctx)
        parser = _Parser(self.verb, words, given, stop_at_first=self.verb.stop_at_first_positional)
        longs, shorts = accept.option_maps(self.verb)
        for name, option in (*longs.items(), *shorts.items()):
            parser.declare(option, (name,))
        if "help" not in longs:
            parser.declare(_HELP, _HELP.names)
        found, arguments, _ = parser.parse_args(args)
        if found.get("help"):
            raise HelpWanted(words)
        ctx.obj["invocation"] = accept.finish(self.verb, words, given, list(arguments))
        return []

    def invoke(self, ctx: Context) -> Any:
        return ctx.obj["invocation"]

    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        pieces = ["[OPTIONS]"] if self.verb.options else []
        for positional in self.verb.positionals:
            dots = "..." if positional.maximum is None else ""
            needed = positional.minimum and not positional.unless
            pieces.append(positional.name + dots if needed else f"[{positional.name}{dots}]")
        return pieces

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Under the headings of the table; all right columns begin at the same place."""
        records = [param.get_help_record(ctx) for param in self.get_params(ctx)]
        rows: dict[str, list[tuple[str, str]]] = {}
        for option, record in zip((*self.verb.options, _HELP), records, strict=True):
            assert record is not None
            attached = f"[={option.metavar}]" if option.kind is Kind.OPTIONAL else ""
            rows.setdefault(option.section or "Options", []).append((record[0] + attached, record[1]))
        _write_sections(formatter, rows)

    def format_epilog(self, ctx: Context, formatter: HelpFormatter) -> None:
        _write_lines(formatter, "Unlike podman", [self.verb.note] if self.verb.note else [])
        _write_lines(formatter, "Examples", self.verb.examples)
        _write_lines(formatter, "The same as", [f"wpod {one}" for one in verbs.aliases(self.verb)])
        everywhere = ", ".join(f"--{option.key}" for option in verbs.GLOBALS)
        formatter.write(f"\nwpod --help tells what every command takes too: {everywhere}.\n")


class _Group(TyperGroup):
    """wpod itself ("") or a word that commands begin with; its commands are made when asked for."""

    def __init__(self, words: str) -> None:
        summary = _GROUP_SUMMARIES.get(words, _SUMMARY)
        super().__init__(
            name=words or "wpod", help=summary, rich_markup_mode=None, add_help_option=False,
            subcommand_metavar="COMMAND [ARGUMENT...]",
        )  # fmt: skip
        self.words = words

    def list_commands(self, ctx: Context) -> list[str]:
        return [name for names in self._sections().values() for name in names]

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        words = f"{self.words} {cmd_name}".strip()
        if verbs.is_command(words):
            return _leaf(verbs.table_of(words), cmd_name)
        return _Group(words) if verbs.is_group(words) else None

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        if ctx.obj is None:
            ctx.obj = {"given": {}}
        parser = _Parser(None, self.words, ctx.obj["given"], stop_at_first=True)
        for option in verbs.GLOBALS:
            parser.declare(option, option.names)
        parser.declare(_HELP, _HELP.names)
        if not self.words:
            parser.declare(_VERSION, _VERSION.names)
        _, rest, _ = parser.parse_args(args)
        if not rest:
            raise accept.missing_command(self.words)
        if rest[0] == "help" and not self.words:
            raise HelpWanted(" ".join(one for one in rest[1:] if not one.startswith("-")))
        ctx._protected_args, ctx.args = rest[:1], rest[1:]
        return ctx.args

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        found = self.get_command(ctx, args[0])
        if found is None:
            raise accept.unknown_command(f"{self.words} {args[0]}".strip())
        return args[0], found, args[1:]

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        sections = self._sections()
        commands = {title: [(name, self._summary(name)) for name in names] for title, names in sections.items()}
        _write_sections(formatter, commands)
        shown = [*verbs.GLOBALS, *([_VERSION] if not self.words else []), _HELP]
        _write_sections(formatter, {"Options": [(_left(option), _right(option)) for option in shown]})

    def format_epilog(self, ctx: Context, formatter: HelpFormatter) -> None:
        _write_lines(formatter, "First steps", () if self.words else _FIRST_STEPS)
        own = f"wpod {self.words}".strip()
        formatter.write(f"\n{own} COMMAND --help tells more about a command.\n")

    def _sections(self) -> dict[str, list[str]]:
        """The names of the commands by heading; of several names of one command, the first."""
        sections: dict[str, list[str]] = {}
        prefix = f"{self.words} " if self.words else ""
        for group, index in verbs.INDEX.items():
            names: dict[str, str] = {}
            for words, function in index.items():
                name = words.removeprefix(prefix)
                if words.startswith(prefix) and " " not in name and not name.startswith("__"):
                    names.setdefault(function, name)
            if names:
                sections["Commands" if self.words else verbs.GROUPS[group]] = list(names.values())
        if not self.words:
            sections["Groups of commands"] = list(_GROUP_SUMMARIES)
        return sections

    def _summary(self, name: str) -> str:
        words = f"{self.words} {name}".strip()
        return verbs.table_of(words).summary if verbs.is_command(words) else _GROUP_SUMMARIES[words]


def _words(ctx: Context) -> str:
    return ctx.command_path.partition(" ")[2]


def _left(option: Option) -> str:
    value = "" if option.kind in (Kind.FLAG, Kind.OPTIONAL) else f" {option.metavar}"
    return f"{accept.spelled(option)}{value}"


def _right(option: Option) -> str:
    """The help with the words that the option takes and its default, where the text itself doesn't name them."""
    text = option.help
    if any(word not in text for word in option.choices):
        text += f": {', '.join(option.choices[:-1])} or {option.choices[-1]}"
    return f"{text} (default {option.default})" if option.default and "(default" not in text else text


def _write_sections(formatter: HelpFormatter, sections: dict[str, list[tuple[str, str]]]) -> None:
    """Two columns under each heading; options without a short form stand below the long form of the others."""
    has_short = any(left[:1] == "-" != left[1:2] for rows in sections.values() for left, _ in rows)
    indent = "    " if has_short else ""
    shown = {
        title: [(indent + left if left.startswith("--") else left, right) for left, right in rows]
        for title, rows in sections.items()
    }
    lengths = [len(left) for rows in shown.values() for left, _ in rows]
    width = max((length for length in lengths if length <= _LEFT_WIDTH), default=_LEFT_WIDTH)
    for title, rows in shown.items():
        with formatter.section(title):
            formatter.write_dl([(left.ljust(width), right) for left, right in rows], col_max=width)


def _write_lines(formatter: HelpFormatter, title: str, lines: Sequence[str]) -> None:
    if lines:
        with formatter.section(title):
            for line in lines:
                formatter.write(f"  {line}\n")


def _short_first(option: Option) -> list[str]:
    return sorted(option.names, key=lambda name: len(name) > 1)


def _leaf(verb: Verb, name: str) -> Command:
    """Declare one command to typer: a function with the table's options as its signature."""
    parameters = []
    for option in (*verb.options, _HELP):
        names = [f"-{one}" if len(one) == 1 else f"--{one}" for one in _short_first(option)]
        is_flag = option.kind in (Kind.FLAG, Kind.OPTIONAL)
        declared = typer.Option(
            *names, help=_right(option), metavar=None if is_flag else option.metavar or "VALUE", show_default=False
        )
        parameters.append(
            inspect.Parameter(
                f"option_{option.key.replace('-', '_')}",
                inspect.Parameter.KEYWORD_ONLY,
                default=False if is_flag else "",
                annotation=Annotated[bool if is_flag else str, declared],
            )
        )

    def declared_function(**_: object) -> None:
        """Never called: _Leaf.invoke gives the invocation back."""

    declared_function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    declared_function.__annotations__ = {one.name: one.annotation for one in parameters}
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    made = type("TableLeaf", (_Leaf,), {"verb": verb})
    app.command(name, cls=made, help=verb.summary, add_help_option=False)(declared_function)
    return typer.main.get_command(app)
