"""What a writing command does first: remove what others left behind.

Three things can be left. A dead container started with --rm: it has no monitor that could remove it, and
has not existed for any query since it ended. A container directory without a record: its `create` was
killed, or its `rm` after the record went; or an OCI runtime that was still at work for a start that was
killed has made its own directory in there again. Both are told from live ones by their locks: a new
directory and its lock appear together, so one without a lock is never new. And the files of an anonymous
volume without a record, from a kill in the same moments.
"""

from __future__ import annotations

import os

from wpod.errors import WpodError
from wpod.model import ids
from wpod.model.container import Status
from wpod.operations.locks import try_lock
from wpod.queries import containers as queries
from wpod.storage.other_ids import remove_owned
from wpod.storage.store import Store


def sweep(store: Store) -> None:
    """Remove dead --rm containers and orphaned directories. Failures are left for the next command."""
    dead = [
        container_id
        for container_id in store.containers.removable()
        if queries.observe(store.paths.container(container_id)).status is Status.EXITED
    ]
    if dead:
        from wpod.operations.remove import remove_dead

        remove_dead(store, dead)
    _remove_orphans(store)
    _remove_orphaned_volumes(store)
    _tend_networks(store)


def _tend_networks(store: Store) -> None:
    if store.networks.are_used():
        from wpod.operations.network_start import release_dead

        release_dead(store)


def _remove_orphans(store: Store) -> None:
    try:
        present = os.listdir(store.paths.containers)
    except OSError:
        return
    for name in set(present) - store.containers.ids():
        if ids.is_full_id(name):
            _remove_orphan(store, name)


def _remove_orphaned_volumes(store: Store) -> None:
    try:
        present = {name for name in os.listdir(store.paths.volumes) if ids.is_full_id(name)}
    except OSError:
        return
    if present and (orphaned := present - store.volumes.names()):
        from wpod.operations import volumes

        for name in orphaned:
            volumes.discard_files(store, name)


def _remove_orphan(store: Store, container_id: str) -> None:
    own = store.paths.container(container_id)
    lock = try_lock(own)
    if lock is None and os.path.lexists(own.lock):
        return  # a command is at work in it
    try:
        if container_id not in store.containers.ids():  # it may have been recorded since we listed
            remove_owned(own.directory)
    except (OSError, WpodError):
        return
    finally:
        if lock is not None:
            os.close(lock)
