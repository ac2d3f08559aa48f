"""Which tree an image is or would be unpacked to; making one is `unpack`'s, imported when it is needed."""

from __future__ import annotations

import json
import os

from wpod.frozen import frozen
from wpod.model.id_map import IdMap
from wpod.model.image import Image
from wpod.storage.digests import chain_id, digest_of, hex_of
from wpod.storage.rootfs import TreeSize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wpod.storage.store import Store


def tree_id(image: Image) -> str:
    """64 hex digits that name the tree of an image: its chain ID, or one made of a raw module and its name."""
    raw = image.raw_module
    if raw is not None:
        layer, name = raw
        return hex_of(digest_of(f"module {layer.digest} {name}".encode()))
    return hex_of(chain_id(image.diff_ids) or digest_of(b"no layers"))


def tree_path(store: Store, image: Image, id_map: IdMap) -> str:
    """Where the tree of an image is or would be."""
    return f"{store.paths.unpacked}/{id_map.key}/{tree_id(image)}/fs"


def unpacked_size(tree: str) -> TreeSize | None:
    """What the marker of a complete tree says, None where there is no such tree."""
    try:
        with open(f"{os.path.dirname(tree)}/complete", "rb") as stream:
            found = json.loads(stream.read(65536))
        return TreeSize(int(found["bytes"]), int(found["entries"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


@frozen
class Tree:
    """A complete tree: its root, the bytes of its files, and its number of entries."""

    path: str
    size_bytes: int
    entries: int


def artifact_module_name(image: Image) -> str:
    """The name of the module's file in the tree's root for an image that is one raw module, "" for others."""
    raw = image.raw_module
    return raw[1] if raw is not None else ""


def find_or_unpack(store: Store, image: Image, id_map: IdMap) -> Tree:
    """The image's tree for this id map, unpacked where it isn't yet. The caller holds the lease.

    Raises InvalidImage, DigestMismatch, StoreError.
    """
    path = tree_path(store, image, id_map)
    size = unpacked_size(path)
    if size is not None:
        return Tree(path, size.total_bytes, size.entries)
    from wpod.storage.unpack import unpack

    return unpack(store, image, id_map)
