"""Manifests, indexes and configs (image-spec 1.1; docker's schema 2), parsed strictly by media type.

Limits: a manifest or index 4 MiB, a config 4 MiB, 500 layers, 1000 entries of an index, index nesting 4.
The media type decides how a document is read; a document whose own `mediaType` or keys say something
else is refused (CVE-2021-41190). docker's schema 1 is refused by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from wpod.errors import InvalidImage
from wpod.frozen import frozen
from wpod.model.image import WASM_LAYER_TYPES, Descriptor, ImageConfig, Platform
from wpod.storage import strict_json
from wpod.storage.digests import check_digest
from wpod.storage.strict_json import Fields

MAX_MANIFEST_BYTES = 4 << 20
MAX_CONFIG_BYTES = 4 << 20
MAX_LAYERS = 500
MAX_INDEX_ENTRIES = 1000
MAX_INDEX_DEPTH = 4

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
OLD_TYPES = (  # schema 1, refused by name
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
)
MANIFEST_TYPES = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEX_TYPES = (OCI_INDEX, DOCKER_LIST)
CONFIG_TYPES = (OCI_CONFIG, DOCKER_CONFIG)
_PLATFORM_WORD = re.compile(r"[A-Za-z0-9._-]{0,64}")
TITLE = "org.opencontainers.image.title"

_TAR_LAYERS = {
    OCI_LAYER: "",
    f"{OCI_LAYER}+gzip": "gzip",
    f"{OCI_LAYER}+zstd": "zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar": "",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": "gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": "zstd",
    DOCKER_LAYER: "",
    f"{DOCKER_LAYER}.gzip": "gzip",
    f"{DOCKER_LAYER}.zstd": "zstd",
}


@frozen
class Manifest:
    """An image manifest (image-spec, manifest.md) or one of the artifacts that stand for it, checked."""

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str]


@frozen
class IndexEntry:
    """`platform` None: the entry doesn't say."""

    descriptor: Descriptor
    platform: Platform | None


@frozen
class Index:
    """An image index (image-spec, image-index.md), checked."""

    entries: tuple[IndexEntry, ...]
    annotations: Mapping[str, str]


@frozen
class ConfigDocument:
    """A config with what unpacking and `history` need. `diff_ids` () for artifacts."""

    config: ImageConfig
    diff_ids: tuple[str, ...]
    created_nanoseconds: int


def is_tar_layer(media_type: str) -> bool:
    """Whether the layer is a tar archive, compressed or not."""
    return media_type in _TAR_LAYERS


def is_wasm_layer(media_type: str) -> bool:
    """Whether the layer is one raw wasm module."""
    return media_type in WASM_LAYER_TYPES


def parse_manifest(data: bytes, media_type: str = "") -> Manifest | Index:
    """A manifest or an index; `media_type` is what the server or descriptor says, "" leaves it to the document.

    Raises InvalidImage.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise InvalidImage(f"manifest is larger than {MAX_MANIFEST_BYTES} bytes")
    fields = Fields(strict_json.parse(data, "manifest"), "manifest")
    if fields.raw.get("schemaVersion") != 2:
        raise InvalidImage(
            "manifest is not of schema version 2", hint="docker's schema 1 has been withdrawn; push the image again"
        )
    media_type = _media_type(fields, media_type)
    if media_type in INDEX_TYPES:
        return _index(fields)
    return _manifest(fields, media_type)


def _media_type(fields: Fields, said: str) -> str:
    own = fields.text("mediaType")
    said = said.partition(";")[0].strip()
    known = MANIFEST_TYPES + INDEX_TYPES
    if said in OLD_TYPES:
        raise InvalidImage("manifest is of docker's schema 1, which has been withdrawn")
    if own and own not in known:
        raise InvalidImage(f"manifest has the unknown media type {own!r:.100}")
    if said in known and own and said != own:
        raise InvalidImage(f"manifest was announced as {said} but calls itself {own}")
    chosen = own or (said if said in known else "")
    looks_index, looks_manifest = "manifests" in fields.raw, "layers" in fields.raw or "config" in fields.raw
    if looks_index and looks_manifest:
        raise InvalidImage("manifest has both manifests and layers: it could be read in two ways")
    if not chosen:
        chosen = OCI_INDEX if looks_index else OCI_MANIFEST
    if (chosen in INDEX_TYPES) != looks_index:
        raise InvalidImage(f"manifest calls itself {chosen} but doesn't have its keys")
    return chosen


def _manifest(fields: Fields, media_type: str) -> Manifest:
    if not isinstance(fields.raw.get("config"), dict):
        raise InvalidImage("manifest: config is missing")
    layers = tuple(_descriptor(item) for item in fields.objects("layers", MAX_LAYERS))
    return Manifest(media_type, _descriptor(fields.object("config")), layers, fields.string_map("annotations"))


def _index(fields: Fields) -> Index:
    entries = []
    for item in fields.objects("manifests", MAX_INDEX_ENTRIES):
        platform = _platform(item.object("platform")) if item.raw.get("platform") is not None else None
        entries.append(IndexEntry(_descriptor(item), platform))
    return Index(tuple(entries), fields.string_map("annotations"))


def _descriptor(fields: Fields) -> Descriptor:
    digest = check_digest(fields.raw.get("digest"), f"{fields.what}: digest")
    return Descriptor(fields.text("mediaType"), digest, fields.size("size"), fields.string_map("annotations"))


def _platform(fields: Fields) -> Platform:
    words = [fields.text(key) for key in ("os", "architecture", "variant")]
    for word in words:
        if not _PLATFORM_WORD.fullmatch(word):
            raise InvalidImage(f"{fields.what}: {word!r:.80} is not part of a platform's name")
    return Platform(*words)


def manifest_document(manifest: Manifest) -> bytes:
    """The inverse of `parse_manifest` for a manifest made here; the same manifest gives the same bytes."""
    document: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": manifest.media_type,
        "config": descriptor_object(manifest.config),
        "layers": [descriptor_object(layer) for layer in manifest.layers],
    }
    if manifest.annotations:
        document["annotations"] = dict(sorted(manifest.annotations.items()))
    return json.dumps(document, separators=(",", ":")).encode()


def as_oci(manifest: Manifest) -> Manifest:
    """The same image with OCI's media types in place of docker's."""
    layers = tuple(
        replace(layer, media_type=_as_oci_layer(layer.media_type)) if is_tar_layer(layer.media_type) else layer
        for layer in manifest.layers
    )
    config = manifest.config
    if config.media_type == DOCKER_CONFIG:
        config = replace(config, media_type=OCI_CONFIG)
    return replace(manifest, media_type=OCI_MANIFEST, config=config, layers=layers)


def _as_oci_layer(media_type: str) -> str:
    if not media_type.startswith(DOCKER_LAYER):
        return media_type
    compression = _TAR_LAYERS[media_type]
    return f"{OCI_LAYER}+{compression}" if compression else OCI_LAYER


def descriptor_object(descriptor: Descriptor) -> dict[str, object]:
    """A descriptor as it stands in manifests and indexes."""
    found: dict[str, object] = {
        "mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size_bytes
    }  # fmt: skip
    if descriptor.annotations:
        found["annotations"] = dict(sorted(descriptor.annotations.items()))
    return found


def parse_config(data: bytes) -> ConfigDocument:
    """An image config (image-spec, config.md). Raises InvalidImage."""
    if len(data) > MAX_CONFIG_BYTES:
        raise InvalidImage(f"image config is larger than {MAX_CONFIG_BYTES} bytes")
    fields = Fields(strict_json.parse(data, "image config"), "image config")
    if not isinstance(fields.raw.get("rootfs"), dict):
        raise InvalidImage("image config: rootfs is missing")
    diff_ids = fields.object("rootfs").texts("diff_ids", MAX_LAYERS)
    for diff_id in diff_ids:
        check_digest(diff_id, "image config: diff_id")
    process = fields.object("config")
    created = fields.text("created")
    config = ImageConfig(
        platform=_platform(fields),
        environment=process.texts("Env"),
        entrypoint=process.texts("Entrypoint"),
        command=process.texts("Cmd"),
        working_directory=process.text("WorkingDir"),
        user=process.text("User"),
        labels=process.string_map("Labels"),
        volumes=process.keys("Volumes"),
        exposed_ports=process.keys("ExposedPorts"),
        stop_signal=process.text("StopSignal"),
        created=created,
        author=fields.text("author"),
    )
    return ConfigDocument(config, diff_ids, nanoseconds(created))


def parse_wasm_config(data: bytes) -> ConfigDocument:
    """The config of a CNCF wasm artifact; other tools write `{}` or nothing. Raises InvalidImage."""
    if len(data) > MAX_CONFIG_BYTES:
        raise InvalidImage(f"wasm config is larger than {MAX_CONFIG_BYTES} bytes")
    fields = Fields(strict_json.parse(data, "wasm config") if data.strip() else {}, "wasm config")
    created = fields.text("created")
    platform = Platform(fields.text("os") or "wasip1", fields.text("architecture") or "wasm")
    config = ImageConfig(platform=platform, created=created, author=fields.text("author"))
    return ConfigDocument(config, (), nanoseconds(created))


def nanoseconds(text: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time; 0 for anything else, for no image is refused over its date."""
    head, dot, rest = text.partition(".")
    fraction = ""
    if dot:
        digits = len(rest) - len(rest.lstrip("0123456789"))
        fraction, head = rest[:digits], head + rest[digits:]
    try:
        moment = datetime.fromisoformat(head)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    except (ValueError, OverflowError):
        return 0
    value = int(seconds) * 1_000_000_000 + int((fraction + "000000000")[:9])
    return value if 0 <= value < 2**63 else 0
