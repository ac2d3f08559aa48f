"""A container record that can't be read: told by name, and everything else goes on."""

from __future__ import annotations

import sqlite3

from tests.conftest import Archives, load
from tests.support.command import Wpod
from tests.support.images import ImageSource


def test_other_containers_are_still_listed_and_started(
    fresh_one: Wpod, archives: Archives, probe_sources: dict[str, ImageSource]
) -> None:
    load(fresh_one, archives, probe_sources["wasm"])
    image = probe_sources["wasm"].name
    damaged = fresh_one("create", "--name", "damaged", image, "line", "x").ok().line
    whole = fresh_one("create", "--name", "whole", image, "line", "alive").ok().line
    with sqlite3.connect(fresh_one.store / "wpod.db") as database:
        database.execute("UPDATE container SET plan = '{\"future\":1}' WHERE name = 'damaged'")
    listing = fresh_one("ps", "-aq", "--no-trunc").fails(125, damaged[:12], "future")
    assert listing.line == whole
    assert fresh_one("images", "-q").ok().line
    assert fresh_one("start", "-a", "whole").ok().out == "alive\n"
    assert fresh_one("run", "--rm", image, "line", "new").ok().out == "new\n"
    fresh_one("inspect", "damaged").exits(125)
    fresh_one("system", "check", "--repair", "--force").ok()
    assert fresh_one("ps", "-aq", "--no-trunc").ok().line == whole
