"""Images as the store knows them (OCI image-spec 1.1)."""

from __future__ import annotations

from collections.abc import Mapping

from wpod.frozen import field, frozen

# Configs of wasm artifacts: the CNCF's, wasm-to-oci's, wasme's, and components'.
WASM_CONFIG_TYPES = frozenset(
    {
        "application/vnd.wasm.config.v0+json",
        "application/vnd.wasm.config.v1+json",
        "application/vnd.module.wasm.config.v1+json",
        "application/vnd.bytecodealliance.wasm.component.config.v0+json",
    }
)
# Layers that are one raw module or component, not a tar: CNCF, wasm-to-oci, runwasi.
WASM_LAYER_TYPES = frozenset(
    {
        "application/wasm",
        "application/vnd.wasm.content.layer.v1+wasm",
        "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",
        "application/vnd.module.wasm.content.layer.v1+wasm",
        "application/vnd.bytecodealliance.wasm.module.layer.v0+wasm",
    }
)


@frozen
class Descriptor:
    """A content descriptor (image-spec, descriptor.md). `digest` has been checked against its grammar."""

    media_type: str
    digest: str
    size_bytes: int
    annotations: Mapping[str, str] = field(default_factory=dict)


@frozen
class Platform:
    """os/architecture[/variant] in Go's names, e.g. linux/amd64, wasi/wasm, wasip1/wasm."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


@frozen
class ImageConfig:
    """What an image's config says about the process (image-spec, config.md). Hostile until checked.

    `volumes` and `exposed_ports` are the keys, sorted. `healthcheck` and unknown keys are not kept here;
    `inspect` reads the raw document.
    """

    platform: Platform
    environment: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    working_directory: str = ""
    user: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    exposed_ports: tuple[str, ...] = ()
    stop_signal: str = ""
    created: str = ""
    author: str = ""


@frozen
class Image:
    """One image in the store.

    `image_id` is the config's digest without its algorithm (podman's image ID); `digest` the manifest's.
    `layers` are the manifest's layer descriptors in order, `diff_ids` their uncompressed digests (empty
    for artifacts). `annotations` are the manifest's. `names` are full references (`REGISTRY/REPO:TAG`),
    sorted. `size_bytes` is the sum of config and layers as stored.
    """

    image_id: str
    digest: str
    manifest_media_type: str
    config_descriptor: Descriptor
    config: ImageConfig
    layers: tuple[Descriptor, ...]
    diff_ids: tuple[str, ...]
    annotations: Mapping[str, str]
    names: tuple[str, ...]
    created_nanoseconds: int
    size_bytes: int

    @property
    def raw_module(self) -> tuple[Descriptor, str] | None:
        """The raw wasm layer and the name its file gets, None for an image of tar layers."""
        for layer in self.layers:
            if layer.media_type in WASM_LAYER_TYPES:
                first = self.config.entrypoint or self.config.command
                return layer, first[0].lstrip("/")
        return None

    @property
    def display_name(self) -> str:
        """The first name, or the ID."""
        return self.names[0] if self.names else self.image_id
