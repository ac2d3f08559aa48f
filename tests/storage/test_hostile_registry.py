"""Registries and networks that lie, stall, break off or fish for passwords."""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import signal
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.storage import fake_registry as fakes
from tests.storage.conftest import noise, small_image, stored_blobs, stored_images
from tests.storage.fake_registry import Action, FakeRegistry
from tests.support import certificates, content
from tests.support.command import Result, Wpod, eventually
from tests.support.content import OCI_INDEX, OCI_MANIFEST, Content
from tests.support.images import File, layer_tar
from wpod.errors import WpodError
from wpod.storage.registry import client, names
from wpod.storage.registry.patience import Patience
from wpod.storage.registry.policy import Endpoint

CREDS = "someone:topsecret"
MANIFEST = r"GET .*/manifests/"
BLOB = r"GET .*/blobs/"
HUGE = 100 << 20


def pull(wpod: Wpod, name: str, *options: str) -> Result:
    return wpod("pull", "--tls-verify=false", *options, name)


def recovers(wpod: Wpod, fake: FakeRegistry, image: Content) -> None:
    """The same pull succeeds once the fault is gone."""
    fake.behave()
    assert pull(wpod, fake.name()).ok().line == image.image_id


def large_image(size: int = 3 << 20) -> tuple[Content, str, bytes]:
    """An image with one layer that isn't got in one read; also the layer's digest and bytes."""
    made = content.image([layer_tar({"noise": File(noise(size))})], compression="none")
    layer = json.loads(made.manifests[made.top][1])["layers"][0]["digest"]
    return made, layer, made.blobs[layer]


# -- answers that are no answer ------------------------------------------------------------------------------------

GOOD = small_image()
_, GOOD_MANIFEST = GOOD.manifests[GOOD.top]
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: " + OCI_MANIFEST.encode() + b"\r\nTransfer-Encoding: chunked\r\n\r\n"

ZEROS = b"10000\r\n" + bytes(1 << 16) + b"\r\n"

WRONG_MANIFESTS: dict[str, tuple[Action, str]] = {
    "an HTML page": (fakes.says(200, b"<html>hello</html>", Content_Type="text/html; charset=utf-8"), "text/html"),
    "HTML that calls itself a manifest": (fakes.says(200, b"<html>", Content_Type=OCI_MANIFEST), "not JSON"),
    "a manifest called text/html": (fakes.says(200, GOOD_MANIFEST, Content_Type="text/html"), "text/html"),
    "a manifest called an index": (fakes.says(200, GOOD_MANIFEST, Content_Type=OCI_INDEX), "announced as"),
    "another digest than stated": (
        fakes.says(200, GOOD_MANIFEST, Content_Type=OCI_MANIFEST, Docker_Content_Digest="sha256:" + "0" * 64),
        "digest",
    ),
    "a compressed manifest": (
        fakes.says(200, gzip.compress(GOOD_MANIFEST), Content_Type=OCI_MANIFEST, Content_Encoding="gzip"),
        "not UTF-8",
    ),
    "nothing": (fakes.says(200, b"", Content_Type=OCI_MANIFEST), "not JSON"),
    "no content": (fakes.says(204), "204"),
    "a redirect to nowhere": (fakes.says(302), "302"),
    "a teapot": (fakes.says(418), "418"),
    "no status line": (fakes.sends(b"HELLO\r\n\r\n"), "HELLO"),
    "noise": (fakes.sends(b"\x00\xff\x1b[2J" * 100), "failed"),
    "a closed connection": (fakes.sends(b""), "failed"),
    "a manifest without end": (fakes.endlessly(CHUNKED, ZEROS), "larger than 4194304"),
    "a manifest of 100 MB": (
        fakes.endlessly(CHUNKED.replace(b"Transfer-Encoding: chunked", b"Content-Length: 104857600"), b"x" * 65536),
        "larger than 4194304",
    ),
    "a chunk of 16 EiB": (fakes.sends(CHUNKED + b"FFFFFFFFFFFFFFFF\r\n{}"), "failed"),
    "a malformed chunk": (fakes.sends(CHUNKED + b"zz\r\n{}\r\n"), "failed"),
    "a header without end": (fakes.endlessly(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 65536), "header"),
    "headers without end": (fakes.endlessly(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), "header"),
    "fewer bytes than announced": (
        fakes.sends(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nContent-Type: application/json\r\n\r\n{}"),
        "failed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG_MANIFESTS)
def test_what_is_no_manifest_is_refused(impatient: Wpod, fake: FakeRegistry, what: str) -> None:
    action, words = WRONG_MANIFESTS[what]
    fake.publish(GOOD)
    fake.on(MANIFEST, action)
    result = pull(impatient, fake.name()).fails(125, fake.host, words)
    assert result.stdout == b""
    assert "\x1b" not in result.err
    assert stored_blobs(impatient) == set()


def test_a_registry_that_was_wrong_is_used_again(impatient: Wpod, fake: FakeRegistry) -> None:
    fake.publish(GOOD)
    for what in ("a manifest called an index", "another digest than stated", "fewer bytes than announced"):
        fake.behave()
        fake.on(MANIFEST, WRONG_MANIFESTS[what][0])
        pull(impatient, fake.name()).exits(125)
    recovers(impatient, fake, GOOD)


def test_silence_is_a_timeout(impatient: Wpod, fake: FakeRegistry) -> None:
    impatient.environment = {"WPOD_REGISTRY_TIMEOUT": "0.2"}
    fake.publish(GOOD)
    fake.on(MANIFEST, fakes.stalls)
    pull(impatient, fake.name()).fails(125, fake.host, "timed out")
    assert len(fake.asked(MANIFEST)) == 5


@pytest.mark.parametrize("what", ["a manifest without end", "a header without end", "headers without end"])
def test_answers_without_end_take_no_memory(impatient: Wpod, fake: FakeRegistry, what: str) -> None:
    """What took more would fail. (The ru_maxrss of a child begins with what the tests themselves have.)"""
    fake.on(MANIFEST, WRONG_MANIFESTS[what][0])

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (200 << 20, 200 << 20))

    impatient("pull", "--tls-verify=false", fake.name(), before_exec=limit).fails(125, WRONG_MANIFESTS[what][1])


def test_a_digest_is_held_to(impatient: Wpod, fake: FakeRegistry) -> None:
    wanted, other = fake.publish(small_image("wanted")), small_image("other")
    fake.on(MANIFEST, fakes.other_manifest(other))
    name = f"{fake.host}/image@{wanted.top}"
    pull(impatient, name).fails(125, wanted.top, other.top)
    assert stored_images(impatient) == []
    fake.behave()
    assert pull(impatient, name).ok().line == wanted.image_id


def test_the_digest_inside_an_index_is_held_to(impatient: Wpod, fake: FakeRegistry) -> None:
    wanted = small_image("wanted")
    fake.publish(content.index_of({"linux/amd64": wanted}))
    fake.on(MANIFEST + "sha256", fakes.other_manifest(small_image("other")))
    pull(impatient, fake.name()).fails(125, wanted.top)
    recovers(impatient, fake, wanted)


def test_what_is_not_there_is_said_in_the_registrys_words_without_its_control_characters(
    impatient: Wpod, fake: FakeRegistry
) -> None:
    words = "no such thing\x1b]0;pwned\x07\r\nerror: fake"
    body = json.dumps({"errors": [{"code": "X", "message": words}]}).encode()
    fake.on(MANIFEST, fakes.says(404, body, Content_Type="application/json"))
    result = pull(impatient, fake.name("gone")).fails(125, "gone:latest", "no such thing", fake.host)
    assert not set(result.err) & {"\x1b", "\x07", "\r"}


@pytest.mark.parametrize(("status", "words"), [(403, "denies access"), (500, "500"), (503, "503"), (429, "too many")])
def test_a_status_is_told(impatient: Wpod, fake: FakeRegistry, status: int, words: str) -> None:
    fake.publish(GOOD)
    fake.on(MANIFEST, fakes.says(status))
    pull(impatient, fake.name()).fails(125, words, fake.host)
    assert len(fake.asked(MANIFEST)) == (1 if status == 403 else 5)
    recovers(impatient, fake, GOOD)


# -- redirects -----------------------------------------------------------------------------------------------------


@pytest.fixture
def attacker() -> Iterator[FakeRegistry]:
    """Another host than the registry, called by its address."""
    with fakes.serve() as served:
        served.host = served.host.replace("localhost", "127.0.0.1")
        yield served


@pytest.fixture
def secure() -> Iterator[FakeRegistry]:
    """A registry with a certificate of the tests' authority."""
    with fakes.serve(certificates.issued()) as served:
        yield served


@pytest.fixture
def trusting(impatient: Wpod, secure: FakeRegistry) -> Wpod:
    """wpod with the tests' authority among the certificates for `secure`."""
    trust(impatient, secure)
    return impatient


def trust(wpod: Wpod, registry: FakeRegistry) -> None:
    place = wpod.scratch / "home" / ".config" / "containers" / "certs.d" / registry.host
    place.mkdir(parents=True)
    (place / "ca.crt").write_bytes(certificates.authority().certificate.read_bytes())


REFUSED_TARGETS = {
    "file": "file:///etc/passwd",
    "ftp": "ftp://localhost/x",
    "a password": "http://user:word@localhost/x",
    "link-local": "http://169.254.169.254/latest/meta-data",
    "link-local as IPv6": "http://[fe80::1%25eth0]/x",
    "link-local in IPv6": "http://[::ffff:169.254.169.254]/x",
}


@pytest.mark.parametrize("what", REFUSED_TARGETS)
@pytest.mark.parametrize("where", [MANIFEST, BLOB])
def test_a_redirect_to_there_is_refused(impatient: Wpod, fake: FakeRegistry, what: str, where: str) -> None:
    fake.publish(GOOD)
    fake.on(where, fakes.redirects(REFUSED_TARGETS[what]))
    pull(impatient, fake.name()).fails(125, "redirects to", "refused", fake.host)
    recovers(impatient, fake, GOOD)


@pytest.mark.parametrize("target", ["http://[::1/x", "http://localhost:port/x", "//localhost:99999/x"])
@pytest.mark.parametrize("where", [MANIFEST, BLOB])
def test_a_redirect_to_no_address_is_refused(impatient: Wpod, fake: FakeRegistry, target: str, where: str) -> None:
    fake.publish(GOOD)
    fake.on(where, fakes.redirects(target))
    pull(impatient, fake.name()).fails(125, "invalid address", fake.host)


def test_the_body_of_a_redirect_is_not_read(impatient: Wpod, fake: FakeRegistry) -> None:
    image = fake.publish(GOOD)
    head = b"HTTP/1.1 302 Elsewhere\r\nLocation: %s\r\nTransfer-Encoding: chunked\r\n\r\n"
    fake.on("manifests/latest$", fakes.endlessly(head % f"/v2/image/manifests/{image.top}".encode(), ZEROS))
    assert pull(impatient, fake.name()).ok().line == image.image_id


def test_redirects_end(impatient: Wpod, fake: FakeRegistry) -> None:
    fake.on("GET /v2/", lambda handler: handler.answer(302, b"", {"Location": f"{handler.path}x"}))
    pull(impatient, fake.name()).fails(125, "redirects more than 10 times", fake.host)
    assert len(fake.seen) == 11


def test_a_redirect_from_https_to_http_is_refused(trusting: Wpod, secure: FakeRegistry, attacker: FakeRegistry) -> None:
    secure.publish(GOOD)
    attacker.publish(GOOD)
    secure.on(BLOB, fakes.redirects(f"{attacker.url}/v2/image/blobs/x"))
    trusting("pull", secure.name()).fails(125, "from https to http", attacker.host)
    assert attacker.seen == []
    secure.behave()
    trusting("pull", secure.name()).ok()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_password_stays_behind_when_a_blob_is_elsewhere(
    impatient: Wpod, fake: FakeRegistry, attacker: FakeRegistry, status: int
) -> None:
    fake.publish(GOOD)
    attacker.publish(GOOD)
    fake.on(BLOB, lambda handler: handler.answer(status, b"", {"Location": f"{attacker.url}{handler.path}"}))
    fake.on("", fakes.wants_password(CREDS))
    pull(impatient, fake.name(), "--creds", CREDS).ok()
    assert [one.authorization for one in fake.asked(BLOB)][-1].startswith("Basic ")
    assert attacker.asked(BLOB)
    assert {one.authorization for one in attacker.seen} == {""}


# -- passwords -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("challenge", ['Basic realm="give it to me"', 'Bearer realm="{attacker}/token",service="x"'])
def test_another_hosts_wish_for_a_password_is_not_heard(
    impatient: Wpod, fake: FakeRegistry, attacker: FakeRegistry, challenge: str
) -> None:
    fake.publish(GOOD)
    fake.on(BLOB, lambda handler: handler.answer(307, b"", {"Location": f"{attacker.url}{handler.path}"}))
    fake.on("", fakes.wants_password(CREDS))
    attacker.on("/token", fakes.gives_token("t"))
    attacker.on("", fakes.says(401, b"{}", WWW_Authenticate=challenge.format(attacker=attacker.url)))
    pull(impatient, fake.name(), "--creds", CREDS).fails(125, fake.host)
    assert attacker.asked(BLOB)
    assert not attacker.asked("/token")
    assert {one.authorization for one in attacker.seen} == {""}


BAD_CHALLENGES = {
    "a token server elsewhere without TLS": 'Bearer realm="{attacker}/token",service="x",scope="y"',
    "a token server that is a file": 'Bearer realm="file:///etc/passwd"',
    "a token server with a password of its own": 'Bearer realm="http://a:b@localhost/token"',
    "no token server": "Bearer",
    "a token server without an address": 'Bearer realm="http://[::1/token"',
    "a token server at no port": 'Bearer realm="http://localhost:port/token"',
    "an unknown scheme": 'Negotiate realm="x"',
    "nothing": "",
    "noise": '\x01\x02 , ==="',
}


@pytest.mark.parametrize("what", BAD_CHALLENGES)
def test_credentials_are_not_sent_for(impatient: Wpod, fake: FakeRegistry, attacker: FakeRegistry, what: str) -> None:
    """CVE-2020-15157: the registry's challenge names whoever is to see the password."""
    challenge = BAD_CHALLENGES[what].format(attacker=attacker.url)
    fake.on("", fakes.says(401, b"{}", WWW_Authenticate=challenge))
    result = pull(impatient, fake.name(), "--creds", CREDS).fails(125, fake.host)
    assert attacker.seen == []
    assert {one.authorization for one in fake.seen} == {""}
    assert "topsecret" not in result.err


def test_a_secure_registry_may_not_name_a_token_server_without_tls(trusting: Wpod, secure: FakeRegistry) -> None:
    with fakes.serve() as other:
        secure.on("", fakes.says(401, b"{}", WWW_Authenticate=f'Bearer realm="{other.url}/token"'))
        trusting("pull", "--creds", CREDS, secure.name()).fails(125, "token server without TLS", other.host)
        assert other.seen == []


def test_a_token_is_asked_for_once_and_used(impatient: Wpod, fake: FakeRegistry) -> None:
    image = fake.publish(GOOD)
    fake.on("/token", fakes.gives_token("abc"))
    fake.on(
        "", fakes.wants_password("abc", f'Bearer realm="{fake.url}/token",service="s",scope="repository:image:pull"')
    )
    assert pull(impatient, fake.name(), "--creds", CREDS).ok().line == image.image_id
    (asked,) = fake.asked("/token")
    assert "scope=repository%3Aimage%3Apull" in asked.line
    assert asked.authorization.startswith("Basic ")
    assert {one.authorization for one in fake.asked(BLOB)} == {"Bearer abc"}


BAD_TOKENS: dict[str, tuple[Action, str]] = {
    "an HTML page": (fakes.says(200, b"<html>"), "not JSON"),
    "a token with a line break": (fakes.gives_token("a\r\nX-Evil: 1"), "no token"),
    "no token": (fakes.says(200, b"{}"), "no token"),
    "a token that is a number": (fakes.says(200, b'{"token": 1}'), "wrong type"),
    "a token of 4 MB": (fakes.gives_token("x" * (4 << 20)), "larger than"),
    "a redirect": (fakes.redirects("http://127.0.0.1:1/"), "307"),
    "a refusal": (fakes.says(401), "refused the user or the password"),
}


@pytest.mark.parametrize("what", BAD_TOKENS)
def test_what_is_no_token_is_refused(impatient: Wpod, fake: FakeRegistry, what: str) -> None:
    action, words = BAD_TOKENS[what]
    fake.on("/token", action)
    fake.on("", fakes.wants_password("abc", f'Bearer realm="{fake.url}/token"'))
    result = pull(impatient, fake.name(), "--creds", CREDS).fails(125, words, fake.host)
    assert "topsecret" not in result.err


# -- broken transfers ----------------------------------------------------------------------------------------------


def test_a_transfer_that_was_reset_goes_on_where_it_was(impatient: Wpod, fake: FakeRegistry) -> None:
    image, layer, data = large_image()
    fake.publish(image)
    most = len(data) * 99 // 100
    fake.on(f"GET .*{layer}", fakes.breaks_off(data, most, fakes.Handler.reset), times=1)
    assert pull(impatient, fake.name()).ok().line == image.image_id
    first, second = fake.asked(f"GET .*{layer}")
    assert "range" not in first.headers
    start = int(re.fullmatch(r"bytes=(\d+)-", second.headers["range"])[1])  # type: ignore[index]
    assert 0 < start <= most


def test_a_stalled_transfer_is_resumed(impatient: Wpod, fake: FakeRegistry) -> None:
    image, layer, data = large_image()
    fake.publish(image)
    fake.on(f"GET .*{layer}", fakes.breaks_off(data, 1 << 20, fakes.stalls), times=1)
    assert pull(impatient, fake.name()).ok().line == image.image_id
    assert fake.asked(f"GET .*{layer}")[1].headers["range"] == f"bytes={1 << 20}-"


def test_a_second_pull_goes_on_where_the_first_failed(impatient: Wpod, fake: FakeRegistry) -> None:
    image, layer, data = large_image()
    fake.publish(image)
    fake.on(f"GET .*{layer}", fakes.breaks_off(data, 1 << 20, fakes.Handler.reset), times=1)
    fake.on(f"GET .*{layer}", fakes.Handler.reset)
    pull(impatient, fake.name()).fails(125, layer, fake.host, "failed")
    before = len(fake.asked(f"GET .*{layer}"))
    assert before == 6  # the one that broke off, and five that were not answered
    impatient("system", "check").ok()
    recovers(impatient, fake, image)
    (last,) = fake.asked(f"GET .*{layer}")[before:]
    assert last.headers["range"].startswith("bytes=")


def test_what_an_earlier_pull_left_wrong_is_fetched_anew(impatient: Wpod, fake: FakeRegistry) -> None:
    image, layer, _ = large_image()
    fake.publish(image)
    rubbish = impatient.store / "tmp" / f"partial-{layer.removeprefix('sha256:')}"
    rubbish.parent.mkdir(parents=True)
    rubbish.write_bytes(bytes(1000))
    assert pull(impatient, fake.name()).ok().line == image.image_id
    assert [one.headers.get("range") for one in fake.asked(f"GET .*{layer}")] == ["bytes=1000-", None]


def test_a_trickle_is_given_up(impatient: Wpod, fake: FakeRegistry) -> None:
    """No single read of it ever times out."""
    impatient.environment = {"WPOD_REGISTRY_TIMEOUT": "0.2"}
    fake.publish(GOOD)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nContent-Type: application/json\r\n\r\n"
    fake.on(MANIFEST, fakes.endlessly(head, b" ", 0.05))
    pull(impatient, fake.name()).fails(125, "too slowly", fake.host)
    fake.behave()
    fake.on(BLOB, fakes.endlessly(head.replace(b"100000", str(len(GOOD_MANIFEST)).encode()), b"x", 0.05))
    pull(impatient, fake.name()).fails(125)
    impatient.environment = {}
    recovers(impatient, fake, GOOD)


RESUMED_WRONGLY: dict[str, Callable[[bytes], Action]] = {
    "another range": lambda data: fakes.says(206, data, Content_Range=f"bytes 0-{len(data) - 1}/{len(data)}"),
    "no range": lambda data: fakes.says(206, data),
    "not satisfiable": lambda _: fakes.says(416),
    "all of it again": lambda data: fakes.says(200, data),
}


@pytest.mark.parametrize("what", RESUMED_WRONGLY)
def test_an_answer_for_another_range_does_no_harm(impatient: Wpod, fake: FakeRegistry, what: str) -> None:
    image, layer, data = large_image(1 << 20)
    fake.publish(image)
    fake.on(f"GET .*{layer}", fakes.breaks_off(data, 1 << 19, fakes.Handler.reset), times=1)
    fake.on(f"GET .*{layer}", RESUMED_WRONGLY[what](data), times=1)
    assert pull(impatient, fake.name()).ok().line == image.image_id


def test_a_server_that_makes_it_start_anew_forever_is_given_up(impatient: Wpod, fake: FakeRegistry) -> None:
    """Each answer begins at 0 and breaks off, now earlier, now later.

    By an orderly end: of what a reset follows the client's kernel throws away an amount that depends on its load.
    """
    image, layer, data = large_image(2 << 20)
    fake.publish(image)
    lengths = iter([*[1 << 20, 1 << 19] * 50])

    def starts_anew(handler: fakes.Handler) -> None:
        handler.raw(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data[: next(lengths)])
        handler.close()

    fake.on(f"GET .*{layer}", starts_anew)
    pull(impatient, fake.name()).fails(125, layer)
    assert len(fake.asked(f"GET .*{layer}")) == 5
    recovers(impatient, fake, image)


WRONG_LENGTHS: dict[str, Callable[[bytes], bytes]] = {
    "smaller": lambda data: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(data) // 2) + data,
    "none": lambda data: b"HTTP/1.1 200 OK\r\n\r\n" + data + b"more",
    "two": lambda data: b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: %d\r\n\r\n" % len(data) + data,
    "negative": lambda data: b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n" + data + b"more",
    "no number": lambda data: b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n" + data + b"more",
}


def test_more_bytes_announced_than_sent_is_no_harm(impatient: Wpod, fake: FakeRegistry) -> None:
    """The digest has the last word."""
    image = fake.publish(GOOD)
    data = image.blobs[image.config_digest]
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(data) + 1000)
    fake.on(f"GET .*{image.config_digest}", fakes.sends(head + data))
    assert pull(impatient, fake.name()).ok().line == image.image_id


@pytest.mark.parametrize("what", WRONG_LENGTHS)
def test_a_wrong_content_length_is_an_error(impatient: Wpod, fake: FakeRegistry, what: str) -> None:
    image = fake.publish(GOOD)
    config = image.config_digest
    fake.on(f"GET .*{config}", fakes.sends(WRONG_LENGTHS[what](image.blobs[config])))
    pull(impatient, fake.name()).fails(125, config)
    assert stored_images(impatient) == []
    recovers(impatient, fake, image)


@pytest.mark.parametrize("where", [MANIFEST, BLOB])
def test_three_failures_are_forgiven(impatient: Wpod, fake: FakeRegistry, where: str) -> None:
    image = fake.publish(GOOD)
    fake.on(where, fakes.says(503), times=3)
    assert pull(impatient, fake.name()).ok().line == image.image_id


def test_retry_after_is_obeyed(impatient: Wpod, fake: FakeRegistry) -> None:
    image = fake.publish(GOOD)
    fake.on(MANIFEST, fakes.says(429, Retry_After="1"), times=1)
    assert pull(impatient, fake.name()).ok().line == image.image_id
    first, second = fake.asked(MANIFEST)
    assert second.at_seconds - first.at_seconds >= 1


def test_no_pause_is_longer_than_a_minute() -> None:
    patience = Patience()
    pauses = [patience.pause_seconds(4, text) for text in ("99999999999999999999", "3600", "٣", "-5", "soon", "")]
    assert pauses == [60, 60, 4, 4, 4, 4]


@pytest.mark.parametrize("text", ["0", "-1", "1e9", "nan", "soon"])
def test_a_timeout_that_makes_no_sense_is_refused(impatient: Wpod, text: str) -> None:
    impatient.environment = {"WPOD_REGISTRY_TIMEOUT": text}
    pull(impatient, "localhost:1/x").fails(125, "WPOD_REGISTRY_TIMEOUT", text)


# -- lists of tags -------------------------------------------------------------------------------------------------

MANY_TAGS = json.dumps({"tags": [f"t{number}" for number in range(200_000)]}).encode()


def another_page(handler: fakes.Handler) -> None:
    following = f"{handler.path.partition('?')[0]}?x={len(handler.registry.seen)}"
    handler.answer(200, b'{"tags":["a"]}', {"Link": f'<{following}>; rel="next"'})


def page(following: str) -> Action:
    return fakes.says(200, b'{"tags":["a"]}', Link=f'<{following}>; rel="next"')


TAG_LISTS: dict[str, tuple[Action, str]] = {
    "a page that follows itself": (page("/v2/image/tags/list?n=1000"), "without end"),
    "pages without end": (another_page, "without end"),
    "a list without end": (fakes.endlessly(CHUNKED, ZEROS), "larger than"),
    "more tags than anybody has": (fakes.says(200, MANY_TAGS), "100000"),
    "another host": (page("http://127.0.0.1:1/v2/"), "another host"),
    "a file": (page("file:///etc/passwd"), "another host"),
    "no address": (page("http://[::1/x"), "invalid address"),
    "numbers": (fakes.says(200, b'{"tags":[1]}'), "strings"),
}


@pytest.mark.parametrize("what", TAG_LISTS)
def test_a_list_of_tags_ends(fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(client, "MAX_TAG_PAGES", 20)
    action, words = TAG_LISTS[what]
    fake.on("tags/list", action)
    endpoint = Endpoint(names.parse(fake.name()), insecure=True)
    with pytest.raises(WpodError, match=words) as caught:
        client.RegistryClient(endpoint, client.Connection()).tags()
    assert len(fake.asked("tags/list")) <= 20
    assert "\n" not in caught.value.message


# -- TLS -----------------------------------------------------------------------------------------------------------

UNTRUSTED = {
    "self-signed": (certificates.self_signed, "self-signed"),
    "expired": (lambda: certificates.issued(expired=True), "expired"),
    "for another host": (lambda: certificates.issued("other.test"), "localhost"),
}


@pytest.mark.parametrize("what", UNTRUSTED)
def test_a_certificate_that_proves_nothing_is_refused(impatient: Wpod, what: str) -> None:
    make, words = UNTRUSTED[what]
    with fakes.serve(make()) as served:
        image = served.publish(GOOD)
        trust(impatient, served)
        result = impatient("pull", "--creds", CREDS, served.name()).fails(125, "certificate is not trusted", words)
        assert "hint:" in result.err
        assert served.seen == []
        assert pull(impatient, served.name()).ok().line == image.image_id


def test_an_unknown_authority_is_refused(impatient: Wpod, secure: FakeRegistry) -> None:
    image = secure.publish(GOOD)
    impatient("pull", secure.name()).fails(125, "certificate is not trusted", secure.host)
    trust(impatient, secure)
    assert impatient("pull", secure.name()).ok().line == image.image_id


def test_a_registry_without_tls_needs_the_option(impatient: Wpod, fake: FakeRegistry) -> None:
    fake.publish(GOOD)
    impatient("pull", fake.name()).fails(125, "does not speak TLS", "--tls-verify=false")
    assert fake.seen == []


# -- networks ------------------------------------------------------------------------------------------------------


def test_a_proxy_that_is_dead_is_named(impatient: Wpod, fake: FakeRegistry) -> None:
    image = fake.publish(GOOD)
    with socket.socket() as bound:  # bound and not listening: connections are refused
        bound.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{bound.getsockname()[1]}"
        impatient.environment = {**impatient.environment, "HTTP_PROXY": dead, "HTTPS_PROXY": dead}
        pull(impatient, fake.name()).fails(125, "proxy", fake.host)
        impatient.environment = {**impatient.environment, "NO_PROXY": "localhost"}
        assert pull(impatient, fake.name()).ok().line == image.image_id


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("localhost:1", "connection refused"),
        ("nowhere.invalid:5000", "host name is not known"),
        ("[2001:db8::1]:5000", "2001:db8::1"),
    ],
)
def test_a_registry_that_cannot_be_reached(impatient: Wpod, host: str, words: str) -> None:
    pull(impatient, f"{host}/image").fails(125, words, host)


# -- interruptions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", [MANIFEST, BLOB])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_pull_ends_at_once(
    fresh_one: Wpod, fake: FakeRegistry, where: str, number: signal.Signals, status: int
) -> None:
    """With the usual patience: nothing waits for the server that says nothing."""
    image, layer, data = large_image(1 << 20)
    fake.publish(image)
    pattern = where if where == MANIFEST else f"GET .*{layer}"
    fake.on(pattern, fakes.stalls if where == MANIFEST else fakes.breaks_off(data, 1000, fakes.stalls))
    process = fresh_one.start("pull", "--tls-verify=false", fake.name())
    eventually(lambda: fake.asked(pattern))
    os.kill(process.pid, number)
    result = fresh_one.finish(process, patience_seconds=5).exits(status)
    assert result.stdout == b""
    assert "error:" not in result.err
    assert stored_images(fresh_one) == []
    recovers(fresh_one, fake, image)
