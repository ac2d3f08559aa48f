"""What the tests of images and registries share."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.storage import fake_registry
from tests.storage.fake_registry import FakeRegistry
from tests.support import content, registry
from tests.support.command import Wpod
from tests.support.content import Content
from tests.support.images import File, layer_tar
from tests.support.registry import Registry

# A server that is silent for so long has failed; pauses between attempts shrink with it.
IMPATIENT = {"WPOD_REGISTRY_TIMEOUT": "1"}


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that don't compress, the same each time."""
    return random.Random(seed).randbytes(size)


def small_image(text: str = "hello", **options: object) -> Content:
    """One layer with one file."""
    return content.image([layer_tar({"file": File(text.encode(), 0o644)})], **options)  # type: ignore[arg-type]


def stored_images(wpod: Wpod) -> list[str]:
    return wpod("images", "--quiet", "--no-trunc").ok().out.split()


def stored_blobs(wpod: Wpod) -> set[str]:
    """Digests of what lies in the content store."""
    place = wpod.store / "oci" / "blobs" / "sha256"
    return {f"sha256:{path.name}" for path in place.iterdir()} if place.is_dir() else set()


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    """A registry that can be made to misbehave; plain HTTP."""
    with fake_registry.serve() as served:
        yield served


@pytest.fixture
def impatient(fresh_one: Wpod) -> Wpod:
    """wpod that waits a second for a registry."""
    fresh_one.environment = IMPATIENT
    return fresh_one


@pytest.fixture(scope="session")
def plain_registry() -> Iterator[Registry]:
    """A real registry without TLS and password."""
    with registry.serve() as served:
        yield served


@pytest.fixture(scope="session")
def locked_registry() -> Iterator[Registry]:
    """A real registry with TLS and a password."""
    with registry.serve(registry.Options(tls=True, user="someone", password="s3cr:et word")) as served:
        yield served
