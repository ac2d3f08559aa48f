"""Modules out of one file: what is imported is what lies beside it, and a file that doesn't fit is none."""

from __future__ import annotations

import importlib
import marshal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from wpod import packed


def code(text: str, path: Path) -> CodeType:
    return compile(textwrap.dedent(text), str(path), "exec", dont_inherit=True)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package without any module but those in its file."""
    made = tmp_path / "village"
    made.mkdir()
    modules = {
        "village": (code("from village import house", made / "__init__.py"), True),
        "village.house": (code("DOORS = 2\nfrom village.inner.room import WALLS", made / "house.py"), False),
        "village.inner": (code("", made / "inner/__init__.py"), True),
        "village.inner.room": (
            code("WALLS = 4\ndef fall():\n    raise ValueError('down')", made / "inner/room.py"),
            False,
        ),
    }
    (made / packed.FILE).write_bytes(packed.pack(modules))
    return made


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """As `packed.use`, undone after the test."""
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return lambda package: packed.use(str(package))


def test_modules_are_what_they_would_be(package: Path, use: Callable[[Path], None]) -> None:
    use(package)
    village = importlib.import_module("village")
    room = importlib.import_module("village.inner.room")
    assert village.house.DOORS == 2
    assert village.house.WALLS is room.WALLS
    assert (village.__file__, village.__path__) == (f"{package}/__init__.py", [str(package)])
    assert (room.__file__, room.__package__, room.__name__) == (
        f"{package}/inner/room.py", "village.inner", "village.inner.room",
    )  # fmt: skip
    assert not hasattr(room, "__path__")
    with pytest.raises(ValueError, match="down") as caught:
        room.fall()
    assert str(caught.traceback[-1].path) == f"{package}/inner/room.py"


def test_what_is_not_in_the_file_is_found_as_always(package: Path, use: Callable[[Path], None]) -> None:
    (package / "later.py").write_text("HERE = True\n")
    use(package)
    assert importlib.import_module("village.later").HERE
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("village.nowhere")


@pytest.mark.parametrize("damage", ["missing", "empty", "short", "foreign", "table", "directory"])
def test_a_file_that_does_not_fit_is_none(damage: str, package: Path, use: Callable[[Path], None]) -> None:
    file = package / packed.FILE
    whole = file.read_bytes()
    head = whole.index(b"\n") + 1
    content = {
        "empty": b"",
        "short": whole[: head + 3],
        "foreign": whole.replace(sys.implementation.cache_tag.encode(), b"cpython-1", 1),
        "table": whole[: head + 8] + b"\xff" * 40,
    }
    file.unlink()
    if damage == "directory":
        file.mkdir()
    elif damage != "missing":
        file.write_bytes(content[damage])
    before = list(sys.meta_path)
    use(package)
    assert sys.meta_path == before


def test_the_installed_copy_has_all_its_modules(command: tuple[str, ...], use: Callable[[Path], None]) -> None:
    """Each as it was compiled beside it, and the command takes them from there."""
    library = Path(command[0]).parents[1] / "lib" / "wpod"
    use(library / "wpod")
    finder: Any = sys.meta_path[0]
    sources = sorted((library / "wpod").rglob("*.py"))
    assert len(sources) == len(finder._table) > 300
    for source in sources:
        name = ".".join(source.relative_to(library).with_suffix("").parts).removesuffix(".__init__")
        begin, length, is_package = finder._table[name]
        assert is_package == (source.name == "__init__.py")
        packed_code = marshal.loads(finder._code[begin : begin + length])
        compiled = source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc"
        assert packed_code == marshal.loads(compiled.read_bytes()[16:])
        assert packed_code.co_filename == str(source)


def test_the_command_takes_them_from_there(command: tuple[str, ...]) -> None:
    library = Path(command[0]).parents[1] / "lib" / "wpod"
    script = """
        import os, sys
        leave = os._exit
        def tell(status):
            print(type(sys.modules["wpod.__main__"].__loader__).__name__, flush=True)
            leave(status)
        os._exit = tell
        sys.path.append(sys.argv[1])
        sys.argv = ["wpod", "--version"]
        from wpod.entry import run
        run()
    """
    words = [sys.executable, "-IS", "-c", textwrap.dedent(script), str(library)]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "wpod version 0.1.0\n_Packed\n"
