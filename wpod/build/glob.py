"""Patterns of three dialects, matched in time proportional to text times pattern, whoever wrote the pattern.

A regular expression made of `**/*a*a*a*b` takes for ever on a long name; here all positions that the text
may have reached in the pattern are the bits of one number, which each character moves on.
"""

from __future__ import annotations

from collections.abc import Iterator

from wpod.enumeration import Enum


class Dialect(Enum):
    """NAME: Go's path.Match within one component (`*`, `?`, `[a-z]`, `[^a]`, backslash).

    PATH: lines of an ignore file, the same over a whole path, where `*` and `?` stop at `/` and `**` doesn't.
    TEXT: patterns of `${variable#pattern}`, `*` and `?` over anything, no classes.
    """

    NAME = "name"
    PATH = "path"
    TEXT = "text"


class _Kind(Enum):
    ONE = "one"  # one character of a set, or not of it
    MANY = "many"  # any number of characters
    ENTRY = "entry"  # of `**/`: nothing at all, or DIRECTORIES
    DIRECTORIES = "directories"  # any characters; the pattern goes on after a `/`


class _Token:
    __slots__ = ("accepted", "kind", "negated", "ranges")

    def __init__(self, kind: _Kind, ranges: tuple[tuple[str, str], ...] = (), negated: bool = False) -> None:
        self.kind = kind
        self.ranges = ranges
        self.negated = negated

    def accepts(self, character: str) -> bool:
        return any(low <= character <= high for low, high in self.ranges) != self.negated


_ANYTHING: tuple[tuple[str, str], ...] = ()
_NO_SLASH = (("/", "/"),)


class Glob:
    """One pattern. Raises ValueError with the reason where it is malformed."""

    def __init__(self, pattern: str, dialect: Dialect) -> None:
        self._tokens = _Parser(pattern, dialect).tokens()
        self._literal = _literal(self._tokens)
        self._steps: dict[str, tuple[int, int, int]] = {}
        self._skips = [number for number, token in enumerate(self._tokens) if token.kind is not _Kind.ONE]

    @property
    def literal(self) -> str | None:
        """The only text that fits, None where the pattern has wildcards."""
        return self._literal

    def matches(self, text: str) -> bool:
        """Whether the whole text fits."""
        if self._literal is not None:
            return text == self._literal
        return any(length == len(text) for length in self.prefixes(text))

    def prefixes(self, text: str) -> Iterator[int]:
        """The lengths of the beginnings of the text that fit, the shortest first."""
        states = self._closure(1)
        for length, character in enumerate(text):
            if states >> len(self._tokens) & 1:
                yield length
            moving, staying, leaving = self._step(character)
            states = self._closure((states & moving) << 1 | states & staying | (states & leaving) << 1)
            if not states:
                return
        if states >> len(self._tokens) & 1:
            yield len(text)

    def _closure(self, states: int) -> int:
        """Over what may be empty; in the order of the pattern, so that once is enough."""
        for number in self._skips:
            if states >> number & 1:
                kind = self._tokens[number].kind
                if kind is _Kind.MANY:
                    states |= 1 << (number + 1)
                elif kind is _Kind.ENTRY:
                    states |= 1 << (number + 1) | 1 << (number + 2)
        return states

    def _step(self, character: str) -> tuple[int, int, int]:
        found = self._steps.get(character)
        if found is None:
            moving = staying = leaving = 0
            for number, token in enumerate(self._tokens):
                bit = 1 << number
                if token.kind is _Kind.ONE and token.accepts(character):
                    moving |= bit
                elif token.kind is _Kind.MANY and token.accepts(character):
                    staying |= bit
                elif token.kind is _Kind.DIRECTORIES:
                    staying |= bit
                    leaving |= bit if character == "/" else 0
            found = self._steps[character] = (moving, staying, leaving)
        return found


def has_wildcard(pattern: str) -> bool:
    """Whether Go's filepath.Glob would look into directories for this pattern."""
    return any(character in pattern for character in "*?[\\")


def _literal(tokens: list[_Token]) -> str | None:
    text = ""
    for token in tokens:
        single = len(token.ranges) == 1 and token.ranges[0][0] == token.ranges[0][1]
        if token.kind is not _Kind.ONE or token.negated or not single:
            return None
        text += token.ranges[0][0]
    return text


class _Parser:
    def __init__(self, pattern: str, dialect: Dialect) -> None:
        self._pattern = pattern
        self._dialect = dialect
        self._position = 0

    def tokens(self) -> list[_Token]:
        found: list[_Token] = []
        outside = _ANYTHING if self._dialect is Dialect.TEXT else _NO_SLASH
        while self._position < len(self._pattern):
            character = self._next()
            if character == "*":
                self._star(found, outside)
            elif character == "?":
                found.append(_Token(_Kind.ONE, outside, negated=True))
            elif character == "[" and self._dialect is not Dialect.TEXT:
                found.append(self._class())
            else:
                found.append(_exactly(self._unescaped(character)))
        return found

    def _star(self, found: list[_Token], outside: tuple[tuple[str, str], ...]) -> None:
        if self._dialect is not Dialect.PATH or not self._peek("*"):
            if not (found and found[-1].kind is _Kind.MANY and found[-1].ranges == outside):
                found.append(_Token(_Kind.MANY, outside, negated=True))
            return
        self._position += 1
        if self._peek("/"):
            self._position += 1  # `**/` is `**`
        if self._position == len(self._pattern):
            found.append(_Token(_Kind.MANY, _ANYTHING, negated=True))
        else:
            found += [_Token(_Kind.ENTRY), _Token(_Kind.DIRECTORIES)]

    def _class(self) -> _Token:
        negated = self._peek("^")
        self._position += negated
        ranges: list[tuple[str, str]] = []
        while True:
            if self._position >= len(self._pattern):
                raise ValueError("syntax error in pattern: [ without ]")
            if self._peek("]") and ranges:
                self._position += 1
                return _Token(_Kind.ONE, tuple(ranges), negated)
            low = self._member()
            high = low
            if self._peek("-"):
                self._position += 1
                high = self._member()
            ranges.append((low, high))

    def _member(self) -> str:
        if self._position >= len(self._pattern) or self._pattern[self._position] in "-]":
            raise ValueError("syntax error in pattern: malformed [ ]")
        return self._unescaped(self._next())

    def _unescaped(self, character: str) -> str:
        if character != "\\":
            return character
        if self._position >= len(self._pattern):
            if self._dialect is Dialect.NAME:
                raise ValueError("syntax error in pattern: \\ at its end")
            return character
        return self._next()

    def _next(self) -> str:
        self._position += 1
        return self._pattern[self._position - 1]

    def _peek(self, character: str) -> bool:
        return self._pattern[self._position : self._position + 1] == character


def _exactly(character: str) -> _Token:
    return _Token(_Kind.ONE, ((character, character),))
