"""Pulling from real registries: what is fetched, by which name, with which password; full and read-only disks."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Places, close
from tests.storage import fake_registry as fakes
from tests.storage.conftest import IMPATIENT, noise, small_image, stored_blobs, stored_images
from tests.storage.fake_registry import FakeRegistry
from tests.support import accounts_available, certificates, content, guests
from tests.support.command import Wpod
from tests.support.content import Content
from tests.support.images import File, layer_tar
from tests.support.registry import Registry

INSECURE = "--tls-verify=false"


def configure(wpod: Wpod, text: str, name: str = "registries.conf") -> None:
    """The user's own registries.conf, or a file of registries.conf.d."""
    place = wpod.scratch / "home" / ".config" / "containers" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


def insecure(*hosts: str) -> str:
    return "".join(f'[[registry]]\nlocation = "{host}"\ninsecure = true\n' for host in hosts)


@pytest.fixture
def own(fresh_one: Wpod, plain_registry: Registry) -> Wpod:
    """wpod that knows the plain registry."""
    configure(fresh_one, insecure(plain_registry.host))
    return fresh_one


# -- what is fetched -----------------------------------------------------------------------------------------------


def five_layers(compression: str) -> Content:
    layers = [layer_tar({f"file{number}": File(noise(2000, number))}) for number in range(5)]
    return content.image(layers, {"Cmd": ["x"]}, compression=compression)


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_layers_may_be_compressed_or_not(own: Wpod, plain_registry: Registry, compression: str) -> None:
    image = five_layers(compression)
    plain_registry.publish(f"packed/{compression}", image)
    assert own("pull", plain_registry.name(f"packed/{compression}")).ok().line == image.image_id
    assert stored_blobs(own) == {image.top, *image.blobs}


def test_an_image_is_pulled_by_tag_and_by_digest(fresh: Wpod, plain_registry: Registry) -> None:
    image = five_layers("gzip")
    digest = plain_registry.publish("plain/image", image, "first", "second")
    name = f"{plain_registry.host}/plain/image"
    result = fresh("pull", INSECURE, f"{name}:first").ok()
    assert result.line == image.image_id
    assert result.err.splitlines()[0] == f"Trying to pull {name}:first..."
    for other in (f"{name}@{digest}", f"{name}:gone@{digest}", f"docker://{name}:second"):
        again = fresh("pull", "--quiet", INSECURE, other).ok()
        assert (again.line, again.err) == (image.image_id, "")
    assert stored_images(fresh) == [f"sha256:{image.image_id}"]
    assert stored_blobs(fresh) == {digest, *image.blobs}
    assert fresh("image", "exists", f"{name}:second").status == 0


def test_what_is_there_is_not_fetched_again(fresh_one: Wpod, fake: FakeRegistry) -> None:
    base = layer_tar({"base": File(noise(10_000))})
    first = fake.publish(content.image([base, layer_tar({"top": File(b"first")})]))
    assert fresh_one("pull", INSECURE, fake.name()).ok().line == first.image_id
    assert len(fake.asked("/blobs/")) == 3
    assert fresh_one("pull", INSECURE, fake.name()).ok().line == first.image_id
    assert len(fake.asked("/blobs/")) == 3
    second = fake.publish(content.image([base, layer_tar({"top": File(b"second")})]))
    result = fresh_one("pull", INSECURE, fake.name()).ok()
    assert result.line == second.image_id
    assert len(fake.asked("/blobs/")) == 5
    assert "skipped: already exists" in result.err
    assert len(stored_images(fresh_one)) == 2
    assert fresh_one("images", "--format", "{{.Repository}}:{{.Tag}}").ok().out.splitlines().count("<none>:<none>") == 1


def test_several_images_are_pulled_one_after_the_other(own: Wpod, plain_registry: Registry) -> None:
    images = {name: small_image(name) for name in ("one", "two")}
    for name, image in images.items():
        plain_registry.publish(f"several/{name}", image)
    names = [plain_registry.name(f"several/{name}") for name in ("one", "gone", "two")]
    result = own("pull", *names).exits(125)
    assert result.out.split() == [images["one"].image_id, images["two"].image_id]
    assert result.err.count("error:") == 1
    assert "several/gone:latest" in result.err


# -- platforms -----------------------------------------------------------------------------------------------------

PLATFORMS = ("linux/amd64", "linux/arm64/v8", "wasi/wasm", "wasip1/wasm")


@pytest.fixture(scope="session")
def index(plain_registry: Registry) -> dict[str, Content]:
    """An image for each platform, under one name: `index`."""
    images = {name: small_image(name, platform="/".join(name.split("/")[:2])) for name in PLATFORMS}
    plain_registry.publish("index", content.index_of(images))
    plain_registry.publish("index-wasm", content.index_of({name: images[name] for name in PLATFORMS[2:]}))
    return images


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--platform", "linux/amd64"), "linux/amd64"),
        (("--platform", "linux/arm64"), "linux/arm64/v8"),
        (("--platform", "linux/arm64/v8"), "linux/arm64/v8"),
        (("--platform", "wasi/wasm"), "wasi/wasm"),
        (("--platform", "wasip1/wasm"), "wasip1/wasm"),
        (("--os", "wasi", "--arch", "wasm"), "wasi/wasm"),
        (("--arch", "x86_64"), "linux/amd64"),
        (("--arch", "arm64", "--variant", "v8"), "linux/arm64/v8"),
    ],
)
def test_the_wanted_platform_is_chosen(
    own: Wpod, plain_registry: Registry, index: dict[str, Content], options: tuple[str, ...], expected: str
) -> None:
    assert own("pull", *options, plain_registry.name("index")).ok().line == index[expected].image_id


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the image is for amd64")
def test_this_machines_platform_is_chosen_and_else_webassembly(
    own: Wpod, plain_registry: Registry, index: dict[str, Content]
) -> None:
    assert own("pull", plain_registry.name("index")).ok().line == index["linux/amd64"].image_id
    assert own("pull", plain_registry.name("index-wasm")).ok().line == index["wasip1/wasm"].image_id


@pytest.mark.usefixtures("index")
def test_a_platform_that_is_not_there_lists_those_that_are(own: Wpod, plain_registry: Registry) -> None:
    result = own("pull", "--platform", "linux/s390x", plain_registry.name("index"))
    result.fails(125, "not there for linux/s390x", "linux/amd64, linux/arm64/v8, wasi/wasm, wasip1/wasm")
    assert stored_images(own) == []


# -- passwords and certificates ------------------------------------------------------------------------------------


def trust(wpod: Wpod, host: str) -> Path:
    place = wpod.scratch / "home" / ".config" / "containers" / "certs.d" / host
    place.mkdir(parents=True)
    (place / "ca.crt").write_bytes(certificates.authority().certificate.read_bytes())
    return place


Locked = tuple[Wpod, str, Content]


def locked_for(wpod: Wpod, registry: Registry) -> Locked:
    trust(wpod, registry.host)
    image = small_image("locked")
    registry.publish("team/locked", image)
    return wpod, registry.name("team/locked"), image


@pytest.fixture
def locked(fresh_one: Wpod, locked_registry: Registry) -> Locked:
    """wpod that trusts the locked registry, an image there, and its content."""
    return locked_for(fresh_one, locked_registry)


def auth(creds: str, *keys: str) -> bytes:
    return json.dumps({"auths": {key: {"auth": base64.b64encode(creds.encode()).decode()} for key in keys}}).encode()


def test_a_password_is_asked_for(locked: Locked, locked_registry: Registry) -> None:
    wpod, name, image = locked
    result = wpod("pull", name).fails(125, locked_registry.host, "wants a user and a password")
    assert f"hint: wpod login {locked_registry.host}" in result.err
    wrong = wpod("--log-level=debug", "pull", "--creds", "someone:guessed-wrong", name).fails(125, "denies access")
    assert "guessed-wrong" not in wrong.err
    right = wpod("--log-level=debug", "pull", "--creds", locked_registry.creds, name).ok()
    assert right.line == image.image_id
    assert locked_registry.options.password not in right.err
    for creds in ("nobody", ":x", ""):
        wpod("pull", "--creds", creds, name).fails(125, "--creds")


PLACES = {
    "XDG_RUNTIME_DIR": "runtime/containers/auth.json",
    "XDG_CONFIG_HOME": "home/.config/containers/auth.json",
    "docker's": "home/.docker/config.json",
}


@pytest.mark.parametrize("where", PLACES)
def test_a_password_is_found_where_podman_keeps_it(fresh: Wpod, locked_registry: Registry, where: str) -> None:
    wpod, name, image = locked_for(fresh, locked_registry)
    place = wpod.scratch / PLACES[where]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(auth(locked_registry.creds, locked_registry.host))
    wpod.account.own(place).chmod(0o600)
    assert wpod("pull", name).ok().line == image.image_id


def test_a_password_file_can_be_named(locked: Locked, locked_registry: Registry) -> None:
    wpod, name, image = locked
    host = locked_registry.host
    good, bad = wpod.scratch / "good.json", wpod.scratch / "bad.json"
    good.write_bytes(auth(locked_registry.creds, f"{host}/team"))
    bad.write_bytes(auth("someone:wrong", f"{host}/team/locked"))
    assert wpod("pull", "--authfile", good, name).ok().line == image.image_id
    wpod("pull", "--authfile", bad, name).fails(125, "denies access")
    assert wpod("pull", name, environment={"REGISTRY_AUTH_FILE": str(good)}).ok().line == image.image_id
    wpod("pull", name, environment={"REGISTRY_AUTH_FILE": str(bad)}).fails(125, "denies access")
    assert wpod("pull", "--authfile", good, name, environment={"REGISTRY_AUTH_FILE": str(bad)}).status == 0
    wpod("pull", "--authfile", wpod.scratch / "none.json", name).fails(125, "none.json", "not there")


def test_the_most_specific_password_wins(locked: Locked, locked_registry: Registry) -> None:
    wpod, name, image = locked
    host, file = locked_registry.host, wpod.scratch / "auth.json"
    document = json.loads(auth("someone:wrong", host, f"{host}/other"))
    document["auths"].update(json.loads(auth(locked_registry.creds, f"{host}/team/locked"))["auths"])
    file.write_text(json.dumps(document))
    assert wpod("pull", "--authfile", file, name).ok().line == image.image_id


HELPERS = {
    "good": ('echo \'{{"Username":"someone","Secret":"{password}"}}\'', 0, ""),
    "empty-handed": ("echo credentials not found in native keychain; exit 1", 125, "wants a user and a password"),
    "failing": ("echo oh no >&2; exit 3", 125, "docker-credential-failing failed with exit status 3"),
    "talking": ("echo hello {password}", 125, "did not answer in its protocol"),
    "missing": ("", 125, "docker-credential-missing"),
}


@pytest.mark.parametrize("name", HELPERS)
def test_a_credential_helper_is_asked(locked: Locked, locked_registry: Registry, name: str) -> None:
    wpod, image_name, image = locked
    script, status, words = HELPERS[name]
    place = wpod.scratch / "bin"
    place.mkdir()
    if script:
        program = place / f"docker-credential-{name}"
        text = script.format(password=locked_registry.options.password)
        program.write_text(f'#!/bin/sh\n[ "$1" = get ] && [ "$(cat)" = "{locked_registry.host}" ] || exit 9\n{text}\n')
        program.chmod(0o755)
    file = wpod.scratch / "auth.json"
    file.write_text(json.dumps({"credHelpers": {locked_registry.host: name}}))
    result = wpod("pull", "--authfile", file, image_name, environment={"PATH": f"{place}:{os.environ['PATH']}"})
    assert locked_registry.options.password not in result.err
    if status:
        result.fails(status, words)
    else:
        assert result.ok().line == image.image_id


BAD_FILES: dict[str, Callable[[Path], object]] = {
    "is no JSON": lambda path: path.write_bytes(b"{"),
    "is a list": lambda path: path.write_bytes(b"[]"),
    "has auths that are a list": lambda path: path.write_bytes(b'{"auths": []}'),
    "has no base64": lambda path: path.write_bytes(b'{"auths": {"localhost:1": {"auth": "!!!"}}}'),
    "has no colon": lambda path: path.write_bytes(b'{"auths": {"localhost:1": {"auth": "c2VjcmV0"}}}'),
    "is deep": lambda path: path.write_bytes(b"[" * 100_000),
    "is a directory": lambda path: path.mkdir(),
    "is endless": lambda path: path.symlink_to("/dev/zero"),
    "names an odd helper": lambda path: path.write_bytes(b'{"credHelpers": {"localhost:1": "../../bin/sh"}}'),
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_a_password_file_that_is_none_is_named(fresh_one: Wpod, what: str) -> None:
    file = fresh_one.scratch / "auth.json"
    BAD_FILES[what](file)
    words = "helper name" if "helper" in what else "auth.json"
    result = fresh_one("pull", "--authfile", file, "localhost:1/image").fails(125, words)
    assert "secret" not in result.err


@pytest.fixture
def unprivileged(places: Places) -> Iterator[Wpod]:
    """wpod for somebody who is not root."""
    account = accounts_available()[-1]
    wpod = places.new(account)
    yield wpod
    close(wpod)
    account.remove_tree(wpod.scratch)


def test_a_password_file_that_may_not_be_read_is_named(unprivileged: Wpod) -> None:
    file = unprivileged.scratch / "auth.json"
    file.write_bytes(b"{}")
    file.chmod(0)
    unprivileged("pull", "--authfile", file, "localhost:1/image").fails(125, "auth.json", "Permission denied")


def test_a_client_certificate_is_shown(fresh_one: Wpod) -> None:
    fresh_one.environment = IMPATIENT
    pair = certificates.issued("somebody.test")
    with fakes.serve(certificates.issued(), client_authority=certificates.authority()) as served:
        image = served.publish(small_image())
        place = trust(fresh_one, served.host)
        fresh_one("pull", served.name()).fails(125, served.host)
        (place / "client.cert").write_bytes(pair.certificate.read_bytes())
        fresh_one("pull", served.name()).fails(125, str(place), "can't be used")
        (place / "client.key").write_bytes(pair.key.read_bytes())
        assert fresh_one("pull", served.name()).ok().line == image.image_id


def test_certificates_that_are_none_are_named(fresh_one: Wpod, locked_registry: Registry) -> None:
    place = trust(fresh_one, locked_registry.host)
    (place / "ca.crt").write_text("no certificate")
    fresh_one("pull", locked_registry.name("x")).fails(125, str(place), "can't be used")


# -- names and registries.conf -------------------------------------------------------------------------------------


@pytest.fixture
def two(fake: FakeRegistry) -> Iterator[tuple[FakeRegistry, FakeRegistry]]:
    """Two registries."""
    with fakes.serve() as other:
        yield fake, other


def test_a_short_name_needs_to_be_explained(fresh_one: Wpod) -> None:
    configure(fresh_one, "")
    fresh_one("pull", "odd-name").fails(125, 'short-name "odd-name"', "registries.conf", "HOST/REPOSITORY")
    assert not fresh_one.store.exists()


def test_a_short_name_is_searched_for(fresh_one: Wpod, two: tuple[FakeRegistry, FakeRegistry]) -> None:
    first, second = two
    configure(fresh_one, f'unqualified-search-registries = ["{first.host}", "{second.host}"]\n'
                         + insecure(first.host, second.host))  # fmt: skip
    image = second.publish(small_image("of the second"))
    result = fresh_one("pull", "odd-name").ok()
    assert result.line == image.image_id
    assert [line for line in result.err.splitlines() if "Trying" in line] == [
        f"Trying to pull {served.host}/odd-name:latest..." for served in (first, second)
    ]
    assert fresh_one("images", "--format", "{{.Repository}}").ok().out.split() == [f"{second.host}/odd-name"]
    first.publish(small_image("of the first"), "tagged")
    second.publish(small_image("of the second too"), "tagged")
    assert fresh_one("pull", "odd-name:tagged").ok().line != image.image_id
    assert not second.asked("manifests/tagged")
    gone = fresh_one("pull", "odd-name:gone").fails(125, first.host, second.host)
    assert gone.stdout == b""


def test_an_alias_is_followed(fresh_one: Wpod, fake: FakeRegistry) -> None:
    configure(fresh_one, insecure(fake.host) + f'[aliases]\n"odd-name" = "{fake.host}/team/real"\n')
    image = fake.publish(small_image(), "tagged")
    assert fresh_one("pull", "odd-name:tagged").ok().line == image.image_id
    assert fake.asked("/v2/team/real/manifests/tagged")


def test_a_drop_in_file_adds_and_replaces(fresh_one: Wpod, two: tuple[FakeRegistry, FakeRegistry]) -> None:
    first, second = two
    image = second.publish(small_image())
    configure(fresh_one, f'unqualified-search-registries = ["{first.host}"]\n' + insecure(first.host))
    configure(fresh_one, f'unqualified-search-registries = ["{second.host}"]\n' + insecure(second.host),
              "registries.conf.d/50-own.conf")  # fmt: skip
    assert fresh_one("pull", "odd-name").ok().line == image.image_id
    assert first.seen == []


def test_mirrors_come_first(fresh_one: Wpod, two: tuple[FakeRegistry, FakeRegistry]) -> None:
    main, mirror = two
    fresh_one.environment = IMPATIENT
    image = main.publish(small_image())
    mirror.publish(small_image())
    configure(
        fresh_one,
        f"""
[[registry]]
prefix = "registry.test/team"
location = "{main.host}/real"
insecure = true
[[registry.mirror]]
location = "localhost:1/dead"
insecure = true
[[registry.mirror]]
location = "{mirror.host}/copy"
insecure = true
""",
    )
    assert fresh_one("pull", "registry.test/team/app").ok().line == image.image_id
    assert mirror.asked("/v2/copy/app/manifests/latest")
    assert main.seen == []
    mirror.on("", fakes.says(404))
    assert fresh_one("pull", "registry.test/team/app:latest").ok().line == image.image_id
    assert main.asked("/v2/real/app/manifests/latest")
    assert fresh_one("images", "--format", "{{.Repository}}").ok().out.split() == ["registry.test/team/app"]


def test_a_blocked_registry_is_not_asked(fresh_one: Wpod, fake: FakeRegistry) -> None:
    fake.publish(small_image())
    blocked = f'[[registry]]\nlocation = "{fake.host}"\nblocked = true\ninsecure = true\n'
    configure(fresh_one, blocked + insecure(f"{fake.host}/good"))
    fresh_one("pull", fake.name()).fails(125, fake.host, "blocked", "registries.conf")
    assert fake.seen == []
    assert fresh_one("pull", fake.name("good/image")).status == 0


@pytest.mark.parametrize(
    "text", ["not toml", "[[registry]\n", 'unqualified-search-registries = "x"\n', "aliases = 1\n", "registry = 1\n",
             '[[registry]]\nlocation = 1\n', '[[registry]]\nlocation = "a b"\nprefix = "localhost:1"\n', "\x00"]
)  # fmt: skip
def test_a_configuration_that_is_none_is_named(fresh_one: Wpod, text: str) -> None:
    configure(fresh_one, text)
    fresh_one("pull", "localhost:1/image").fails(125, "registries.conf")


# -- run and its --pull --------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def programs() -> list[Content]:
    """Two versions of a program that says which it is."""
    module = guests.wasm_from_c(guests.SOURCES / "probe.c").read_bytes()
    return [
        content.image([layer_tar({"main.wasm": File(module)})], {"Entrypoint": ["/main.wasm", "line", text]})
        for text in ("first", "second")
    ]


def test_run_pulls_when_it_is_told_to(fresh: Wpod, fake: FakeRegistry, programs: list[Content]) -> None:
    fresh.environment = IMPATIENT
    configure(fresh, insecure(fake.host))
    first, second = programs
    name = fake.name()

    def run(policy: str) -> str:
        return fresh("run", "--rm", "--quiet", "--wasm-aot=off", f"--pull={policy}", name).ok().line

    fake.publish(first)
    fresh("run", "--rm", "--pull=never", name).fails(125, name, "image not known")
    assert fake.seen == []
    assert run("missing") == "first"
    fake.publish(second)
    asked = len(fake.seen)
    assert run("missing") == run("never") == "first"
    assert len(fake.seen) == asked
    assert run("newer") == "second"
    fake.publish(first)
    assert run("always") == "first"
    fake.on("", fakes.says(404))
    assert run("missing") == run("never") == "first"
    assert run("newer") == "first"
    fresh("run", "--rm", "--pull=always", name).fails(125, name)


# -- several at once -----------------------------------------------------------------------------------------------


def test_eight_pulls_of_one_image_fetch_it_once(fresh: Wpod, fake: FakeRegistry) -> None:
    image = fake.publish(content.image([layer_tar({f"{n}": File(noise(300_000, n))}) for n in range(3)]))
    started = [fresh.start("pull", INSECURE, fake.name()) for _ in range(8)]
    assert {fresh.finish(process).ok().line for process in started} == {image.image_id}
    fetched = [one.line for one in fake.asked("GET .*/blobs/")]
    assert len(fetched) == len(set(fetched)) == 4
    assert stored_images(fresh) == [f"sha256:{image.image_id}"]


# -- disks ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def filled(disk: Path, free_bytes: int) -> Iterator[None]:
    """All but so many bytes of the disk taken."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while stream.write(bytes(1 << 16)):
            pass
    os.truncate(filler, max(0, filler.stat().st_size - free_bytes))
    yield
    filler.unlink()


@pytest.fixture
def on_small_disk(fresh_one: Wpod, small_disk: Path) -> Wpod:
    """wpod whose store lies on a disk of 16 MiB; the registry's answers don't."""
    return dataclasses.replace(fresh_one, store=small_disk / "store")


SIZE = 1 << 20


@pytest.mark.parametrize("free", [0, 4096, 40_000, 100_000, SIZE // 2, SIZE, SIZE + 60_000])
def test_a_full_disk_is_named_and_left_as_it_was(
    on_small_disk: Wpod, small_disk: Path, fake: FakeRegistry, free: int
) -> None:
    image = fake.publish(content.image([layer_tar({"noise": File(noise(SIZE))})], compression="none"))
    with filled(small_disk, free):
        result = on_small_disk("pull", INSECURE, fake.name()).fails(125, str(on_small_disk.store), "disk is full")
        assert result.stdout == b""
        temporary = on_small_disk.store / "tmp"
        assert not temporary.is_dir() or list(temporary.iterdir()) == []
        assert stored_images(on_small_disk) == []
    assert on_small_disk("pull", INSECURE, fake.name()).ok().line == image.image_id


def test_a_disk_that_is_full_when_a_container_starts(
    on_small_disk: Wpod, small_disk: Path, fake: FakeRegistry, programs: list[Content]
) -> None:
    fake.publish(programs[0])
    on_small_disk("pull", INSECURE, fake.name()).ok()
    with filled(small_disk, 0):
        assert on_small_disk("images", "--quiet").ok().out.split()
        result = on_small_disk("run", "--rm", fake.name()).fails(125, "disk is full")
        assert result.stdout == b""
        assert list((on_small_disk.store / "tmp").iterdir()) == []
    assert on_small_disk("run", "--rm", fake.name()).ok().line == "first"


def test_containers_and_images_can_be_removed_from_a_full_disk(
    on_small_disk: Wpod, small_disk: Path, fake: FakeRegistry, programs: list[Content]
) -> None:
    """Nobody frees space by removing what can't be removed for want of space."""
    fake.publish(programs[0])
    on_small_disk("pull", INSECURE, fake.name()).ok()
    made = on_small_disk("create", "--name", "old", fake.name()).ok().line
    with filled(small_disk, 0):
        assert on_small_disk("rm", made).ok().line == made
        on_small_disk("rmi", fake.name()).ok()
        assert on_small_disk("ps", "-aq").ok().out == ""
        assert stored_images(on_small_disk) == []
    on_small_disk("pull", INSECURE, fake.name()).ok()
    assert (on_small_disk.store / "reserve").stat().st_size == 512 * 1024


def test_a_store_that_may_not_be_written_still_lists(on_small_disk: Wpod, small_disk: Path, fake: FakeRegistry) -> None:
    image = fake.publish(small_image())
    fake.publish(small_image("other"), "other")
    on_small_disk("pull", INSECURE, fake.name()).ok()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert stored_images(on_small_disk) == [f"sha256:{image.image_id}"]
    for name in (fake.name(), fake.name(tag="other")):
        on_small_disk("pull", INSECURE, name).fails(125, str(on_small_disk.store), "Read-only file system", "--root")
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    on_small_disk("pull", INSECURE, fake.name(tag="other")).ok()


def test_a_store_that_may_not_be_entered_is_refused(unprivileged: Wpod, fake: FakeRegistry) -> None:
    image = fake.publish(small_image())
    unprivileged.account.directory(unprivileged.store, 0o500)
    unprivileged("pull", INSECURE, fake.name()).fails(125, str(unprivileged.store), "Permission denied")
    unprivileged.store.chmod(0o700)
    assert unprivileged("pull", INSECURE, fake.name()).ok().line == image.image_id
