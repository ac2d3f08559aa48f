"""Variables and quotes in the arguments of instructions (Dockerfile reference, "Environment replacement").

`$name`, `${name}`, and with a word `:-` `-` `:+` `+` `:?` `?`, and with patterns `#` `##` `%` `%%` `/` `//`.
The escape character takes the meaning from the next character; single quotes from all up to the next one;
within double quotes it does so for `"`, `$` and itself alone. What comes out is bounded: a few lines that
each use a variable twice would otherwise fill the memory.
"""

from __future__ import annotations

from collections.abc import Mapping

from wpod.build.glob import Dialect, Glob

LARGEST_VALUE_BYTES = 128 << 10  # the kernel passes no longer string to a program (execve(2))
LARGEST_TEXT_BYTES = 4 << 20
_DEEPEST = 40
_PATTERN_LIMIT = 1024  # trying every beginning costs the square of it


def expand(word: str, variables: Mapping[str, str], escape: str = "\\") -> str:
    """The word without quotes and with values for variables; an unset one is empty.

    Raises ValueError with the reason.
    """
    return _Reader(word, variables, escape).word("", 0).text


def expand_words(word: str, variables: Mapping[str, str], escape: str = "\\") -> list[str]:
    """As `expand`, but what comes out of an unquoted variable is split at blanks (EXPOSE)."""
    return _Reader(word, variables, escape).word("", 0).split()


def expand_text(text: str, variables: Mapping[str, str], escape: str = "\\") -> str:
    """A here-document: variables and escapes, quotes are ordinary characters. Raises ValueError."""
    return _Reader(text, variables, escape, quotes=False, limit_bytes=LARGEST_TEXT_BYTES).word("", 0).text


class _Collected:
    """What has been put together: the text, and where an unquoted value allows it to be split."""

    def __init__(self) -> None:
        self._parts: list[tuple[str, bool]] = []
        self.length = 0

    def add(self, text: str, splits: bool = False) -> None:
        self._parts.append((text, splits))
        self.length += len(text)

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self._parts)

    def split(self) -> list[str]:
        words: list[str] = []
        current = ""
        for text, splits in self._parts:
            if not splits:
                current += text
                continue
            for character in text:
                if not character.isspace():
                    current += character
                elif current:
                    words.append(current)
                    current = ""
        return [*words, current] if current else words


class _Reader:
    def __init__(  # noqa: PLR0913 - the two limits go with the flavour
        self,
        source: str,
        variables: Mapping[str, str],
        escape: str,
        *,
        quotes: bool = True,
        limit_bytes: int = LARGEST_VALUE_BYTES,
    ) -> None:
        self._source = source
        self._variables = variables
        self._escape = escape
        self._quotes = quotes
        self._limit = limit_bytes
        self._position = 0
        self._stopped = ""

    def word(self, stop: str, depth: int, *, raw_escapes: bool = False) -> _Collected:
        """Up to one of the characters `stop`, which is taken too, or to the end where there is none."""
        if depth > _DEEPEST:
            raise ValueError("variables are nested too deeply")
        found = _Collected()
        while self._position < len(self._source):
            character = self._next()
            if character in stop:
                self._stopped = character
                return found
            if character == "$":
                found.add(self._dollar(depth), splits=True)
            elif character == "'" and self._quotes:
                found.add(self._single_quoted())
            elif character == '"' and self._quotes:
                found.add(self._double_quoted(depth))
            elif character == self._escape:
                found.add((character if raw_escapes else "") + self._next())
            else:
                found.add(character)
            if found.length > self._limit:
                raise ValueError(f"the value is longer than {self._limit} bytes")
        if stop:
            raise ValueError(f"syntax error: missing '{stop[-1]}'")
        return found

    def _next(self) -> str:
        """The next character, "" at the end."""
        self._position += 1
        return self._source[self._position - 1 : self._position]

    def _peek(self) -> str:
        return self._source[self._position : self._position + 1]

    def _single_quoted(self) -> str:
        end = self._source.find("'", self._position)
        if end < 0:
            raise ValueError("unexpected end of statement while looking for matching single-quote")
        text = self._source[self._position : end]
        self._position = end + 1
        return text

    def _double_quoted(self, depth: int) -> str:
        parts: list[str] = []
        while True:
            character = self._next()
            if not character:
                raise ValueError("unexpected end of statement while looking for matching double-quote")
            if character == '"':
                return "".join(parts)
            if character == "$":
                parts.append(self._dollar(depth))
            elif character == self._escape and self._peek() in ('"', "$", self._escape):
                parts.append(self._next())
            elif character != self._escape or self._peek():
                parts.append(character)

    def _dollar(self, depth: int) -> str:
        if self._peek() != "{":
            name = self._name()
            return self._variables.get(name, "") if name else "$"
        self._position += 1
        name = self._name()
        if not name:
            raise ValueError("syntax error: bad substitution")
        operator = self._next()
        if operator == "}":
            return self._variables.get(name, "")
        if operator == ":":
            operator += self._next()
        if operator in (":-", "-", ":+", "+", ":?", "?"):
            word = self.word("}", depth + 1).text
            return self._alternative(name, operator, word)
        if operator in ("#", "%"):
            return self._trimmed(name, operator, depth)
        if operator == "/":
            return self._replaced(name, depth)
        if not operator:
            raise ValueError("syntax error: missing '}'")
        raise ValueError(f"unsupported modifier ({operator}) in substitution")

    def _name(self) -> str:
        start = self._position
        while (character := self._peek()) and (character == "_" or character.isalnum()):
            self._position += 1
            if start + 1 == self._position and character.isdigit():
                break
        return self._source[start : self._position]

    def _alternative(self, name: str, operator: str, word: str) -> str:
        value = self._variables.get(name)
        absent = value is None or (operator[0] == ":" and not value)
        if operator[-1] == "+":
            return "" if absent else word
        if operator[-1] == "?" and absent:
            state = "empty" if value is not None else "unset"
            raise ValueError(f"{name}: {word or f'is not allowed to be {state}'}")
        return word if absent else value or ""

    def _trimmed(self, name: str, operator: str, depth: int) -> str:
        longest = self._peek() == operator
        self._position += longest
        pattern = Glob(self.word("}", depth + 1, raw_escapes=True).text, Dialect.TEXT)
        value = self._pattern_subject(name)
        if operator == "#":
            lengths = list(pattern.prefixes(value))
            return value[lengths[-1 if longest else 0] :] if lengths else value
        starts = range(len(value) + 1) if longest else range(len(value), -1, -1)
        return next((value[:start] for start in starts if pattern.matches(value[start:])), value)

    def _replaced(self, name: str, depth: int) -> str:
        everywhere = self._peek() == "/"
        self._position += everywhere
        text = self.word("/}", depth + 1, raw_escapes=True).text
        replacement = self.word("}", depth + 1).text if self._stopped == "/" else ""
        if not text:
            raise ValueError(f"{name}/: no pattern to replace")
        pattern = Glob(text, Dialect.TEXT)
        value = self._pattern_subject(name)
        done, position = "", 0
        while position < len(value):
            length = max(pattern.prefixes(value[position:]), default=0)
            if not length:
                done, position = done + value[position], position + 1
                continue
            done, position = done + replacement, position + length
            if not everywhere:
                break
        return done + value[position:]

    def _pattern_subject(self, name: str) -> str:
        value = self._variables.get(name, "")
        if len(value) > _PATTERN_LIMIT:
            raise ValueError(f"{name} is longer than {_PATTERN_LIMIT} characters, too long for a pattern")
        return value
