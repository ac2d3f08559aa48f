"""Wasm or native: a pure function of what the user said and what the image is.

Image metadata can select wasm; it can never widen what a container may do. Looked at in this order,
the first that says something decides: the user's --kind, the user's annotations, the manifest (media
types, annotations, platform), the first bytes of the entrypoint.
"""

from __future__ import annotations

from collections.abc import Mapping

from wpod.errors import UsageError
from wpod.formats.state_file import Kind
from wpod.frozen import frozen
from wpod.model.image import WASM_CONFIG_TYPES, WASM_LAYER_TYPES

WASM_MAGIC = b"\0asm"
_VARIANT_KEYS = ("module.wasm.image/variant", "run.oci.handler")
_VARIANTS = frozenset({"compat", "compat-smart", "wasm"})
_WASM_OS = frozenset({"wasi", "wasip1", "wasip2"})
_WASM_ARCHITECTURES = frozenset({"wasm", "wasm32", "wasm64"})


@frozen
class ImageFacts:
    """What the user and the image's documents say."""

    user_kind: str
    user_annotations: Mapping[str, str]
    image_annotations: Mapping[str, str]
    config_media_type: str
    layer_media_types: tuple[str, ...]
    os: str
    architecture: str


@frozen
class Choice:
    """The kind and, in words for `inspect`, what decided."""

    kind: Kind
    reason: str


def from_metadata(facts: ImageFacts) -> Choice | None:
    """The choice where it doesn't need the program's bytes; None otherwise.

    Raises UsageError for a --kind that is neither wasm nor native.
    """
    if facts.user_kind:
        return Choice(_kind_named(facts.user_kind), f"--kind={facts.user_kind}")
    for key in _VARIANT_KEYS:
        if facts.user_annotations.get(key) in _VARIANTS:
            return Choice(Kind.WASM, f"annotation {key}={facts.user_annotations[key]} given by the user")
    if facts.config_media_type in WASM_CONFIG_TYPES:
        return Choice(Kind.WASM, f"config media type {facts.config_media_type}")
    for media_type in facts.layer_media_types:
        if media_type in WASM_LAYER_TYPES:
            return Choice(Kind.WASM, f"layer media type {media_type}")
    for key in _VARIANT_KEYS:
        if facts.image_annotations.get(key) in _VARIANTS:
            return Choice(Kind.WASM, f"image annotation {key}={facts.image_annotations[key]}")
    if facts.os in _WASM_OS or facts.architecture in _WASM_ARCHITECTURES:
        return Choice(Kind.WASM, f"platform {facts.os}/{facts.architecture}")
    return None


def from_program(head: bytes) -> Choice:
    """The choice by the first bytes of the entrypoint; empty where it wasn't found."""
    if head[:4] == WASM_MAGIC:
        return Choice(Kind.WASM, "the entrypoint is a WebAssembly module")
    return Choice(Kind.NATIVE, "the entrypoint is not a WebAssembly module")


def _kind_named(text: str) -> Kind:
    if text not in ("wasm", "native"):
        raise UsageError(f"invalid --kind {text!r}: expected wasm or native")
    return Kind.WASM if text == "wasm" else Kind.NATIVE
