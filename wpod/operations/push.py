"""Push an image to a registry (podman-push(1)).

The manifest goes last, exactly as it is stored: until the registry has taken it, the name there means what it
meant before, and a push that broke may be repeated, for blobs that are there already are not sent again.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wpod.errors import StoreError, UsageError
from wpod.model.image import Descriptor, Image
from wpod.operations.remove_image import name_meant
from wpod.storage import documents
from wpod.storage.registry import auth, names, policy
from wpod.storage.registry.events import Phase, Progress, TransferEvent, silent
from wpod.storage.registry.names import LOCAL_REGISTRY, Reference

if TYPE_CHECKING:
    from wpod.storage.registry.auth import Credentials
    from wpod.storage.registry.client import RegistryClient
    from wpod.storage.store import Store


@dataclass(frozen=True)
class PushRequest:
    """`destination` "" means the image's own name; the others as in PullRequest."""

    name: str
    destination: str = ""
    tls_verify: bool | None = None
    authfile: str = ""
    credentials: Credentials | None = None


def push(store: Store, request: PushRequest, progress: Progress = silent) -> str:
    """Send the image; returns the digest of its manifest.

    Raises NotThere, UsageError (no registry is named), RegistryError, StoreError (a part is missing here).
    """
    image = store.images.find(request.name)
    target = _destination(image, request)
    with store.lease():
        _check_parts(store, image)
        _Push(store, image, request, progress).run(target)
    return image.digest


def _destination(image: Image, request: PushRequest) -> Reference:
    typed = request.destination or name_meant(image, request.name)
    if not typed:
        raise UsageError(f"{request.name} is an image's ID: its destination must be named",
                         hint="wpod push IMAGE REGISTRY/NAME:TAG")  # fmt: skip
    target = names.parse(typed)
    if target.registry in ("", LOCAL_REGISTRY):
        raise UsageError(f"{typed} names no registry", hint="wpod push IMAGE REGISTRY/NAME:TAG")
    if target.digest and target.digest != image.digest:
        raise UsageError(f"{typed} is not the digest of the image, which is {image.digest}")
    return target


def _check_parts(store: Store, image: Image) -> None:
    for part in (image.config_descriptor, *image.layers):
        if not store.blobs.has(part.digest, part.size_bytes):
            hint = "wpod system check --repair removes images with missing parts; then pull again"
            raise StoreError(f"{store.blobs.path(part.digest)} is missing or has the wrong size", hint=hint)


class _Push:
    def __init__(self, store: Store, image: Image, request: PushRequest, progress: Progress) -> None:
        from wpod.storage.registry.transfer import OneAtATime

        self._store = store
        self._image = image
        self._request = request
        self._cancel = threading.Event()
        self._progress = OneAtATime(progress)

    def run(self, target: Reference) -> None:
        from wpod.storage.registry.client import Connection, RegistryClient
        from wpod.storage.registry.transfer import run_all

        request = self._request
        manifest = self._store.blobs.read(self._image.digest, documents.MAX_MANIFEST_BYTES)
        endpoint = policy.load().endpoints(target, request.tls_verify)[-1]  # mirrors are for pulling
        home = endpoint.reference
        credentials = request.credentials or auth.find(home.registry, home.repository, request.authfile)
        client = RegistryClient(endpoint, Connection(credentials), self._cancel)
        try:
            # The small config goes alone: it finds out how the registry is reached and whether it lets us in.
            config = self._image.config_descriptor
            self._send(client, config, "config")
            layers = {layer.digest: layer for layer in self._image.layers if layer.digest != config.digest}
            run_all(list(layers.values()), lambda layer: self._send(client, layer, "blob"), self._cancel)
            self._progress(TransferEvent(Phase.WRITING, self._image.digest))
            client.put_manifest(home.remote, manifest, self._image.manifest_media_type)
        finally:
            self._cancel.set()

    def _send(self, client: RegistryClient, descriptor: Descriptor, kind: str) -> None:
        digest, total = descriptor.digest, descriptor.size_bytes

        def report(offset: int) -> None:
            self._progress(TransferEvent(Phase.COPYING, digest, kind, offset, total))

        if client.has_blob(digest):
            self._progress(TransferEvent(Phase.PRESENT, digest, kind, total, total))
            return
        report(0)
        client.upload_blob(descriptor, self._store.blobs.path(digest), report)
        self._progress(TransferEvent(Phase.DONE, digest, kind, total, total))
