"""What the tests of images and registries share."""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import session_directory
from tests.storage import fake_registry
from tests.storage.fake_registry import FakeRegistry
from tests.storage.unpacking import Box
from tests.support import accounts_available, content, package_copy, registry
from tests.support.account import Account
from tests.support.command import Wpod
from tests.support.content import Content
from tests.support.images import File, layer_tar
from tests.support.registry import Registry
from wpod.model.image import Image
from wpod.storage import documents, image_record, store
from wpod.storage.documents import Manifest
from wpod.storage.store import Store

# A server that is silent for so long has failed; pauses between attempts shrink with it.
IMPATIENT = {"WPOD_REGISTRY_TIMEOUT": "1"}


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that don't compress, the same each time."""
    return random.Random(seed).randbytes(size)


def small_image(text: str = "hello", **options: object) -> Content:
    """One layer with one file."""
    return content.image([layer_tar({"file": File(text.encode(), 0o644)})], **options)  # type: ignore[arg-type]


def open_store(place: Path) -> Store:
    """A store below a directory, used without the command."""
    return store.open_store(str(place / "store"))


def put(store: Store, image: Content, *names: str) -> Image:
    """Record an image whose content is taken as it is: what a pull would have checked isn't."""
    for data in image.blobs.values():
        store.blobs.put(data)
    _, data = image.manifests[image.top]
    manifest = documents.parse_manifest(data)
    assert isinstance(manifest, Manifest)
    made = image_record.make_image(manifest, data, image.blobs[manifest.config.digest])
    return store.images.record(made, names)


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


@pytest.fixture(scope="session")
def package() -> Path:
    """A copy of the package that every account can read."""
    return package_copy.made(session_directory(), "libexec")


@pytest.fixture(scope="session")
def interpreter() -> str:
    """A Python that every account can execute."""
    return package_copy.interpreter()


def id_maps() -> list[str]:
    """Root keeps the image's owners; a user has its own id alone (wasm), or ranges of them (native)."""
    return ["identity", "single", "ranges"] if os.geteuid() == 0 else ["single", "ranges"]


@contextmanager
def boxed(id_map: str, package: Path, interpreter: str) -> Iterator[Box]:
    """A place to unpack into; whatever changes beside it fails the test."""
    account = accounts_available()[-1 if id_map == "ranges" else 0]
    base = Path(tempfile.mkdtemp(prefix=f"box-{id_map}-", dir=session_directory()))
    base.chmod(0o755)
    made = Box(account.directory(base / "place", 0o755), account, id_map, package, interpreter)
    yield made
    made.check()
    account.remove_tree(base)


@pytest.fixture(params=id_maps())
def box(request: pytest.FixtureRequest, package: Path, interpreter: str) -> Iterator[Box]:
    """A place to unpack into, for each id map."""
    with boxed(request.param, package, interpreter) as made:
        yield made


@pytest.fixture
def one_box(package: Path, interpreter: str) -> Iterator[Box]:
    """As `box`, for what is the same with every id map."""
    with boxed("single", package, interpreter) as made:
        yield made


@pytest.fixture
def small_disk(root_account: Account) -> Iterator[Path]:
    """A file system of 16 MiB and 2000 files."""
    if root_account.uid != 0:
        pytest.skip("only root can mount a file system")
    place = Path(tempfile.mkdtemp(prefix="disk-", dir=session_directory()))
    options = "size=16m,nr_inodes=2000,mode=755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "wpod-tests", str(place)], check=True)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)  # the test's own store may still be open
