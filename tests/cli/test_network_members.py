"""Networks of containers that don't run: what is recorded, shown and refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command import Wpod
from tests.support.images import ImageSource

PROBE = "localhost/probe-native"


@pytest.fixture
def wpod(fresh: Wpod, archives: Callable[[ImageSource], Path], probe_sources: dict[str, ImageSource]) -> Wpod:
    """With an image and the networks `one` and `two`."""
    fresh("load", "--quiet", "--input", archives(probe_sources["native"])).ok()
    for name in ("one", "two"):
        fresh("network", "create", name).ok()
    return fresh


def on(wpod: Wpod, container: str) -> list[str]:
    (found,) = wpod("inspect", container).ok().json
    return sorted(found["NetworkSettings"]["Networks"])


def test_connect_and_disconnect_change_what_is_recorded(wpod: Wpod) -> None:
    wpod("create", "--name", "web", "--network", "one", PROBE, "idle").ok()
    assert on(wpod, "web") == ["one"]
    assert wpod("network", "connect", "--alias", "db", "two", "web").ok().out == ""
    assert on(wpod, "web") == ["one", "two"]
    wpod("network", "connect", "two", "web").fails(125, "already connected to network two")
    assert wpod("network", "disconnect", "one", "web").ok().out == ""
    assert on(wpod, "web") == ["two"]
    wpod("network", "disconnect", "one", "web").fails(125, "not connected to network one")
    wpod("network", "disconnect", "--force", "one", "web").ok()
    wpod("network", "connect", "wpod", "web").ok()
    assert on(wpod, "web") == ["two", "wpod"]


@pytest.mark.parametrize("mode", ["none", "host"])
def test_who_is_on_no_network_cant_join_one(wpod: Wpod, mode: str) -> None:
    wpod("create", "--name", "alone", "--network", mode, PROBE, "idle").ok()
    wpod("network", "connect", "one", "alone").fails(125, f"--network {mode}")
    wpod("network", "disconnect", "one", "alone").fails(125, "not connected")
    assert on(wpod, "alone") == []


def test_a_network_in_use_stays(wpod: Wpod) -> None:
    wpod("create", "--name", "web", "--network", "one", "--network", "two", PROBE, "idle").ok()
    wpod("create", "--name", "other", "--network", "two", PROBE, "idle").ok()
    wpod("network", "rm", "one").fails(2, "associated containers", "web")
    assert wpod("network", "prune", "--force").ok().out == ""
    assert wpod("ps", "-a", "--filter", "network=one", "--format", "{{.Names}}").ok().out == "web\n"
    found = wpod("ps", "-a", "--filter", "network=two", "--format", "{{.Names}}").ok().out.split()
    assert sorted(found) == ["other", "web"]
    assert wpod("network", "rm", "--force", "one").ok().out == "one\n"
    assert wpod("ps", "-a", "--format", "{{.Names}}").ok().out == "other\n"
    wpod("rm", "other").ok()
    assert wpod("network", "prune", "--force").ok().out == "two\n"
