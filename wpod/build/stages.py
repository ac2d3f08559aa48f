"""From instructions to stages: which are needed, what each is based on, and whether all of it can be done.

Everything that can be known before the first base image is looked at is checked here, so that a mistake in the
last line costs nothing. Stages that the target doesn't need are passed over.
"""

from __future__ import annotations

import contextlib
import re
from collections import ChainMap
from collections.abc import Iterable
from dataclasses import dataclass

from wpod.build.containerfile import Containerfile, Instruction, is_heredoc, parse_triggers, problem
from wpod.build.image_settings import Arguments, ImageSettings, absolute, argument, flag_value
from wpod.build.substitution import expand, expand_text
from wpod.errors import NotSupportedYet, UsageError, WpodError

SCRATCH = "scratch"
_MOST_STAGES = 500
_STAGE_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9._-]*")
_REMOTE = re.compile(r"(?:https?|git|ssh)://|git@", re.IGNORECASE)
_LATER_FLAGS = ("link", "parents", "exclude", "checksum", "keep-git-dir", "unpack")
_FLAGS = {
    "COPY": ("from", "chown", "chmod"),
    "ADD": ("chown", "chmod"),
    "FROM": ("platform",),
    "HEALTHCHECK": ("interval", "timeout", "start-period", "start-interval", "retries"),
}


@dataclass(frozen=True)
class Stage:
    """One stage. `base` is a reference or `scratch`, with the variables put in; with `base_stage` another stage.

    `platform` is FROM's --platform, "" where it has none. `shown` is the FROM as the steps tell it.
    """

    index: int
    name: str
    base: str
    base_stage: int | None
    platform: str
    shown: str
    line: int
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True)
class Plan:
    """The stages of a file, and which of them have to be built, the target last."""

    file: Containerfile
    stages: tuple[Stage, ...]
    needed: tuple[int, ...]

    def earlier_stage(self, name: str, before: int) -> int | None:
        """The stage that --from or FROM means by a name or a number, in the stage `before`; None for an image."""
        return _earlier_stage(self.stages, name, before)

    def is_stage(self, name: str) -> bool:
        """Whether a name can only be a stage, wherever it stands: one's name, or a number."""
        return _is_number(name) or any(stage.name == name.lower() for stage in self.stages if stage.name)


@dataclass(frozen=True)
class CopyStep:
    """One COPY or ADD, its variables put in. `unpacks`: local archives are unpacked (ADD).

    `source` is what --from says. `files` are the here-documents, name and content. `destination` is absolute,
    with a slash at its end where a directory was meant; `shown` is as it was written.
    """

    sources: tuple[str, ...]
    files: tuple[tuple[str, bytes], ...]
    destination: str
    shown: str
    source: str
    chown: str
    mode: int | None
    unpacks: bool


def plan(file: Containerfile, arguments: Arguments, target: str = "") -> Plan:
    """Raises UsageError that names FILE:LINE, NotSupportedYet for RUN; fills `arguments.heading`."""
    stages = tuple(_Splitter(file, arguments).stages())
    last = _target(stages, target)
    needed = _needed(stages, last)
    for index in needed:
        for instruction in stages[index].instructions:
            check(instruction, file.name)
    return Plan(file, stages, needed)


def check(instruction: Instruction, name: str) -> None:
    """Whether an instruction of a stage can be done at all. Raises UsageError, NotSupportedYet."""
    if instruction.name == "RUN":
        raise NotSupportedYet(
            f"{name}:{instruction.line}: {_shortened(instruction.original)}",
            hint="build what needs a process elsewhere, and COPY the result",
        )
    try:
        _check_flags(instruction)
        _check_arguments(instruction)
    except (NotSupportedYet, ValueError) as error:
        raise located(error, instruction, name) from None
    if instruction.name == "ONBUILD":
        _check_trigger(instruction, name)


def located(error: Exception, instruction: Instruction, name: str) -> WpodError:
    """What went wrong in an instruction, with FILE:LINE before it."""
    where = f"{name}:{instruction.line}"
    if isinstance(error, NotSupportedYet):
        return NotSupportedYet(f"{where}: {error.message.removesuffix(' is not supported yet')}", hint=error.hint)
    if isinstance(error, WpodError):
        return WpodError(f"{where}: {instruction.name}: {error.message}", hint=error.hint, code=error.code)
    return problem(name, instruction.line, f"{instruction.name}: {error}")


def copy_step(instruction: Instruction, settings: ImageSettings, escape: str) -> CopyStep:
    """The instruction with its variables put in. Raises ValueError with the reason, NotSupportedYet."""
    variables = settings.variables
    flags = {name: expand(value, variables, escape) for name, value in map(flag_value, instruction.flags)}
    words = [word if is_heredoc(word) and not instruction.exec_form else expand(word, variables, escape)
             for word in instruction.words]  # fmt: skip
    *sources, shown = words
    named = tuple(source for source in sources if instruction.exec_form or not is_heredoc(source))
    for source in named:
        if _REMOTE.match(source):
            raise NotSupportedYet(f"{instruction.name} {_shortened(source)}")
        if not source:
            raise ValueError("a source is empty")
    files = tuple(
        (one.name, (expand_text(one.content, variables, escape) if one.expands else one.content).encode())
        for one in instruction.heredocs
    )
    return CopyStep(
        sources=named,
        files=files,
        destination=_destination(shown, settings.working_directory),
        shown=shown,
        source=flags.get("from", ""),
        chown=flags.get("chown", ""),
        mode=_mode(flags["chmod"]) if flags.get("chmod") else None,
        unpacks=instruction.name == "ADD",
    )


def triggers_of(texts: tuple[str, ...], stage: Stage, name: str) -> tuple[Instruction, ...]:
    """The ONBUILD instructions of a stage's base, checked. Raises UsageError, NotSupportedYet."""
    found = parse_triggers(texts, name, stage.line)
    for instruction in found:
        if instruction.name in ("FROM", "MAINTAINER", "ONBUILD"):
            raise problem(name, stage.line, f"{instruction.name} isn't allowed as an ONBUILD trigger of {stage.base}")
        check(instruction, name)
    return found


class _Splitter:
    """Splits a file at its FROMs."""

    def __init__(self, file: Containerfile, arguments: Arguments) -> None:
        self._file = file
        self._arguments = arguments
        self._found: list[Stage] = []

    def stages(self) -> list[Stage]:
        starts = [number for number, one in enumerate(self._file.instructions) if one.name == "FROM"]
        heading = self._file.instructions[: starts[0]] if starts else self._file.instructions
        for instruction in heading:
            self._heading(instruction)
        if not starts:
            raise UsageError(f"{self._file.name}: no FROM statement found")
        if len(starts) > _MOST_STAGES:
            line = self._file.instructions[starts[_MOST_STAGES]].line
            raise problem(self._file.name, line, f"more than {_MOST_STAGES} stages")
        for start, end in zip(starts, [*starts[1:], len(self._file.instructions)], strict=True):
            self._found.append(self._stage(self._file.instructions[start], self._file.instructions[start + 1 : end]))
        return self._found

    def _heading(self, instruction: Instruction) -> None:
        name, line = self._file.name, instruction.line
        if instruction.name != "ARG":
            raise problem(name, line, f"{instruction.name} before the first FROM; only ARG may stand there")
        try:
            _check_flags(instruction)
            _check_arguments(instruction)
            for word in instruction.words:
                key, value = argument(self._expanded(word), self._arguments)
                if value is not None:
                    self._arguments.heading[key] = value
        except ValueError as error:
            raise located(error, instruction, name) from None

    def _expanded(self, word: str) -> str:
        return expand(word, ChainMap(self._arguments.heading, dict(self._arguments.builtin)), self._file.escape)

    def _stage(self, instruction: Instruction, instructions: tuple[Instruction, ...]) -> Stage:
        index, words = len(self._found), instruction.words
        try:
            _check_flags(instruction)
            if len(words) not in (1, 3) or (len(words) == 3 and words[1].upper() != "AS"):
                raise ValueError("requires either one or three arguments: FROM IMAGE [AS NAME]")
            name = words[2] if len(words) == 3 else ""
            if name and not _STAGE_NAME.fullmatch(name):
                raise ValueError(f"invalid stage name {name[:40]!r}: must be letters, digits, ., _ and -")
            base = self._expanded(words[0])
            if not base:
                raise ValueError(f"the base image's name ({words[0][:100]}) is empty")
            flags = dict(flag_value(flag) for flag in instruction.flags)
            platform = self._expanded(flags.get("platform", ""))
        except ValueError as error:
            raise located(error, instruction, self._file.name) from None
        base_stage = _earlier_stage(self._found, base, index) if base != SCRATCH else None
        shown = f"FROM {base} AS {name}" if name else f"FROM {base}"
        return Stage(index, name.lower(), base, base_stage, platform, shown, instruction.line, instructions)


def _earlier_stage(stages: Iterable[Stage], name: str, before: int) -> int | None:
    named = [stage.index for stage in stages if stage.index < before and stage.name and stage.name == name.lower()]
    if named:
        return named[-1]
    return int(name) if _is_number(name) and int(name) < before else None


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdecimal() and len(name) < 6


def _target(stages: tuple[Stage, ...], target: str) -> int:
    if not target:
        return len(stages) - 1
    found = _earlier_stage(stages, target, len(stages))
    if found is None:
        raise UsageError(f"the target {target!r:.100} was not found in the Containerfile")
    return found


def _needed(stages: tuple[Stage, ...], last: int) -> tuple[int, ...]:
    needed = {last}
    for index in range(last, -1, -1):
        if index in needed:
            needed.update(_uses(stages, stages[index]))
    return tuple(sorted(needed))


def _uses(stages: tuple[Stage, ...], stage: Stage) -> set[int]:
    """The stages that a stage is made of; a --from with a variable may mean any."""
    found = set() if stage.base_stage is None else {stage.base_stage}
    for flags in _from_flags(stages, stage):
        if "$" in flags:
            return set(range(stage.index))
        source = _earlier_stage(stages, flags, stage.index)
        if source is not None:
            found.add(source)
    return found


def _from_flags(stages: tuple[Stage, ...], stage: Stage) -> list[str]:
    instructions = list(stage.instructions)
    if stage.base_stage is not None:
        texts = tuple(one.text for one in stages[stage.base_stage].instructions if one.name == "ONBUILD")
        with contextlib.suppress(UsageError):  # `check` tells, with the line of the ONBUILD
            instructions += parse_triggers(texts, stage.base, stage.line)
    return [flag.removeprefix("--from=") for one in instructions for flag in one.flags if flag.startswith("--from=")]


def _check_flags(instruction: Instruction) -> None:
    allowed = _FLAGS.get(instruction.name, ())
    for flag in instruction.flags:
        name, value = flag_value(flag)
        if instruction.name in ("COPY", "ADD") and name in _LATER_FLAGS:
            raise NotSupportedYet(f"{instruction.name} --{name}")
        if name not in allowed:
            known = f"it takes {', '.join('--' + one for one in allowed)}" if allowed else "it takes none"
            raise ValueError(f"unknown flag --{name[:40]}; {known}")
        if not value:
            raise ValueError(f"--{name} needs a value: --{name}=VALUE")


def _check_arguments(instruction: Instruction) -> None:
    name, words = instruction.name, instruction.words
    if name in ("COPY", "ADD"):
        if len(words) < 2:
            raise ValueError("requires at least two arguments: SOURCE and DESTINATION")
        for source in words[:-1]:
            if name == "ADD" and _REMOTE.match(source):
                raise NotSupportedYet(f"ADD {_shortened(source)}")
    elif name == "SHELL":
        if not instruction.exec_form or not words:
            raise ValueError('requires a JSON array: SHELL ["PROGRAM", "ARGUMENT"]')
    elif not words and name not in ("CMD", "ENTRYPOINT"):
        raise ValueError("requires an argument")
    elif not words and not instruction.exec_form:
        raise ValueError("requires an argument; [] clears the base image's")


def _check_trigger(instruction: Instruction, name: str) -> None:
    (inner,) = parse_triggers((instruction.text,), name, instruction.line)
    if inner.name in ("FROM", "MAINTAINER", "ONBUILD"):
        raise problem(name, instruction.line, f"{inner.name} isn't allowed as an ONBUILD trigger")
    if inner.name != "RUN":  # recorded for whoever can
        check(inner, name)


def _destination(shown: str, directory: str) -> str:
    if not shown:
        raise ValueError("the destination is empty")
    path = absolute(shown, directory)
    is_directory = shown.endswith(("/", "/.", "/..")) or shown in (".", "..")
    return path + "/" if is_directory and path != "/" else path


def _mode(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 5) or any(digit in "89" for digit in text):
        raise ValueError(f"--chmod={text[:20]} is not an octal mode such as 644")
    mode = int(text, 8)
    if mode > 0o7777:
        raise ValueError(f"--chmod={text[:20]} is not an octal mode such as 644")
    return mode


def _shortened(text: str) -> str:
    return text if len(text) <= 100 else text[:97] + "..."
