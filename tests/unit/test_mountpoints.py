"""The layer below all native roots (wpod.runtime.oci.mountpoints)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from wpod.errors import StoreError
from wpod.paths import StorePaths
from wpod.runtime.oci import mountpoints


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StorePaths]:
    (tmp_path / "tmp").mkdir()
    before = os.umask(0o077)
    yield StorePaths(str(tmp_path))
    os.umask(before)


def entries(path: str) -> dict[str, int]:
    root = Path(path)
    return {str(entry.relative_to(root)): entry.stat().st_mode & 0o777 for entry in (root, *root.rglob("*"))}


def test_it_is_made_once_and_for_all_users_of_the_guest(store: StorePaths) -> None:
    path = mountpoints.layer(store, with_hosts=True)
    directories = dict.fromkeys((".", "proc", "sys", "dev", "etc"), 0o755)
    assert entries(path) == directories | dict.fromkeys(("etc/hostname", "etc/hosts", "etc/resolv.conf"), 0o644)
    inode = Path(path).stat().st_ino
    assert mountpoints.layer(store, with_hosts=True) == path
    assert Path(path).stat().st_ino == inode
    assert os.listdir(store.temporary) == []


def test_without_hosts_there_is_no_file_that_would_be_seen(store: StorePaths) -> None:
    assert "etc/hosts" not in entries(mountpoints.layer(store, with_hosts=False))


def test_another_command_may_be_quicker(store: StorePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    made = os.rename

    def late(source: str, target: str) -> None:
        os.makedirs(f"{target}/etc")
        made(source, target)

    monkeypatch.setattr(os, "rename", late)
    assert os.path.isdir(f"{mountpoints.layer(store, with_hosts=True)}/etc")


def test_what_cannot_be_made_is_named(store: StorePaths) -> None:
    os.rmdir(store.temporary)
    Path(store.temporary).write_text("no directory")
    with pytest.raises(StoreError, match="/mountpoints can't be made: File exists"):
        mountpoints.layer(store, with_hosts=True)


def test_who_comes_second_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = StorePaths(str(tmp_path))
    first = mountpoints.layer(store, with_hosts=True)
    told = iter([False])  # not there yet when the second command looked
    real = os.path.isdir
    monkeypatch.setattr(os.path, "isdir", lambda path: next(told, real(path)))
    assert mountpoints.layer(store, with_hosts=True) == first
    assert os.listdir(store.temporary) == []
