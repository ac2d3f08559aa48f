"""Write images to archives (podman-save(1))."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from wpod.enumeration import Enum
from wpod.errors import UsageError
from wpod.operations.remove_image import name_meant
from wpod.storage import archive_writing
from wpod.storage.archive_writing import NamedImage
from wpod.storage.registry import names
from wpod.storage.store import Store


class ArchiveFormat(Enum):
    """The values of --format."""

    DOCKER_ARCHIVE = "docker-archive"
    OCI_ARCHIVE = "oci-archive"
    OCI_DIRECTORY = "oci-dir"


@dataclass(frozen=True)
class SaveRequest:
    """`several`: each of `arguments` is an image; else the first one is, and the others are more names for it."""

    arguments: tuple[str, ...]
    format: ArchiveFormat
    several: bool = False


def save_to_stream(store: Store, request: SaveRequest, write: Callable[[bytes], None]) -> None:
    """Write an archive. Raises NotThere, UsageError, StoreError, DigestMismatch; what `write` raises goes through."""
    _chosen(store, request)  # before the lease, which would make a store where there is none
    with store.lease():
        for chunk in _archive(store, request):
            write(chunk)


def save_to_file(store: Store, request: SaveRequest, path: str) -> None:
    """Write an archive or a directory at `path`. A failure leaves what was there.

    An existing docker archive isn't changed (podman's rule); other files are replaced when the new one is whole;
    pipes and devices are written to. Raises as `save_to_stream`, and UsageError where the path can't be written.
    """
    _chosen(store, request)
    with store.lease():
        if request.format is ArchiveFormat.OCI_DIRECTORY:
            archive_writing.write_oci_directory(store.blobs, _chosen(store, request), path.rstrip("/") or "/")
            return
        try:
            _write(store, request, path)
        except OSError as error:
            raise UsageError(f"{path} can't be written: {error.strerror}") from error


def _write(store: Store, request: SaveRequest, path: str) -> None:
    mode = None
    with contextlib.suppress(FileNotFoundError):
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            with open(path, "wb", buffering=0) as stream:
                archive_writing.write_all(stream, _archive(store, request))
            return
        if found.st_size and request.format is ArchiveFormat.DOCKER_ARCHIVE:
            raise UsageError("docker-archive doesn't support modifying existing images", hint=f"remove {path} first")
        mode = stat.S_IMODE(found.st_mode)
    archive_writing.write_file(os.path.realpath(path), _archive(store, request), mode)


def _archive(store: Store, request: SaveRequest) -> Iterator[bytes]:
    images = _chosen(store, request)
    if request.format is ArchiveFormat.DOCKER_ARCHIVE:
        return archive_writing.docker_archive(store.blobs, images)
    return archive_writing.oci_archive(store.blobs, images)


def _chosen(store: Store, request: SaveRequest) -> list[NamedImage]:
    if not request.several:
        first, *others = request.arguments
        chosen = _named(store, first)
        more = (names.local(name).stored for name in others)
        return [NamedImage(chosen.image, tuple(dict.fromkeys((*chosen.names, *more))))]
    found: dict[str, NamedImage] = {}
    for argument in request.arguments:
        one = _named(store, argument)
        known = found.get(one.image.digest, one)
        found[one.image.digest] = NamedImage(one.image, tuple(dict.fromkeys((*known.names, *one.names))))
    return list(found.values())


def _named(store: Store, typed: str) -> NamedImage:
    """An image that was named by its ID has no name in the archive, as with podman."""
    image = store.images.find(typed)
    name = name_meant(image, typed)
    return NamedImage(image, (name,) if name and "@" not in name else ())
