"""What an image's config says, as the instructions of a stage change it, one after the other.

Values are bounded together (`_LARGEST_SETTINGS_BYTES`): an image's config is at most 4 MiB.
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
import signal
from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from wpod.build.containerfile import Instruction
from wpod.build.substitution import expand, expand_words
from wpod.model.image import Platform

DEFAULT_SHELL = ("/bin/sh", "-c")
PROXIES = frozenset(
    name
    for known in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for name in (known, known.lower())
)
_LARGEST_SETTINGS_BYTES = 4 << 20
_PORT = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?)(ns|us|µs|ms|s|m|h)")
_NANOSECONDS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


@dataclass(frozen=True)
class Arguments:
    """Values for ARG: `user` from --build-arg, `heading` from before the first FROM, `builtin` the platforms.

    `consumed` collects the names that an ARG asked for.
    """

    user: Mapping[str, str]
    builtin: Mapping[str, str]
    heading: dict[str, str] = field(default_factory=dict)
    consumed: set[str] = field(default_factory=set)

    def value(self, name: str, default: str | None) -> str | None:
        """What this ARG is, None for unset."""
        self.consumed.add(name)
        if name in self.user:
            return self.user[name]
        if default is not None:
            return default
        return self.heading.get(name, self.builtin.get(name))

    @property
    def unused(self) -> list[str]:
        """Names given by the user that no ARG asked for; the proxies need none."""
        return sorted(set(self.user) - self.consumed - PROXIES)


@dataclass
class ImageSettings:
    """The settings so far. `healthcheck` is docker's JSON object. `declared` are the ARGs of this stage.

    `own_command`: CMD stood in this stage, so that ENTRYPOINT doesn't take it away.
    """

    platform: Platform
    user: str = ""
    ports: set[str] = field(default_factory=set)
    environment: dict[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    volumes: set[str] = field(default_factory=set)
    working_directory: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    stop_signal: str = ""
    healthcheck: dict[str, object] | None = None
    triggers: tuple[str, ...] = ()
    shell: tuple[str, ...] = ()
    author: str = ""
    declared: dict[str, str] = field(default_factory=dict)
    own_command: bool = False
    _assigned_bytes: int = 0

    @property
    def variables(self) -> Mapping[str, str]:
        """For substitution: ENV wins over ARG."""
        return ChainMap(self.environment, self.declared)

    def derived(self) -> ImageSettings:
        """What a stage begins with that is based on this one; the triggers are the caller's to execute."""
        return dataclasses.replace(
            self, ports=set(self.ports), environment=dict(self.environment), volumes=set(self.volumes),
            labels=dict(self.labels), declared=dict(self.declared), triggers=(), own_command=False,
        )  # fmt: skip

    def apply(self, instruction: Instruction, arguments: Arguments, escape: str) -> None:
        """Do what an instruction other than FROM, COPY, ADD and RUN says. Raises ValueError with the reason."""
        _Change(self, instruction, arguments, escape).make()

    def assign(self, target: dict[str, str], name: str, value: str) -> None:
        """Set a variable or label, within the bound. Raises ValueError."""
        if not name:
            raise ValueError("a name is empty")
        self._assigned_bytes += len(name) + len(value)
        if self._assigned_bytes > _LARGEST_SETTINGS_BYTES:
            raise ValueError(f"variables and labels are more than {_LARGEST_SETTINGS_BYTES >> 20} MiB together")
        target[name] = value


class _Change:
    """One instruction applied to the settings."""

    def __init__(self, settings: ImageSettings, instruction: Instruction, arguments: Arguments, escape: str) -> None:
        self._settings = settings
        self._instruction = instruction
        self._arguments = arguments
        self._escape = escape

    def make(self) -> None:
        makers: dict[str, Callable[[], None]] = {
            "ARG": self._arg, "CMD": self._command, "ENTRYPOINT": self._entrypoint, "ENV": self._env,
            "EXPOSE": self._expose, "HEALTHCHECK": self._healthcheck, "LABEL": self._label,
            "MAINTAINER": self._maintainer, "ONBUILD": self._trigger, "SHELL": self._shell,
            "STOPSIGNAL": self._stop_signal, "USER": self._user, "VOLUME": self._volume, "WORKDIR": self._workdir,
        }  # fmt: skip
        makers[self._instruction.name]()

    def _expanded(self, word: str) -> str:
        return expand(word, self._settings.variables, self._escape)

    def _arg(self) -> None:
        for word in self._instruction.words:
            name, value = argument(self._expanded(word), self._arguments)
            if value is not None:
                self._settings.assign(self._settings.declared, name, value)

    def _env(self) -> None:
        self._assign(self._settings.environment)

    def _label(self) -> None:
        self._assign(self._settings.labels)

    def _assign(self, target: dict[str, str]) -> None:
        """All values first: within one instruction a variable keeps its old value."""
        words = [self._expanded(word) for word in self._instruction.words]
        for name, value in zip(words[::2], words[1::2], strict=True):
            self._settings.assign(target, name, value)

    def _command(self) -> None:
        self._settings.command = self._command_line()
        self._settings.own_command = True

    def _entrypoint(self) -> None:
        self._settings.entrypoint = self._command_line()
        if not self._settings.own_command:
            self._settings.command = ()

    def _command_line(self) -> tuple[str, ...]:
        words = self._instruction.words
        if self._instruction.exec_form or not words:
            return words
        return (*(self._settings.shell or DEFAULT_SHELL), *words)

    def _shell(self) -> None:
        self._settings.shell = self._instruction.words

    def _maintainer(self) -> None:
        self._settings.author = self._instruction.words[0]

    def _user(self) -> None:
        self._settings.user = self._not_empty()

    def _workdir(self) -> None:
        self._settings.working_directory = absolute(self._not_empty(), self._settings.working_directory)

    def _not_empty(self) -> str:
        value = self._expanded(self._instruction.words[0])
        if not value:
            raise ValueError("the value is empty")
        return value

    def _expose(self) -> None:
        for word in self._instruction.words:
            for text in expand_words(word, self._settings.variables, self._escape):
                self._settings.ports.update(_ports(text))

    def _volume(self) -> None:
        for word in self._instruction.words:
            path = self._expanded(word).strip()
            if not path:
                raise ValueError("a volume can't be an empty string")
            self._settings.volumes.add(path)

    def _stop_signal(self) -> None:
        text = self._not_empty()
        if not _is_signal(text):
            raise ValueError(f"{text[:40]!r} is not a signal")
        self._settings.stop_signal = text

    def _trigger(self) -> None:
        self._settings.triggers = (*self._settings.triggers, self._instruction.text)

    def _healthcheck(self) -> None:
        kind, *words = self._instruction.words
        if kind.upper() == "NONE":
            if words:
                raise ValueError("NONE takes no arguments")
            self._settings.healthcheck = {"Test": ["NONE"]}
            return
        if kind.upper() != "CMD":
            raise ValueError(f"unknown type {kind[:40]!r} (try CMD)")
        if not words:
            raise ValueError("the command is missing after CMD")
        found: dict[str, object] = {"Test": ["CMD" if self._instruction.exec_form else "CMD-SHELL", *words]}
        given = dict(flag_value(flag) for flag in self._instruction.flags)
        for name, key in (("interval", "Interval"), ("timeout", "Timeout"), ("start-period", "StartPeriod"),
                          ("start-interval", "StartInterval")):  # fmt: skip
            if given.get(name):
                found[key] = _duration_nanoseconds(given[name])
        if given.get("retries"):
            if not (given["retries"].isdecimal() and 1 <= int(given["retries"][:9]) < 1 << 31):
                raise ValueError(f"--retries must be at least 1 (not {given['retries'][:20]})")
            found["Retries"] = int(given["retries"])
        self._settings.healthcheck = found


def argument(word: str, arguments: Arguments) -> tuple[str, str | None]:
    """Name and value of an ARG whose variables have been put in. Raises ValueError."""
    name, equals, default = word.partition("=")
    if not name:
        raise ValueError("a name is empty")
    return name, arguments.value(name, default if equals else None)


def flag_value(flag: str) -> tuple[str, str]:
    """`--name=value` as a pair."""
    name, _, value = flag.removeprefix("--").partition("=")
    return name, value


def absolute(path: str, directory: str) -> str:
    """A path of the image, counted from a directory where it is relative; never above the root."""
    return "/" + posixpath.normpath(posixpath.join("/", directory, path)).lstrip("/")


def _ports(text: str) -> list[str]:
    found = _PORT.fullmatch(text)
    first = int(found[1]) if found else 0
    last = int(found[2]) if found and found[2] else first
    if found is None or not 1 <= first <= last <= 65535:
        raise ValueError(f"{text[:40]!r} is not a port: must be PORT[-PORT][/tcp|udp|sctp]")
    protocol = (found[3] or "tcp").lower()
    return [f"{port}/{protocol}" for port in range(first, last + 1)]


def _is_signal(text: str) -> bool:
    if text.isascii() and text.isdecimal():
        return len(text) < 4 and 1 <= int(text) <= signal.SIGRTMAX
    name = text.upper().removeprefix("SIG")
    if re.fullmatch(r"RTMIN\+[0-9]{1,2}|RTMAX-[0-9]{1,2}", name):
        return int(name[6:]) <= signal.SIGRTMAX - signal.SIGRTMIN
    return name.isalnum() and isinstance(getattr(signal, f"SIG{name}", None), signal.Signals)


def _duration_nanoseconds(text: str) -> int:
    total, position = 0.0, 0
    while position < len(text) and (found := _DURATION.match(text, position)):
        total += float(found[1]) * _NANOSECONDS[found[2]]
        position = found.end()
    if position != len(text) or not 0 <= total < 1 << 63:
        raise ValueError(f"{text[:40]!r} is not a duration such as 30s or 1m30s")
    return int(total)
