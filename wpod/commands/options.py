"""What the user gave on the command line, as handlers see it: typed, checked, no text left to parse."""

from __future__ import annotations

TYPE_CHECKING = False  # not typing's: importing that takes 2 ms
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeVar

    T = TypeVar("T")


class Options:
    """The options of one command line, by the first name of the table's entry (`rm`, `env`).

    Asking for a name that isn't in the table, or for a type that its parser doesn't give, is a mistake in
    the handler: KeyError or TypeError.
    """

    __slots__ = ("_defaults", "_given")

    def __init__(self, defaults: Mapping[str, object], given: Mapping[str, Sequence[object]]) -> None:
        """`defaults`: every option of the table; `given`: the parsed values in the order of the command line."""
        self._defaults = defaults
        self._given = given

    def given(self, name: str) -> bool:
        """Whether the user said it, even if with the default's value."""
        self._default(name)
        return name in self._given

    def flag(self, name: str) -> bool:
        """A FLAG; `--x=false` counts."""
        return self._last(name, bool)

    def text(self, name: str) -> str:
        """A VALUE without a parser; the table's default, or "", where absent."""
        return self._last(name, str)

    def number(self, name: str) -> int:
        """A VALUE parsed to int (or bytes, or microseconds); the table's default, or 0, where absent."""
        return self._last(name, int)

    def value(self, name: str, kind: type[T]) -> T | None:
        """A VALUE of the parser's type; None where absent."""
        values = self.values(name, kind)
        return values[-1] if values else None

    def texts(self, name: str) -> tuple[str, ...]:
        """All values of a LIST or COMMAS without a parser."""
        return self.values(name, str)

    def values(self, name: str, kind: type[T]) -> tuple[T, ...]:
        """All values of the parser's type, in the order of the command line."""
        self._default(name)
        found = self._given.get(name, ())
        checked = tuple(one for one in found if isinstance(one, kind))
        if len(checked) != len(found):
            raise TypeError(f"--{name} does not hold {kind.__name__}")
        return checked

    def _default(self, name: str) -> object:
        if name not in self._defaults:
            raise KeyError(f"--{name} is not in the table of this command")
        return self._defaults[name]

    def _last(self, name: str, kind: type[T]) -> T:
        default = self._default(name)
        chosen = self._given[name][-1] if name in self._given else default
        if chosen is None:
            return kind()
        if not isinstance(chosen, kind):
            raise TypeError(f"--{name} does not hold {kind.__name__}")
        return chosen
