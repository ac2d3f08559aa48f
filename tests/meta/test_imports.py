"""Which module may import which, and what a command loads."""

from __future__ import annotations

from pathlib import Path

from tests.meta.sources import Import, imports, third_party
from tests.support import loading

# From the top to the bottom: a module imports only from its own room and from rows below. What stands in one row
# doesn't import one another. plan and build are pure: plan knows models alone, build reads what storage has parsed.
_LAYERS: tuple[tuple[str, ...], ...] = (
    ("entry",), ("__main__",), ("cli",), ("commands",), ("tui",), ("top",), ("output",), ("operations",), ("sampling",),
    ("queries",), ("build",),
    ("storage", "runtime", "logs", "net"), ("plan",), ("state",), ("kernel",), ("model",), ("formats",),
    ("settings",), ("times",), ("programs",), ("paths",), ("frozen",), ("errors",), ("enumeration",),
    ("deferred",), ("packed",), ("__version__",),
)  # fmt: skip
_LEVELS = {room: level for level, rooms in enumerate(_LAYERS) for room in rooms}

# (importing module, imported module) -> why it may point upwards.
_UPWARDS: dict[tuple[str, str], str] = {}

_OWNERS = {
    "pyroute2": "net/links.py",
    "psutil": "sampling/process_list.py",
    "oras": "storage/registry/client.py",
    "requests": "storage/registry/client.py",
    "urllib3": "storage/registry/client.py",
    "zstandard": "storage/streams.py",
    "typer": "cli/typer_app.py",
    "pywamr": "runtime/modules/inspect.py",
}
# Libraries that are the substance of a whole room: no module of their own could stand for them.
_ROOMS = {"textual": "tui", "rich": "tui"}


def _room(path: str) -> str:
    """`queries/filters.py` -> queries, `errors.py` and `errors.WpodError` -> errors."""
    return path.partition("/")[0].partition(".")[0]


def _target(one: Import) -> str:
    """The imported thing as a path below the package: `output/times/parse_moment`."""
    return one.name.removeprefix("wpod.").replace(".", "/")


def _upwards(one: Import) -> tuple[str, str] | None:
    """The entry of _UPWARDS that allows this import."""
    return next((key for key in _UPWARDS if key[0] == one.module and f"{_target(one)}/".startswith(f"{key[1]}/")), None)


def test_every_room_has_its_level() -> None:
    rooms = {_room(one.module) for one in imports()} | {_room(_target(one)) for one in imports() if one.is_own}
    assert not rooms - set(_LEVELS)


def test_imports_point_downwards() -> None:
    wrong = []
    for one in imports():
        if not one.is_own:
            continue
        source, target = _room(one.module), _room(_target(one))
        if source != target and _LEVELS[target] <= _LEVELS[source] and _upwards(one) is None:
            wrong.append(str(one))
    assert not wrong, "\n".join(wrong)


def test_no_exception_is_left_over() -> None:
    assert {_upwards(one) for one in imports() if one.is_own} - {None} == set(_UPWARDS)


def test_each_library_has_one_importer() -> None:
    found = third_party()
    for library, room in _ROOMS.items():
        assert {_room(module) for module in found.pop(library)} == {room}, library
    assert {library: sorted(modules) for library, modules in found.items()} == {
        library: [module] for library, module in _OWNERS.items()
    }


def test_no_relative_and_no_star_imports() -> None:
    assert not [str(one) for one in imports() if one.name.endswith(".*")]


def test_listing_loads_no_library(tmp_path: Path) -> None:
    """`ps` on an empty store; tests/cli/test_loading.py looks at what needs images."""
    for arguments in (("ps",), ("ps", "--format", "json"), ("images",), ("__complete", "--", "rm", "")):
        found = loading.of_command(arguments, {"WPOD_ROOT": str(tmp_path / "store"), "HOME": str(tmp_path)}, tmp_path)
        assert not found & loading.FORBIDDEN, arguments
