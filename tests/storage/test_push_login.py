"""Pushing to a real registry, plain and with TLS and a password; keeping and forgetting that password."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import pty
import termios
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.storage import archive_building as building
from tests.storage import relay
from tests.storage.conftest import IMPATIENT, noise, small_image, stored_images
from tests.support import content, guests
from tests.support.command import Result, Wpod
from tests.support.content import DOCKER_MANIFEST, OCI_MANIFEST, Content
from tests.support.images import File, layer_tar
from tests.support.registry import Registry

ONE = layer_tar({"one": File(b"one\n", 0o644)})
TWO = layer_tar({"two": File(b"two\n", 0o644)})
IMAGE = content.image([ONE, TWO], {"Cmd": ["/one"]})
NOISE = noise(1 << 20)
MIDDLE = NOISE[500_000:500_016]
MODULE = '(module (memory (export "memory") 1) (func (export "_start")))'


def load(wpod: Wpod, image: Content, name: str = "image") -> Content:
    wpod("load", "-q", input=building.tar_of(building.oci_members(image, name))).ok()
    return image


def push(wpod: Wpod, *arguments: str) -> Result:
    return wpod("push", "--tls-verify=false", *arguments)


def own(wpod: Wpod, suffix: str = "x") -> str:
    """A repository that no other test uses."""
    return f"{wpod.scratch.name.lower().strip('_-').replace('_', '')}/{suffix}"


# -- push ----------------------------------------------------------------------------------------------------------


def test_what_was_pushed_is_the_same_image(fresh: Wpod, plain_registry: Registry) -> None:
    load(fresh, IMAGE)
    repository = own(fresh)
    result = push(fresh, "image", plain_registry.name(repository, "1")).ok()
    assert result.out == ""
    assert plain_registry.manifest(repository, "1", OCI_MANIFEST).expect(200).body == IMAGE.manifests[IMAGE.top][1]
    for digest, data in IMAGE.blobs.items():
        assert plain_registry.blob(repository, digest) == data
    fresh("rmi", "image").ok()
    pulled = fresh("pull", "-q", "--tls-verify=false", plain_registry.name(repository, "1")).ok()
    assert pulled.line == IMAGE.image_id


def test_the_second_push_sends_no_blob_again(fresh_one: Wpod, plain_registry: Registry) -> None:
    load(fresh_one, IMAGE)
    name = plain_registry.name(own(fresh_one))
    with relay.before(plain_registry.host) as between:
        first = push(fresh_one, "image", name.replace(plain_registry.host, between.host)).ok()
        assert "skipped" not in first.err
        assert between.requests(rb"PUT /v2/\S+/blobs/uploads/") == len(IMAGE.blobs)
        between.seen.clear()
        second = push(fresh_one, "image", name.replace(plain_registry.host, between.host)).ok()
        assert second.err.count("skipped: already exists") == len(IMAGE.blobs)
        assert between.requests(rb"(POST|PATCH) ") == 0
        assert between.requests(rb"PUT ") == between.requests(rb"PUT /v2/\S+/manifests/") == 1


def test_a_pushed_name_needs_no_destination(fresh_one: Wpod, plain_registry: Registry) -> None:
    load(fresh_one, IMAGE)
    name = plain_registry.name(own(fresh_one), "tagged")
    fresh_one("tag", "image", name).ok()
    assert push(fresh_one, "-q", name).ok().err == ""
    assert plain_registry.tags(own(fresh_one)) == ["tagged"]
    push(fresh_one, "image").fails(125, "localhost/image:latest names no registry")
    push(fresh_one, IMAGE.image_id).fails(125, "destination")
    push(fresh_one, "image", "elsewhere/x").fails(125, "elsewhere/x names no registry")
    push(fresh_one, "nothing", name).fails(125, "nothing: image not known")
    push(fresh_one, "image", plain_registry.name(own(fresh_one), "a:b")).fails(125, "invalid reference")
    wrong = f"{plain_registry.host}/{own(fresh_one)}@sha256:{'0' * 64}"
    push(fresh_one, "image", wrong).fails(125, "is not the digest of the image")
    push(fresh_one, "image", f"docker://{plain_registry.host}/{own(fresh_one)}@{IMAGE.top}").ok()


def test_the_digest_file_holds_the_digest_alone(fresh: Wpod, plain_registry: Registry) -> None:
    load(fresh, IMAGE)
    place = fresh.scratch / "home" / "digest"
    push(fresh, "--digestfile", str(place), "image", plain_registry.name(own(fresh))).ok()
    assert place.read_text() == IMAGE.top
    push(fresh, "--digestfile", "/nowhere/x", "image", plain_registry.name(own(fresh))).fails(125, "/nowhere/x")


def test_the_digest_file_may_be_standard_output(fresh_one: Wpod, plain_registry: Registry) -> None:
    load(fresh_one, IMAGE)
    name = plain_registry.name(own(fresh_one))
    assert push(fresh_one, "-q", "--digestfile", "/dev/stdout", "image", name).ok().out == IMAGE.top


def _docker_image() -> bytes:
    config = content.encode(content.config_of([ONE]))
    return building.tar_of(building.docker_members(config, {"layer.tar": ONE}, ["image"]))


def test_an_image_of_a_docker_archive_can_be_pushed_and_pulled(fresh_one: Wpod, plain_registry: Registry) -> None:
    fresh_one("load", "-q", input=_docker_image()).ok()
    (image_id,) = stored_images(fresh_one)
    repository = own(fresh_one)
    push(fresh_one, "image", plain_registry.name(repository)).ok()
    plain_registry.manifest(repository, "latest", DOCKER_MANIFEST).expect(200)
    fresh_one("rmi", "image").ok()
    fresh_one("pull", "-q", "--tls-verify=false", plain_registry.name(repository)).ok()
    assert stored_images(fresh_one) == [image_id]


def test_a_wasm_artifact_can_be_pushed_and_run(fresh: Wpod, plain_registry: Registry) -> None:
    module = guests.wasm_from_text(MODULE).read_bytes()
    artifact = Content()
    config = artifact.blob("application/vnd.wasm.config.v0+json", b'{"architecture": "wasm", "os": "wasip1"}')
    artifact.manifest(content.manifest_of(config, [artifact.blob("application/wasm", module)]))
    load(fresh, artifact, "module")
    name = plain_registry.name(own(fresh))
    push(fresh, "module", name).ok()
    fresh("rmi", "module").ok()
    fresh("run", "--rm", "--quiet", "--tls-verify=false", name).ok()


@pytest.mark.parametrize("where", ["blob", "manifest"])
def test_a_broken_push_leaves_the_registry_s_image(fresh_one: Wpod, plain_registry: Registry, where: str) -> None:
    fresh_one.environment = IMPATIENT
    old, repository = load(fresh_one, small_image("old"), "old"), own(fresh_one)
    push(fresh_one, "old", plain_registry.name(repository)).ok()
    new = load(fresh_one, content.image([layer_tar({"noise": File(NOISE)})], compression="none"), "new")
    with relay.before(plain_registry.host) as between:
        name = f"{between.host}/{repository}:latest"
        between.break_at = (
            noise(1 << 20)[500_000:500_016] if where == "blob" else b"PUT /v2/" + repository.encode() + b"/manifests"
        )
        push(fresh_one, "new", name).fails(125, between.host)
        assert between.broken >= 1
        assert plain_registry.manifest(repository, "latest", OCI_MANIFEST).body == old.manifests[old.top][1]
        between.break_at = b""
        push(fresh_one, "new", name).ok()
        assert plain_registry.manifest(repository, "latest", OCI_MANIFEST).body == new.manifests[new.top][1]


def test_a_connection_that_breaks_once_is_no_failure(fresh_one: Wpod, plain_registry: Registry) -> None:
    fresh_one.environment = IMPATIENT
    new = load(fresh_one, content.image([layer_tar({"noise": File(NOISE)})], compression="none"), "new")
    with relay.before(plain_registry.host) as between:
        between.break_at = MIDDLE
        process = fresh_one.start("push", "--tls-verify=false", "new", f"{between.host}/{own(fresh_one)}:latest")

        def mend() -> None:
            while not between.broken and process.poll() is None:
                threading.Event().wait(0.01)
            between.break_at = b""

        threading.Thread(target=mend).start()
        fresh_one.finish(process, ("push",)).ok()
        assert between.broken >= 1
    assert plain_registry.manifest(own(fresh_one), "latest", OCI_MANIFEST).body == new.manifests[new.top][1]


def test_a_missing_part_is_found_before_anything_is_sent(fresh_one: Wpod, plain_registry: Registry) -> None:
    load(fresh_one, IMAGE)
    layer = json.loads(IMAGE.manifests[IMAGE.top][1])["layers"][0]["digest"]
    (fresh_one.store / "oci/blobs/sha256" / layer[7:]).unlink()
    push(fresh_one, "image", plain_registry.name(own(fresh_one))).fails(125, layer[7:], "wpod system check")
    plain_registry.manifest(own(fresh_one), "latest").expect(404)


def test_a_locked_registry_wants_its_password(fresh: Wpod, locked_registry: Registry) -> None:
    load(fresh, IMAGE)
    name = locked_registry.name(own(fresh))
    fresh("push", "image", name).fails(125, "certificate is not trusted", "--tls-verify=false")
    push(fresh, "image", name).fails(125, "wants a user and a password", f"wpod login {locked_registry.host}")
    push(fresh, "--creds", "someone:wrong", "image", name).fails(125, "denies access")
    push(fresh, "--creds", locked_registry.creds, "image", name).ok()
    certificates = fresh.scratch / "home/.config/containers/certs.d" / locked_registry.host
    certificates.mkdir(parents=True)
    (certificates / "ca.crt").write_bytes(Path(str(locked_registry.authority)).read_bytes())
    fresh("push", "--creds", locked_registry.creds, "image", name).ok()


# -- login ---------------------------------------------------------------------------------------------------------


def password_file(wpod: Wpod) -> Path:
    return wpod.scratch / "runtime" / "containers" / "auth.json"


def kept(wpod: Wpod) -> dict[str, str]:
    """What the password file holds, decoded."""
    auths = json.loads(password_file(wpod).read_text())["auths"]
    return {key: base64.b64decode(entry["auth"]).decode() for key, entry in auths.items()}


def log_in(wpod: Wpod, registry: Registry, *options: str) -> Result:
    arguments = ("login", "--tls-verify=false", "--username", registry.options.user, "--password-stdin", *options)
    result = wpod(*arguments, registry.host, input=registry.options.password.encode() + b"\n")
    silent(result, registry)
    return result


def silent(result: Result, registry: Registry) -> None:
    """The password is nowhere in the output."""
    encoded = base64.b64encode(registry.creds.encode()).decode()
    for secret in (registry.options.password, encoded):
        assert secret not in result.out + result.err


def test_a_login_is_kept_and_used(fresh: Wpod, locked_registry: Registry) -> None:
    load(fresh, IMAGE)
    assert log_in(fresh, locked_registry).ok().out == "Login Succeeded!\n"
    assert kept(fresh) == {locked_registry.host: locked_registry.creds}
    assert password_file(fresh).stat().st_mode & 0o777 == 0o600
    assert fresh("login", "--get-login", locked_registry.host).ok().line == locked_registry.options.user
    name = locked_registry.name(own(fresh))
    push(fresh, "image", name).ok()
    fresh("pull", "-q", "--tls-verify=false", name).ok()
    again = fresh("login", "--tls-verify=false", locked_registry.host).ok()
    silent(again, locked_registry)
    assert again.out.splitlines() == [
        f"Authenticating with existing credentials for {locked_registry.host}",
        f"Existing credentials are valid. Already logged in to {locked_registry.host}",
    ]
    out = fresh("logout", locked_registry.host).ok().out
    assert out == f"Removed login credentials for {locked_registry.host}\n"
    assert kept(fresh) == {}
    push(fresh, "image", name).fails(125, "wants a user and a password")
    fresh("logout", locked_registry.host).fails(125, f"not logged into {locked_registry.host}")
    fresh("login", "--get-login", locked_registry.host).fails(125, f"not logged into {locked_registry.host}")


def test_a_password_that_is_wrong_is_not_kept(fresh: Wpod, locked_registry: Registry) -> None:
    host = locked_registry.host
    wrong = fresh("login", "--tls-verify=false", "-u", "someone", "--password-stdin", host, input=b"wr0ng word")
    wrong.fails(125, f'logging into "{host}": invalid username/password')
    assert "wr0ng" not in wrong.out + wrong.err
    assert not password_file(fresh).exists()
    log_in(fresh, locked_registry).ok()
    fresh("login", "--tls-verify=false", "-u", "someone", "-p", "wr0ng", host).fails(125, "invalid username/password")
    assert kept(fresh) == {host: locked_registry.creds}
    fresh("login", "-u", "someone", "-p", "x", host).fails(125, "certificate is not trusted")
    fresh("login", "-u", "someone", "-p", "x", "localhost:1").fails(125, 'logging into "localhost:1"', "refused")


def test_the_command_line_of_login(fresh_one: Wpod, locked_registry: Registry) -> None:
    host = locked_registry.host
    fresh_one("login", "--password-stdin", host, input=b"x").fails(125, "Must provide --username")
    both = ("login", "-u", "a", "-p", "b", "--password-stdin", host)
    fresh_one(*both, input=b"x").fails(125, "both --password-stdin and --password")
    fresh_one("login", host).fails(125, "no terminal", "--password-stdin")
    fresh_one("login", "-u", "a", host).fails(125, "no terminal", "--password-stdin")
    fresh_one("login", "-u", "a", "--password-stdin", host).fails(125, "holds no password")
    fresh_one("login", "-u", "a", "--password-stdin", host, input=b"\xff\xfe").fails(125, "not UTF-8")
    fresh_one("login", "-u", "a:b", "-p", "c", host).fails(125, "colon")
    for bad in ("../x", "ho st:1", "localhost:1/a:b", "-u", "localhost:1/A"):
        fresh_one("login", "-u", "a", "-p", "b", "--", bad).fails(125, "is not a registry")
    assert not password_file(fresh_one).exists()


def test_logins_of_repositories_and_all_are_kept_apart(fresh_one: Wpod, locked_registry: Registry) -> None:
    host, password = locked_registry.host, locked_registry.options.password
    for where in (f"https://{host}/", f"{host}/team"):
        fresh_one("login", "--tls-verify=false", "-u", "someone", "-p", password, where).ok()
    assert set(kept(fresh_one)) == {host, f"{host}/team"}
    fresh_one("logout", f"{host}/team").ok()
    assert set(kept(fresh_one)) == {host}
    assert fresh_one("logout", "--all").ok().out == "Removed login credentials for all registries\n"
    assert kept(fresh_one) == {}
    fresh_one("logout", "--all").ok()


def test_the_named_password_file_is_the_only_one_used(fresh: Wpod, locked_registry: Registry) -> None:
    place = fresh.scratch / "home" / "passwords"
    place.write_text(json.dumps({"auths": {"other.test": {"auth": "eDp5"}}, "credHelpers": {"h.test": "none"}}))
    fresh.account.own(place)
    log_in(fresh, locked_registry, "--authfile", str(place)).ok()
    found = json.loads(place.read_text())
    assert set(found["auths"]) == {"other.test", locked_registry.host}
    assert found["credHelpers"] == {"h.test": "none"}
    assert not password_file(fresh).exists()
    fresh("login", "--get-login", locked_registry.host).fails(125, "not logged into")
    fresh("login", "--get-login", "--authfile", place, locked_registry.host).ok()
    fresh("logout", "--authfile", place, locked_registry.host).ok()
    assert set(json.loads(place.read_text())["auths"]) == {"other.test"}
    place.write_text("not JSON")
    fresh("login", "--get-login", "--authfile", place, locked_registry.host).fails(125, str(place))
    log_in(fresh, locked_registry, "--authfile", str(place)).fails(125, str(place))
    assert place.read_text() == "not JSON"


def _with_terminal(terminal: int) -> Callable[[], None]:
    def take() -> None:
        os.setsid() if os.getsid(0) != os.getpid() else None
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    return take


def test_the_password_is_asked_without_echo_on_a_terminal(fresh_one: Wpod, locked_registry: Registry) -> None:
    controller, terminal = pty.openpty()
    try:
        process = fresh_one.start(
            "login", "--tls-verify=false", locked_registry.host, stdin=terminal, before_exec=_with_terminal(terminal)
        )
        assert process.stderr is not None
        assert os.read(process.stderr.fileno(), 100) == b"Username: "
        os.write(controller, locked_registry.options.user.encode() + b"\n")
        shown = b""
        while b"Password: " not in shown:
            shown += os.read(controller, 1000)
        os.write(controller, locked_registry.options.password.encode() + b"\n")
        result = fresh_one.finish(process, ("login",)).ok()
        shown += os.read(controller, 1000)
    finally:
        os.close(controller)
        os.close(terminal)
    assert result.out == "Login Succeeded!\n"
    silent(result, locked_registry)
    assert locked_registry.options.password.encode() not in shown
    assert kept(fresh_one) == {locked_registry.host: locked_registry.creds}
