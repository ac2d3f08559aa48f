"""Images for tests, written as OCI archives without any help of the code under test (image-spec 1.1)."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_PASSWD = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n"
_GROUP = b"root:x:0:\napp:x:1000:\nstaff:x:50:app\n"
_TIME = 1_700_000_000


@dataclass(frozen=True)
class File:
    """One entry of a layer: a regular file, or a directory where `content` is None, or a symlink."""

    content: bytes | None = None
    mode: int = 0o755
    link: str = ""
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True)
class ImageSource:
    """What an image is made of. `layers` map paths to files; `config` goes into the config's `config` object."""

    name: str
    layers: tuple[Mapping[str, File], ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    os: str = "linux"
    architecture: str = "amd64"
    annotations: Mapping[str, str] = field(default_factory=dict)


def layer_tar(files: Mapping[str, File]) -> bytes:
    """An uncompressed layer."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, entry in files.items():
            header = tarfile.TarInfo(path.lstrip("/"))
            header.mode, header.mtime, header.uid, header.gid = entry.mode, _TIME, entry.uid, entry.gid
            if entry.link:
                header.type, header.linkname = tarfile.SYMTYPE, entry.link
            elif entry.content is None:
                header.type = tarfile.DIRTYPE
            else:
                header.size = len(entry.content)
            archive.addfile(header, io.BytesIO(entry.content) if entry.content is not None else None)
    return buffer.getvalue()


def write_archive(source: ImageSource, target: Path) -> Path:
    """Write an OCI archive with one image under its full name (`localhost/NAME:TAG`)."""
    blobs: dict[str, bytes] = {}

    def blob(media_type: str, content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[digest] = content
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    tars = [layer_tar(files) for files in source.layers]
    config = {
        "created": "2023-11-14T22:13:20Z",
        "architecture": source.architecture,
        "os": source.os,
        "config": dict(source.config),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in tars]},
        "history": [{"created": "2023-11-14T22:13:20Z", "created_by": "test"} for _ in tars],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": blob(_CONFIG, json.dumps(config).encode()),
        "layers": [blob(_LAYER, gzip.compress(tar, 6, mtime=0)) for tar in tars],
        "annotations": dict(source.annotations),
    }
    described = blob(_MANIFEST, json.dumps(manifest).encode())
    described["annotations"] = {"org.opencontainers.image.ref.name": source.name}
    index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [described]}
    with tarfile.open(target, "w") as archive:
        _add(archive, "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
        _add(archive, "index.json", json.dumps(index).encode())
        for digest, content in blobs.items():
            _add(archive, f"blobs/sha256/{digest}", content)
    target.chmod(0o644)
    return target


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    header = tarfile.TarInfo(name)
    header.size, header.mtime, header.mode = len(content), _TIME, 0o644
    archive.addfile(header, io.BytesIO(content))


def with_program(
    name: str,
    program: Path,
    config: Mapping[str, Any] | None = None,
    *,
    wasm: bool,
    more: Mapping[str, File] | None = None,
) -> ImageSource:
    """An image with one program as its entry point, `/tmp`, a passwd file with user `app`, and a file to change."""
    path = "/main.wasm" if wasm else "/main"
    files = {
        "etc": File(),
        "etc/passwd": File(_PASSWD, 0o644),
        "etc/group": File(_GROUP, 0o644),
        "tmp": File(mode=0o1777),
        "home": File(),
        "home/app": File(uid=1000, gid=1000),
        "data": File(mode=0o777),
        "data/given": File(b"from the image\n", 0o666),
        path: File(program.read_bytes()),
        **(more or {}),
    }
    annotations = {"module.wasm.image/variant": "compat"} if wasm else {}
    return ImageSource(name, (files,), {"Entrypoint": [path], **(config or {})}, annotations=annotations)
