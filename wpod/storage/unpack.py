"""From an image's layers to one directory tree.

Theory of operation. A tree is made once per list of layers (its chain ID) and id map, at
`unpacked/MAP/CHAIN/fs`, with `complete` beside it, which says its size. It is flat: whiteouts are applied
while unpacking, so a container has exactly one lower directory and no overlay marks are ever needed. The
longest list of lower layers that has a tree already is taken over by hard links; no file of a tree is
ever written in place. The work is done in `tmp/` and renamed into its place when it is complete and synced,
so a tree that is there is whole, and of two processes unpacking the same image one wins and the other
uses its result. For a user's native containers it happens inside the user namespace whose ids the tree is
for (`unpack_worker`); the rest of the work, the rename included, is the same.

What is checked while streaming: the diff_id of every layer. The blobs were verified when they came.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING, BinaryIO

from wpod.errors import DigestMismatch, StoreError
from wpod.frozen import frozen
from wpod.kernel import openat2
from wpod.model.id_map import IdMap
from wpod.model.image import Image
from wpod.storage import rootfs
from wpod.storage.digests import chain_id, hex_of
from wpod.storage.layers import LayerApplier, LayerReport, Ownership
from wpod.storage.layout import store_error, sync_directory, write_atomically
from wpod.storage.rootfs import TreeSize
from wpod.storage.streams import LayerStream
from wpod.storage.tar import TarReader
from wpod.storage.trees import Tree, tree_path, unpacked_size

if TYPE_CHECKING:
    from wpod.storage.store import Store

MARKER_VERSION = 1
_SYNC_SINGLY = 64


@frozen
class LayerSource:
    """One layer to apply: the blob's path and what its content must hash to."""

    path: str
    digest: str
    diff_id: str


@frozen
class UnpackJob:
    """All that making a tree needs; pure data, so that a worker in a user namespace can do it.

    `base` is the tree to begin with, or "". `module` is a raw wasm module's blob, and `module_name` its
    file's name; then there are no layers.
    """

    target: str
    base: str
    layers: tuple[LayerSource, ...]
    keep_owners: bool
    make_devices: bool
    module: str = ""
    module_name: str = ""


def unpack(store: Store, image: Image, id_map: IdMap) -> Tree:
    """Make the image's tree for this id map; one that is there already is kept. The caller holds the lease.

    Raises InvalidImage, DigestMismatch, StoreError.
    """
    tree = tree_path(store, image, id_map)
    with store.layout.staging("unpack") as stage:
        job = _plan(store, image, id_map, f"{stage}/fs")
        if id_map.is_ranges:
            from wpod.storage import other_ids, unpack_worker

            try:
                size = unpack_worker.run_in_namespace(job, id_map)
            except BaseException:
                other_ids.remove_owned(job.target)
                raise
        else:
            size = complete(job)
        _finish(stage, tree, size, image, id_map)
    return Tree(tree, size.total_bytes, size.entries)


def _plan(store: Store, image: Image, id_map: IdMap, target: str) -> UnpackJob:
    root = os.geteuid() == 0
    raw = image.raw_module
    if raw is not None:
        layer, name = raw
        return UnpackJob(target, "", (), not id_map.single, False, store.blobs.path(layer.digest), name)
    base, count = _longest_base(store, image, id_map)
    layers = tuple(
        LayerSource(store.blobs.path(layer.digest), layer.digest, diff_id)
        for layer, diff_id in zip(image.layers[count:], image.diff_ids[count:], strict=True)
    )
    return UnpackJob(target, base, layers, not id_map.single, root and not id_map.single and not id_map.is_ranges)


def _longest_base(store: Store, image: Image, id_map: IdMap) -> tuple[str, int]:
    for count in range(len(image.diff_ids) - 1, 0, -1):
        tree = f"{store.paths.unpacked}/{id_map.key}/{hex_of(chain_id(image.diff_ids[:count]))}/fs"
        if unpacked_size(tree) is not None:
            return tree, count
    return "", 0


def complete(job: UnpackJob) -> TreeSize:
    """Execute a job, measure what it made and write it to disk: all that needs the rights of the tree's owners.

    Raises as `execute`.
    """
    execute(job)
    size = rootfs.measure(job.target)
    try:
        _synchronise(job.target, size)
    except OSError as error:
        raise store_error(error, job.target) from error
    return size


def execute(job: UnpackJob) -> LayerReport:
    """Make the tree of a job at its target, in this process's own user namespace.

    Raises InvalidImage, DigestMismatch, StoreError; the caller removes what is there then.
    """
    old_mask = os.umask(0)
    try:
        if job.base:
            rootfs.link_tree(job.base, job.target)
        else:
            os.mkdir(job.target, 0o755)
        if job.module:
            return _place_module(job)
        root = os.open(job.target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return _apply_layers(job, root)
        finally:
            os.close(root)
    except OSError as error:
        raise store_error(error, job.target) from error
    finally:
        os.umask(old_mask)


def _place_module(job: UnpackJob) -> LayerReport:
    path = f"{job.target}/{job.module_name}"
    shutil.copyfile(job.module, path, follow_symlinks=False)
    os.chmod(path, 0o755)  # noqa: S103 - as an image would have it; the store itself is 0700
    return LayerReport(entries=1)


def _apply_layers(job: UnpackJob, root: int) -> LayerReport:
    report = LayerReport()
    for layer in job.layers:
        what = f"layer {layer.digest}"
        applier = LayerApplier(root, Ownership(job.keep_owners, job.make_devices), what)
        with open_blob(layer.path) as blob:
            stream = LayerStream(blob, what)
            applier.apply(TarReader(stream, what))
            check_diff_id(stream, layer.diff_id, what)
        report.entries += applier.report.entries
        report.skipped_devices.extend(applier.report.skipped_devices)
    return report


def open_blob(path: str) -> BinaryIO:
    """A blob as a binary stream."""
    try:
        return open(path, "rb")
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror}", hint="wpod system check --repair") from error


def check_diff_id(stream: LayerStream, diff_id: str, what: str) -> None:
    """Read the rest and compare. Raises DigestMismatch."""
    found = stream.finish()
    if found != diff_id:
        raise DigestMismatch(f"{what} unpacks to {found}, but the image's config says {diff_id}")


def verify_layer(store: Store, digest: str, diff_id: str) -> None:
    """Unpack a layer to nowhere and compare its diff_id. Raises DigestMismatch, InvalidImage."""
    what = f"layer {digest}"
    with open_blob(store.blobs.path(digest)) as blob:
        check_diff_id(LayerStream(blob, what), diff_id, what)


def _finish(stage: str, tree: str, size: TreeSize, image: Image, id_map: IdMap) -> None:
    directory = os.path.dirname(tree)
    try:
        marker = {
            "version": MARKER_VERSION,
            "bytes": size.total_bytes,
            "entries": size.entries,
            "image": image.digest,
            "diff_ids": list(image.diff_ids),
            "users": [(item.inside, item.outside, item.count) for item in id_map.users],
            "groups": [(item.inside, item.outside, item.count) for item in id_map.groups],
        }
        write_atomically(f"{stage}/complete", json.dumps(marker).encode())
        os.makedirs(os.path.dirname(directory), mode=0o700, exist_ok=True)
        try:
            os.rename(stage, directory)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or unpacked_size(tree) is None:
                raise
        sync_directory(os.path.dirname(directory))
    except OSError as error:
        raise store_error(error, directory) from error


def _synchronise(tree: str, size: TreeSize) -> None:
    """A few files one by one, else the whole file system: what others are writing there may take seconds."""
    if size.entries > _SYNC_SINGLY:
        descriptor = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            openat2.synchronise(descriptor)
        finally:
            os.close(descriptor)
        return
    for directory, _, names in os.walk(tree):
        for name in names:
            path = f"{directory}/{name}"
            if os.path.isfile(path) and not os.path.islink(path):
                with contextlib.suppress(PermissionError):
                    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
                    os.fsync(descriptor)
                    os.close(descriptor)
        sync_directory(directory)


def encode(job: UnpackJob) -> bytes:
    """The job as JSON, for the worker."""
    return json.dumps(asdict(job)).encode()


def decode(data: bytes) -> UnpackJob:
    """The inverse of `encode`."""
    found = json.loads(data)
    found["layers"] = tuple(LayerSource(**layer) for layer in found["layers"])
    return UnpackJob(**found)
