"""Checking what images are made of: blobs, records, unpacked trees, compiled modules."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Callable, Iterator

from wpod.errors import InvalidImage, StoreError, WpodError
from wpod.kernel import user_namespace
from wpod.model.container import ContainerRecord, Status
from wpod.model.id_map import IDENTITY, SINGLE, IdMap
from wpod.model.image import Descriptor, Image
from wpod.operations.check import CheckOptions, Finding, enterable, readable_containers, readable_images
from wpod.operations.collect import blobs_of, remove_unpacked, tree_directories
from wpod.queries import containers as queries
from wpod.runtime.modules import cache
from wpod.storage import documents, image_record
from wpod.storage.documents import Manifest
from wpod.storage.other_ids import measure_owned, remove_owned
from wpod.storage.store import Store
from wpod.storage.trees import tree_id, unpacked_size
from wpod.storage.unpack import unpack

_MEMO = "module-digests.json"
_MAX_MARKER_BYTES = 1 << 20


def findings(store: Store, options: CheckOptions) -> Iterator[Finding]:
    """In an order in which mending one thing makes the next one visible: blobs, images, trees, compiled code."""
    damaged: set[str] = set()
    if enterable(store.paths.content) and enterable(store.layout.blobs):
        for digest, text in _damaged_blobs(store, options):
            damaged.add(digest)
            yield Finding(text, _removing(store.blobs.path(digest)))
        yield from _images(store, damaged)
    if enterable(store.paths.unpacked):
        yield from _trees(store, options)
    if enterable(store.paths.aot):
        yield from _compiled(store, options)


def _removing(path: str) -> Callable[[], str]:
    def mend() -> str:
        if not remove_owned(path):
            raise StoreError(f"{path} can't be removed")
        return "removed"

    return mend


def _damaged_blobs(store: Store, options: CheckOptions) -> Iterator[tuple[str, str]]:
    sizes = {part.digest: part.size_bytes for image in readable_images(store) for part in _parts(image)}
    for digest in store.blobs.all():
        path = store.blobs.path(digest)
        wanted = sizes.get(digest)
        if wanted is not None and not store.blobs.has(digest, wanted):
            yield digest, f"{path} is not a file of {wanted} bytes"
        elif not options.quick:
            text = store.blobs.check(digest)
            if text:
                yield digest, text


def _parts(image: Image) -> tuple[Descriptor, ...]:
    return (image.config_descriptor, *image.layers)


def _images(store: Store, damaged: set[str]) -> Iterator[Finding]:
    containers = readable_containers(store)
    for image in readable_images(store):
        lost = sorted(digest for digest in blobs_of(image) if digest in damaged or not store.blobs.has(digest))
        if not lost:
            continue
        users = [record for record in containers if record.image_id == image.image_id]
        used = f" (used by {', '.join(record.name for record in users)})" if users else ""
        text = f"image {image.display_name}{used} has lost {', '.join(lost)}"
        yield Finding(text, _removing_image(store, image, users), force=bool(users))


def _removing_image(store: Store, image: Image, users: list[ContainerRecord]) -> Callable[[], str]:
    def mend() -> str:
        for record in users:
            _remove_container(store, record)
        store.images.delete(image)
        return "removed with its containers" if users else "removed; pull it again"

    return mend


def _remove_container(store: Store, record: ContainerRecord) -> None:
    from wpod.operations.remove import RemoveOptions, remove

    remove(store, record.container_id, RemoveOptions(force=True, stop_timeout_seconds=0))


def _trees(store: Store, options: CheckOptions) -> Iterator[Finding]:
    containers = readable_containers(store)
    for key in sorted(os.listdir(store.paths.unpacked)):
        path = f"{store.paths.unpacked}/{key}"
        if not enterable(path):
            yield Finding(f"{path} is not a directory of the store", _removing(path))
    present = tree_directories(store)
    for directory in present:
        problem = _tree_problem(directory, options)
        if problem:
            users = _users_of(containers, directory)
            yield _tree_finding(store, directory, f"unpacked image {directory} {problem}", users)
    for directory in sorted({os.path.dirname(lower) for record in containers for lower in record.plan.root.lowers}):
        if directory not in present:
            users = _users_of(containers, directory)
            names = ", ".join(record.name for record in users)
            yield _tree_finding(store, directory, f"unpacked image {directory} of container {names} is missing", users)


def _users_of(containers: list[ContainerRecord], directory: str) -> list[ContainerRecord]:
    return [record for record in containers if f"{directory}/fs" in record.plan.root.lowers]


def _tree_problem(directory: str, options: CheckOptions) -> str:
    tree = f"{directory}/fs"
    if not enterable(directory) or not enterable(tree):
        return "is not a directory"
    marked = unpacked_size(tree)
    if marked is None:
        return "has no readable marker"
    if options.quick:
        return ""
    try:
        found = measure_owned(tree)
    except WpodError as error:
        return f"can't be measured: {error.message}"
    if found != marked:
        return (
            f"has {found.entries} entries of {found.total_bytes} bytes"
            f" instead of {marked.entries} of {marked.total_bytes}"
        )
    return _module_problem(directory)


def _module_problem(directory: str) -> str:
    """The modules' digests were remembered when they were first used."""
    from wpod.runtime.modules.digests import module_digest

    try:
        with open(f"{directory}/{_MEMO}", "rb") as stream:
            known = json.loads(stream.read(_MAX_MARKER_BYTES))
        for path, digest in known.items():
            if os.path.isfile(path) and module_digest(path, None) != digest:
                return f"has a damaged module: {os.path.basename(path)}"
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, AttributeError):
        return f"has an unreadable {_MEMO}"
    return ""


def _tree_finding(store: Store, directory: str, text: str, users: list[ContainerRecord]) -> Finding:
    """An unused tree is made again when it is wanted; one of a container must be made again now."""
    source = _source_of(store, directory) if users else None

    def mend() -> str:
        running = [record.name for record in users if _runs(store, record)]
        if running:
            raise WpodError(f"{', '.join(running)} runs on it: stop it first")
        if users and source is None:
            for record in users:
                _remove_container(store, record)
        if os.path.lexists(directory):
            _remove_tree(store, directory)
        if source is None:
            return "removed with its containers" if users else "removed"
        unpack(store, *source)
        return "unpacked again"

    return Finding(text, mend, force=bool(users) and source is None)


def _runs(store: Store, record: ContainerRecord) -> bool:
    return queries.observe(store.paths.container(record.container_id)).status is Status.RUNNING


def _remove_tree(store: Store, directory: str) -> None:
    if enterable(directory):
        remove_unpacked(store, directory)
    else:
        os.unlink(directory)


def _source_of(store: Store, directory: str) -> tuple[Image, IdMap] | None:
    """The image and the id map that give this tree, where all parts are there."""
    key, name = directory.split("/")[-2:]
    if os.path.islink(os.path.dirname(directory)):
        return None  # it leads out of the store
    maps = [found for found in (IDENTITY, SINGLE, user_namespace.id_map()) if found.key == key]
    for image in readable_images(store):
        whole = all(store.blobs.has(part.digest, part.size_bytes) for part in _parts(image))
        if maps and whole and tree_id(image) == name:
            return image, maps[0]
    return None


def _compiled(store: Store, options: CheckOptions) -> Iterator[Finding]:
    for file in cache.files(store.paths.aot):
        text: str | None = None
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(os.lstat(file.path).st_mode):
                text = f"compiled code {file.path} is not a regular file"
            elif options.quick:
                text = _header_problem(file.path)
            else:
                text = cache.check(file)
        if text:
            yield Finding(text, _removing(file.path))


def _header_problem(path: str) -> str | None:
    try:
        cache.read_header(path)
    except StoreError as error:
        return error.message
    return None


def recover_images(store: Store) -> int:
    """Record, without names, the images whose manifests are among the blobs but not in the database; how many."""
    if not enterable(store.layout.blobs):
        return 0
    known = set(store.images.digests())
    return sum(recover_image(store, digest) for digest in store.blobs.all() if digest not in known)


def recover_image(store: Store, digest: str) -> bool:
    """Record the image with this manifest anew, its names kept; False where its parts aren't all there."""
    try:
        if os.lstat(store.blobs.path(digest)).st_size > documents.MAX_MANIFEST_BYTES:
            return False
        data = store.blobs.read(digest, documents.MAX_MANIFEST_BYTES)
        manifest = documents.parse_manifest(data)
        if not isinstance(manifest, Manifest):
            return False
        config = store.blobs.read(manifest.config.digest, documents.MAX_CONFIG_BYTES)
        image = image_record.make_image(manifest, data, config)
    except (InvalidImage, StoreError, OSError):
        return False
    if not all(store.blobs.has(part.digest, part.size_bytes) for part in _parts(image)):
        return False
    store.images.record(image)
    return True
