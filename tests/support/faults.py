"""Failures put between the steps of an operation: the k-th thing that it asks of the system goes wrong."""

from __future__ import annotations

import builtins
import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from wpod.errors import StoreError
from wpod.state.database import Database

# Everything that changes the world or is needed for it. Reading is left out: what is there can be read.
_CALLS = (
    "mkdir", "rename", "replace", "link", "symlink", "write", "fsync", "posix_spawn", "pipe2", "memfd_create", "chmod",
    "chown",
    "utime", "open", "fork",
)  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR


@dataclass
class Faults:
    """Counts steps while it is armed, and lets one of them fail. `steps` are their names, in order."""

    failing: int = -1
    armed: bool = False
    steps: list[str] = field(default_factory=list)

    def step(self, name: str) -> bool:
        """Whether this one fails."""
        if not self.armed:
            return False
        self.steps.append(name)
        return len(self.steps) - 1 == self.failing

    @contextlib.contextmanager
    def during(self, failing: int = -1) -> Iterator[None]:
        """Arm for the time of a block; the step with this number fails, none for -1."""
        self.failing, self.steps, self.armed = failing, [], True
        try:
            yield
        finally:
            self.armed = False


def install(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """Put the failures into this process; undone with the fixture."""
    faults = Faults()

    def failing(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            counts = name != "open" or (len(arguments) > 1 and arguments[1] & _WRITING)
            if counts and faults.step(f"os.{name}"):
                where = arguments[0] if arguments and isinstance(arguments[0], str) else None
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), where)
            return original(*arguments, **named)

        return call

    for name in _CALLS:
        monkeypatch.setattr(os, name, failing(name, getattr(os, name)))
    _install_open(faults, monkeypatch)
    _install_transactions(faults, monkeypatch)
    return faults


def _install_open(faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.open

    def call(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        if "w" in mode and faults.step("open"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
        return original(file, mode, *arguments, **named)

    monkeypatch.setattr(builtins, "open", call)


def _install_transactions(faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction fails at its beginning or at its end, then rolled back."""
    original = Database.transaction

    @contextlib.contextmanager
    def transaction(self: Database) -> Iterator[Any]:
        if faults.step("begin"):
            raise StoreError(f"{self.path}: database or disk is full")
        with original(self) as connection:
            yield connection
            if faults.step("commit"):
                raise StoreError(f"{self.path}: database or disk is full")

    monkeypatch.setattr(Database, "transaction", transaction)
