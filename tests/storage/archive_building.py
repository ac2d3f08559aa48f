"""Image archives of every kind, written without any help of the code under test."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.content import OCI_INDEX, Content, digest_of, encode

REF_NAME = "org.opencontainers.image.ref.name"
LAYOUT = b'{"imageLayoutVersion": "1.0.0"}'


def tar_of(members: Mapping[str, bytes | str]) -> bytes:
    """A tar of files; text is the target of a symbolic link."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            header = tarfile.TarInfo(name)
            if isinstance(content, str):
                header.type, header.linkname = tarfile.SYMTYPE, content
                archive.addfile(header)
            else:
                header.size = len(content)
                archive.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


def entry_of(content: Content, annotations: Mapping[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """The index entry of an image."""
    media_type, data = content.manifests[content.top]
    found = {"mediaType": media_type, "digest": content.top, "size": len(data), **more}
    return {**found, "annotations": dict(annotations)} if annotations else found


def named(name: str) -> dict[str, str]:
    return {REF_NAME: name}


def layout_of(content: Content, entries: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    """The files of an OCI layout that holds all of `content`."""
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [dict(entry) for entry in entries]}
    parts = [*content.blobs.values(), *(data for _, data in content.manifests.values())]
    blobs = {f"blobs/sha256/{digest_of(data)[7:]}": data for data in parts}
    return {"oci-layout": LAYOUT, "index.json": encode(index), **blobs}


def oci_members(content: Content, name: str) -> dict[str, bytes]:
    """One image under a name."""
    return layout_of(content, [entry_of(content, named(name))])


def write_directory(files: Mapping[str, bytes], target: Path) -> Path:
    """A layout as files."""
    for name, data in files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(data)
    return target


def docker_members(
    config: bytes, layers: Mapping[str, bytes], tags: Sequence[str] | None, config_name: str = ""
) -> dict[str, bytes | str]:
    """A docker archive; `layers` by member name, in order. The listing comes last, as podman writes it."""
    config_name = config_name or f"{digest_of(config)[7:]}.json"
    listed = [{"Config": config_name, "RepoTags": tags, "Layers": list(layers)}]
    return {**layers, config_name: config, "manifest.json": json.dumps(listed).encode()}
