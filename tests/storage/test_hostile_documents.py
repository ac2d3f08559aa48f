"""Manifests, indexes, configs and names from strangers: refused with one line, and nothing of them is recorded."""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.storage import fake_registry as fakes
from tests.storage.conftest import open_store, put, small_image, stored_images
from tests.storage.fake_registry import FakeRegistry
from tests.support import content, guests, raw_tar
from tests.support.command import Wpod
from tests.support.content import DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Content
from tests.support.images import File, layer_tar
from wpod.errors import DigestMismatch, InvalidImage, NotSupportedYet, RegistryError, UsageError, WpodError
from wpod.model.image import Image, Platform
from wpod.operations.load import load
from wpod.operations.pull import PullRequest, pull
from wpod.storage import documents, strict_json
from wpod.storage.registry import names
from wpod.storage.store import Store

TAR = layer_tar({"file": File(b"hello" * 100, 0o644)})
ZEROS = "sha256:" + "0" * 64


@dataclass
class Site:
    """A registry and an empty store."""

    fake: FakeRegistry
    store: Store
    archive: Path

    def pull(self, image: Content, platform: str = "") -> Image:
        self.fake.publish(image)
        chosen = Platform(*platform.split("/")) if platform else None
        return pull(self.store, PullRequest(self.fake.name(), tls_verify=False, platform=chosen))

    def pull_fails(self, image: Content, *words: str, kind: type[WpodError] = InvalidImage) -> None:
        """The pull fails with one line that names the image, and nothing is recorded."""
        with pytest.raises(kind) as pulling:
            self.pull(image)
        self._told(pulling.value, self.fake.host, *words)

    def refuses(self, image: Content, *words: str, kind: type[WpodError] = InvalidImage) -> None:
        """The pull fails, and so does a load of the same."""
        self.pull_fails(image, *words, kind=kind)
        with pytest.raises(InvalidImage) as loading:
            self.load(image)
        self._told(loading.value, "archive.tar", *words)

    def _told(self, error: WpodError, *words: str) -> None:
        assert error.message.isprintable(), error.message
        for word in words:
            assert word in error.message
        assert self.store.images.all() == []

    def load(self, image: Content) -> None:
        """From an OCI archive with the same bytes under the same digests."""
        media_type, data = image.manifests[image.top]
        entry = {"mediaType": media_type, "digest": image.top, "size": len(data)}
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}
        members = {
            "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
            "index.json": content.encode(index),
            **{f"blobs/sha256/{digest[7:]}": data for digest, (_, data) in image.manifests.items()},
            **{f"blobs/sha256/{digest[7:]}": data for digest, data in image.blobs.items()},
        }
        self.archive.write_bytes(raw_tar.archive(*(raw_tar.file(name, data) for name, data in members.items())))
        load(self.store, str(self.archive), io.BytesIO())

    def has(self, digest: str) -> bool:
        return self.store.blobs.has(digest)


@pytest.fixture
def site(tmp_path: Path, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("WPOD_REGISTRY_TIMEOUT", "0.3")
    made = open_store(tmp_path)
    yield Site(fake, made, tmp_path / "archive.tar")
    made.database.close()


def documented(manifest: Any = None, config: Any = None, media_type: str = OCI_MANIFEST) -> Content:
    """An image whose manifest or config is this one (a document or bytes) instead of the right one."""
    made = Content()
    right = content.config_of([TAR])
    data = right if config is None else config
    described = made.blob(OCI_CONFIG, data if isinstance(data, bytes) else content.encode(data))
    made.config_digest = described["digest"]
    layer = made.blob(f"{OCI_LAYER}+gzip", gzip.compress(TAR, mtime=0))
    if manifest is None:
        manifest = content.manifest_of(described, [layer])
    elif callable(manifest):
        manifest = manifest(content.manifest_of(described, [layer]))
    made.manifest(manifest, media_type)
    return made


def test_the_right_documents_are_taken(site: Site) -> None:
    image = documented()
    assert site.pull(image).image_id == image.image_id


# -- JSON ----------------------------------------------------------------------------------------------------------

NO_JSON: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "not JSON"),
    "a number": (b"1", "not a JSON object"),
    "a list": (b"[]", "not a JSON object"),
    "null": (b"null", "not a JSON object"),
    "half of it": (b'{"schemaVersion": 2, ', "not JSON"),
    "two of them": (b"{}{}", "not JSON"),
    "a key twice": (b'{"schemaVersion": 2, "schemaVersion": 2}', "key twice"),
    "a key twice, deep down": (b'{"a": [{"b": {"c": 1, "c": 2}}]}', "key twice"),
    "NaN": (b'{"a": NaN}', "NaN"),
    "infinity": (b'{"a": -Infinity}', "Infinity"),
    "a huge integer": (b'{"a": ' + b"9" * 5000 + b"}", "64 bits"),
    "a huge float": (b'{"a": 1e400}', "64 bits"),
    "NUL in a string": (b'{"a": "x\\u0000y"}', "NUL"),
    "NUL in a key": (b'{"x\\u0000y": 1}', "NUL"),
    "half a surrogate pair": (b'{"a": "\\ud800"}', "surrogate"),
    "half a surrogate pair as a key": (b'{"\\udc00": 1}', "surrogate"),
    "latin-1": (b'{"a": "\xe9"}', "UTF-8"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "UTF-8"),
    "a byte order mark": (b'\xef\xbb\xbf{"a": 1}', "not JSON"),
    "depth": (b"[" * 100_000 + b"]" * 100_000, "nested"),
    "depth of objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested"),
    "a little depth": (b'{"a":' * 80 + b"1" + b"}" * 80, "nested deeper than 64"),
    "a comment": (b'{"a": 1 /* b */}', "not JSON"),
    "control characters in a string": (b'{"a": "\x01"}', "not JSON"),
}  # fmt: skip


@pytest.mark.parametrize("what", NO_JSON)
def test_a_manifest_that_is_no_json_is_refused(site: Site, what: str) -> None:
    data, words = NO_JSON[what]
    site.refuses(documented(data), words)


@pytest.mark.parametrize("what", NO_JSON)
def test_a_config_that_is_no_json_is_refused(site: Site, what: str) -> None:
    data, words = NO_JSON[what]
    site.refuses(documented(config=data), words)


def test_much_json_takes_little_time() -> None:
    """Quadratic behaviour would take minutes: 4 MiB of the most entries, the longest strings."""
    for data in (
        b"[" + b"0," * 2_000_000 + b"0]",
        b'"' + b"\\u00e9" * 700_000 + b'"',
        b"[" + b"{}," * 1_300_000 + b"0]",
    ):
        strict_json.parse(data, "manifest")


# -- manifests -----------------------------------------------------------------------------------------------------


def changed(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda manifest: {key: value for key, value in {**manifest, **changes}.items() if value is not ...}


def in_layer(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda manifest: {**manifest, "layers": [{**manifest["layers"][0], **changes}]}


def in_config(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda manifest: {**manifest, "config": {**manifest["config"], **changes}}


WRONG_MANIFESTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no layers": (changed(layers=...), "layers"),
    "layers null": (changed(layers=None), "layers"),
    "layers an object": (changed(layers={}), "layers"),
    "layers of strings": (changed(layers=["x"]), "not a JSON object"),
    "10000 layers": (lambda m: {**m, "layers": m["layers"] * 10_000}, "more than 500"),
    "no config": (changed(config=...), "config is missing"),
    "config null": (changed(config=None), "config is missing"),
    "config a list": (changed(config=[]), "config is missing"),
    "manifests too": (changed(manifests=[]), "two ways"),
    "manifests instead": (changed(manifests=[], layers=..., config=...), "doesn't have its keys"),
    "an index by name": (changed(mediaType=OCI_INDEX), "announced as"),
    "an unknown type": (changed(mediaType="application/x-evil"), "unknown media type"),
    "a type that is a number": (changed(mediaType=1), "wrong type"),
    "another docker's type": (changed(mediaType=DOCKER_MANIFEST), "announced as"),
    "version 1": (changed(schemaVersion=1), "schema version 2"),
    "version 2 as text": (changed(schemaVersion="2"), "schema version 2"),
    "version true": (changed(schemaVersion=True), "schema version 2"),
    "a negative size": (in_layer(size=-1), "size"),
    "a size of a fraction": (in_layer(size=1.5), "wrong type"),
    "a size that is text": (in_layer(size="1"), "wrong type"),
    "a size that is true": (in_layer(size=True), "wrong type"),
    "no size": (in_layer(size=None), "size"),
    "a layer of an unknown type": (in_layer(mediaType="application/x-evil"), "unknown media type"),
    "a layer without a type": (in_layer(mediaType=None), "unknown media type"),
    "a layer type with control characters": (in_layer(mediaType="x\x1b[2J\ny"), "unknown media type"),
    "a config of an unknown type": (in_config(mediaType="application/x-evil"), "not an image"),
    "a config of 100 MB": (in_config(size=100 << 20), "4194304"),
    "annotations that are numbers": (changed(annotations={"a": 1}), "not a string"),
    "annotations a list": (changed(annotations=["a"]), "wrong type"),
    "two configs' worth of layers": (lambda m: {**m, "layers": m["layers"] * 2}, "names 1 layers, the manifest 2"),
    "no layer at all": (changed(layers=[]), "names 1 layers, the manifest 0"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG_MANIFESTS)
def test_a_manifest_that_breaks_its_specification_is_refused(site: Site, what: str) -> None:
    change, words = WRONG_MANIFESTS[what]
    site.refuses(documented(change), words)


def test_an_unwanted_config_is_not_even_asked_for(site: Site) -> None:
    site.refuses(documented(in_config(size=100 << 20)))
    assert site.fake.asked("/blobs/") == []


BAD_DIGESTS = [
    "sha256:../../../../etc/passwd", "md5:" + "0" * 32, "sha512:" + "0" * 128, "sha256:" + "A" * 64, "", "sha256:",
    "sha256:" + "0" * 63, "sha256:" + "0" * 65, "0" * 64, "sha256:" + "0" * 64 + "\n", "sha256:" + "٠" * 64, None, 1,
    "sha256:" + "0" * 60 + "/../", "SHA256:" + "0" * 64, "sha256:" + "0" * 64 + "\x1b[2J",
]  # fmt: skip


@pytest.mark.parametrize("digest", BAD_DIGESTS)
@pytest.mark.parametrize("where", ["layer", "config", "diff_id"])
def test_a_digest_that_is_none_never_becomes_a_path(site: Site, where: str, digest: Any) -> None:
    if where == "diff_id":
        config = {**content.config_of([TAR]), "rootfs": {"type": "layers", "diff_ids": [digest]}}
        site.refuses(documented(config=config), "diff_id" if isinstance(digest, str) else "strings")
    else:
        change = in_layer(digest=digest) if where == "layer" else in_config(digest=digest)
        site.refuses(documented(change), "sha256 with 64 lower-case hex digits")
        assert site.fake.asked("/blobs/") == []


@pytest.mark.parametrize(
    "said", [f"application/vnd.docker.distribution.manifest.v1+{suffix}" for suffix in ("json", "prettyjws")]
)
def test_schema_1_is_refused_by_name(site: Site, said: str) -> None:
    site.refuses(documented(b'{"schemaVersion": 2, "fsLayers": []}', media_type=said), "schema 1")


# -- configs -------------------------------------------------------------------------------------------------------


def config_with(**changes: Any) -> dict[str, Any]:
    return {**content.config_of([TAR]), **changes}


WRONG_CONFIGS: dict[str, tuple[Any, str]] = {
    "no rootfs": (config_with(rootfs=None), "rootfs"),
    "rootfs a list": (config_with(rootfs=[]), "rootfs"),
    "diff_ids an object": (config_with(rootfs={"diff_ids": {}}), "wrong type"),
    "diff_ids null": (config_with(rootfs={"diff_ids": None}), "names 0 layers"),
    "10000 diff_ids": (config_with(rootfs={"diff_ids": [ZEROS] * 10_000}), "500"),
    "config a list": (config_with(config=[]), "wrong type"),
    "an entrypoint that is a string": (config_with(config={"Entrypoint": "sh -c x"}), "Entrypoint"),
    "an entrypoint of numbers": (config_with(config={"Entrypoint": [1]}), "Entrypoint"),
    "a command of lists": (config_with(config={"Cmd": [["x"]]}), "Cmd"),
    "a user that is a number": (config_with(config={"User": 0}), "User"),
    "settings an object": (config_with(config={"Env": {"A": "b"}}), "Env"),
    "labels of numbers": (config_with(config={"Labels": {"a": 1}}), "Labels"),
    "volumes a list": (config_with(config={"Volumes": ["/data"]}), "Volumes"),
    "an architecture that is a list": (config_with(architecture=["amd64"]), "architecture"),
    "a wrong diff_id": (config_with(rootfs={"diff_ids": [ZEROS]}), "but the image's config says"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG_CONFIGS)
def test_a_config_that_breaks_its_specification_is_refused(site: Site, what: str) -> None:
    config, words = WRONG_CONFIGS[what]
    site.refuses(documented(config=config), words)


def test_empty_values_are_taken_as_absent(site: Site) -> None:
    nothing = dict.fromkeys(("Entrypoint", "Cmd", "Env", "User", "Labels", "Volumes", "ExposedPorts", "WorkingDir"))
    image = site.pull(documented(config=config_with(config=nothing, created=None, author=None)))
    assert image.config.entrypoint == image.config.command == image.config.environment == ()
    assert image.config.labels == {}


@pytest.mark.parametrize(
    "created", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "yesterday", "-1", "9" * 500]
)
def test_no_date_keeps_an_image_out(site: Site, created: str) -> None:
    image = documented(config=config_with(created=created))
    assert site.pull(image).image_id == image.image_id


# -- indexes -------------------------------------------------------------------------------------------------------


def indexed(inner: Content, depth: int, platform: dict[str, str] | None = None) -> Content:
    made = Content().add(inner)
    for _ in range(depth):
        media_type, data = made.manifests[made.top]
        entry = {"mediaType": media_type, "digest": made.top, "size": len(data), "platform": platform or
                 {"os": "linux", "architecture": "amd64"}}  # fmt: skip
        made.manifest({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}, OCI_INDEX)
    return made


def test_indexes_in_indexes_end(site: Site) -> None:
    image = documented()
    assert site.pull(indexed(image, documents.MAX_INDEX_DEPTH)).image_id == image.image_id


def test_indexes_in_indexes_without_end_are_refused(site: Site) -> None:
    site.refuses(indexed(documented(), 50), "nested deeper than 4")
    assert len(site.fake.asked("/manifests/")) == 5


def test_an_index_that_names_itself_is_refused(site: Site) -> None:
    """Its digest can't be right, so it is the same document under a digest that isn't its own."""
    itself = {"mediaType": OCI_INDEX, "digest": ZEROS, "size": 10, "platform": {"os": "linux", "architecture": "amd64"}}
    data = content.encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [itself]})
    made = Content()
    made.manifest(data, OCI_INDEX)
    site.fake.content.manifests[ZEROS] = (OCI_INDEX, data)
    site.refuses(made, ZEROS, kind=DigestMismatch)


WRONG_INDEXES: dict[str, tuple[Any, str]] = {
    "no manifests": ({"schemaVersion": 2, "mediaType": OCI_INDEX}, "doesn't have its keys"),
    "manifests null": ({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": None}, "manifests"),
    "nothing in it": ({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}, "none"),
    "layers too": ({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "layers": []}, "two ways"),
    "config too": ({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "config": {}}, "two ways"),
    "1001 entries": (
        {"schemaVersion": 2, "manifests": [{"digest": ZEROS, "size": 1, "mediaType": OCI_MANIFEST}] * 1001},
        "more than 1000",
    ),
    "a bad digest": (
        {"schemaVersion": 2, "manifests": [{"digest": "sha256:../x", "size": 1, "mediaType": OCI_MANIFEST}]},
        "sha256 with 64",
    ),
    "a platform that is text": (
        {"schemaVersion": 2, "manifests": [{"digest": ZEROS, "size": 1, "platform": "linux/amd64"}]},
        "platform",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG_INDEXES)
def test_an_index_that_breaks_its_specification_is_refused(site: Site, what: str) -> None:
    document, words = WRONG_INDEXES[what]
    made = Content()
    made.manifest(document, OCI_INDEX)
    site.refuses(made, words)


@pytest.mark.parametrize("word", ["evil\x1b[2J", "a\nb", "a/b", "x" * 65, "é"])
def test_what_is_no_platform_is_refused(site: Site, word: str) -> None:
    site.refuses(indexed(documented(), 1, {"os": word, "architecture": "amd64"}), "platform's name")
    site.refuses(documented(config=config_with(architecture=word)), "platform's name")


# -- blobs ---------------------------------------------------------------------------------------------------------


def layer_of(image: Content) -> str:
    found: str = json.loads(image.manifests[image.top][1])["layers"][0]["digest"]
    return found


def test_a_flipped_bit_is_a_wrong_digest(site: Site) -> None:
    image = documented()
    layer = layer_of(image)
    data = bytearray(image.blobs[layer])
    data[20] ^= 1
    image.blobs[layer] = bytes(data)
    site.refuses(image, layer, "has the digest", kind=DigestMismatch)
    assert not site.has(layer)
    assert os.listdir(site.store.paths.temporary) == []


def test_a_blob_longer_than_its_size_is_not_read_to_its_end(site: Site) -> None:
    image = documented()
    layer = layer_of(image)
    size = len(image.blobs[layer])
    site.fake.on(f"GET .*{layer}", fakes.endlessly(b"HTTP/1.1 200 OK\r\n\r\n" + image.blobs[layer], b"x" * 65536))
    site.pull_fails(image, layer, f"longer than the {size} bytes", kind=DigestMismatch)
    assert not site.has(layer)
    assert os.listdir(site.store.paths.temporary) == []


@pytest.mark.parametrize(("difference", "kind"), [(1, RegistryError), (-1, DigestMismatch), (1 << 40, RegistryError)])
def test_a_size_that_is_not_the_blobs_is_refused(site: Site, difference: int, kind: type[WpodError]) -> None:
    right = documented()
    layer = layer_of(right)
    size = len(right.blobs[layer])
    site.refuses(documented(in_layer(size=size + difference)), layer.removeprefix("sha256:"), kind=kind)
    assert not site.has(layer)


def test_a_config_that_is_not_its_digest_is_refused(site: Site) -> None:
    image = documented()
    other = bytearray(image.blobs[image.config_digest])
    other[-1:] = b" "
    image.blobs[image.config_digest] = bytes(other)
    site.refuses(image, image.config_digest, kind=DigestMismatch)
    assert not site.has(image.config_digest)


PACKED: dict[str, tuple[bytes, str]] = {
    "gzip that is cut": (gzip.compress(TAR)[:-10], "ends early"),
    "gzip with rubbish behind it": (gzip.compress(TAR) + b"rubbish", "rubbish"),
    "gzip with another member behind it": (gzip.compress(TAR) + gzip.compress(b"more"), "but the image's config says"),
    "no gzip at all": (b"rubbish", "but the image's config says"),
    "nothing": (b"", "but the image's config says"),
    "zstd with a window of 2 GiB": (b"\x28\xb5\x2f\xfd\x00\xa8\x03\x00\x10a", "zstd"),
}


@pytest.mark.parametrize("what", PACKED)
def test_a_layer_that_does_not_unpack_is_refused(site: Site, what: str) -> None:
    data, words = PACKED[what]
    made = Content()
    config = made.blob(OCI_CONFIG, content.encode(content.config_of([TAR])))
    layer = made.blob(f"{OCI_LAYER}+gzip", data)
    made.manifest(content.manifest_of(config, [layer]))
    site.refuses(made, layer["digest"], words)


def test_a_layer_that_unpacks_without_end_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WPOD_MAX_LAYER_BYTES", str(1 << 20))
    site.refuses(content.image([bytes(20 << 20)]), "unpacks to more than 1048576 bytes")


# -- names ---------------------------------------------------------------------------------------------------------

BAD_NAMES = [
    "", ":", "@", "/", "a:", ":a", "a@", "a:b:c", "../x", "a/../b", "./a", "a//b", "/a", "a/", "A", "a/B:c", "-a",
    "--privileged",
    "a b", "a\n", "\na", "a\0", "a:b\nc", "a:" + "t" * 129, "a:-b", "a:.b", "a" * 300, "localhost/" + "a/" * 200 + "a",
    "аpp", "a\u200bb", "a:ｌatest", "a@sha256:" + "0" * 63, "a@sha256:" + "G" * 64, "a@md5:" + "0" * 32,
    "a@sha256:../../x", "host:port/a", "host:999999/a", "ho st/a", "[::1/a",
    "user:word@host.example/a", "http://host.example/a", "file:///etc/passwd", "a..b", "a__", "_a", "a.", "$(id)",
    "`id`", "a;b", "%2e%2e/a",
    "exa_mple.com/a", "-x.example/a", "x-.example/a", "x..example/a",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        names.parse(name)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 600


@pytest.mark.parametrize("name", ["oci:/etc", "docker-archive:x.tar", "dir:/etc/passwd", "containers-storage:x"])
def test_other_transports_are_refused_by_name(name: str) -> None:
    with pytest.raises(NotSupportedYet, match=name.partition(":")[0]):
        names.parse(name)


GOOD_NAMES = {
    "a": ("", "a", "latest", ""),
    "a:b": ("", "a", "b", ""),
    "localhost/a": ("localhost", "a", "latest", ""),
    "localhost:5000/a/b:c": ("localhost:5000", "a/b", "c", ""),
    "docker://x.example/a": ("x.example", "a", "latest", ""),
    "[::1]:5000/a": ("[::1]:5000", "a", "latest", ""),
    f"x.example/a:b@{ZEROS}": ("x.example", "a", "b", ZEROS),
    f"a@{ZEROS}": ("", "a", "", ZEROS),
    "Host/a": ("Host", "a", "latest", ""),
    "a--b/c__d.e": ("", "a--b/c__d.e", "latest", ""),
    "a:T_." + "-" * 125: ("", "a", "T_." + "-" * 125, ""),
}


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_a_name_is_read_as_the_grammar_says(name: str) -> None:
    found = names.parse(name)
    assert (found.registry, found.repository, found.tag, found.digest) == GOOD_NAMES[name]


def test_names_on_the_command_line_are_names(impatient: Wpod) -> None:
    for name in ("../x", "a:b:c", "localhost:1/a\nerror: fake", "localhost:1/\x1b[2J"):
        result = impatient("pull", name).fails(125, "invalid reference")
        assert "\x1b" not in result.err
        assert len(result.err.splitlines()) == 1
    impatient("pull", "--", "--privileged").fails(125, "invalid reference '--privileged'")
    assert not impatient.store.exists()


# -- images for other machines, and of nothing ---------------------------------------------------------------------


@pytest.mark.parametrize("platform", ["windows/amd64", "linux/s390x", "plan9/pdp11"])
def test_an_image_for_another_machine_is_taken_with_a_warning(
    impatient: Wpod, fake: FakeRegistry, platform: str
) -> None:
    image = fake.publish(content.image([TAR], {"Entrypoint": ["/file"]}, platform=platform))
    result = impatient("pull", "--tls-verify=false", fake.name()).ok()
    assert result.line == image.image_id
    assert f"image platform ({platform}) does not match the expected platform" in result.err


def test_an_index_for_other_machines_lists_them(impatient: Wpod, fake: FakeRegistry) -> None:
    fake.publish(content.index_of({"windows/amd64": small_image("a"), "linux/s390x": small_image("b")}))
    result = impatient("pull", "--tls-verify=false", fake.name()).fails(125, "linux/s390x, windows/amd64", "--platform")
    assert result.stdout == b""
    assert stored_images(impatient) == []


def test_an_image_without_layers_runs_a_program_that_is_mounted(fresh: Wpod, fake: FakeRegistry) -> None:
    image = fake.publish(content.image([]))
    program = guests.native_from_c(guests.SOURCES / "probe.c")
    place = fresh.scratch / "probe"
    place.write_bytes(program.read_bytes())
    place.chmod(0o755)
    assert fresh("pull", "--tls-verify=false", fake.name()).ok().line == image.image_id
    result = fresh("run", "--rm", "-v", f"{place}:/probe", fake.name(), "/probe", "line", "hello", "+", "exit", "42")
    assert result.exits(42).out == "hello\n"


@pytest.mark.parametrize("number", [3, 5, 7, 9])
def test_a_working_directory_is_no_descriptor_of_the_host(fresh_one: Wpod, number: int) -> None:
    """CVE-2024-21626: a link to a directory that the runtime has open."""
    link = {"link": File(link=f"/proc/self/fd/{number}")}
    native = guests.native_from_c(guests.SOURCES / "probe.c").read_bytes()
    module = guests.wasm_from_c(guests.SOURCES / "probe.c").read_bytes()
    made = open_store(fresh_one.scratch)
    for name, program in (("native", native), ("wasm", module)):
        layer = layer_tar({"probe": File(program), "proc": File(), **link})
        put(made, content.image([layer], {"Entrypoint": ["/probe"], "WorkingDir": "/link"}), f"localhost/{name}:latest")
    made.database.close()
    assert fresh_one("run", "--rm", "--wasm-aot=off", "wasm", "list", ".").ok().out == "ENOENT\n"
    result = fresh_one("run", "--rm", "native", "list", ".")
    assert result.status in (125, 127)  # by what of the runtime's own happens to be open there
    result.fails(result.status, "chdir `/link`")
    assert result.stdout == b""


@pytest.mark.parametrize(
    ("config", "status", "words"),
    [
        ({"User": "root:0:0"}, 125, "invalid user 'root:0:0'"),
        ({"User": "99999999999"}, 125, "99999999999"),
        ({"User": "nobody-here"}, 125, "nobody-here"),
        ({"Entrypoint": ["/nowhere"]}, 127, "/nowhere"),
        ({"Entrypoint": ["/etc"]}, 126, "/etc"),
        ({"Entrypoint": [""]}, 125, "empty"),
        ({"Entrypoint": ["../../../../../../bin/sh"]}, 127, "bin/sh"),
        ({"StopSignal": "SIGNOTHING"}, 125, "SIGNOTHING"),
        ({"Volumes": {"relative/../..": {}}}, 0, "/"),
        ({"Volumes": {"/": {}}}, 0, "/"),
        ({"Env": ["A=1", "B", "=C", ""]}, 0, "/"),
        ({"WorkingDir": "../.."}, 0, "/"),
        ({"WorkingDir": "/not/there"}, 0, "/not/there"),
    ],
)
@pytest.mark.parametrize("kind", ["wasm", "native"])
def test_what_a_config_asks_for_is_held_to_the_container(
    fresh_one: Wpod, fake: FakeRegistry, kind: str, config: dict[str, Any], status: int, words: str
) -> None:
    source = guests.SOURCES / "probe.c"
    program = guests.wasm_from_c(source) if kind == "wasm" else guests.native_from_c(source)
    layer = layer_tar({"probe": File(program.read_bytes()), "etc": File()})
    made = open_store(fresh_one.scratch)
    put(made, content.image([layer], {"Entrypoint": ["/probe"], **config}), "localhost/image:latest")
    made.database.close()
    result = fresh_one("run", "--rm", "--wasm-aot=off", "image", "report")
    if status:
        result.fails(status, words)
    else:
        assert json.loads(result.ok().out).get("directory", words) == words  # WASI knows no working directory
