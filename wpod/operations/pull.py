"""Pull an image: choose, fetch, verify, record.

The lease is held from the first request to the record, so that no sweep takes a blob which nothing refers
to yet. An image is recorded, and its name moved, only when all its parts are in place and its layers
unpack to what its config says.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wpod.errors import DigestMismatch, InvalidImage, NotThere, RegistryError, WpodError
from wpod.model.image import Descriptor, Image, Platform
from wpod.model.request import PullPolicy
from wpod.storage import documents, image_record, platforms, unpack
from wpod.storage.documents import Index, Manifest
from wpod.storage.registry import auth, policy
from wpod.storage.registry.events import Phase, Progress, TransferEvent, silent
from wpod.storage.registry.names import LOCAL_REGISTRY, Reference
from wpod.storage.registry.policy import Endpoint

if TYPE_CHECKING:
    from wpod.storage.registry.auth import Credentials
    from wpod.storage.registry.client import FetchedManifest, RegistryClient
    from wpod.storage.store import Store


@dataclass(frozen=True)
class PullRequest:
    """`tls_verify` None leaves it to registries.conf; `credentials` None looks into the auth files."""

    name: str
    policy: PullPolicy = PullPolicy.ALWAYS
    platform: Platform | None = None
    tls_verify: bool | None = None
    authfile: str = ""
    credentials: Credentials | None = None
    certificates: str = ""


def pull(store: Store, request: PullRequest, progress: Progress = silent) -> Image:
    """The image, brought up to date as the policy says.

    Raises NotThere (policy never, or no registry has it), RegistryError, InvalidImage, StoreError.
    """
    present = _present(store, request)
    if present is not None and request.policy in (PullPolicy.MISSING, PullPolicy.NEVER):
        return present
    if request.policy is PullPolicy.NEVER:
        raise NotThere(f"{request.name}: image not known")
    try:
        return _pull_any(store, request, present, progress)
    except (RegistryError, NotThere):
        if present is not None and request.policy is PullPolicy.NEWER:
            return present
        raise


def _present(store: Store, request: PullRequest) -> Image | None:
    try:
        found = store.images.find(request.name)
    except NotThere:
        return None
    if request.platform is not None and not _same_platform(found.config.platform, request.platform):
        return None
    return found


def _same_platform(found: Platform, wanted: Platform) -> bool:
    same = (found.os, found.architecture) == (wanted.os, wanted.architecture)
    return same and (not wanted.variant or not found.variant or found.variant == wanted.variant)


def _pull_any(store: Store, request: PullRequest, present: Image | None, progress: Progress) -> Image:
    rules = policy.load()
    candidates = rules.candidates(request.name)
    failures: list[WpodError] = []
    with store.lease():
        for reference in candidates:
            if reference.registry == LOCAL_REGISTRY:
                failures.append(NotThere(f"{reference.stored}: image not known, and localhost is no registry"))
                continue
            for endpoint in rules.endpoints(reference, request.tls_verify):
                progress(TransferEvent(Phase.TRYING, str(endpoint.reference)))
                try:
                    return _Pull(store, request, endpoint, progress).run(reference, present)
                except (RegistryError, NotThere) as error:
                    failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    causes = "; ".join(dict.fromkeys(failure.message for failure in failures))
    raise RegistryError(f"{request.name} can't be pulled: {causes}", hint=failures[-1].hint)


class _Pull:
    """One pull from one server."""

    def __init__(self, store: Store, request: PullRequest, endpoint: Endpoint, progress: Progress) -> None:
        from wpod.storage.registry.client import Connection, RegistryClient
        from wpod.storage.registry.transfer import OneAtATime

        target = endpoint.reference
        credentials = request.credentials or auth.find(target.registry, target.repository, request.authfile)
        self._store = store
        self._request = request
        self._cancel = threading.Event()
        self._progress = OneAtATime(progress)
        self._endpoint = endpoint
        self._client: RegistryClient = RegistryClient(
            endpoint, Connection(credentials, request.certificates), self._cancel
        )

    def run(self, reference: Reference, present: Image | None) -> Image:
        try:
            return self._run(reference, present)
        except DigestMismatch as error:
            raise DigestMismatch(f"{reference}: {error.message}", hint=error.hint) from error
        except InvalidImage as error:
            raise InvalidImage(f"{reference}: {error.message}", hint=error.hint) from error
        finally:
            self._cancel.set()

    def _run(self, reference: Reference, present: Image | None) -> Image:
        fetched, manifest = self._resolve(self._endpoint.reference.remote, 0)
        names = [reference.stored]
        if present is not None and present.digest == fetched.digest and self._complete(present):
            return self._store.images.record(present, names)
        config = self._config(manifest)
        image = image_record.make_image(manifest, fetched.data, config)
        self._warn_about_platform(image)
        self._fetch_layers(image)
        self._progress(TransferEvent(Phase.WRITING, fetched.digest))
        self._store.blobs.put(fetched.data, manifest.media_type)
        return self._store.images.record(image, names)

    def _resolve(self, reference: str, depth: int) -> tuple[FetchedManifest, Manifest]:
        fetched = self._client.manifest(reference)
        parsed = documents.parse_manifest(fetched.data, fetched.media_type)
        if isinstance(parsed, Manifest):
            return fetched, parsed
        if depth >= documents.MAX_INDEX_DEPTH:
            raise InvalidImage(f"indexes are nested deeper than {documents.MAX_INDEX_DEPTH}")
        entry = self._choose(parsed)
        return self._resolve(entry.digest, depth + 1)

    def _choose(self, index: Index) -> Descriptor:
        what = self._request.name
        return platforms.choose(index, self._request.platform, what).descriptor

    def _complete(self, image: Image) -> bool:
        blobs = self._store.blobs
        return all(blobs.has(part.digest, part.size_bytes) for part in (image.config_descriptor, *image.layers))

    def _config(self, manifest: Manifest) -> bytes:
        descriptor = manifest.config
        if descriptor.size_bytes > documents.MAX_CONFIG_BYTES:
            raise InvalidImage(f"the config has {descriptor.size_bytes} bytes, more than {documents.MAX_CONFIG_BYTES}")
        self._fetch(descriptor, "config")
        return self._store.blobs.read(descriptor.digest, documents.MAX_CONFIG_BYTES)

    def _fetch(self, descriptor: Descriptor, kind: str) -> None:
        digest, total = descriptor.digest, descriptor.size_bytes

        def report(offset: int) -> None:
            self._progress(TransferEvent(Phase.COPYING, digest, kind, offset, total))

        found = 0
        try:
            with self._store.blobs.writer(descriptor, self._cancel.is_set) as writer:
                if writer is None:
                    self._progress(TransferEvent(Phase.PRESENT, digest, kind, total, total))
                    return
                found = writer.offset
                report(found)
                self._client.fetch_blob(descriptor, writer, report)
        except DigestMismatch:
            if not found:
                raise
            # What an earlier process left was bad (a power cut, a lying server); it is gone now.
            self._fetch(descriptor, kind)
            return
        self._progress(TransferEvent(Phase.DONE, digest, kind, total, total))

    def _fetch_layers(self, image: Image) -> None:
        from wpod.storage.registry.transfer import run_all

        checked = dict(zip((layer.digest for layer in image.layers), image.diff_ids, strict=False))
        # What a recorded image has, with the same diff_id, was verified when it came.
        known = {
            pair for other in self._store.images.all()
            for pair in zip((layer.digest for layer in other.layers), other.diff_ids, strict=False)
        }  # fmt: skip
        layers = list({layer.digest: layer for layer in image.layers}.values())

        def work(layer: Descriptor) -> None:
            self._fetch(layer, "blob")
            pair = (layer.digest, checked.get(layer.digest, ""))
            if pair[1] and pair not in known:
                unpack.verify_layer(self._store, *pair)

        run_all(layers, work, self._cancel)

    def _warn_about_platform(self, image: Image) -> None:
        found = image.config.platform
        wanted = self._request.platform or platforms.host()
        if not _same_platform(found, wanted) and not platforms.is_wasm(found):
            text = f"image platform ({found}) does not match the expected platform ({wanted})"
            self._progress(TransferEvent(Phase.WARNING, text))
