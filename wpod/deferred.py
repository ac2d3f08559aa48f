"""Modules that are imported when something of them is wanted, not when they are named.

The standard library's `dataclasses` imports `inspect`, which loads the parser, the disassembler and the
tokenizer: 5 to 7 ms of each command, for a default docstring and for questions that no command asks.
Deferred, it costs nothing until then. importlib.util.LazyLoader does the same, but is itself 2 ms.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
else:
    ModuleType = type(sys)  # importing `types` would be one more module of every command


class _Deferred(ModuleType):
    """Stands in for a module; the first attribute asked for imports it and fills this one."""

    def __getattr__(self, name: str) -> object:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        real = __import__(self.__name__)
        self.__dict__.update(real.__dict__)
        return getattr(real, name)


def defer(*names: str) -> None:
    """Put off the import of top-level modules; nothing happens for those that are there already."""
    for name in names:
        sys.modules.setdefault(name, _Deferred(name))
