"""What registries hold: blobs, manifests and indexes, written without any help of the code under test."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import zstandard

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

COMPRESSIONS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "none": (OCI_LAYER, lambda tar: tar),
    "gzip": (f"{OCI_LAYER}+gzip", lambda tar: gzip.compress(tar, 6, mtime=0)),
    "zstd": (f"{OCI_LAYER}+zstd", lambda tar: zstandard.ZstdCompressor().compress(tar)),
}


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def encode(document: Any) -> bytes:
    return json.dumps(document).encode()


@dataclass
class Content:
    """Everything that one image needs. `manifests` come in the order in which a registry takes them, the top last."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    config_digest: str = ""

    @property
    def top(self) -> str:
        """The digest of what a tag names."""
        return list(self.manifests)[-1]

    @property
    def image_id(self) -> str:
        return self.config_digest.removeprefix("sha256:")

    def blob(self, media_type: str, data: bytes, **more: Any) -> dict[str, Any]:
        """Add a blob; gives its descriptor."""
        digest = digest_of(data)
        self.blobs[digest] = data
        return {"mediaType": media_type, "digest": digest, "size": len(data), **more}

    def manifest(self, document: Any, media_type: str = OCI_MANIFEST) -> dict[str, Any]:
        """Add a manifest or an index (bytes are taken as they are); gives its descriptor."""
        data = document if isinstance(document, bytes) else encode(document)
        digest = digest_of(data)
        self.manifests.pop(digest, None)
        self.manifests[digest] = (media_type, data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def add(self, other: Content) -> Content:
        self.blobs.update(other.blobs)
        self.manifests.update(other.manifests)
        return self


def config_of(
    tars: Sequence[bytes], config: Mapping[str, Any] | None = None, platform: str = "linux/amd64"
) -> dict[str, Any]:
    """An image config for these uncompressed layers."""
    system, _, architecture = platform.partition("/")
    return {
        "created": "2023-11-14T22:13:20Z",
        "architecture": architecture,
        "os": system,
        "config": dict(config or {}),
        "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for tar in tars]},
    }


def image(
    tars: Sequence[bytes],
    config: Mapping[str, Any] | None = None,
    *,
    platform: str = "linux/amd64",
    compression: str = "gzip",
    annotations: Mapping[str, str] | None = None,
) -> Content:
    """An image of tar layers."""
    media_type, compress = COMPRESSIONS[compression]
    content = Content()
    described = content.blob(OCI_CONFIG, encode(config_of(tars, config, platform)))
    content.config_digest = described["digest"]
    layers = [content.blob(media_type, compress(tar)) for tar in tars]
    content.manifest(manifest_of(described, layers, annotations))
    return content


def manifest_of(
    config: Mapping[str, Any], layers: Sequence[Mapping[str, Any]], annotations: Mapping[str, str] | None = None
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": dict(config), "layers": [dict(one) for one in layers]
    }  # fmt: skip
    return {**found, "annotations": dict(annotations)} if annotations else found


def index_of(images: Mapping[str, Content]) -> Content:
    """An index over images by platform (`linux/arm64/v8`)."""
    content = Content()
    entries = []
    for platform, one in images.items():
        content.add(one)
        media_type, data = one.manifests[one.top]
        names = ("os", "architecture", "variant")
        entries.append(
            {
                "mediaType": media_type, "digest": one.top, "size": len(data),
                "platform": dict(zip(names, platform.split("/"), strict=False)),
            }
        )  # fmt: skip
    content.manifest({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}, OCI_INDEX)
    return content
