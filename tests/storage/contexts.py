"""Build contexts for tests, and what came of a build: its documents and the entries of its layers."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import shutil
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from tests.support.command import Result, Wpod

# A module that ends with 42 at once.
FORTY_TWO = """
(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const 42))))
"""


def archive(*more: tarfile.TarInfo) -> bytes:
    """A directory, a file in it, a hard link and a symbolic link, of 7:8."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind, mode, target in (
            ("d", tarfile.DIRTYPE, 0o755, ""), ("d/f", tarfile.REGTYPE, 0o600, ""), ("l", tarfile.SYMTYPE, 0o777, "d"),
            ("h", tarfile.LNKTYPE, 0o600, "d/f"),
        ):  # fmt: skip
            header = tarfile.TarInfo(name)
            header.type, header.mode, header.linkname, header.uid, header.gid = kind, mode, target, 7, 8
            header.size = 4 if kind == tarfile.REGTYPE else 0
            archive.addfile(header, io.BytesIO(b"text") if header.size else None)
        for header in more:
            archive.addfile(header, io.BytesIO(bytes(header.size)))
    return buffer.getvalue()


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


def write(wpod: Wpod, files: Mapping[str, bytes | str | Link | None], name: str = "context") -> Path:
    """A context of the account: text or bytes, links, and directories (None)."""
    top = wpod.scratch / name
    shutil.rmtree(top, ignore_errors=True)
    top.mkdir(mode=0o755)
    for path, content in files.items():
        place = top / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Link):
            place.symlink_to(content.target)
        elif content is None:
            place.mkdir(exist_ok=True)
        else:
            place.write_bytes(content.encode() if isinstance(content, str) else content)
            place.chmod(0o644)
    for directory, _, names in os.walk(top):
        os.chmod(directory, 0o755)
        for one in (directory, *(f"{directory}/{name}" for name in names)):
            os.chown(one, wpod.account.uid, wpod.account.gid, follow_symlinks=False)
    return top


def build(wpod: Wpod, text: str, *options: str, context: Path | None = None, **more: Any) -> Result:
    """Build a Containerfile given on standard input; the image is called `made`."""
    place = context or write(wpod, {}, "bare")
    return wpod("build", "--file", "-", "--tag", "made", *options, place, input=text.encode(), **more)


@dataclass(frozen=True)
class Made:
    """A built image, as another tool would read it: its documents, and its layers' entries."""

    manifest: dict[str, Any]
    config: dict[str, Any]
    config_bytes: bytes
    layers: list[list[tarfile.TarInfo]]
    contents: list[dict[str, bytes]]

    def names(self, layer: int = -1) -> list[str]:
        return [one.name for one in self.layers[layer]]

    def lines(self, layer: int = -1) -> list[str]:
        """Each entry in one line: name, kind, mode, owner, target."""
        return [
            f"{one.name} {one.type.decode()} {one.mode & 0o7777:o} {one.uid}:{one.gid} {one.linkname}".rstrip()
            for one in self.layers[layer]
        ]

    def entry(self, name: str, layer: int = -1) -> tarfile.TarInfo:
        return next(one for one in self.layers[layer] if one.name == name)

    @property
    def files(self) -> dict[str, bytes]:
        """The contents of all layers' regular files."""
        return {name: content for layer in self.contents for name, content in layer.items()}


def saved(wpod: Wpod, name: str = "made") -> Made:
    """What `save` gives of an image."""
    place = wpod.scratch / "saved"
    shutil.rmtree(place, ignore_errors=True)
    wpod("save", "--quiet", "--format", "oci-dir", "--output", place, name).ok()
    blobs = place / "blobs" / "sha256"

    def blob(descriptor: dict[str, Any]) -> Path:
        return blobs / str(descriptor["digest"]).removeprefix("sha256:")

    index = json.loads((place / "index.json").read_bytes())
    manifest = json.loads(blob(index["manifests"][0]).read_bytes())
    layers, contents = [], []
    for layer in manifest["layers"]:
        with tarfile.open(blob(layer)) as archive:
            entries = archive.getmembers()
            layers.append(entries)
            contents.append({
                one.name: archive.extractfile(one).read()  # type: ignore[union-attr]
                for one in entries
                if one.isfile()
            })  # fmt: skip
    config = blob(manifest["config"]).read_bytes()
    return Made(manifest, json.loads(config), config, layers, contents)
