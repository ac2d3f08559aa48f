"""Writes images as docker archives, OCI archives and OCI layout directories, readable by podman, docker and wpod.

The same images give the same bytes: no times, no owners, members in a fixed order. A docker archive holds
uncompressed layers, `DIFF_ID.tar` as podman names them; a compressed blob is unpacked twice, for tar wants the
size first, and it is held against its diff_id before anything is written. OCI forms hold the blobs as they
are, hashed again on their way; manifests of docker's kind become OCI's, for only those belong there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from io import RawIOBase

from wpod.errors import DigestMismatch, InvalidImage, StoreError, UsageError
from wpod.model.image import Descriptor, Image
from wpod.storage import documents, strict_json
from wpod.storage.blobs import CHUNK_BYTES, BlobStore
from wpod.storage.digests import digest_of, hex_of
from wpod.storage.documents import Manifest
from wpod.storage.layout import remove_tree, sync_directory, write_atomically
from wpod.storage.streams import LayerStream
from wpod.storage.unpack import check_diff_id, open_blob

_REF_NAME = "org.opencontainers.image.ref.name"
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_BLOCK = 512
_RECORD = 20 * _BLOCK


@dataclass(frozen=True)
class NamedImage:
    """An image and the full names that it has in the archive, perhaps none."""

    image: Image
    names: tuple[str, ...]


@dataclass(frozen=True)
class _Part:
    """One member: `chunks` may be called once."""

    name: str
    size_bytes: int
    chunks: Callable[[], Iterable[bytes]]


def _document(name: str, data: bytes) -> _Part:
    return _Part(name, len(data), lambda: (data,))


def docker_archive(blobs: BlobStore, images: list[NamedImage]) -> Iterator[bytes]:
    """The bytes of an archive that `podman load` and `docker load` take.

    Raises UsageError for raw wasm modules, StoreError and DigestMismatch, some while it is being read.
    """
    parts: dict[str, _Part] = {}
    listed = []
    for item in images:
        config, layers = _docker_parts(blobs, item.image, parts)
        listed.append({"Config": config, "RepoTags": list(item.names), "Layers": layers})
    parts["manifest.json"] = _document("manifest.json", json.dumps(listed, separators=(",", ":")).encode())
    return _tar(list(parts.values()))


def _docker_parts(blobs: BlobStore, image: Image, parts: dict[str, _Part]) -> tuple[str, list[str]]:
    if image.raw_module is not None or image.config_descriptor.media_type not in documents.CONFIG_TYPES:
        raise UsageError(
            f"{image.display_name} is a bare WebAssembly module, which a docker-archive can't hold",
            hint="--format oci-archive",
        )
    layers = []
    for layer, diff_id in zip(image.layers, image.diff_ids, strict=True):
        name = f"{hex_of(diff_id)}.tar"
        layers.append(name)
        if name not in parts:
            parts[name] = _uncompressed(blobs, layer, diff_id, name)
    config = f"{hex_of(image.config_descriptor.digest)}.json"
    parts[config] = _blob(blobs, image.config_descriptor, config)
    return config, layers


def _uncompressed(blobs: BlobStore, layer: Descriptor, diff_id: str, name: str) -> _Part:
    if layer.digest == diff_id:
        return _blob(blobs, layer, name)
    what = f"layer {layer.digest}"
    with open_blob(blobs.path(layer.digest)) as stream:
        counted = LayerStream(stream, what)
        check_diff_id(counted, diff_id, what)

    def chunks() -> Iterator[bytes]:
        with open_blob(blobs.path(layer.digest)) as again:
            unpacked = LayerStream(again, what)
            while chunk := unpacked.read(CHUNK_BYTES):
                yield chunk

    return _Part(name, counted.total_bytes, chunks)


def _blob(blobs: BlobStore, descriptor: Descriptor, name: str) -> _Part:
    if not blobs.has(descriptor.digest, descriptor.size_bytes):
        hint = "wpod system check --repair removes images with missing parts; then pull again"
        raise StoreError(f"{blobs.path(descriptor.digest)} is missing or has the wrong size", hint=hint)

    def chunks() -> Iterator[bytes]:
        found = hashlib.sha256()
        with os.fdopen(blobs.open(descriptor.digest), "rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                found.update(chunk)
                yield chunk
        digest = f"sha256:{found.hexdigest()}"
        if digest != descriptor.digest:
            raise DigestMismatch(f"{blobs.path(descriptor.digest)} is damaged: its digest is {digest}",
                                 hint="wpod system check --repair removes it; then pull again")  # fmt: skip

    return _Part(name, descriptor.size_bytes, chunks)


def oci_archive(blobs: BlobStore, images: list[NamedImage]) -> Iterator[bytes]:
    """The bytes of an OCI layout as a tar. Raises StoreError, DigestMismatch, also while it is being read."""
    entries, parts = _oci_parts(blobs, images)
    index = _document("index.json", _index_document(entries))
    return _tar([_document("oci-layout", _LAYOUT), index, *parts])


def _oci_parts(blobs: BlobStore, images: list[NamedImage]) -> tuple[list[dict[str, object]], list[_Part]]:
    """The index's entries, and the blobs by name, each once."""
    entries: list[dict[str, object]] = []
    parts: dict[str, _Part] = {}
    for item in images:
        manifest, data = _oci_manifest(blobs, item.image)
        described = Descriptor(manifest.media_type, digest_of(data), len(data))
        for layer in manifest.layers:
            parts.setdefault(layer.digest, _blob(blobs, layer, _blob_name(layer.digest)))
        parts.setdefault(manifest.config.digest, _blob(blobs, manifest.config, _blob_name(manifest.config.digest)))
        parts[described.digest] = _document(_blob_name(described.digest), data)
        named = [replace(described, annotations={_REF_NAME: name}) for name in item.names]
        entries += [documents.descriptor_object(one) for one in named or [described]]
    return entries, list(parts.values())


def _oci_manifest(blobs: BlobStore, image: Image) -> tuple[Manifest, bytes]:
    data = blobs.read(image.digest, documents.MAX_MANIFEST_BYTES)
    manifest = documents.parse_manifest(data, image.manifest_media_type)
    if not isinstance(manifest, Manifest):
        raise InvalidImage(f"{blobs.path(image.digest)} is not a manifest")
    if manifest.media_type == documents.DOCKER_MANIFEST:
        manifest = documents.as_oci(manifest)
        data = documents.manifest_document(manifest)
    return manifest, data


def _blob_name(digest: str) -> str:
    return f"blobs/sha256/{hex_of(digest)}"


def _index_document(entries: list[dict[str, object]]) -> bytes:
    index = {"schemaVersion": 2, "mediaType": documents.OCI_INDEX, "manifests": entries}
    return json.dumps(index, separators=(",", ":")).encode()


def _tar(parts: list[_Part]) -> Iterator[bytes]:
    total = 0
    for part in parts:
        header = tarfile.TarInfo(part.name)
        header.size, header.mode = part.size_bytes, 0o444
        yield header.tobuf(tarfile.GNU_FORMAT)
        left = part.size_bytes
        for chunk in part.chunks():
            left -= len(chunk)
            yield chunk
        if left:
            raise StoreError(f"{part.name} changed while it was being read")
        yield bytes(-part.size_bytes % _BLOCK)
        total += _BLOCK + part.size_bytes + -part.size_bytes % _BLOCK
    yield bytes(2 * _BLOCK + -(total + 2 * _BLOCK) % _RECORD)


def write_oci_directory(blobs: BlobStore, images: list[NamedImage], directory: str) -> None:
    """An OCI layout as files, which is made, or gets these images too: a name moves to the new one.

    Raises UsageError where the directory can't be written, InvalidImage where it is something else, StoreError. A
    failure takes back what was written.
    """
    entries, parts = _oci_parts(blobs, images)
    made: list[str] = []
    try:
        _make_directories(f"{directory}/blobs/sha256", made)
        kept = _kept_entries(directory, entries)
        for part in parts:
            path = f"{directory}/{part.name}"
            if not os.path.lexists(path):
                made.append(path)
                write_file(path, part.chunks())
        sync_directory(f"{directory}/blobs/sha256")
        write_atomically(f"{directory}/oci-layout", _LAYOUT, 0o644)
        write_atomically(f"{directory}/index.json", _index_document([*kept, *entries]), 0o644)
    except BaseException as error:
        for path in reversed(made):
            remove_tree(path)
        if isinstance(error, OSError):
            raise UsageError(f"{directory} can't be written: {error.strerror}") from error
        raise


def _make_directories(path: str, made: list[str]) -> None:
    if path and not os.path.isdir(path):
        _make_directories(os.path.dirname(path), made)
        os.mkdir(path)
        made.append(path)


def _kept_entries(directory: str, new: list[dict[str, object]]) -> list[dict[str, object]]:
    """The entries of an index that is there, without those that are replaced."""
    path = f"{directory}/index.json"
    try:
        with open(path, "rb") as stream:
            data = stream.read(documents.MAX_MANIFEST_BYTES + 1)
    except FileNotFoundError:
        return []
    documents.parse_manifest(data, documents.OCI_INDEX)
    names = {_ref_name(entry) for entry in new} - {""}
    found: list[dict[str, object]] = strict_json.parse(data, path)["manifests"]
    return [entry for entry in found if _ref_name(entry) not in names and entry not in new]


def _ref_name(entry: dict[str, object]) -> str:
    annotations = entry.get("annotations")
    return str(annotations.get(_REF_NAME, "")) if isinstance(annotations, dict) else ""


def write_file(path: str, chunks: Iterable[bytes], mode: int | None = None) -> None:
    """A file that is whole or not there: written beside, synced, renamed. `mode` None leaves it to the umask.

    Raises OSError.
    """
    temporary = f"{os.path.dirname(path) or '.'}/.{os.path.basename(path)[:200]}.{secrets.token_hex(6)}"
    try:
        with open(temporary, "xb", buffering=0) as stream:
            write_all(stream, chunks)
            if mode is not None:
                os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def write_all(stream: RawIOBase, chunks: Iterable[bytes]) -> None:
    """Write to an unbuffered file. Raises OSError."""
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            view = view[stream.write(view) or 0 :]
