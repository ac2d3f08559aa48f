"""What a stage of a build is so far, and how it begins: empty, from another stage, or from an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wpod.build import documents
from wpod.build.containerfile import Instruction
from wpod.build.image_settings import ImageSettings
from wpod.model.image import Descriptor, Image
from wpod.storage import documents as stored
from wpod.storage.file_tree import FileTree, LayerFile
from wpod.storage.store import Store

BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"


@dataclass(frozen=True)
class StageLayer:
    """One layer, in the store or still in the staging area."""

    descriptor: Descriptor
    diff_id: str
    path: str


@dataclass(frozen=True)
class MissingDirectory:
    """A working directory that comes with the next layer: the WORKDIR, its path, and the USER of that moment."""

    instruction: Instruction
    path: str
    user: str


@dataclass
class StageResult:
    """A stage so far. `comment` goes into the next history entry. `module`: the image is one raw wasm module."""

    settings: ImageSettings
    layers: list[StageLayer] = field(default_factory=list)
    history: list[Mapping[str, object]] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    comment: str = ""
    missing: list[MissingDirectory] = field(default_factory=list)
    module: bool = False
    _tree: FileTree | None = None

    @property
    def tree(self) -> FileTree:
        """The files, looked up in the layers at the first question. Raises InvalidImage, DigestMismatch, StoreError."""
        if self._tree is None:
            tree = FileTree()
            for layer in self.layers:
                tree.add_layer(LayerFile(layer.path, f"layer {layer.descriptor.digest}", layer.diff_id))
            self._tree = tree
        return self._tree

    @property
    def tree_is_known(self) -> bool:
        """Whether asking for the files costs nothing."""
        return self._tree is not None

    def derived(self) -> StageResult:
        """What a stage begins with that is based on this one; this one isn't changed by it."""
        return StageResult(
            settings=self.settings.derived(),
            layers=list(self.layers),
            history=list(self.history),
            annotations=dict(self.annotations),
            comment=self.comment,
            missing=list(self.missing),
            module=self.module,
            _tree=self._tree.clone() if self._tree is not None else None,
        )


def from_image(store: Store, image: Image, name: str) -> StageResult:
    """An image of the store as a base. Raises InvalidImage, StoreError."""
    annotations = {**image.annotations, BASE_DIGEST: image.digest, BASE_NAME: image.names[0] if image.names else ""}
    if image.raw_module is not None:
        layer, file_name = image.raw_module
        tree = FileTree()
        tree.add_layer(LayerFile(store.blobs.path(layer.digest), f"layer {layer.digest}", module=file_name))
        return StageResult(ImageSettings(image.config.platform), annotations=annotations, module=True, _tree=tree)
    base = documents.base(store.blobs.read(image.config_descriptor.digest, stored.MAX_CONFIG_BYTES))
    layers = [
        StageLayer(layer, diff_id, store.blobs.path(layer.digest))
        for layer, diff_id in zip(image.layers, image.diff_ids, strict=True)
    ]
    return StageResult(base.settings, layers, list(base.history), annotations, f"FROM {name}")
