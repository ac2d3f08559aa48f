"""Removing containers. Teardown goes on past failures and takes what is already gone as done.

Theory of operation. Several are removed together: all are stopped at once (operations/stop.py), then forgotten in
groups, each group by one transaction, for a commit waits for the disk. A group's locks are held from before its
containers are seen dead until their directories are out of the way. Only the first lock of a group is waited for:
who waited while holding others could wait in a circle.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence

from wpod.errors import InUse, NotThere, StoreError, WpodError, value_of
from wpod.frozen import frozen
from wpod.model.container import Container, Status
from wpod.model.network import NetworkMode
from wpod.operations import volumes
from wpod.operations.create import launch_of
from wpod.operations.locks import container_lock, try_lock
from wpod.operations.stop import stop_together
from wpod.queries import containers as queries
from wpod.runtime.backend import for_kind
from wpod.storage.other_ids import remove_all_owned
from wpod.storage.store import Store

# Bounds the descriptors of the locks, and the database's log to less than what is kept back for a full disk.
_LARGEST_GROUP = 32


@frozen
class RemoveOptions:
    """podman-rm(1): `force` ends a running one first; `volumes` removes its anonymous volumes too."""

    force: bool = False
    volumes: bool = False
    stop_timeout_seconds: int | None = None


def remove(store: Store, name_or_id: str, options: RemoveOptions) -> None:
    """Raises NotThere, InUse (running and not forced), WpodError where it can't be ended."""
    for outcome in remove_together(store, [name_or_id], options):
        value_of(outcome)


def remove_together(store: Store, names_or_ids: Sequence[str], options: RemoveOptions) -> Iterator[WpodError | None]:
    """As `remove` for each of several: None or its error, in their order; a group of them at a time."""
    found = [one if options.force else _not_running(one) for one in queries.find_each(store, names_or_ids)]
    ready: list[Container | WpodError] = []
    for one, ended in zip(found, stop_together(store, found, options.stop_timeout_seconds), strict=True):
        ready.append(ended if isinstance(ended, WpodError) else one)
        if len(ready) == _LARGEST_GROUP:
            yield from _finish_all(store, ready, with_volumes=options.volumes)
            ready = []
    yield from _finish_all(store, ready, with_volumes=options.volumes)


def remove_present(store: Store, container_ids: Sequence[str], options: RemoveOptions) -> None:
    """Remove those of these that are still there. Raises the first error when all were tried."""
    raise_first(one for one in remove_together(store, container_ids, options) if not isinstance(one, NotThere))


def raise_first(outcomes: Iterable[WpodError | None]) -> None:
    """When all were tried, the first error of several."""
    for error in [one for one in outcomes if one is not None][:1]:
        raise error


def remove_dead(store: Store, container_ids: Sequence[str]) -> None:
    """Remove dead --rm containers with their anonymous volumes. Failures are left for the next command."""
    found: list[Container | WpodError] = []
    for container_id in container_ids:
        with contextlib.suppress(WpodError):  # another command was first, or the record can't be read
            found.append(queries.join(store, store.containers.find(container_id)))
    while found:
        _finish_all(store, found[:_LARGEST_GROUP], with_volumes=True)
        del found[:_LARGEST_GROUP]


def _not_running(found: Container | WpodError) -> Container | WpodError:
    if isinstance(found, WpodError) or found.observed.status is not Status.RUNNING:
        return found
    message = f"cannot remove container {found.record.name} as it is running"
    return InUse(message, hint="stop it first, or use -f")


def _finish_all(store: Store, ended: Sequence[Container | WpodError], *, with_volumes: bool) -> list[WpodError | None]:
    """What came of each. An error instead of a container is its own outcome."""
    doomed = [_Doomed(store, one, with_volumes) for one in ended if isinstance(one, Container)]
    left = doomed
    while left:
        left = left[_finish_group(store, left) :]
    finished = iter(doomed)
    return [one if isinstance(one, WpodError) else next(finished).outcome for one in ended]


def _finish_group(store: Store, doomed: Sequence[_Doomed]) -> int:
    """Remove as many, from the first on, as nobody else is at work on; how many that were, at least one."""
    with contextlib.ExitStack() as locks:
        held = 0
        while held < len(doomed) and doomed[held].hold(locks, may_wait=not held):
            held += 1
        group = doomed[:held]
        for one in group:
            one.release(store)
        _leave_networks(store, group)
        _forget(store, group)
        moved = [path for one in group for path in one.move_away(store)]
    remove_all_owned(moved)
    return held


def _leave_networks(store: Store, group: Sequence[_Doomed]) -> None:
    """Give back ports, names and addresses, while it is still recorded whose they are."""
    leaving = {one.container_id for one in group if one.error is None and one.has_networks}
    if leaving:
        from wpod.operations.network_start import release

        complaint = release(store, leaving)
        for one in group if complaint else ():
            one.complain(complaint)


def _forget(store: Store, group: Sequence[_Doomed]) -> None:
    """In one transaction; where that fails each by itself, for one that can't be forgotten must not hold the others."""
    going = {one.container_id: one.with_volumes for one in group if one.error is None}
    if not going:
        return
    try:
        forgotten = store.containers.forget(going)
    except StoreError as error:
        for one in group:
            if len(going) > 1:
                _forget(store, [one])
            elif one.error is None:
                one.error = error
        return
    for one in group:
        if one.error is None and one.container_id not in forgotten.container_ids:
            one.error = NotThere(f"no container with name or ID {one.container_id!r} found: it was removed meanwhile")
    for name in forgotten.volumes:
        volumes.discard_files(store, name)


class _Doomed:
    """One container on its way out. `error` is why it stays; nothing more is done to it then."""

    def __init__(self, store: Store, container: Container, with_volumes: bool) -> None:
        self.container_id = container.record.container_id
        self.with_volumes = with_volumes or container.record.remove
        self.error: WpodError | None = None
        self._complaint = ""
        self._record = container.record
        self._own = store.paths.container(self.container_id)

    @property
    def outcome(self) -> WpodError | None:
        """None where it is gone and all of it is given back."""
        if self.error is None and self._complaint:
            return StoreError(f"container {self._record.name} was removed, but: {self._complaint}")
        return self.error

    def hold(self, locks: contextlib.ExitStack, *, may_wait: bool) -> bool:
        """Have `locks` hold its lock; False where somebody else does and we may not wait. No directory, no lock."""
        if not os.path.isdir(self._own.directory):
            return True
        if may_wait:
            try:
                locks.enter_context(container_lock(self._own))
            except WpodError as error:
                self.error = error
            return True
        descriptor = try_lock(self._own)
        if descriptor is not None:
            locks.callback(os.close, descriptor)
        return descriptor is not None

    def release(self, store: Store) -> None:
        """Give back what outlives its processes, where it has ended."""
        if self.error is not None:
            return
        if queries.observe(self._own).status is Status.RUNNING:
            self.error = InUse(f"container {self._record.name} was started again meanwhile")
            return
        try:
            for_kind(self._record.plan.kind).release(launch_of(store, self._record, foreground=False))
        except WpodError as error:
            self._complaint = error.message

    @property
    def has_networks(self) -> bool:
        return self._record.plan.network is NetworkMode.NETWORKS

    def complain(self, text: str) -> None:
        """It goes all the same, and this is told of it."""
        self._complaint = self._complaint or text

    def move_away(self, store: Store) -> list[str]:
        """Where its files are now, ready to be deleted; what a kill leaves there is swept as staging."""
        if self.error is not None:
            return []
        moved = f"{store.paths.temporary}/removed-{os.urandom(8).hex()}"
        try:
            os.rename(self._own.directory, moved)
        except FileNotFoundError:
            return []
        except OSError as error:
            self.error = StoreError(f"{self._own.directory} can't be removed: {error.strerror}")
            return []
        return [moved]
