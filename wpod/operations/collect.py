"""Remove content that nothing refers to: blobs, unpacked trees, compiled modules.

Roots are the recorded images and the recorded containers (a container keeps its tree even where its image
was removed by force). Content that somebody is bringing in or about to use is protected by the lease: this
runs only while nobody holds one, else it leaves a note, and the next writing command that finds itself alone
does it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass

from wpod.errors import WpodError
from wpod.model.id_map import IdMap, IdRange
from wpod.model.image import Image
from wpod.runtime.modules import cache
from wpod.storage.other_ids import remove_owned
from wpod.storage.store import Store
from wpod.storage.trees import tree_id

_WAIT_SECONDS = 0.5
_MEMO = "module-digests.json"


@dataclass
class Collected:
    """What was removed. `postponed`: somebody is using the store; it will be done later."""

    blobs: int = 0
    trees: int = 0
    freed_bytes: int = 0
    postponed: bool = False


def collect(store: Store) -> Collected:
    """Remove what nothing refers to, if nobody holds the lease. Raises StoreError."""
    done = Collected()
    with store.layout.sole_lease(_WAIT_SECONDS) as alone:
        if not alone:
            done.postponed = True
            with open(store.layout.sweep_note, "wb"):
                pass
            return done
        with contextlib.suppress(FileNotFoundError):
            os.unlink(store.layout.sweep_note)
        images = store.images.all()
        store.layout.sweep_staging()
        for name in store.layout.stale_staging():  # files of other ids
            remove_owned(f"{store.paths.temporary}/{name}")
        _blobs(store, images, done)
        kept = _trees(store, images, done)
        _compiled(store, images, kept, done)
    return done


def collect_if_wanted(store: Store) -> None:
    """What an earlier `collect` had to postpone; cheap where there is nothing to do. Never raises."""
    if os.path.exists(store.layout.sweep_note):
        with contextlib.suppress(WpodError, OSError):
            collect(store)


def blobs_of(image: Image) -> set[str]:
    """The digests of everything an image is made of."""
    return {image.digest, image.config_descriptor.digest, *(layer.digest for layer in image.layers)}


def _blobs(store: Store, images: list[Image], done: Collected) -> None:
    needed = {digest for image in images for digest in blobs_of(image)}
    for digest in store.blobs.all():
        if digest not in needed:
            done.freed_bytes += store.blobs.delete(digest)
            done.blobs += 1


def _trees(store: Store, images: list[Image], done: Collected) -> list[str]:
    """Remove unneeded trees; returns the directories kept."""
    by_image = {tree_id(image) for image in images}
    by_container = {os.path.dirname(lower) for record in store.containers.all() for lower in record.plan.root.lowers}
    kept = []
    for directory in tree_directories(store):
        if os.path.basename(directory) in by_image or directory in by_container:
            kept.append(directory)
        else:
            remove_unpacked(store, directory)
            done.trees += 1
    return kept


def tree_directories(store: Store) -> list[str]:
    """All directories `unpacked/MAP/CHAIN`, sorted."""
    found = []
    for key in _listed(store.paths.unpacked):
        if os.path.islink(f"{store.paths.unpacked}/{key}"):
            continue  # it leads out of the store
        found += [f"{store.paths.unpacked}/{key}/{name}" for name in _listed(f"{store.paths.unpacked}/{key}")]
    return found


def remove_unpacked(store: Store, directory: str) -> None:
    """Remove one tree; first it is renamed, so that a half-removed one is never taken for whole."""
    ranges = _ranges(directory)
    doomed = f"{store.paths.temporary}/removed-{os.path.basename(directory)}-{os.getpid()}"
    try:
        os.rename(directory, doomed)
    except OSError:
        doomed = directory
    if ranges is not None:
        from wpod.storage.unpack_worker import remove_in_namespace

        with contextlib.suppress(WpodError):
            remove_in_namespace([f"{doomed}/fs"], ranges)
    remove_owned(doomed)


def _ranges(directory: str) -> IdMap | None:
    """The id map a tree was made for, where removing it needs a user namespace."""
    try:
        with open(f"{directory}/complete", "rb") as stream:
            marker = json.loads(stream.read(65536))
        users, groups = (
            tuple(IdRange(*map(int, numbers)) for numbers in marker.get(key, [])) for key in ("users", "groups")
        )
    except (OSError, ValueError, TypeError):
        return None
    return IdMap(users, groups) if users or groups else None


def _compiled(store: Store, images: list[Image], trees: Iterable[str], done: Collected) -> None:
    keep = {record.plan.module.digest for record in store.containers.all() if record.plan.module is not None}
    for image in images:
        raw = image.raw_module
        if raw is not None:
            keep.add(raw[0].digest)
    for directory in trees:
        with (
            contextlib.suppress(OSError, ValueError, AttributeError),
            open(f"{directory}/{_MEMO}", "rb") as stream,
        ):
            keep.update(str(value) for value in json.loads(stream.read(1 << 20)).values())
    done.freed_bytes += cache.prune(store.paths.aot, keep)


def _listed(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except (FileNotFoundError, NotADirectoryError):
        return []
