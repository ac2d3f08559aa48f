"""WASI calls with hostile arguments, made past the C library (tests/fixtures/guests/calls.c)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.runner.conftest import Start
from tests.runner.launching import Container, Launch
from tests.support.guests import SOURCES, wasm_from_c
from wpod.formats import launch_plan
from wpod.formats.log_line import Stream

BADF, FAULT, INVAL, NOTCAPABLE, ROFS, SPIPE = 8, 21, 28, 76, 69, 70


@pytest.fixture(scope="module")
def calls() -> Path:
    return wasm_from_c(SOURCES / "calls.c", "-Wno-unused-result")


def run(start: Start, launch: Launch) -> tuple[Container, list[tuple[str, str]]]:
    container = start(launch)
    assert container.ready == b"R", container.ready
    assert container.wait() == 0, container.output()
    lines = container.output(Stream.STDOUT).decode(errors="replace").splitlines()
    return container, [(name, value) for name, _, value in (line.partition("=") for line in lines)]


def results(start: Start, module: Path, *arguments: str) -> dict[str, int]:
    _, found = run(start, Launch(module, arguments=("guest", *arguments)))
    return {name: int(value) for name, value in found}


def test_addresses_outside_the_memory_are_faults(start: Start, calls: Path) -> None:
    found = results(start, calls, "pointers")
    others = {"poll-none": INVAL, "descriptor": BADF, "negative": BADF}
    assert {name: found.pop(name) for name in others} == others
    assert set(found.values()) == {FAULT}
    assert len(found) == 11


def test_no_path_leads_out_of_the_root(start: Start, calls: Path, directory: Path) -> None:
    (directory / "root" / "etc").mkdir()
    (directory / "root" / "etc" / "passwd").write_text("inside")
    (directory / "outside").write_text("outside")
    inside = ("climbing/passwd", "absolute/passwd", "absolute//passwd", "climbing/./passwd", "absolute/../etc/passwd")
    outside = ("../outside", "/etc/passwd", "..", "climbing/../../outside", "a/../../../outside")
    _, found = run(start, Launch(calls, arguments=("guest", "escapes", *inside, *outside)))
    values = dict(found)
    assert {values[path] for path in inside} == {"0 inside"}
    assert {values[path] for path in outside[:3]} == {f"{NOTCAPABLE} "}
    assert all(not values[path].startswith("0") for path in outside)
    assert {values[name] for name in ("rename-out", "link-out", "unlink-out", "mkdir-out")} == {str(NOTCAPABLE)}
    assert sorted(os.listdir(directory)) == ["log", "outside", "root", "state"]


def test_a_volume_accepts_no_absolute_link_and_follows_none(start: Start, calls: Path, directory: Path) -> None:
    volume = directory / "volume"
    volume.mkdir()
    (directory / "outside").write_text("outside")
    (volume / "absolute").symlink_to(directory)
    (volume / "relative").symlink_to("..")
    extra = [launch_plan.volume(str(volume), "/v", read_only=False, directory=True)]
    paths = ("v/absolute/outside", "v/relative/outside", "v/absolute/", "v/relative/.", "v/relative//outside")
    _, found = run(start, Launch(calls, arguments=("guest", "escapes", *paths), extra=extra))
    values = dict(found)
    assert {values[path].split(" ")[0] for path in paths} == {str(NOTCAPABLE)}


def volume_contents(directory: Path) -> Sequence[tuple[str, bytes]]:
    return sorted((str(path), path.read_bytes() if path.is_file() else b"") for path in directory.rglob("*"))


def test_a_read_only_volume_refuses_every_way_to_write(start: Start, calls: Path, directory: Path) -> None:
    volume = directory / "volume"
    (volume / "directory").mkdir(parents=True)
    (volume / "file").write_text("content")
    (directory / "root" / "given").write_text("given")
    before, times = volume_contents(volume), (volume / "file").stat().st_mtime_ns
    extra = [launch_plan.volume(str(volume), "/volume", read_only=True, directory=True)]
    _, found = run(start, Launch(calls, arguments=("guest", "read-only"), extra=extra))
    tried = [(name, value) for name, value in found if value and name != "renumber"]
    assert [name for name, value in tried if value != str(ROFS)] == []
    assert len(tried) == 40
    assert volume_contents(volume) == before
    assert (volume / "file").stat().st_mtime_ns == times
    assert sorted(os.listdir(directory / "root")) == ["given", "volume"]


def test_a_writable_volume_is_written(start: Start, calls: Path, directory: Path) -> None:
    volume = directory / "volume"
    (volume / "directory").mkdir(parents=True)
    (volume / "file").write_text("content")
    (directory / "root" / "given").write_text("given")
    extra = [launch_plan.volume(str(volume), "/volume", read_only=False, directory=True)]
    _, found = run(start, Launch(calls, arguments=("guest", "read-only"), extra=extra))
    assert dict(found[: found.index(("[renumbered]", ""))])["create"] == "0"
    assert (volume / "made").is_dir()
    assert not (volume / "file").exists()


def test_descriptors_are_numbered_as_posix_has_it(start: Start, calls: Path) -> None:
    container, found = run(start, Launch(calls, arguments=("guest", "descriptors")))
    # Standard error is what standard output was, and descriptor 1 is closed.
    assert found.pop() == ("through stderr", "")
    assert container.output(Stream.STDERR) == b""
    assert [(name, int(value)) for name, value in found] == [
        ("lowest", 0),
        ("renumber-unopened", BADF),
        ("renumber-self", 0),
        ("renumber", 0),
        ("closed", BADF),
        ("stdout-type", 0),
        ("seek-stdout", SPIPE),
    ]


def test_directories_are_listed_through_any_buffer(start: Start, calls: Path) -> None:
    assert results(start, calls, "directory") == {"one-byte": 0, "one-byte-used": 1, "seen": 300, "bad-cookie": INVAL}


def test_many_subscriptions_and_mixed_ones(start: Start, calls: Path) -> None:
    assert results(start, calls, "waiting") == {
        "many": 0,
        "many-count": 1,
        "many-which": 77,
        "mixed": 0,
        "mixed-count": 3,
        "event 0": 0,
        "event 1": BADF,
        "event 2": INVAL,
        "absolute": 0,
        "bad-clock": 0,
        "bad-clock-event": INVAL,
    }


def test_large_transfers_need_no_memory_of_the_host(start: Start, calls: Path, directory: Path) -> None:
    found = results(start, calls, "large")
    assert found == {"random": 0, "write": 0, "whole": 1, "stdout": 0, "short": 1}
    assert (directory / "root" / "big").stat().st_size == 64 << 20
