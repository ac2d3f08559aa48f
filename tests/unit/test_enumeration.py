"""Our enumerations beside the standard ones: every question has the same answer."""

from __future__ import annotations

import copy
import enum
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from wpod import enumeration


class Plain(enumeration.Enum):
    """What it is for."""

    ONE = "one"
    TWO = ("a", 2)
    THREE = 3
    AGAIN = "one"
    _hidden = 5

    @property
    def shown(self) -> str:
        return f"{self.name}!"

    def twice(self) -> Any:
        return self.value, self.value


class Number(enumeration.IntEnum):
    """What it is for."""

    ZERO = 0
    SEVEN = 7
    ALSO = 7


OWN: dict[str, Any] = {"Plain": Plain, "Number": Number}
STANDARD: dict[str, Any] = {
    "Plain": enum.Enum(
        "Plain", {"ONE": "one", "TWO": ("a", 2), "THREE": 3, "AGAIN": "one"}, module=__name__  # type: ignore[misc]
    ),
    "Number": enum.IntEnum("Number", {"ZERO": 0, "SEVEN": 7, "ALSO": 7}, module=__name__),  # type: ignore[misc]
}  # fmt: skip

QUESTIONS: dict[str, Callable[[Any], Any]] = {
    "names": lambda kind: [one.name for one in kind],
    "values": lambda kind: [one.value for one in kind],
    "members": lambda kind: {name: one.value for name, one in kind.__members__.items()},
    "length": len,
    "by value": lambda kind: [kind(one.value) is one for one in kind],
    "by name": lambda kind: [kind[one.name] is one for one in kind],
    "by itself": lambda kind: [kind(one) is one for one in kind],
    "nothing by value": lambda kind: kind("nothing"),
    "nothing by a list": lambda kind: kind([]),
    "nothing by name": lambda kind: kind["NOTHING"],
    "no attribute": lambda kind: kind.NOTHING,
    "assignment": lambda kind: setattr(kind, next(iter(kind)).name, 1),
    "another name": lambda kind: setattr(next(iter(kind)), "name", "x"),
    "texts": lambda kind: [str(one) for one in kind],
    "formatted": lambda kind: [f"{one}" for one in kind],
    "shown": lambda kind: [repr(one) for one in kind],
    "truth": lambda kind: [bool(one) for one in kind],
    "equal": lambda kind: [[one == other for other in kind] for one in kind],
    "equal to values": lambda kind: [one == one.value for one in kind],
    "is one": lambda kind: [isinstance(one, kind) for one in kind],
    "has it": lambda kind: [one in kind for one in kind],
    "as keys": lambda kind: {one: one.name for one in kind}[next(iter(kind))],
    "copied": lambda kind: [copy.deepcopy(one) is one is copy.copy(one) for one in kind],
    "number": lambda kind: [one + 1 for one in kind],
    "order": lambda kind: sorted(kind, reverse=True)[0].name,
    "padded": lambda kind: [f"{one:>4}" for one in kind],
}  # fmt: skip


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize("question", QUESTIONS)
def test_answers_are_the_standard_ones(question: str, kind: str) -> None:
    assert outcome(QUESTIONS[question], OWN[kind]) == outcome(QUESTIONS[question], STANDARD[kind])


def outcome(question: Callable[[Any], Any], kind: Any) -> Any:
    """The answer, or the kind of error."""
    try:
        return question(kind)
    except Exception as error:  # noqa: BLE001 - which one, is the answer
        return type(error)


def test_another_name_is_the_same_member() -> None:
    assert Plain.AGAIN is Plain.ONE
    assert Number.ALSO is Number.SEVEN


def test_methods_are_no_members() -> None:
    assert Plain.ONE.shown == "ONE!"
    assert Plain.THREE.twice() == (3, 3)
    assert "_hidden" not in Plain.__members__
    assert Plain.__doc__ == "What it is for."


def test_members_are_the_only_ones_after_a_journey() -> None:
    for one in (*Plain, *Number):
        assert pickle.loads(pickle.dumps(one)) is one  # noqa: S301


@pytest.mark.parametrize("name", ["__init__", "_missing_", "_generate_next_value_"])
def test_what_is_not_supported_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match="Wrong"):
        type(Plain)("Wrong", (enumeration.Enum,), {"A": 1, name: lambda *_: None})


def test_numbers_are_numbers() -> None:
    assert isinstance(Number.SEVEN, int)
    assert issubclass(Number, enumeration.Enum)
    assert Number.SEVEN | 8 == 15
    assert {7: "x"}[Number.SEVEN] == "x"
    with pytest.raises(ValueError, match="3 is not a valid Number"):
        Number(3)
