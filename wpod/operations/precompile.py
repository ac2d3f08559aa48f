"""After pull, build and load: have a wasm image's module compiled on the side."""

from __future__ import annotations

import os

from wpod.errors import WpodError
from wpod.formats.state_file import Kind
from wpod.frozen import frozen
from wpod.kernel import openat2
from wpod.model.id_map import IDENTITY, SINGLE
from wpod.model.image import Image
from wpod.runtime.backend import id_map
from wpod.storage import platforms
from wpod.storage.store import Store
from wpod.storage.trees import find_or_unpack, tree_path, unpacked_size

_ANNOTATION = "module.wasm.image/variant"
_PATIENCE_SECONDS = 0.2
_MAGIC = b"\0asm\x01\0\0\0"


@frozen
class ImageModule:
    """The module that an image's entrypoint names: its path in the unpacked tree and in the image."""

    host_path: str
    image_path: str
    tree: str


def is_wasm_image(image: Image) -> bool:
    """Whether the image says that it holds WebAssembly (platform, annotation, or a raw module)."""
    return platforms.is_wasm(image.config.platform) or _ANNOTATION in image.annotations or not image.diff_ids


def precompile(store: Store, image: Image, *, known: bool = False) -> None:
    """Unpack a wasm image and start compiling its module; never waits long, and never fails: `run` will tell.

    `known`: its entrypoint is a module, whatever the image says of itself.
    """
    if not (known or is_wasm_image(image)) or not image.layers:
        return
    try:
        with store.lease():
            tree = find_or_unpack(store, image, id_map(Kind.WASM)).path
            module = find_module(image, tree)
            if module is None:
                return
            from wpod.runtime.modules import compile as compiling
            from wpod.runtime.modules.digests import module_digest

            digest = module_digest(module.host_path, os.path.dirname(tree))
            compiling.ensure_compiled(module.host_path, digest, store.paths.aot, _PATIENCE_SECONDS)
    except (WpodError, OSError):
        return


def find_module(image: Image, tree: str) -> ImageModule | None:
    """The entrypoint of an image, if it is a module by its first bytes; links are resolved inside the tree."""
    words = image.config.entrypoint or image.config.command
    if not words:
        return None
    inner = words[0] if words[0].startswith("/") else f"{image.config.working_directory}/{words[0]}"
    if openat2.read_inside(tree, inner, len(_MAGIC)) != _MAGIC:
        return None
    root = os.open(tree, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        descriptor = openat2.open_inside(root, inner, os.O_PATH)
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        os.close(descriptor)
    finally:
        os.close(root)
    return ImageModule(path, inner, tree)


def describe_module(store: Store, image: Image) -> dict[str, object] | None:
    """What `image inspect` tells of the module: found only in a tree that is there already."""
    for unpacked_for in (IDENTITY, SINGLE):
        tree = tree_path(store, image, unpacked_for)
        if unpacked_size(tree) is None:
            continue
        module = find_module(image, tree)
        if module is not None:
            return _described(module)
    return None


def _described(module: ImageModule) -> dict[str, object]:
    from wpod.runtime.modules import inspect as inspecting

    found: dict[str, object] = {"Path": module.image_path, "SizeBytes": os.path.getsize(module.host_path)}
    return {**found, **inspecting.describe(inspecting.inspect_module(module.host_path))}
