"""Hot commands load what they need and no library: each of those costs more than the command may take."""

from __future__ import annotations

from tests.conftest import Archives, load
from tests.support import loading
from tests.support.command import Wpod
from tests.support.images import ImageSource


def test_hot_commands_load_no_library(
    fresh_one: Wpod, archives: Archives, probe_sources: dict[str, ImageSource]
) -> None:
    load(fresh_one, archives, *probe_sources.values())
    wasm, native = (probe_sources[kind].name for kind in ("wasm", "native"))
    for arguments in (
        ("run", "-d", "--name", "one", wasm, "idle"),
        # The first container on a network has its link messages made, which takes pyroute2.
        ("run", "-d", "--network", "none", "--name", "two", native, "idle"), ("ps",),
        ("ps", "-a", "--format", "json"), ("ps", "--memory"), ("stats", "--no-stream"),
        ("logs", "one"), ("inspect", "one"), ("images",),
        ("exec", "two", "/main", "line", "x"), ("kill", "one"), ("wait", "one"), ("start", "one"),
        ("stop", "--time", "0", "one", "two"), ("rm", "one", "two"), ("create", "--name", "three", wasm),
        ("__complete", "--", "rm", ""), ("rm", "three"),
    ):  # fmt: skip
        found = loading.of_command(arguments, fresh_one.variables(), fresh_one.scratch)
        assert not found & loading.FORBIDDEN, arguments


def test_colder_commands_load_typer_and_nothing_of_a_registry(fresh_one: Wpod) -> None:
    found = loading.of_command(("volume", "ls"), fresh_one.variables(), fresh_one.scratch)
    assert found & loading.FORBIDDEN == {"typer"}
