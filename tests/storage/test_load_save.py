"""Images from and to archives: OCI and docker's, compressed or not, from files, directories and pipes."""

from __future__ import annotations

import gzip
import io
import json
import os
import pty
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.storage import archive_building as building
from tests.storage.conftest import small_image, stored_blobs, stored_images
from tests.support import accounts_available, content, guests, peer
from tests.support.command import Result, Wpod
from tests.support.content import OCI_CONFIG, Content, digest_of, encode
from tests.support.images import File, layer_tar

HELLO = layer_tar({"hello": File(b"hello\n", 0o644)})
WORLD = layer_tar({"world": File(b"world\n", 0o644)})
TWO = content.image([HELLO, WORLD], {"Cmd": ["/hello"], "Labels": {"a": "b"}})
LAYERS = [layer["digest"] for layer in json.loads(TWO.manifests[TWO.top][1])["layers"]]
FORTY_TWO = """
(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const 42))))
"""


def written(wpod: Wpod, data: bytes, name: str = "image.tar") -> Path:
    path = wpod.scratch / name
    path.write_bytes(data)
    path.chmod(0o644)
    return path


def load(wpod: Wpod, data: bytes) -> Result:
    return wpod("load", "--quiet", "--input", written(wpod, data))


def load_lines(wpod: Wpod, data: bytes) -> list[str]:
    result = load(wpod, data).ok()
    assert result.err == ""
    return result.out.splitlines()


def beside(wpod: Wpod, name: str) -> Wpod:
    """Another store of the same account."""
    return Wpod(wpod.program, wpod.account, wpod.scratch / name, wpod.scratch)


def image_field(wpod: Wpod, name: str, template: str) -> str:
    return wpod("image", "inspect", "--format", template, name).ok().out.strip()


def members(archive: Path | bytes) -> dict[str, bytes]:
    """The files of a tar."""
    source = archive if isinstance(archive, bytes) else archive.read_bytes()
    with tarfile.open(fileobj=io.BytesIO(source)) as opened:
        return {one.name: opened.extractfile(one).read() for one in opened if one.isfile()}  # type: ignore[union-attr]


# -- load: forms and names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotations", "name"),
    [
        (building.named("localhost/some/x:1"), "localhost/some/x:1"),
        (building.named("registry.test:5000/x:1"), "registry.test:5000/x:1"),
        (building.named("x"), "localhost/x:latest"),
        (building.named("latest"), "localhost/latest:latest"),
        (building.named(f"x:2@{TWO.top}"), "localhost/x:2"),
        ({**building.named("latest"), "io.containerd.image.name": "registry.test/x:3"}, "registry.test/x:3"),
        ({}, f"sha256:{TWO.image_id}"),
    ],
)
def test_an_oci_archive_gives_its_image_the_name_it_says(
    fresh_one: Wpod, annotations: dict[str, str], name: str
) -> None:
    archive = building.tar_of(building.layout_of(TWO, [building.entry_of(TWO, annotations)]))
    assert load_lines(fresh_one, archive) == [f"Loaded image: {name}"]
    assert stored_images(fresh_one) == [f"sha256:{TWO.image_id}"]
    assert image_field(fresh_one, TWO.image_id, "{{.Digest}}") == TWO.top


def _compressions() -> dict[str, Callable[[bytes], bytes]]:
    return {
        "plain": lambda data: data,
        "gzip": gzip.compress,
        "zstd": zstandard.ZstdCompressor().compress,
    }


@pytest.mark.parametrize("compression", _compressions())
@pytest.mark.parametrize("way", ["file", "pipe"])
def test_an_archive_may_be_compressed_as_a_whole(fresh: Wpod, compression: str, way: str) -> None:
    archive = _compressions()[compression](building.tar_of(building.oci_members(TWO, "x")))
    if way == "pipe":
        assert fresh("load", input=archive).ok().out == "Loaded image: localhost/x:latest\n"
    else:
        assert load_lines(fresh, archive) == ["Loaded image: localhost/x:latest"]
    assert image_field(fresh, "x", "{{.Id}}").endswith(TWO.image_id)


def test_a_layout_directory_loads(fresh: Wpod) -> None:
    place = building.write_directory(building.oci_members(TWO, "x"), fresh.scratch / "layout")
    assert fresh("load", "-qi", place).ok().out == "Loaded image: localhost/x:latest\n"
    assert image_field(fresh, "x", "{{.Config.Labels.a}}") == "b"


def test_an_index_of_several_images_loads_all(fresh_one: Wpod) -> None:
    other = small_image("other")
    both = Content().add(TWO).add(other)
    entries = [
        building.entry_of(TWO, building.named("two:1")),
        building.entry_of(other, building.named("other:1")),
        building.entry_of(TWO, building.named("two:2")),
    ]
    lines = load_lines(fresh_one, building.tar_of(building.layout_of(both, entries)))
    assert lines == [f"Loaded image: localhost/{name}" for name in ("two:1", "two:2", "other:1")]
    assert len(stored_images(fresh_one)) == 2


def test_of_several_platforms_this_machine_s_is_loaded(fresh_one: Wpod) -> None:
    strange = small_image("strange", platform="linux/strange")
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    own = small_image("own", platform=f"linux/{machine}")
    index = content.index_of({"linux/strange": strange, f"linux/{machine}": own})
    assert load_lines(fresh_one, building.tar_of(building.oci_members(index, "nested"))) == [
        "Loaded image: localhost/nested:latest"
    ]
    assert image_field(fresh_one, "nested", "{{.Id}}").endswith(own.image_id)
    flat = Content().add(strange).add(own)
    platforms = [{"os": "linux", "architecture": name} for name in ("strange", machine)]
    entries = [
        building.entry_of(one, building.named("flat"), platform=platform)
        for one, platform in zip((strange, own), platforms, strict=True)
    ]
    load_lines(fresh_one, building.tar_of(building.layout_of(flat, entries)))
    assert image_field(fresh_one, "flat", "{{.Id}}").endswith(own.image_id)


def _docker_archive(style: str) -> dict[str, bytes | str]:
    config = encode(content.config_of([HELLO, WORLD], {"Cmd": ["/hello"]}))
    tags = ["first:1", "localhost/second:2"]
    if style == "podman":
        names = [f"{digest_of(tar)[7:]}.tar" for tar in (HELLO, WORLD)]
        plain = building.docker_members(config, dict(zip(names, (HELLO, WORLD), strict=True)), tags)
        return {**plain, "abc/layer.tar": f"../{names[0]}", "abc/VERSION": b"1.0", "repositories": b"{}"}
    if style == "docker":
        return building.docker_members(config, {"aaa/layer.tar": HELLO, "bbb/layer.tar": WORLD}, tags)
    if style == "docker-linked":  # docker names a layer that is there twice by a link
        config = encode(content.config_of([HELLO, HELLO]))
        found = building.docker_members(config, {"aaa/layer.tar": HELLO, "bbb/layer.tar": b""}, tags)
        return {**found, "bbb/layer.tar": "../aaa/layer.tar"}
    return building.docker_members(config, {"a.tar.gz": gzip.compress(HELLO), "b.tar": WORLD}, tags, "config")


@pytest.mark.parametrize("style", ["podman", "docker", "docker-linked", "compressed"])
def test_docker_archives_of_all_makers_load(fresh_one: Wpod, style: str) -> None:
    archive = _docker_archive(style)
    assert load_lines(fresh_one, building.tar_of(archive)) == [
        "Loaded image: localhost/first:1",
        "Loaded image: localhost/second:2",
    ]
    (image_id,) = stored_images(fresh_one)
    config = next(data for name, data in archive.items() if name.endswith(("json", "config")) and name[0] != "m")
    assert image_id == digest_of(config)  # type: ignore[arg-type]
    fresh_one("system", "check").ok()


def test_a_docker_archive_without_names_is_told_by_its_id(fresh_one: Wpod) -> None:
    config = encode(content.config_of([HELLO]))
    for tags in (None, []):
        archive = building.tar_of(building.docker_members(config, {"l.tar": HELLO}, tags))
        assert load_lines(fresh_one, archive) == [f"Loaded image: {digest_of(config)}"]


def _wasm_forms() -> dict[str, Callable[[bytes], Content]]:
    def artifact(config_type: str, layer_type: str, config: Any) -> Callable[[bytes], Content]:
        def made(module: bytes) -> Content:
            found = Content()
            data = encode(config)
            described = found.blob(config_type, data)
            layer = found.blob(layer_type, module)
            found.config_digest = described["digest"]
            found.manifest(content.manifest_of(described, [layer]))
            return found

        return made

    def compat(module: bytes) -> Content:
        return content.image(
            [layer_tar({"main.wasm": File(module)})],
            {"Entrypoint": ["/main.wasm"]},
            annotations={"module.wasm.image/variant": "compat"},
        )

    def platform(module: bytes) -> Content:
        return content.image(
            [layer_tar({"main.wasm": File(module)})], {"Entrypoint": ["/main.wasm"]}, platform="wasip1/wasm"
        )

    def runwasi(module: bytes) -> Content:
        config = content.config_of([module], {"Entrypoint": ["main.wasm"]}, "wasip1/wasm")
        return artifact(OCI_CONFIG, "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm", config)(module)

    return {
        "compat": compat,
        "platform": platform,
        "artifact": artifact("application/vnd.wasm.config.v0+json", "application/wasm",
                             {"architecture": "wasm", "os": "wasip1"}),
        "wasm-to-oci": artifact("application/vnd.wasm.config.v1+json", "application/vnd.wasm.content.layer.v1+wasm",
                                {}),
        "runwasi": runwasi,
    }  # fmt: skip


@pytest.mark.parametrize("form", _wasm_forms())
def test_every_form_of_wasm_image_survives_load_and_save(fresh: Wpod, form: str) -> None:
    module = guests.wasm_from_text(FORTY_TWO).read_bytes()
    image = _wasm_forms()[form](module)
    load_lines(fresh, building.tar_of(building.oci_members(image, "wasm")))
    fresh("run", "--rm", "wasm").exits(42)
    saved = fresh("save", "--format", "oci-archive", "wasm").ok().stdout
    fresh("rmi", "wasm").ok()
    assert load_lines(fresh, saved) == ["Loaded image: localhost/wasm:latest"]
    assert image_field(fresh, "wasm", "{{.Digest}}") == image.top
    fresh("run", "--rm", "wasm").exits(42)


# -- load: refusals ------------------------------------------------------------------------------------------------


def _broken() -> dict[str, tuple[bytes, str]]:
    good = building.oci_members(TWO, "x")
    layer = next(name for name in good if name.endswith(LAYERS[0][7:]))
    config = encode(content.config_of([HELLO]))
    wrong = content.image([HELLO])
    lying = json.loads(wrong.blobs[wrong.config_digest])
    lying["rootfs"]["diff_ids"] = [digest_of(WORLD)]
    liar = Content()
    described = liar.blob(OCI_CONFIG, encode(lying))
    liar.manifest(content.manifest_of(described, [liar.blob(*_layer(gzip.compress(HELLO)))]))

    def without(name: str) -> bytes:
        return building.tar_of({key: value for key, value in good.items() if key != name})

    return {
        "a missing blob": (without(layer), "is not in the archive"),
        "a flipped bit": (building.tar_of({**good, layer: good[layer][:-1] + b"!"}), "digest"),
        "a short blob": (building.tar_of({**good, layer: good[layer][:-1]}), "bytes instead of"),
        "a long blob": (building.tar_of({**good, layer: good[layer] + b"!"}), "larger than"),
        "no layout file": (without("oci-layout"), "oci-layout"),
        "no index": (without("index.json"), "index.json"),
        "another layout": (building.tar_of({**good, "oci-layout": b'{"imageLayoutVersion": "9"}'}), "version '9'"),
        "a name that is none": (building.tar_of(building.oci_members(TWO, "--privileged")), "invalid reference"),
        "a wrong diff_id": (building.tar_of(building.oci_members(liar, "x")), "config says"),
        "a truncated tar": (building.tar_of(good)[:3000], "ends early"),
        "a truncated gzip": (gzip.compress(building.tar_of(good))[:-20], "ends early"),
        "no archive": (b"just some text, but more than a block of it " * 40, "tar archive"),
        "a module": (b"\0asm\1\0\0\0" + bytes(2000), "WebAssembly module"),
        "nothing": (b"", "empty"),
        "one byte": (b"x", "ends early"),
        "a file system": (building.tar_of({"etc/passwd": b"root"}), "neither index.json nor manifest.json"),
        "the old docker layout": (building.tar_of({"a/layer.tar": HELLO, "repositories": b"{}"}), "Docker 1.10"),
        "a docker layer that isn't there": (
            building.tar_of(building.docker_members(config, {"l.tar": HELLO}, None) | {"l.tar": "/etc/passwd"}),
            "l.tar is not in the archive",
        ),
        "a docker layer of another image": (
            building.tar_of(building.docker_members(config, {"l.tar": WORLD}, None)), "config says",
        ),
        "an entry twice": (building.tar_of({**good, "./index.json": b"{}"}), "'index.json' twice"),
    }  # fmt: skip


def _layer(data: bytes) -> tuple[str, bytes]:
    return "application/vnd.oci.image.layer.v1.tar+gzip", data


@pytest.mark.parametrize("what", _broken())
def test_a_broken_archive_leaves_nothing(fresh_one: Wpod, what: str) -> None:
    data, words = _broken()[what]
    load(fresh_one, data).fails(125, words)
    assert stored_blobs(fresh_one) == set()
    assert stored_images(fresh_one) == []


def test_what_cannot_be_opened_makes_no_store(fresh_one: Wpod) -> None:
    fresh_one("load", "-i", "/nowhere").fails(125, "/nowhere", "no such file")
    fresh_one("save", "nothing").fails(125, "nothing: image not known")
    assert not fresh_one.store.exists()


def test_a_load_removes_what_a_killed_one_left(fresh_one: Wpod) -> None:
    load_lines(fresh_one, building.tar_of(building.oci_members(TWO, "x")))
    left = fresh_one.store / "tmp/load-0123456789abcdef"
    left.mkdir()
    (left / "1").write_bytes(b"half an archive")
    load(fresh_one, b"").fails(125, "empty")
    assert not left.exists()


def test_load_mends_a_damaged_blob(fresh_one: Wpod) -> None:
    archive = building.tar_of(building.oci_members(TWO, "x"))
    load_lines(fresh_one, archive)
    layer = LAYERS[0]
    damaged = fresh_one.store / "oci/blobs/sha256" / layer[7:]
    damaged.chmod(0o600)
    damaged.write_bytes(b"!" + damaged.read_bytes()[1:])
    fresh_one("system", "check").exits(1)
    load_lines(fresh_one, archive)
    fresh_one("system", "check").ok()


# -- save ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def loaded(fresh: Wpod) -> Wpod:
    """A store with the image `two` of two layers."""
    load_lines(fresh, building.tar_of(building.oci_members(TWO, "two")))
    return fresh


@pytest.fixture
def loaded_one(fresh_one: Wpod) -> Wpod:
    """As `loaded`, for one account."""
    load_lines(fresh_one, building.tar_of(building.oci_members(TWO, "two")))
    return fresh_one


def test_a_docker_archive_holds_what_docker_wants(loaded: Wpod) -> None:
    result = loaded("save", "-o", loaded.scratch / "home/two.tar", "two").ok()
    assert result.out == result.err == ""
    found = members(loaded.scratch / "home/two.tar")
    (listed,) = json.loads(found["manifest.json"])
    assert listed == {
        "Config": f"{TWO.image_id}.json",
        "RepoTags": ["localhost/two:latest"],
        "Layers": [f"{digest_of(tar)[7:]}.tar" for tar in (HELLO, WORLD)],
    }
    assert [found[name] for name in listed["Layers"]] == [HELLO, WORLD]
    assert digest_of(found[listed["Config"]]) == f"sha256:{TWO.image_id}"


def test_an_oci_archive_holds_the_blobs_as_they_are(loaded: Wpod) -> None:
    found = members(loaded("save", "--format", "oci-archive", "two").ok().stdout)
    (entry,) = json.loads(found["index.json"])["manifests"]
    assert entry == building.entry_of(TWO, building.named("localhost/two:latest"))
    expected = building.oci_members(TWO, "localhost/two:latest")
    assert {name: data for name, data in found.items() if "blobs/" in name} == {
        name: data for name, data in expected.items() if "blobs/" in name
    }


def _readers() -> list[str]:
    return ["wpod", "podman"] if os.geteuid() == 0 and peer.is_there() else ["wpod"]


@contextmanager
def podman_beside(wpod: Wpod) -> Iterator[Wpod]:
    place = wpod.scratch / "podman"
    (place / "tmp").mkdir(parents=True)
    with peer.podman(accounts_available()[0], place) as podman:
        yield podman


@pytest.fixture(params=_readers())
def reader(request: pytest.FixtureRequest, loaded_one: Wpod) -> Iterator[Wpod]:
    """Another store, and podman's."""
    if request.param == "podman":
        with podman_beside(loaded_one) as podman:
            yield podman
    else:
        yield beside(loaded_one, "other")


@pytest.fixture
def plain_path() -> Iterator[Path]:
    """podman makes a name of an oci-dir's whole path, so it must be made of letters that names may have."""
    place = Path(f"/tmp/wpod-saved-{os.getpid()}")  # noqa: S108 - made here, and fails where it is there
    place.mkdir(mode=0o700)
    yield place / "saved"
    shutil.rmtree(place)


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "oci-dir"])
def test_what_was_saved_is_loaded_by_everybody(loaded_one: Wpod, reader: Wpod, form: str, plain_path: Path) -> None:
    loaded_one("save", "--format", form, "--output", plain_path, "two").ok()
    reader("load", "-qi", plain_path).ok()
    assert stored_images(reader) == [f"sha256:{TWO.image_id}"]
    assert reader("image", "inspect", "--format", "{{.RootFS.Layers}}", TWO.image_id).ok().out.strip() == (
        f"[{digest_of(HELLO)} {digest_of(WORLD)}]"
    )


@pytest.mark.parametrize("writer", _readers())
def test_archives_of_others_load(loaded_one: Wpod, writer: str) -> None:
    with podman_beside(loaded_one) if writer == "podman" else nullcontext(loaded_one) as other:
        other("load", "-q", input=building.tar_of(building.oci_members(TWO, "theirs"))).ok()
        for form in ("docker-archive", "oci-archive", "oci-dir"):
            place = loaded_one.scratch / form
            other("save", "-q", "--format", form, "-o", place, "theirs").ok()
            third = beside(loaded_one, f"{form}-store")
            assert third("load", "-qi", place).ok().out == "Loaded image: localhost/theirs:latest\n"
            assert stored_images(third) == [f"sha256:{TWO.image_id}"]


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_the_same_image_gives_the_same_bytes(loaded_one: Wpod, form: str) -> None:
    first = loaded_one("save", "--format", form, "two").ok().stdout
    loaded_one("save", "--format", form, "-o", loaded_one.scratch / "again", "two").ok()
    assert (loaded_one.scratch / "again").read_bytes() == first


def test_names_follow_the_arguments(loaded_one: Wpod) -> None:
    def tags(*arguments: str) -> Any:
        saved = members(loaded_one("save", *arguments).ok().stdout)
        return [one["RepoTags"] for one in json.loads(saved["manifest.json"])]

    load_lines(loaded_one, building.tar_of(building.oci_members(small_image(), "small")))
    assert tags("two", "more:1", "registry.test/most") == [
        ["localhost/two:latest", "localhost/more:1", "registry.test/most:latest"]
    ]
    assert tags(TWO.image_id[:12]) == [[]]
    assert tags("-m", "two", "small") == [["localhost/two:latest"], ["localhost/small:latest"]]
    assert tags("-m", "two", TWO.image_id) == [["localhost/two:latest"]]


def test_a_layout_directory_takes_more_images(loaded_one: Wpod) -> None:
    load_lines(loaded_one, building.tar_of(building.oci_members(small_image(), "small")))
    place = loaded_one.scratch / "deep/layout"
    for name in ("two", "small", "two"):
        loaded_one("save", "--format", "oci-dir", "-o", place, name).ok()
    other = beside(loaded_one, "other")
    assert sorted(other("load", "-qi", place).ok().out.splitlines()) == [
        "Loaded image: localhost/small:latest", "Loaded image: localhost/two:latest",
    ]  # fmt: skip


def test_an_existing_docker_archive_is_not_changed(loaded_one: Wpod) -> None:
    place = written(loaded_one, b"something")
    loaded_one("save", "-o", place, "two").fails(125, "docker-archive doesn't support modifying existing images")
    assert place.read_bytes() == b"something"
    place.write_bytes(b"")  # as mktemp(1) makes it
    place.chmod(0o600)
    loaded_one("save", "-o", place, "two").ok()
    assert "manifest.json" in members(place)
    assert place.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "oci-dir"])
def test_a_failed_save_leaves_what_was_there(loaded_one: Wpod, form: str) -> None:
    layer = LAYERS[1]
    damaged = loaded_one.store / "oci/blobs/sha256" / layer[7:]
    damaged.chmod(0o600)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    place = loaded_one.scratch / "home" / "saved"
    loaded_one("save", "--format", form, "-o", place, "two").fails(125, layer[7:])
    assert list((loaded_one.scratch / "home").iterdir()) == []
    damaged.unlink()
    loaded_one("save", "--format", form, "-o", place, "two").fails(125, layer[7:])
    assert list((loaded_one.scratch / "home").iterdir()) == []
    loaded_one("system", "check", "--repair").ok()


def test_an_oci_archive_is_replaced_only_by_a_whole_one(loaded_one: Wpod) -> None:
    place = written(loaded_one, b"something")
    layer = LAYERS[0]
    (loaded_one.store / "oci/blobs/sha256" / layer[7:]).unlink()
    loaded_one("save", "--format", "oci-archive", "-o", place, "two").fails(125, layer[7:])
    assert place.read_bytes() == b"something"
    load_lines(loaded_one, building.tar_of(building.oci_members(TWO, "two")))
    place.write_bytes(b"something")
    loaded_one("save", "--format", "oci-archive", "-o", place, "two").ok()
    assert "index.json" in members(place)


def test_a_bare_module_is_no_docker_archive(fresh_one: Wpod) -> None:
    module = guests.wasm_from_text(FORTY_TWO).read_bytes()
    load_lines(fresh_one, building.tar_of(building.oci_members(_wasm_forms()["artifact"](module), "wasm")))
    fresh_one("save", "-o", fresh_one.scratch / "x.tar", "wasm").fails(125, "docker-archive", "--format oci-archive")
    assert not (fresh_one.scratch / "x.tar").exists()


def test_where_it_cannot_be_written(loaded_one: Wpod) -> None:
    loaded_one("save", "-o", "/nowhere/x", "two").fails(125, "/nowhere/x", "no such file")
    loaded_one("save", "-o", loaded_one.scratch / "home", "two").fails(125, "is a directory")
    loaded_one("save", "-o", "/dev/full", "two").fails(125, "/dev/full", "no space left")
    loaded_one("save", "--format", "oci-dir", "two").fails(125, "--output")
    loaded_one("save", "--format", "oci-dir", "-o", written(loaded_one, b""), "two").fails(125, "file exists")


def test_terminals_are_neither_written_nor_read(loaded_one: Wpod) -> None:
    controller, terminal = pty.openpty()
    try:
        process = loaded_one.start("save", "two", stdout=terminal)
        loaded_one.finish(process, ("save", "two")).fails(125, "refusing to save to terminal")
        process = loaded_one.start("load", stdin=terminal)
        loaded_one.finish(process, ("load",)).fails(125, "cannot read from terminal")
    finally:
        os.close(controller)
        os.close(terminal)


def test_docker_s_media_types_become_oci_s(fresh_one: Wpod) -> None:
    load_lines(fresh_one, building.tar_of(_docker_archive("docker")))
    found = members(fresh_one("save", "--format", "oci-archive", "first:1").ok().stdout)
    (entry,) = json.loads(found["index.json"])["manifests"]
    manifest = json.loads(found[f"blobs/sha256/{entry['digest'][7:]}"])
    assert entry["mediaType"] == manifest["mediaType"] == content.OCI_MANIFEST
    assert manifest["config"]["mediaType"] == OCI_CONFIG
    assert {layer["mediaType"] for layer in manifest["layers"]} == {content.OCI_LAYER}
    assert all(digest_of(found[f"blobs/sha256/{one['digest'][7:]}"]) == one["digest"] for one in manifest["layers"])
