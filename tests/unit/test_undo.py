"""Taking back what was done (wpod.operations.undo)."""

from __future__ import annotations

import sqlite3

import pytest

from wpod.errors import StoreError, WpodError
from wpod.operations.undo import UndoStack


def failing(stack: UndoStack, done: list[str], error: BaseException) -> None:
    def step() -> None:
        done.append("tried")
        raise error

    stack.add("the failing thing", step)


def three_steps(stack: UndoStack, done: list[str]) -> None:
    for name in ("first", "second", "third"):
        stack.add(name, lambda name=name: done.append(name))  # type: ignore[misc]


def test_a_failure_undoes_in_reverse_order() -> None:
    done: list[str] = []
    with pytest.raises(StoreError), UndoStack() as stack:
        three_steps(stack, done)
        raise StoreError("broken")
    assert done == ["third", "second", "first"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError, OSError])
def test_whatever_ends_the_work_undoes_it(error: type[BaseException]) -> None:
    done: list[str] = []
    with pytest.raises(error), UndoStack() as stack:
        three_steps(stack, done)
        raise error
    assert done == ["third", "second", "first"]


def test_what_is_kept_is_not_undone() -> None:
    done: list[str] = []
    with UndoStack() as stack:
        three_steps(stack, done)
        stack.keep()
    assert done == []
    with pytest.raises(StoreError), UndoStack() as stack:
        three_steps(stack, done)
        stack.keep()
        stack.add("later", lambda: done.append("later"))
        raise StoreError("broken")
    assert done == ["later"]


def test_work_that_ends_without_a_word_is_kept() -> None:
    done: list[str] = []
    with UndoStack() as stack:
        three_steps(stack, done)
    assert done == []


def test_steps_run_once() -> None:
    done: list[str] = []
    stack = UndoStack()
    three_steps(stack, done)
    assert stack.run() == []
    assert stack.run() == []
    assert done == ["third", "second", "first"]


@pytest.mark.parametrize(
    "failure", [OSError(28, "No space left"), StoreError("held"), sqlite3.OperationalError("locked"), ValueError("x")]
)
def test_a_failing_step_does_not_stop_the_others_nor_hide_the_cause(failure: Exception) -> None:
    done: list[str] = []
    with pytest.raises(StoreError, match=r"^the cause$") as error, UndoStack() as stack:
        three_steps(stack, done)
        failing(stack, done, failure)
        raise StoreError("the cause", hint="try again")
    assert done == ["tried", "third", "second", "first"]
    assert error.value.hint == f"try again; left behind: the failing thing: {failure}"


def test_several_failures_are_all_told() -> None:
    done: list[str] = []
    with pytest.raises(WpodError) as error, UndoStack() as stack:
        failing(stack, done, OSError("one"))
        failing(stack, done, OSError("two"))
        raise WpodError("the cause")
    assert error.value.hint == "left behind: the failing thing: two; the failing thing: one"


def test_a_second_interruption_does_not_stop_the_undoing_of_the_rest() -> None:
    """Ctrl-C twice: what is left is undone by nobody else."""
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), UndoStack() as stack:
        three_steps(stack, done)
        failing(stack, done, KeyboardInterrupt())
        raise StoreError("the cause")
    assert done == ["tried", "third", "second", "first"]


def test_an_undo_may_add_steps() -> None:
    done: list[str] = []
    stack = UndoStack()
    stack.add("outer", lambda: stack.add("inner", lambda: done.append("inner")))
    stack.run()
    assert done == ["inner"]
