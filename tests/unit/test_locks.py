"""One command at a time changes one container (wpod.operations.locks)."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from wpod.errors import NotThere, StoreError, WpodError
from wpod.operations.locks import NewLock, container_lock, try_lock
from wpod.paths import ContainerPaths


@pytest.fixture
def own(tmp_path: Path) -> ContainerPaths:
    directory = tmp_path / "container"
    directory.mkdir()
    return ContainerPaths(str(directory))


def test_a_new_lock_is_held_until_it_is_released(own: ContainerPaths) -> None:
    lock = NewLock(own)
    assert try_lock(own) is None
    assert os.stat(own.lock).st_mode & 0o777 == 0o600
    lock.release()
    lock.release()
    with container_lock(own, 0):
        assert try_lock(own) is None
    found = try_lock(own)
    assert found is not None
    os.close(found)


def test_a_lock_is_made_once(own: ContainerPaths) -> None:
    NewLock(own).release()
    with pytest.raises(FileExistsError):
        NewLock(own)


def test_patience_ends(own: ContainerPaths) -> None:
    lock = NewLock(own)
    with pytest.raises(WpodError, match=r"for 0\.02 s"), container_lock(own, 0.02):
        pytest.fail("two have the lock")
    lock.release()


def test_it_goes_with_its_process(own: ContainerPaths) -> None:
    NewLock(own).release()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with container_lock(own):
            os.write(writer, b"x")
            signal.pause()
    os.read(reader, 1)
    assert try_lock(own) is None
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with container_lock(own, 0):
        pass
    os.close(reader)
    os.close(writer)


def test_it_is_let_go_after_a_failure(own: ContainerPaths) -> None:
    NewLock(own).release()
    with pytest.raises(KeyboardInterrupt), container_lock(own):
        raise KeyboardInterrupt
    with container_lock(own, 0):
        pass


def test_a_container_that_was_removed_meanwhile(own: ContainerPaths) -> None:
    with pytest.raises(NotThere, match="removed meanwhile"), container_lock(own):
        pytest.fail("there is nothing to lock")
    assert try_lock(own) is None
    NewLock(own).release()
    held = try_lock(own)
    assert held is not None
    child = os.fork()
    if child == 0:
        os.close(held)  # its own copy would hold the lock for ever
        try:
            with container_lock(own):
                os._exit(0)
        except NotThere:
            os._exit(7)
        finally:
            os._exit(1)
    os.rename(own.directory, f"{own.directory}-removed")
    os.close(held)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_link_is_not_followed(own: ContainerPaths, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    os.symlink(tmp_path / "elsewhere", own.lock)
    with pytest.raises(StoreError, match="can't be opened"), container_lock(own):
        pytest.fail("a link was followed")
    assert try_lock(own) is None
    with pytest.raises(FileExistsError):
        NewLock(own)
