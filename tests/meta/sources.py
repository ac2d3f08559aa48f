"""The sources as data: parsed modules, their imports, the repository's own text files."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TOP = Path(__file__).parents[2]
PACKAGE = TOP / "wpod"


@dataclass(frozen=True)
class Import:
    """One imported name: `wpod.output.times` or `wpod.errors.WpodError`, and the module that wants it."""

    module: str  # as a path below the package: `queries/filters.py`
    name: str
    line: int

    @property
    def is_own(self) -> bool:
        return self.name == "wpod" or self.name.startswith("wpod.")

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]

    def __str__(self) -> str:
        return f"wpod/{self.module}:{self.line} imports {self.name}"


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package by its path below it."""
    paths = sorted(path for path in PACKAGE.rglob("*.py") if "libexec" not in path.parts)
    return {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


@cache
def imports() -> tuple[Import, ...]:
    """Every import in the package, those inside of functions and for type checkers included."""
    return tuple(one for module, tree in modules().items() for one in _imports_of(module, tree))


def _imports_of(module: str, tree: ast.Module) -> Iterator[Import]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(module, alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: imports are absolute"
            yield from (Import(module, f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def third_party() -> dict[str, set[str]]:
    """The modules that import each library outside of the standard one."""
    found: dict[str, set[str]] = {}
    for one in imports():
        if not one.is_own and one.top not in sys.stdlib_module_names:
            found.setdefault(one.top, set()).add(one.module)
    return found


@cache
def tracked() -> tuple[Path, ...]:
    """The repository's files as git has them, without those that have been deleted since."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, capture_output=True, check=True)
    return tuple(path for name in done.stdout.decode().split("\0") if name and (path := TOP / name).is_file())


def text_of(path: Path) -> str:
    """A file's text, empty for one that isn't text."""
    data = path.read_bytes()
    return "" if b"\0" in data else data.decode(errors="replace")
