"""Named volumes: directories of the store with a record each."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from wpod.errors import InUse, NotThere, StoreError
from wpod.kernel.openat2 import open_inside
from wpod.model import ids
from wpod.model.volume import Volume
from wpod.storage.layout import store_error
from wpod.storage.other_ids import copy_owned, remove_owned
from wpod.storage.store import Store


def create(store: Store, volume: Volume) -> None:
    """Make the directory and record it. Raises NameTaken, UsageError, StoreError; nothing is left then."""
    ids.check_name(volume.name, "volume")
    store.volumes.insert(volume)
    try:
        os.makedirs(volume.mountpoint, mode=0o755, exist_ok=True)
    except OSError as error:
        store.volumes.delete(volume.name)
        raise store_error(error, volume.mountpoint) from error


def remove(store: Store, name: str, *, force: bool = False, stop_timeout_seconds: int | None = None) -> None:
    """Forget a volume and delete its files. Raises NotThere, InUse.

    `force` removes the containers that use it first, as podman-volume-rm(1), with this grace.
    """
    volume = store.volumes.get(name)
    if force:
        _remove_users(store, name, stop_timeout_seconds)
    store.volumes.delete(volume.name)
    directory = os.path.dirname(volume.mountpoint)
    doomed = f"{store.paths.temporary}/removed-{os.urandom(8).hex()}"
    try:
        os.rename(directory, doomed)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{directory} can't be removed: {error.strerror}") from None
    remove_owned(doomed)


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


def fill(volume: Volume, tree: str, target: str) -> None:
    """Copy what the image has at the mount's target into a fresh volume, as podman-run(1) -v says."""
    directory = os.open(tree, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = open_inside(directory, target, os.O_PATH | os.O_DIRECTORY)
    except OSError:
        return
    finally:
        os.close(directory)
    try:
        fresh = f"{volume.mountpoint}.new"
        copy_owned(os.readlink(f"/proc/self/fd/{found}"), fresh)  # with owner and mode of the image's directory
        os.rename(fresh, volume.mountpoint)
    except OSError as error:
        raise store_error(error, volume.mountpoint) from error
    finally:
        os.close(found)


def _remove_users(store: Store, name: str, stop_timeout_seconds: int | None) -> None:
    from wpod.operations.remove import RemoveOptions
    from wpod.operations.remove import remove as remove_container

    for container_id in store.containers.using_volume(name):
        options = RemoveOptions(force=True, stop_timeout_seconds=stop_timeout_seconds)
        with contextlib.suppress(NotThere):
            remove_container(store, container_id, options)
