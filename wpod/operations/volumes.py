"""Named volumes: directories of the store with a record each.

Theory of operation. A new volume is made and filled aside and put in place by one rename, a removed one is
moved out of the way by one rename; both inside the transaction that changes the record. So record and files
agree for everybody else, and after a kill at most one of two harmless things is there: a record whose
directory is missing (an empty one is made at the next use), or a directory without a record (moved away when
the name is used again; swept where the name is an anonymous volume's). Anonymous volumes are recorded and
forgotten in the transaction that records and forgets their container (state/containers.py).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from wpod.errors import InUse, NotThere, StoreError
from wpod.frozen import frozen
from wpod.kernel.openat2 import open_inside
from wpod.model import ids
from wpod.model.volume import Volume
from wpod.storage.layout import store_error
from wpod.storage.other_ids import copy_owned, remove_owned
from wpod.storage.store import Store


@frozen
class Filling:
    """What a new volume begins with: what an image's tree has at the mount's target (podman-run(1), -v)."""

    tree: str
    target: str


def create(store: Store, volume: Volume, filling: Filling | None = None) -> None:
    """Make the directory and record it. Raises NameTaken, UsageError, StoreError; nothing is left then."""
    ids.check_name(volume.name, "volume")
    directory = os.path.dirname(volume.mountpoint)
    with store.layout.staging("volume") as stage:
        staged = f"{stage}/volume"
        moved: list[str] = []
        try:
            make_files(staged, filling)

            def put_in_place() -> None:
                moved.extend(_move_away(store, directory))
                os.rename(staged, directory)

            store.volumes.insert(volume, put_in_place)
        except OSError as error:
            raise store_error(error, directory) from error
        except StoreError:
            discard_files(store, volume.name)
            raise
        finally:
            for rubbish in (staged, *moved):
                if os.path.lexists(rubbish):
                    remove_owned(rubbish)


def make_files(directory: str, filling: Filling | None) -> None:
    """A new volume's directory, to be put in place by a rename. Raises OSError, StoreError."""
    os.mkdir(directory, 0o755)
    if filling is None or not _fill(f"{directory}/_data", filling):
        os.mkdir(f"{directory}/_data", 0o755)


def discard_files(store: Store, name: str) -> None:
    """Delete the files of a volume that isn't recorded; nothing where it is, or has none. Never raises."""
    directory = os.path.dirname(store.volumes.mountpoint(name))
    moved: list[str] = []
    with contextlib.suppress(StoreError, OSError):
        store.volumes.settle(name, lambda there: None if there else moved.extend(_move_away(store, directory)))
    for doomed in moved:
        remove_owned(doomed)


def ensure_files(store: Store, volume: Volume) -> None:
    """An empty directory for a recorded volume that has none (its removal was killed). Raises StoreError."""

    def make(recorded: bool) -> None:
        if recorded:
            os.makedirs(volume.mountpoint, mode=0o755, exist_ok=True)

    if os.path.isdir(volume.mountpoint):
        return
    try:
        store.volumes.settle(volume.name, make)
    except OSError as error:
        raise store_error(error, volume.mountpoint) from error


def remove(store: Store, name: str, *, force: bool = False, stop_timeout_seconds: int | None = None) -> None:
    """Forget a volume and delete its files. Raises NotThere, InUse.

    `force` removes the containers that use it first, as podman-volume-rm(1), with this grace.
    """
    volume = store.volumes.get(name)
    if force:
        _remove_users(store, name, stop_timeout_seconds)
    directory = os.path.dirname(volume.mountpoint)
    moved: list[str] = []
    try:
        store.volumes.delete(volume.name, lambda: moved.extend(_move_away(store, directory)))
    except OSError as error:
        raise StoreError(f"{directory} can't be removed: {error.strerror}") from None
    except StoreError:
        _put_back(store, volume.name, directory, moved)
        raise
    for doomed in moved:
        remove_owned(doomed)


def _put_back(store: Store, name: str, directory: str, moved: list[str]) -> None:
    """The files of a volume whose removal could not be committed."""

    def put_back(there: bool) -> None:
        if there and moved and not os.path.lexists(directory):
            os.rename(moved[0], directory)

    with contextlib.suppress(StoreError, OSError):
        store.volumes.settle(name, put_back)


def _move_away(store: Store, directory: str) -> list[str]:
    """Where the files are now, ready to be deleted; what a kill leaves there is swept as staging."""
    doomed = f"{store.paths.temporary}/removed-{os.urandom(8).hex()}"
    try:
        os.rename(directory, doomed)
    except FileNotFoundError:
        return []
    return [doomed]


def prune(store: Store, names: Sequence[str]) -> list[str]:
    """Remove those of these volumes that no container uses; returns their names."""
    removed = []
    for name in names:
        try:
            remove(store, name)
        except (InUse, NotThere):
            continue
        removed.append(name)
    return removed


def _fill(new: str, filling: Filling) -> bool:
    """Copy what is at the target, with its owner and mode; False where there is no such directory."""
    directory = os.open(filling.tree, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = open_inside(directory, filling.target, os.O_PATH | os.O_DIRECTORY)
    except OSError:
        return False
    finally:
        os.close(directory)
    try:
        copy_owned(os.readlink(f"/proc/self/fd/{found}"), new)
    finally:
        os.close(found)
    return True


def _remove_users(store: Store, name: str, stop_timeout_seconds: int | None) -> None:
    from wpod.operations.remove import RemoveOptions, remove_present

    options = RemoveOptions(force=True, stop_timeout_seconds=stop_timeout_seconds)
    remove_present(store, store.containers.using_volume(name), options)
