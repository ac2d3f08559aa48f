"""Checking containers, volumes and the staging area: what is recorded against what is there."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator

from wpod.errors import StoreError, WpodError
from wpod.formats import state_file
from wpod.model import ids
from wpod.model.container import ContainerRecord, RootKind
from wpod.model.volume import Volume
from wpod.operations.check import CheckOptions, Finding, enterable, readable_containers
from wpod.operations.locks import create_lock, try_lock
from wpod.paths import ContainerPaths
from wpod.queries import containers as queries
from wpod.storage.other_ids import copy_owned, remove_owned
from wpod.storage.store import Store


def findings(store: Store, _options: CheckOptions) -> Iterator[Finding]:
    """Containers first: what mending them leaves in the staging area is seen last."""
    if enterable(store.paths.containers):
        for record in readable_containers(store):
            yield from _container(store, record)
        yield from _orphans(store)
    if enterable(store.paths.volumes):
        yield from _volumes(store)
    if enterable(store.paths.temporary):
        yield from _staging(store)


def _container(store: Store, record: ContainerRecord) -> Iterator[Finding]:
    own = store.paths.container(record.container_id)
    who = f"container {record.name}"
    if not enterable(own.directory):
        if record.container_id in store.containers.ids():  # not removed just now
            yield Finding(f"{who} has lost its directory {own.directory}", _forgetting(store, record, own))
        return
    missing = [path for path in _expected(record, own) if not _is_in_order(path, own)]
    if missing and record.container_id in store.containers.ids():
        for path in missing:
            yield Finding(f"{who} has lost {path}", _making(record, own, path))
    problem = queries.observe(own).problem
    if problem:
        yield Finding(f"{who}: {problem}", _resetting(record, own))


def _expected(record: ContainerRecord, own: ContainerPaths) -> tuple[str, ...]:
    if record.plan.root.kind is RootKind.READ_ONLY:
        return (own.lock, own.logs)
    if record.plan.root.kind is RootKind.COPY:
        return (own.lock, own.logs, own.rootfs)
    return (own.lock, own.logs, own.rootfs, own.upper, own.work)


def _is_in_order(path: str, own: ContainerPaths) -> bool:
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) if path == own.lock else stat.S_ISDIR(mode)


def _forgetting(store: Store, record: ContainerRecord, own: ContainerPaths) -> Callable[[], str]:
    def mend() -> str:
        store.containers.delete(record.container_id)
        remove_owned(own.directory)
        return "its record was removed"

    return mend


def _making(record: ContainerRecord, own: ContainerPaths, path: str) -> Callable[[], str]:
    def mend() -> str:
        remove_owned(path)  # whatever is in its place
        if path == own.lock:
            os.close(create_lock(own))
        elif record.plan.root.kind is RootKind.COPY and path == own.rootfs:
            (lower,) = record.plan.root.lowers
            copy_owned(lower, path)
            return "made anew from the image"
        else:
            os.mkdir(path, 0o700 if path == own.logs else 0o755)
        return "made anew"

    return mend


def _resetting(record: ContainerRecord, own: ContainerPaths) -> Callable[[], str]:
    """How the container ended is lost; what it wrote is not."""

    def mend() -> str:
        if state_file.is_kept(own.state):
            raise WpodError("the container is running; stop it first")
        for path in (f"{own.state}.new", own.state):
            remove_owned(path)  # a link or a directory too; a link's target stays
        state_file.create(own.state, record.plan.kind)
        return "reset to created"

    return mend


def _orphans(store: Store) -> Iterator[Finding]:
    try:
        unknown = _unrecorded(store)
    except StoreError:
        return  # the database was found damaged
    for name in unknown:
        own = store.paths.container(name)
        if _is_free(own):
            text = f"leftover: {own.directory} belongs to no container"
            yield Finding(text, _removing(own.directory), leftover=True)


def _unrecorded(store: Store) -> list[str]:
    names = set(_listed(store.paths.containers)) - store.containers.ids()
    return sorted(name for name in names if ids.is_full_id(name))


def _is_free(own: ContainerPaths) -> bool:
    """Whether no command is at work in it; a new directory and its lock appear together."""
    if not enterable(own.directory):
        return True
    lock = try_lock(own)
    if lock is not None:
        os.close(lock)
        return True
    return not os.path.lexists(own.lock)


def _removing(path: str) -> Callable[[], str]:
    def mend() -> str:
        if not remove_owned(path):
            raise StoreError(f"{path} can't be removed")
        return "removed"

    return mend


def _volumes(store: Store) -> Iterator[Finding]:
    try:
        recorded = store.volumes.all()
    except StoreError:
        return
    for volume in recorded:
        directory = os.path.dirname(volume.mountpoint)
        for path in (directory, volume.mountpoint):
            if not enterable(path):
                there = os.path.lexists(path)
                problem = "is not a directory" if there else "is missing"
                text = f"volume {volume.name}: {path} {problem}"
                yield Finding(text, _emptying(path, volume.mountpoint), force=there)
                break
    names = {volume.name for volume in recorded}
    for name in _listed(store.paths.volumes):
        if name not in names:
            text = f"leftover: {store.paths.volumes}/{name} belongs to no volume"
            yield Finding(text, _removing(f"{store.paths.volumes}/{name}"), force=True, leftover=True)


def _emptying(path: str, mountpoint: str) -> Callable[[], str]:
    def mend() -> str:
        remove_owned(path)  # a link's target stays
        os.makedirs(mountpoint, mode=0o755)
        return "made anew, empty"

    return mend


def _staging(store: Store) -> Iterator[Finding]:
    for name in store.layout.stale_staging():
        path = f"{store.paths.temporary}/{name}"
        yield Finding(f"leftover: {path} was left by a killed command", _removing(path), leftover=True)


def _listed(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []


def recover_volumes(store: Store) -> int:
    """Record the volumes that are there but not in a salvaged database; how many."""
    count = 0
    known = {volume.name for volume in store.volumes.all()}
    for name in _listed(store.paths.volumes):
        mountpoint = store.volumes.mountpoint(name)
        if name in known or not enterable(store.paths.volumes) or not enterable(os.path.dirname(mountpoint)):
            continue
        with contextlib.suppress(WpodError):
            ids.check_name(name, "volume")
            anonymous = ids.is_full_id(name)
            store.volumes.insert(Volume(name, mountpoint, time.time_ns(), {}, {}, anonymous))
            count += 1
    return count


def recover_containers(store: Store) -> int:
    """Put the directories of containers that a salvaged database lost out of the sweep's reach; how many."""
    count = 0
    for name in _unrecorded(store) if enterable(store.paths.containers) else ():
        with contextlib.suppress(OSError):
            os.makedirs(f"{store.paths.root}/lost", mode=0o700, exist_ok=True)
            os.rename(f"{store.paths.containers}/{name}", f"{store.paths.root}/lost/{name}")
            count += 1
    return count
