"""Containerfiles and Dockerfiles, parsed into instructions (Dockerfile reference; BuildKit's and podman's parsers).

What is done here: parser directives, comments, continuation lines, here-documents, the instruction's name and
flags, and its arguments as this instruction splits them. Quotes and variables stay as they are, for their
meaning depends on what was said before (`substitution`). Every error names FILE:LINE.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from wpod.errors import UsageError

LARGEST_FILE_BYTES = 4 << 20
_BLANKS = re.compile(r"[\t\v\f\r ]+")
_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S.*?)\s*")
_LONGEST_DIRECTIVE = 1000
_MOST_INSTRUCTIONS = 20_000
_DIRECTIVES = ("syntax", "escape", "check")
_HEREDOC = re.compile(r"[0-9]*<<(-?)(?:'([^'<>|&;\s]+)'|\"([^\"<>|&;\s]+)\"|([^'\"<>|&;\s]+))")


@dataclass(frozen=True)
class Heredoc:
    """A file given in the Containerfile itself. `expands`: its delimiter was not quoted."""

    name: str
    content: str
    expands: bool


@dataclass(frozen=True)
class Instruction:
    """One instruction. `flags` are `--name=value` without their quotes; `text` is what follows them.

    `words` are the arguments, quotes and variables untouched; with `exec_form` they are the strings of a
    JSON array. For ENV and LABEL they are alternately names and values. `original` is the whole
    instruction on one line.
    """

    name: str
    flags: tuple[str, ...]
    text: str
    words: tuple[str, ...]
    exec_form: bool
    original: str
    line: int
    heredocs: tuple[Heredoc, ...] = ()


@dataclass(frozen=True)
class Containerfile:
    """`name` is how errors call the file. `escape` is its escape character."""

    name: str
    escape: str
    instructions: tuple[Instruction, ...]


def problem(name: str, line: int, reason: str, hint: str | None = None) -> UsageError:
    """An error in this line."""
    return UsageError(f"{name}:{line}: {reason}", hint=hint)


def parse(data: bytes, name: str) -> Containerfile:
    """The file's instructions. Raises UsageError."""
    if len(data) > LARGEST_FILE_BYTES:
        raise UsageError(f"{name} is larger than {LARGEST_FILE_BYTES >> 20} MiB")
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise problem(name, data.count(b"\n", 0, error.start) + 1, "the line is not UTF-8") from None
    if "\0" in text:
        raise problem(name, text.count("\n", 0, text.index("\0")) + 1, "the line holds a NUL character")
    return _Parser(text.split("\n"), name).parse()


def parse_triggers(texts: tuple[str, ...], name: str, line: int) -> tuple[Instruction, ...]:
    """The ONBUILD instructions of a base image, as if they stood in the line of its FROM. Raises UsageError."""
    return tuple(_instruction(text, "\\", name, line) for text in texts)


class _Parser:
    def __init__(self, lines: list[str], name: str) -> None:
        self._lines = [line.removesuffix("\r") for line in lines]
        self._name = name
        self._position = 0
        self._escape = "\\"

    def parse(self) -> Containerfile:
        self._directives()
        instructions: list[Instruction] = []
        while self._position < len(self._lines):
            line = self._position + 1
            logical = self._logical_line()
            if len(instructions) == _MOST_INSTRUCTIONS:
                raise problem(self._name, line, f"more than {_MOST_INSTRUCTIONS} instructions")
            if logical.strip():
                instructions.append(self._with_heredocs(_instruction(logical, self._escape, self._name, line)))
        return Containerfile(self._name, self._escape, tuple(instructions))

    def _directives(self) -> None:
        """`# escape=` and others, at the top of the file only; `syntax` and `check` change nothing here."""
        seen: set[str] = set()
        for number, line in enumerate(self._lines, 1):
            found = _DIRECTIVE.fullmatch(line.lstrip()) if len(line) < _LONGEST_DIRECTIVE else None
            key = found[1].lower() if found else ""
            if found is None or key not in _DIRECTIVES:
                return
            if key in seen:
                raise problem(self._name, number, f"only one {key} parser directive can be used")
            seen.add(key)
            if key == "escape":
                if found[2] not in ("\\", "`"):
                    raise problem(self._name, number, f"invalid escape character {found[2]!r:.20}: must be \\ or `")
                self._escape = found[2]

    def _logical_line(self) -> str:
        """The next line with those that continue it; comments and empty lines among those are passed over."""
        parts: list[str] = []
        while self._position < len(self._lines):
            line = self._lines[self._position]
            self._position += 1
            stripped = line.lstrip()
            if stripped.startswith("#") or (parts and not stripped):
                if parts:
                    continue
                return ""
            kept = line if parts else stripped
            trimmed = kept.rstrip(" \t")
            if not trimmed.endswith(self._escape):
                parts.append(kept)
                break
            parts.append(trimmed[:-1])
        return "".join(parts)

    def _with_heredocs(self, instruction: Instruction) -> Instruction:
        if instruction.name not in ("COPY", "ADD", "RUN") or instruction.exec_form:
            return instruction
        found = [_HEREDOC.fullmatch(word) for word in _split_words(instruction.text, self._escape)]
        documents = [self._heredoc(one, instruction.line) for one in found if one is not None]
        if not documents:
            return instruction
        return Instruction(
            instruction.name, instruction.flags, instruction.text, instruction.words, False, instruction.original,
            instruction.line, tuple(documents),
        )  # fmt: skip

    def _heredoc(self, found: re.Match[str], line: int) -> Heredoc:
        delimiter = found[2] or found[3] or found[4]
        lines: list[str] = []
        while self._position < len(self._lines):
            text = self._lines[self._position]
            self._position += 1
            text = text.lstrip("\t") if found[1] else text
            if text == delimiter:
                return Heredoc(delimiter, "".join(f"{one}\n" for one in lines), found[4] is not None)
            lines.append(text)
        raise problem(self._name, line, f"the here-document <<{delimiter} has no end")


def is_heredoc(word: str) -> bool:
    """Whether an argument of COPY or ADD stands for a here-document."""
    return _HEREDOC.fullmatch(word) is not None


def _instruction(logical: str, escape: str, name: str, line: int) -> Instruction:
    original = logical.strip()
    word, _, rest = _partition_blanks(original)
    keyword = word.upper()
    try:
        flags, text = _flags(rest, escape)
        words, exec_form = _ARGUMENTS.get(keyword, _one_word)(text, escape)
    except ValueError as error:
        raise problem(name, line, f"{keyword}: {error}") from None
    if keyword not in _ARGUMENTS:
        raise problem(name, line, f"unknown instruction {word[:40]!r}")
    return Instruction(keyword, flags, text, tuple(words), exec_form, original, line)


def _partition_blanks(text: str) -> tuple[str, str, str]:
    found = _BLANKS.search(text)
    if found is None:
        return text, "", ""
    return text[: found.start()], found[0], text[found.end() :]


def _flags(text: str, escape: str) -> tuple[tuple[str, ...], str]:
    """The leading `--x=y` words, quotes and escapes taken away; `--` alone ends them."""
    flags: list[str] = []
    rest = text.lstrip()
    while rest.startswith("--"):
        word = next(iter(_split_words(rest, escape)))
        rest = rest[len(word) :].lstrip()
        if word == "--":
            break
        flags.append(_unquoted(word, escape))
    return tuple(flags), rest.strip()


def _unquoted(word: str, escape: str) -> str:
    found, quote, escaped = "", "", False
    for character in word:
        if escaped:
            found, escaped = found + character, False
        elif character == escape and quote != "'":
            escaped = True
        elif quote:
            found, quote = (found, "") if character == quote else (found + character, quote)
        elif character in "'\"":
            quote = character
        else:
            found += character
    return found


def _split_words(text: str, escape: str) -> list[str]:
    """Split at blanks that are neither quoted nor escaped; quotes and escapes stay."""
    words: list[str] = []
    current, quote, escaped = "", "", False
    for character in text:
        if escaped:
            current, escaped = current + character, False
            continue
        if not quote and character.isspace():
            if current:
                words.append(current)
            current = ""
            continue
        if character == escape and quote != "'":
            escaped = True
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        current += character
    return [*words, current] if current else words


_Parsed = tuple[list[str], bool]


def _json_array(text: str) -> list[str] | None:
    """The strings of the exec form, None where the text isn't a JSON array. Raises ValueError for other values."""
    if not text.startswith("["):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(one, str) for one in found):
        raise ValueError("when using JSON array syntax, arrays must be comprised of strings only")
    if any("\0" in one or (not one.isascii() and _has_surrogate(one)) for one in found):
        raise ValueError("a string holds a NUL character or half a surrogate pair")
    return list(found)


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _one_word(text: str, _escape: str) -> _Parsed:
    return ([text] if text else []), False


def _blank_separated(text: str, _escape: str) -> _Parsed:
    return [word for word in _BLANKS.split(text) if word], False


def _quoted_words(text: str, escape: str) -> _Parsed:
    return _split_words(text, escape), False


def _array_or_text(text: str, escape: str) -> _Parsed:
    found = _json_array(text)
    return (found, True) if found is not None else _one_word(text, escape)


def _array_or_words(text: str, escape: str) -> _Parsed:
    found = _json_array(text)
    return (found, True) if found is not None else _blank_separated(text, escape)


def _names_and_values(text: str, escape: str) -> _Parsed:
    """`a=b c=d`, or the old form `a b with blanks`."""
    words = _split_words(text, escape)
    if not words:
        return [], False
    if "=" not in words[0]:
        name, blanks, value = _partition_blanks(text)
        if not blanks:
            raise ValueError(f"{name[:100]} has no value: must be NAME=VALUE")
        return [name, value], False
    found: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"can't find = in {word[:100]!r}: must be NAME=VALUE")
        found += [name, value]
    return found, False


def _health(text: str, escape: str) -> _Parsed:
    kind, _, command = _partition_blanks(text)
    words, exec_form = _array_or_text(command, escape)
    return ([kind, *words] if kind else []), exec_form


_ARGUMENTS: dict[str, Callable[[str, str], _Parsed]] = {
    "ADD": _array_or_words,
    "ARG": _quoted_words,
    "CMD": _array_or_text,
    "COPY": _array_or_words,
    "ENTRYPOINT": _array_or_text,
    "ENV": _names_and_values,
    "EXPOSE": _blank_separated,
    "FROM": _blank_separated,
    "HEALTHCHECK": _health,
    "LABEL": _names_and_values,
    "MAINTAINER": _one_word,
    "ONBUILD": _one_word,
    "RUN": _array_or_text,
    "SHELL": _array_or_text,
    "STOPSIGNAL": _one_word,
    "USER": _one_word,
    "VOLUME": _array_or_words,
    "WORKDIR": _one_word,
}
