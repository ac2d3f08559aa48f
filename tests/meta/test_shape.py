"""The limits of size that keep modules and functions readable, and that what is public says what it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.meta.sources import PACKAGE, TOP, modules

# 400 and 50 lines are what we aim at; these are where it ends.
_MODULE_LINES = 550
_FUNCTION_LINES = 60
_PARAMETERS = 6
_NAMELESS = ("util", "utils", "helper", "helpers", "common", "misc", "tools", "shared")
_EXPLAINING_LINES = 5  # a shorter method is told by its name and its class

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _functions() -> Iterator[tuple[str, Function]]:
    for module, tree in modules().items():
        yield from ((module, node) for node in ast.walk(tree) if isinstance(node, Function))


def _lines(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_modules_are_short() -> None:
    long = {module: len((PACKAGE / module).read_text().splitlines()) for module in modules()}
    assert {module: lines for module, lines in long.items() if lines > _MODULE_LINES} == {}


def test_functions_are_short() -> None:
    long = {f"{module}:{node.name}": _lines(node) for module, node in _functions() if _lines(node) > _FUNCTION_LINES}
    assert long == {}


def test_functions_take_few_parameters() -> None:
    """self and cls are none; the rows of the option table, which say so, are let through."""
    many = []
    for module, node in _functions():
        arguments = node.args
        names = [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        count = len([name for name in names if name not in ("self", "cls")])
        line = (PACKAGE / module).read_text().splitlines()[node.lineno - 1]
        if count > _PARAMETERS and not ("noqa: PLR0913" in line and "a row of a table" in line):
            many.append(f"{module}:{node.name} takes {count}")
    assert not many


def test_nothing_is_called_utils() -> None:
    places = [
        *PACKAGE.rglob("*"),
        *(TOP / "tests").rglob("*"),
        *(TOP / "rust").glob("*/src/*.rs"),
        *(TOP / "bench").rglob("*"),
    ]
    assert not [str(path) for path in places if path.stem.lower() in _NAMELESS]


@pytest.mark.parametrize("module", modules())
def test_what_is_public_has_a_docstring(module: str) -> None:
    """Modules, functions, classes, and methods that are more than a line or two.

    The tables of commands (cli/verbs) have their summary instead. A class that implements a documented protocol
    says so: "See `…`."
    """
    tree = modules()[module]
    if not tree.body:
        return
    silent = [] if ast.get_docstring(tree) else ["the module itself"]
    if not module.startswith("cli/verbs/"):
        silent += _silent(tree.body, "")
    assert not silent


def _silent(body: list[ast.stmt], owner: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            said = ast.get_docstring(node)
            if not said:
                yield node.name
            elif not said.startswith("See `"):
                yield from _silent(node.body, f"{node.name}.")
        elif isinstance(node, Function) and not node.name.startswith("_") and not ast.get_docstring(node):
            wants_one = not owner or _lines(node) > _EXPLAINING_LINES
            yield from [f"{owner}{node.name}"] if wants_one else []


def test_docstrings_fit_their_place() -> None:
    """A docstring starts at once and ends with a stop: it is a sentence, or a way to call (`wpod ps`)."""
    odd = []
    for module, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                said = ast.get_docstring(node, clean=False) or "."
                if said[0] in " \n" or not said.rstrip().endswith((".", ":", "`", ")", "…")):
                    odd.append(f"{module}:{node.name}: {said.splitlines()[0]}")
    assert not odd, "\n".join(odd)


def test_every_test_is_in_a_module_that_is_collected() -> None:
    others = (path for path in (TOP / "tests").rglob("*.py") if not path.name.startswith("test_"))
    assert not [str(path) for path in others if _has_tests(path)]


def _has_tests(path: Path) -> bool:
    return any(
        isinstance(node, Function) and node.name.startswith("test_") for node in ast.parse(path.read_text()).body
    )
