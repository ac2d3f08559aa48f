"""The store as one value: where it is, its database, its content and its tables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from wpod.frozen import frozen
from wpod.paths import StorePaths, store_paths
from wpod.state import sqlite
from wpod.state.containers import ContainerTable
from wpod.state.database import Database
from wpod.state.networks import NetworkTable
from wpod.state.volumes import VolumeTable
from wpod.storage.blobs import BlobStore
from wpod.storage.images import ImageTable
from wpod.storage.layout import Layout


@frozen
class Store:
    """What operations and queries work on. Cheap to open: nothing is read or made before it is needed."""

    paths: StorePaths
    layout: Layout
    database: Database
    blobs: BlobStore
    images: ImageTable
    containers: ContainerTable
    volumes: VolumeTable
    networks: NetworkTable

    @contextlib.contextmanager
    def lease(self) -> Iterator[None]:
        """Hold this from looking an image up until the container that uses it is recorded.

        While it is held, no blob, tree or AOT file is removed. Raises StoreError.
        """
        with self.layout.lease():
            yield


class _LazyDatabase(Database):
    """Makes the store's directories before the first write."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout.paths.database)
        self._layout = layout

    @contextlib.contextmanager
    def transaction(self, *, removing: bool = False) -> Iterator[sqlite.Connection]:
        if removing:
            self._layout.spend_reserve()
        else:
            self._layout.create()
        with super().transaction() as connection:
            yield connection


def open_store(where: StorePaths | str | None = None) -> Store:
    """The store at these paths, at this root, or the default one. Directories are made (0700) at the first write.

    A store that can't be written still lists; a write to it is one StoreError.
    """
    paths = where if isinstance(where, StorePaths) else store_paths(where)
    layout = Layout(paths)
    database = _LazyDatabase(layout)
    blobs = BlobStore(layout)
    return Store(
        paths=paths, layout=layout, database=database, blobs=blobs, images=ImageTable(database, blobs),
        containers=ContainerTable(database), volumes=VolumeTable(database, paths.volumes),
        networks=NetworkTable(database),
    )  # fmt: skip
