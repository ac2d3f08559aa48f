"""Removing containers. Teardown goes on past failures and takes what is already gone as done."""

from __future__ import annotations

import os

from wpod.errors import InUse, StoreError, WpodError
from wpod.frozen import frozen
from wpod.model.container import Container, Status
from wpod.operations import volumes
from wpod.operations.create import launch_of
from wpod.operations.locks import container_lock
from wpod.operations.stop import stop
from wpod.queries import containers as queries
from wpod.runtime.backend import for_kind
from wpod.storage.other_ids import remove_owned
from wpod.storage.store import Store


@frozen
class RemoveOptions:
    """podman-rm(1): `force` ends a running one first; `volumes` removes its anonymous volumes too."""

    force: bool = False
    volumes: bool = False
    stop_timeout_seconds: int | None = None


def remove(store: Store, name_or_id: str, options: RemoveOptions) -> None:
    """Raises NotThere, InUse (running and not forced), WpodError where it can't be ended."""
    container = queries.find(store, name_or_id)
    observed = container.observed
    if observed.status is Status.RUNNING:
        if not options.force:
            raise InUse(
                f"cannot remove container {container.record.name} as it is running",
                hint="stop it first, or use -f",
            )
        stop(store, container, options.stop_timeout_seconds)
    _finish(store, container, with_volumes=options.volumes or container.record.remove)


def remove_dead(store: Store, container_id: str) -> None:
    """Remove a dead --rm container with its anonymous volumes. Raises NotThere where another command was first."""
    record = store.containers.find(container_id)
    _finish(store, queries.join(store, record), with_volumes=True)


def _finish(store: Store, container: Container, *, with_volumes: bool) -> None:
    record = container.record
    own = store.paths.container(record.container_id)
    if not os.path.isdir(own.directory):
        for name in store.containers.delete(record.container_id, with_volumes=with_volumes):
            volumes.discard_files(store, name)
        return
    with container_lock(own):
        if queries.observe(own).status is Status.RUNNING:
            raise InUse(f"container {record.name} was started again meanwhile")
        problems = []
        try:
            for_kind(record.plan.kind).release(launch_of(store, record, foreground=False))
        except WpodError as error:
            problems.append(error.message)
        for name in store.containers.delete(record.container_id, with_volumes=with_volumes):
            volumes.discard_files(store, name)
        _delete_directory(store, own.directory)
    if problems:
        raise StoreError(f"container {record.name} was removed, but: {'; '.join(problems)}")


def _delete_directory(store: Store, directory: str) -> None:
    """Out of the way by one rename, then deleted; what a kill interrupts there is swept as staging."""
    doomed = f"{store.paths.temporary}/removed-{os.urandom(8).hex()}"
    try:
        os.rename(directory, doomed)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{directory} can't be removed: {error.strerror}") from None
    remove_owned(doomed)
