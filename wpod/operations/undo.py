"""Undoing: every step that changes the world says how it is taken back before the next one is made."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from wpod.errors import WpodError

Undo = Callable[[], None]


class UndoStack:
    """Runs the undo steps in reverse order unless `keep` was called.

    A step that fails doesn't stop the others; what it said is added to the first error's hint, for the
    user must know what was left behind.
    """

    def __init__(self) -> None:
        self._steps: list[tuple[str, Undo]] = []

    def add(self, what: str, step: Undo) -> None:
        """`what` names the thing that would be left behind."""
        self._steps.append((what, step))

    def keep(self) -> None:
        """The work is done: nothing will be undone."""
        self._steps.clear()

    def run(self) -> list[str]:
        """Undo now; returns what could not be undone, in words. An interruption is raised after the last step."""
        failures: list[str] = []
        interruption: BaseException | None = None
        while self._steps:
            what, step = self._steps.pop()
            try:
                step()
            except Exception as error:  # noqa: BLE001 - nobody else will undo the rest
                failures.append(f"{what}: {error}")
            except BaseException as error:  # noqa: BLE001
                interruption = error
        if interruption is not None:
            raise interruption
        return failures

    def __enter__(self) -> UndoStack:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            return
        failures = self.run()
        if failures and isinstance(error, WpodError):
            left = "left behind: " + "; ".join(failures)
            error.hint = f"{error.hint}; {left}" if error.hint else left
