"""The modules of this package out of one file, for an installed copy.

Theory of operation. For each module Python lists a directory, asks the kernel what kind of file it is, opens it, reads
it in pieces and closes it, most of that in Python itself: several times what the module needs, and a command imports
some eighty. An installed copy has them all in one file besides, made of the same compiled files
(packaging/pack_modules.py): the kind of interpreter, the length of a table, the table (name: place, length, whether it
is a package), then each module's code. It is mapped, so that what isn't imported isn't read. It is believed for the
interpreter that compiled it alone; where it is another one's, damaged or not there, as in a checkout, modules are found
as always. Whoever can write it can write the modules as well.
"""

from __future__ import annotations

import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType

    Table = dict[str, tuple[int, int, bool]]
else:
    from _frozen_importlib import ModuleSpec  # which importlib.machinery gives, for half a millisecond

FILE = "modules.packed"
_NUMBER_BYTES = 8


def pack(modules: Mapping[str, tuple[CodeType, bool]]) -> bytes:
    """The file's content: compiled modules by name, with whether each is a package."""
    table: Table = {}
    code = b""
    for name, (compiled, is_package) in modules.items():
        text = marshal.dumps(compiled)
        table[name] = (len(code), len(text), is_package)
        code += text
    head = marshal.dumps(table)
    return _interpreter() + len(head).to_bytes(_NUMBER_BYTES, "little") + head + code


def use(package: str) -> None:
    """Have the modules of the package in this directory come from its file, where there is one that fits."""
    try:
        content = _mapped(f"{package}/{FILE}")
    except OSError:
        return
    own = _interpreter()
    begin = len(own) + _NUMBER_BYTES
    if content[: len(own)] != own:
        return
    code = begin + int.from_bytes(content[len(own) : begin], "little")
    try:
        table = marshal.loads(content[begin:code])  # noqa: S302 - as trusted as the modules beside it
    except (EOFError, ValueError, TypeError):
        return
    sys.meta_path.insert(0, _Packed(table, content[code:]))


def _interpreter() -> bytes:
    """What names the kind of compiled code that this interpreter reads."""
    return f"wpod {sys.implementation.cache_tag} {sys.hexversion:x}\n".encode()


def _mapped(path: str) -> memoryview:
    """A whole file; raises OSError. No descriptor is kept, for it would be in the way of those that are handed on."""
    import mmap

    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return memoryview(mmap.mmap(file, 0, mmap.MAP_PRIVATE, mmap.PROT_READ))
    except ValueError as error:
        raise OSError(f"{path}: {error}") from None  # it is empty
    finally:
        os.close(file)


class _Packed:
    """A finder and loader of modules (importlib.abc)."""

    def __init__(self, table: Table, code: memoryview) -> None:
        self._table = table
        self._code = code

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Where a module is, None where it isn't one of these."""
        entry = self._table.get(name)
        return ModuleSpec(name, self, is_package=entry[2]) if entry is not None else None  # type: ignore[arg-type]

    def create_module(self, spec: object) -> None:
        """An ordinary one."""

    def exec_module(self, module: ModuleType) -> None:
        """Run its code, which knows its own file."""
        begin, length, is_package = self._table[module.__name__]
        code = marshal.loads(self._code[begin : begin + length])  # noqa: S302
        module.__file__ = code.co_filename
        if is_package:
            module.__path__ = [os.path.dirname(code.co_filename)]
        exec(code, module.__dict__)  # noqa: S102 - what any loader does
