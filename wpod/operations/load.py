"""Load images from an archive (podman-load(1)).

Nothing of an archive reaches the store before all of it was read and checked: the digests of manifests,
configs and layers, and that the layers unpack to what the configs say. Images and names are recorded last.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO

from wpod.errors import InvalidImage
from wpod.model.image import Image
from wpod.storage import archived_images, unpack
from wpod.storage.archived_images import ArchivedImage
from wpod.storage.archives import open_archive
from wpod.storage.registry.events import Phase, Progress, TransferEvent, silent
from wpod.storage.store import Store
from wpod.storage.streams import LayerStream


@dataclass(frozen=True)
class Loaded:
    """One image of the archive as recorded, and the names that it brought."""

    image: Image
    names: tuple[str, ...]

    def lines(self) -> list[str]:
        """As podman reports it."""
        return [f"Loaded image: {name}" for name in self.names or (f"sha256:{self.image.image_id}",)]


def load(store: Store, path: str, standard_input: BinaryIO, progress: Progress = silent) -> list[Loaded]:
    """All images of the archive or image layout at `path`, of standard input where that is "".

    Raises UsageError where it can't be opened, InvalidImage, DigestMismatch, StoreError.
    """
    _sweep_staging(store)
    with open_archive(store.layout, path, standard_input) as archive:
        try:
            found = archived_images.images_of(archive)
            _verify(store, found)
        except InvalidImage as error:
            if error.message.startswith(archive.what):
                raise
            raise type(error)(f"{archive.what}: {error.message}", hint=error.hint) from error
        return [_record(store, item, progress) for item in _adopted(store, found, progress)]


def _sweep_staging(store: Store) -> None:
    """A killed load may have left a whole archive, which would be in this one's way on a full disk."""
    if os.path.isdir(store.paths.temporary) and os.access(store.paths.root, os.W_OK):
        with store.layout.sole_lease() as alone:
            if alone:
                store.layout.sweep_staging()


def _verify(store: Store, found: list[ArchivedImage]) -> None:
    """Every layer's diff_id, each once; what a recorded image has was verified when it came."""
    known = {
        pair for other in store.images.all()
        for pair in zip((layer.digest for layer in other.layers), other.diff_ids, strict=False)
    }  # fmt: skip
    for item in found:
        for layer, diff_id in zip(item.image.layers, item.image.diff_ids, strict=False):
            pair = (layer.digest, diff_id)
            if pair in known or layer.digest == diff_id:  # uncompressed: the digest was checked
                continue
            what = f"layer {layer.digest}"
            with unpack.open_blob(item.parts[layer.digest].path) as blob:
                unpack.check_diff_id(LayerStream(blob, what), diff_id, what)
            known.add(pair)


def _adopted(store: Store, found: list[ArchivedImage], progress: Progress) -> list[ArchivedImage]:
    """Move the parts into the store, each once, and store the manifests."""
    moved: set[str] = set()
    for item in found:
        config = item.image.config_descriptor.digest
        for digest, member in item.parts.items():
            if digest not in moved:
                store.blobs.replace(member.path, digest)
                kind = "config" if digest == config else "blob"
                progress(TransferEvent(Phase.DONE, digest, kind, member.size_bytes, member.size_bytes))
                moved.add(digest)
        store.blobs.put(item.manifest_bytes, item.image.manifest_media_type)
    return found


def _record(store: Store, item: ArchivedImage, progress: Progress) -> Loaded:
    progress(TransferEvent(Phase.WRITING, item.image.digest))
    return Loaded(store.images.record(item.image, item.names), item.names)
