"""From a manifest and its config to the Image that is recorded: the one place that knows the image forms.

| form | config media type | layers | becomes |
|---|---|---|---|
| image | OCI or docker config | tar | as the config says |
| compat image | the same, `module.wasm.image/variant` or any platform | tar with the module | as the config says |
| runwasi's | OCI config | one raw module | the tree holds the module; the entrypoint names it |
| CNCF artifact | `vnd.wasm.config.v0+json` | one raw module | wasip1/wasm, entrypoint the module |
| wasm-to-oci, wasme, oras | `vnd.wasm.config.v1+json`, `vnd.module.wasm.config.v1+json`, none | the same | the same |
"""

from __future__ import annotations

import dataclasses
import re

from wpod.errors import InvalidImage
from wpod.model.image import WASM_CONFIG_TYPES, WASM_LAYER_TYPES, Descriptor, Image, ImageConfig
from wpod.storage import documents
from wpod.storage.digests import digest_of, hex_of
from wpod.storage.documents import Manifest

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_DEFAULT_MODULE = "main.wasm"
# What oras writes where it was given no config: today's, and that before version 1.1.
_NO_CONFIGS = ("application/vnd.oci.empty.v1+json", "application/vnd.unknown.config.v1+json")


def make_image(manifest: Manifest, manifest_bytes: bytes, config_bytes: bytes) -> Image:
    """The record of an image, its documents checked against each other. Raises InvalidImage."""
    modules = [layer for layer in manifest.layers if documents.is_wasm_layer(layer.media_type)]
    _check_layers(manifest, modules)
    kind = manifest.config.media_type
    if kind in documents.CONFIG_TYPES:
        document = documents.parse_config(config_bytes)
        if not modules and len(document.diff_ids) != len(manifest.layers):
            raise InvalidImage(
                f"image config names {len(document.diff_ids)} layers, the manifest {len(manifest.layers)}"
            )
        image_id = hex_of(manifest.config.digest)
    elif modules and (kind in WASM_CONFIG_TYPES or kind in WASM_LAYER_TYPES or kind in _NO_CONFIGS):
        document = documents.parse_wasm_config(config_bytes)
        image_id = hex_of(digest_of(manifest_bytes))  # such configs are often `{}`, the same for all
    else:
        raise InvalidImage(
            f"the artifact is not an image: its config has the media type {kind!r:.100}",
            hint="images and wasm modules can be run; other artifacts can't",
        )
    config = document.config
    if modules:
        config = _with_module(config, modules[0])
    return Image(
        image_id=image_id,
        digest=digest_of(manifest_bytes),
        manifest_media_type=manifest.media_type,
        config_descriptor=manifest.config,
        config=config,
        layers=manifest.layers,
        diff_ids=() if modules else document.diff_ids,
        annotations=manifest.annotations,
        names=(),
        created_nanoseconds=document.created_nanoseconds,
        size_bytes=manifest.config.size_bytes + sum(layer.size_bytes for layer in manifest.layers),
    )


def _check_layers(manifest: Manifest, modules: list[Descriptor]) -> None:
    if modules and len(manifest.layers) != 1:
        raise InvalidImage(f"the artifact has {len(manifest.layers)} layers; one raw wasm layer can be run")
    for layer in manifest.layers:
        if not (documents.is_tar_layer(layer.media_type) or documents.is_wasm_layer(layer.media_type)):
            raise InvalidImage(f"layer {layer.digest} has the unknown media type {layer.media_type!r:.100}")


def _with_module(config: ImageConfig, layer: Descriptor) -> ImageConfig:
    first = config.entrypoint or config.command
    name = module_name(layer, first[0] if first else "")
    if config.entrypoint or not config.command:
        return dataclasses.replace(config, entrypoint=(f"/{name}", *config.entrypoint[1:]))
    return dataclasses.replace(config, command=(f"/{name}", *config.command[1:]))


def module_name(layer: Descriptor, entrypoint: str = "") -> str:
    """The file name of a raw module: from its title, else the entrypoint, else `main.wasm`; never a path."""
    for candidate in (layer.annotations.get(documents.TITLE, ""), entrypoint):
        name = _UNSAFE.sub("_", candidate.rpartition("/")[2])[:100].lstrip(".-")
        if name:
            return name
    return _DEFAULT_MODULE
