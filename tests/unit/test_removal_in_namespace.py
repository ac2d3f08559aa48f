"""What is handed to the process that removes trees of subordinate ids: whole paths of a store, and nothing else.

The process itself is never started here: what it is told to remove it removes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from wpod.errors import StoreError
from wpod.model.id_map import IdMap, IdRange
from wpod.operations import collect
from wpod.storage import other_ids, unpack_worker
from wpod.storage.store import open_store

RANGES = IdMap((IdRange(0, os.getuid(), 1), IdRange(1, 100000, 10)), (IdRange(0, os.getgid(), 1),))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The tasks that the process would have got."""
    found: list[list[str]] = []
    monkeypatch.setattr(unpack_worker, "_run", lambda task, _map: found.append(list(task)))
    return found


@pytest.mark.parametrize("path", ["/", "//", "/..", "/.", ".", "", "t", "tmp/tree", "../tree"])
def test_what_is_no_tree_of_a_store_is_refused(path: str, told: list[list[str]]) -> None:
    with pytest.raises(StoreError, match="no tree of a store"):
        unpack_worker.remove_in_namespace(["/store/tmp/removed-1", path], RANGES)
    assert told == []


def test_several_trees_are_one_task(tmp_path: Path, told: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    trees = [str(tmp_path / name) for name in ("a", "b")]
    for tree in trees:
        os.mkdir(tree)

    def cannot(_path: str) -> None:
        """As for files of other ids."""

    monkeypatch.setattr(other_ids, "remove_tree", cannot)
    monkeypatch.setattr(other_ids, "_ranges", lambda: RANGES)
    other_ids.remove_all_owned([*trees, str(tmp_path / "gone")])
    assert told == [["remove", *trees]]


def test_the_tree_of_an_image_is_one_path(tmp_path: Path, told: list[list[str]]) -> None:
    store = open_store(str(tmp_path / "store"))
    store.layout.create()
    directory = Path(store.paths.unpacked) / "key" / "chain"
    (directory / "fs").mkdir(parents=True)

    def rows(ranges: Sequence[IdRange]) -> list[list[int]]:
        return [[one.inside, one.outside, one.count] for one in ranges]

    marker = {"users": rows(RANGES.users), "groups": rows(RANGES.groups)}
    (directory / "complete").write_text(json.dumps(marker))
    collect.remove_unpacked(store, str(directory))
    ((verb, *paths),) = told
    assert verb == "remove"
    assert [os.path.dirname(os.path.dirname(path)) for path in paths] == [store.paths.temporary]
    assert os.path.basename(paths[0]) == "fs"
    assert not directory.exists()
