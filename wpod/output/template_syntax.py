"""Go templates as a tree: the subset that podman's users write (text/template of Go, package docs).

Theory of operation. The text is cut at `{{` and `}}` (string literals may hold braces; `{{-` and `-}}`
trim the blanks outside). Each action is cut into words, and a recursive descent gives nodes. Nothing is
looked up here; `template` checks fields and evaluates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from wpod.errors import UsageError

_WORD = re.compile(
    r"""\s*(?:(?P<string>"(?:\\.|[^"\\])*")|(?P<raw>`[^`]*`)|(?P<number>[+-]?\d+(?:\.\d+)?)
    |(?P<field>(?:\.[A-Za-z_]\w*)+)|(?P<variable>\$\w*(?:\.[A-Za-z_]\w*)*)|(?P<name>[A-Za-z_]\w*)
    |(?P<mark>:=|[=|(),.]))""",
    re.VERBOSE,
)
_MAXIMUM_DEPTH = 50


@dataclass(frozen=True)
class Literal:
    """A string, number, bool or nil."""

    value: object


@dataclass(frozen=True)
class Path:
    """`.A.B` (variable None), `$x.A` (`variable` its name, "" for `$`), `(…).A` (`inner`)."""

    names: tuple[str, ...]
    variable: str | None = None
    inner: Pipe | None = None


@dataclass(frozen=True)
class Call:
    """A function and its operands."""

    function: str
    operands: tuple[Operand, ...]


Operand = Literal | Path | Call


@dataclass(frozen=True)
class Pipe:
    """Stages joined by `|`; `declares` are the variables that `:=` makes, or `=` sets where `fresh` is False."""

    stages: tuple[Operand, ...]
    declares: tuple[str, ...] = ()
    fresh: bool = True


@dataclass(frozen=True)
class Text:
    """What stands outside of {{ }}, as it is."""

    text: str


@dataclass(frozen=True)
class Print:
    """An action whose value is printed, unless it declares a variable."""

    pipe: Pipe


@dataclass(frozen=True)
class Block:
    """if, range or with; `otherwise` is what stands after else."""

    word: str
    pipe: Pipe
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


Node = Text | Print | Block


def parse(text: str, functions: frozenset[str]) -> tuple[Node, ...]:
    """The tree. Raises UsageError for anything that isn't in the subset, naming it."""
    parser = _Parser(_cut(text), functions)
    nodes, end = parser.nodes(0)
    if end:
        raise bad(f"unexpected {{{{{end}}}}}")
    return nodes


def bad(reason: str) -> UsageError:
    """The one form of template errors."""
    return UsageError(f"template: {reason}")


def _cut(text: str) -> list[str | list[tuple[str, str]]]:
    """Plain text and actions (as words) by turns; comments are dropped."""
    pieces: list[str | list[tuple[str, str]]] = []
    position, trim_next = 0, False
    while True:
        start = text.find("{{", position)
        plain = text[position:] if start < 0 else text[position:start]
        plain = plain.lstrip() if trim_next else plain
        if start < 0:
            pieces.append(plain)
            return pieces
        position = start + 2
        if text[position : position + 1] == "-" and text[position + 1 : position + 2].isspace():
            plain = plain.rstrip()
            position += 1
        pieces.append(plain)
        if text[position:].lstrip().startswith("/*"):
            position, trim_next = _comment_end(text, position)
            continue
        words, position, trim_next = _words(text, position)
        pieces.append(words)


def _comment_end(text: str, position: int) -> tuple[int, bool]:
    end = re.compile(r"\*/(\s+-)?\}\}").search(text, position)
    if end is None:
        raise bad("unclosed comment")
    return end.end(), bool(end.group(1))


def _words(text: str, position: int) -> tuple[list[tuple[str, str]], int, bool]:
    words: list[tuple[str, str]] = []
    while True:
        end = re.compile(r"(\s+-)?\s*\}\}").match(text, position)
        if end:
            return words, end.end(), bool(end.group(1))
        found = _WORD.match(text, position)
        if found is None or found.lastgroup is None:
            rest = text[position:].strip()
            raise bad(f"unexpected {rest[:1]!r} in action" if rest else "unclosed action")
        words.append((found.lastgroup, found.group(found.lastgroup)))
        position = found.end()


class _Parser:
    def __init__(self, pieces: Sequence[str | list[tuple[str, str]]], functions: frozenset[str]) -> None:
        self._pieces = pieces
        self._position = 0
        self._functions = functions

    def nodes(self, depth: int) -> tuple[tuple[Node, ...], str]:
        """Up to `end` or `else`, whose words come back as the second value; "" at the end of the text."""
        if depth > _MAXIMUM_DEPTH:
            raise bad("blocks are nested too deeply")
        made: list[Node] = []
        while self._position < len(self._pieces):
            piece = self._pieces[self._position]
            self._position += 1
            if isinstance(piece, str):
                if piece:
                    made.append(Text(piece))
                continue
            if not piece:
                raise bad("missing value for command")
            kind, word = piece[0]
            if kind == "name" and word in ("end", "else"):
                self._after_else = piece[1:]
                return tuple(made), word
            if kind == "name" and word in ("if", "range", "with"):
                made.append(self._block(word, piece[1:], depth))
            elif kind == "name" and word in ("define", "template", "block", "break", "continue"):
                raise bad(f"{{{{{word}}}}} is not supported")
            else:
                made.append(Print(self._whole_pipe(piece)))
        return tuple(made), ""

    def _block(self, word: str, words: list[tuple[str, str]], depth: int) -> Block:
        pipe = self._whole_pipe(words)
        body, end = self.nodes(depth + 1)
        otherwise: tuple[Node, ...] = ()
        if end == "else":
            following = self._after_else
            if following and following[0] == ("name", "if") and word == "if":
                return Block(word, pipe, body, (self._block("if", following[1:], depth + 1),))
            if following:
                raise bad("unexpected words after else")
            otherwise, end = self.nodes(depth + 1)
        if end != "end":
            raise bad(f"{{{{{word}}}}} has no {{{{end}}}}")
        return Block(word, pipe, body, otherwise)

    def _whole_pipe(self, words: list[tuple[str, str]]) -> Pipe:
        reader = _PipeReader(words, self._functions)
        pipe = reader.pipe(0)
        if reader.position != len(words):
            raise bad(f"unexpected {words[reader.position][1]!r}")
        return pipe


class _PipeReader:
    def __init__(self, words: list[tuple[str, str]], functions: frozenset[str]) -> None:
        self._words = words
        self._functions = functions
        self.position = 0

    def pipe(self, depth: int) -> Pipe:
        if depth > _MAXIMUM_DEPTH:
            raise bad("parentheses are nested too deeply")
        declares = self._declared()
        fresh = not declares or self._words[self.position - 1] == ("mark", ":=")
        stages = [self._command(depth)]
        while self._peek() == ("mark", "|"):
            self.position += 1
            stages.append(self._command(depth))
        return Pipe(tuple(stages), declares, fresh)

    def _peek(self) -> tuple[str, str]:
        return self._words[self.position] if self.position < len(self._words) else ("", "")

    def _declared(self) -> tuple[str, ...]:
        names: list[str] = []
        ahead = self.position
        while ahead + 1 < len(self._words) and self._words[ahead][0] == "variable":
            names.append(self._words[ahead][1][1:])
            mark = self._words[ahead + 1]
            if mark in (("mark", ":="), ("mark", "=")):
                self.position = ahead + 2
                return tuple(names)
            if mark != ("mark", ","):
                return ()
            ahead += 2
        return ()

    def _command(self, depth: int) -> Operand:
        kind, word = self._peek()
        if kind == "name" and word not in ("true", "false", "nil"):
            self.position += 1
            if word not in self._functions:
                raise bad(f"function {word!r} is not defined")
            operands: list[Operand] = []
            while self._peek()[0] and self._peek() not in (("mark", "|"), ("mark", ")")):
                operands.append(self._operand(depth))
            return Call(word, tuple(operands))
        operand = self._operand(depth)
        if self._peek()[0] and self._peek() not in (("mark", "|"), ("mark", ")")):
            raise bad(f"unexpected {self._peek()[1]!r} after {word!r}")
        return operand

    def _operand(self, depth: int) -> Operand:
        kind, word = self._peek()
        self.position += 1
        if kind == "string":
            return Literal(_unquoted(word))
        if kind == "raw":
            return Literal(word[1:-1])
        if kind == "number":
            return Literal(float(word) if "." in word else int(word))
        if kind == "field":
            return Path(tuple(word[1:].split(".")))
        if kind == "variable":
            name, *names = word[1:].split(".")
            return Path(tuple(names), name)
        if kind == "name" and word in ("true", "false", "nil"):
            return Literal({"true": True, "false": False, "nil": None}[word])
        if kind == "name" and word in self._functions:
            return Call(word, ())
        if (kind, word) == ("mark", "."):
            return Path(())
        if (kind, word) == ("mark", "("):
            return self._parenthesis(depth)
        raise bad(f"unexpected {word!r}" if word else "missing value for command")

    def _parenthesis(self, depth: int) -> Operand:
        inner = self.pipe(depth + 1)
        if self._peek() != ("mark", ")"):
            raise bad("unclosed parenthesis")
        self.position += 1
        kind, word = self._peek()
        if kind == "field" and len(inner.stages) == 1:
            self.position += 1
            return Path(tuple(word[1:].split(".")), inner=inner)
        return Path((), inner=inner)


def _unquoted(word: str) -> str:
    try:
        return str(json.loads(word, strict=False))  # the shell's \\t may have become a real one by now
    except ValueError:
        raise bad(f"bad string {word}") from None
