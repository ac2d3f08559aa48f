"""The images that an archive holds: its index read, its parts found and held against their digests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from wpod.errors import InvalidImage, UsageError
from wpod.model.image import Descriptor, Image
from wpod.storage import archives, documents, image_record, platforms, strict_json
from wpod.storage.archives import MAX_IMAGES, Archive, Member
from wpod.storage.documents import Index, IndexEntry, Manifest
from wpod.storage.registry import names
from wpod.storage.streams import layer_limit
from wpod.storage.strict_json import Fields

_REF_NAME = "org.opencontainers.image.ref.name"
_CONTAINERD_NAME = "io.containerd.image.name"
_LAYOUT_FILE = "oci-layout"
_DOCKER_FILE = "manifest.json"
_MAX_SMALL_BYTES = 64 << 10
_MAGICS = ((b"\x1f\x8b", ".gzip"), (b"\x28\xb5\x2f\xfd", ".zstd"))


@dataclass(frozen=True)
class ArchivedImage:
    """An image of which all parts were found. `parts` are config and layers by digest; `names` full, may be ()."""

    image: Image
    manifest_bytes: bytes
    names: tuple[str, ...]
    parts: dict[str, Member]


def images_of(archive: Archive) -> list[ArchivedImage]:
    """All images, in the order of the archive. Raises InvalidImage, DigestMismatch, UsageError, StoreError."""
    if archive.has(_LAYOUT_FILE) or archive.has("index.json"):
        return _oci_images(archive)
    if archive.has(_DOCKER_FILE):
        if archive.has("version"):
            raise InvalidImage(f"{archive.what} is a directory of the transport dir:, which is not supported",
                               hint="save it again as oci-dir, oci-archive or docker-archive")  # fmt: skip
        return _docker_images(archive)
    if archive.has("repositories"):
        raise InvalidImage(f"{archive.what} is a docker archive of the layout before Docker 1.10 (no manifest.json)",
                           hint="load it with an old docker and save it again")  # fmt: skip
    raise InvalidImage(f"{archive.what} is not an image archive: neither index.json nor manifest.json is there")


def _oci_images(archive: Archive) -> list[ArchivedImage]:
    layout = archives.read_small(archive, _LAYOUT_FILE, _MAX_SMALL_BYTES)
    if layout is None:
        raise InvalidImage(f"{archive.what} is not an image layout: oci-layout is missing")
    fields = Fields(strict_json.parse(layout, f"{archive.what}: oci-layout"), f"{archive.what}: oci-layout")
    version = fields.text("imageLayoutVersion")
    if not version.startswith("1."):
        raise InvalidImage(f"{archive.what} has the unknown image layout version {version!r:.40}")
    data = archives.read_small(archive, "index.json", documents.MAX_MANIFEST_BYTES)
    if data is None:
        raise InvalidImage(f"{archive.what} is not an image layout: index.json is missing")
    index = documents.parse_manifest(data, documents.OCI_INDEX)
    assert isinstance(index, Index)  # noqa: S101 - an index's media type gives an index or an error
    found: dict[str, ArchivedImage] = {}
    for entry in _one_per_name(index, archive.what):
        image = _oci_image(archive, entry.descriptor, 0)
        known = found.get(image.image.digest, image)
        found[image.image.digest] = replace(known, names=_merged(known.names, _entry_names(archive, entry)))
    if not found:
        raise InvalidImage(f"{archive.what} holds no image")
    return list(found.values())


def _one_per_name(index: Index, what: str) -> list[IndexEntry]:
    """Several entries of one name are one image for several platforms."""
    groups: dict[str, list[IndexEntry]] = {}
    for entry in index.entries:
        groups.setdefault(_name_of(entry), []).append(entry)
    chosen: list[IndexEntry] = []
    for entries in groups.values():
        if len(entries) > 1 and all(entry.platform is not None for entry in entries):
            chosen.append(platforms.choose(Index(tuple(entries), {}), None, what))
        else:
            chosen.extend(entries)
    return chosen


def _name_of(entry: IndexEntry) -> str:
    annotations = entry.descriptor.annotations
    return annotations.get(_CONTAINERD_NAME, "") or annotations.get(_REF_NAME, "")


def _entry_names(archive: Archive, entry: IndexEntry) -> tuple[str, ...]:
    name = _name_of(entry)
    return (_full_name(archive, name),) if name else ()


def _full_name(archive: Archive, name: str) -> str:
    try:
        return names.local(name.partition("@")[0]).stored
    except UsageError as error:
        raise InvalidImage(f"{archive.what}: {error.message}") from error


def _merged(first: Iterable[str], second: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def _oci_image(archive: Archive, descriptor: Descriptor, depth: int) -> ArchivedImage:
    if descriptor.size_bytes > documents.MAX_MANIFEST_BYTES:
        raise InvalidImage(f"{archive.what}: manifest is larger than {documents.MAX_MANIFEST_BYTES} bytes")
    data = archives.read_member(archives.blob(archive, descriptor, "manifest"))
    parsed = documents.parse_manifest(data, descriptor.media_type)
    if isinstance(parsed, Index):
        if depth >= documents.MAX_INDEX_DEPTH:
            raise InvalidImage(f"{archive.what}: indexes are nested deeper than {documents.MAX_INDEX_DEPTH}")
        return _oci_image(archive, platforms.choose(parsed, None, archive.what).descriptor, depth + 1)
    if parsed.config.size_bytes > documents.MAX_CONFIG_BYTES:
        raise InvalidImage(f"{archive.what}: image config is larger than {documents.MAX_CONFIG_BYTES} bytes")
    config = archives.blob(archive, parsed.config, "config")
    image = image_record.make_image(parsed, data, archives.read_member(config))
    parts = {parsed.config.digest: config}
    for layer in parsed.layers:
        if layer.digest not in parts:
            parts[layer.digest] = archives.blob(archive, layer, "layer")
    return ArchivedImage(image, data, (), parts)


def _docker_images(archive: Archive) -> list[ArchivedImage]:
    data = archives.read_small(archive, _DOCKER_FILE, documents.MAX_MANIFEST_BYTES)
    what = f"{archive.what}: manifest.json"
    listed = strict_json.parse(data or b"", what)
    if not isinstance(listed, list):
        raise InvalidImage(f"{what} is not a list")
    if not listed or len(listed) > MAX_IMAGES:
        raise InvalidImage(f"{what} lists {len(listed)} images; 1 to {MAX_IMAGES} can be loaded")
    return [_docker_image(archive, Fields(item, what)) for item in listed]


def _docker_image(archive: Archive, fields: Fields) -> ArchivedImage:
    """docker's own manifest isn't in the archive; one is made, of docker's schema 2 and always the same bytes."""
    config = _docker_member(archive, fields.text("Config"), documents.MAX_CONFIG_BYTES, "config")
    layers = []
    parts = {config.digest: config}
    for name in fields.texts("Layers", documents.MAX_LAYERS):
        member = _docker_member(archive, name, layer_limit(), "layer")
        layers.append(Descriptor(documents.DOCKER_LAYER + _compression(member), member.digest, member.size_bytes))
        parts.setdefault(member.digest, member)
    manifest = Manifest(
        documents.DOCKER_MANIFEST, Descriptor(documents.DOCKER_CONFIG, config.digest, config.size_bytes),
        tuple(layers), {},
    )  # fmt: skip
    data = documents.manifest_document(manifest)
    image = image_record.make_image(manifest, data, archives.read_member(config))
    tags = (_full_name(archive, tag) for tag in fields.texts("RepoTags", MAX_IMAGES))
    return ArchivedImage(image, data, _merged((), tags), parts)


def _docker_member(archive: Archive, name: str, limit_bytes: int, kind: str) -> Member:
    if not name:
        raise InvalidImage(f"{archive.what}: manifest.json names no {kind}")
    found = archive.member(archive.linked(name), limit_bytes)
    if found is None:
        raise InvalidImage(f"{archive.what}: {kind} {name[:200]} is not in the archive")
    return found


def _compression(member: Member) -> str:
    with open(member.path, "rb") as stream:
        head = stream.read(4)
    return next((suffix for magic, suffix in _MAGICS if head.startswith(magic)), "")
