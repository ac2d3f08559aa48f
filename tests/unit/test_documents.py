"""Digests, names of raw modules, dates of images (wpod.storage.digests, .image_record, .documents).

Documents that break their specification are in tests/storage/test_hostile_documents.py.
"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from wpod.errors import InvalidImage
from wpod.model.image import Descriptor
from wpod.storage import digests, documents
from wpod.storage.image_record import module_name

GOOD = f"sha256:{'0123456789abcdef' * 4}"


@pytest.mark.parametrize(
    "digest",
    [
        "", "sha256:", GOOD[:-1], GOOD + "0", GOOD.upper(), GOOD.replace("0", "O"), "sha256:../../x", "md5:" + "0" * 32,
        "sha512:" + "0" * 128, GOOD + "\n", " " + GOOD, "sha256:" + "０" * 64, None, 5, b"sha256:", [GOOD], "0" * 64,
    ],
)  # fmt: skip
def test_what_is_no_digest_never_becomes_a_path(digest: Any) -> None:
    for use in (digests.check_digest, digests.hex_of):
        with pytest.raises(InvalidImage, match="not sha256") as error:
            use(digest)
        assert len(error.value.message) < 200
    if isinstance(digest, str):
        assert not digests.is_digest(digest)


def test_digests() -> None:
    assert digests.check_digest(GOOD) == GOOD
    assert digests.hex_of(GOOD) == GOOD.removeprefix("sha256:")
    assert digests.digest_of(b"x") == f"sha256:{hashlib.sha256(b'x').hexdigest()}"


def test_the_chain_id_as_the_specification_makes_it() -> None:
    a, b, c = (f"sha256:{letter * 64}" for letter in "abc")
    two = digests.digest_of(f"{a} {b}".encode())
    assert digests.chain_id(()) == ""
    assert digests.chain_id((a,)) == a
    assert digests.chain_id((a, b)) == two
    assert digests.chain_id((a, b, c)) == digests.digest_of(f"{two} {c}".encode())
    assert digests.chain_id((b, a)) != two


@pytest.mark.parametrize(
    ("title", "entrypoint", "name"),
    [
        ("app.wasm", "", "app.wasm"), ("", "", "main.wasm"), ("", "/bin/app.wasm", "app.wasm"),
        ("t.wasm", "/e.wasm", "t.wasm"),
        ("dir/app.wasm", "", "app.wasm"), ("../../etc/passwd", "", "passwd"), ("/", "", "main.wasm"), ("..", "x", "x"),
        (".hidden", "", "hidden"), ("-rf", "", "rf"), ("a b\n.wasm", "", "a_b_.wasm"), ("ü.wasm", "", "_.wasm"),
        ("\0", "", "_"),
        ("x" * 300, "", "x" * 100), ("...", "...", "main.wasm"),
    ],
)  # fmt: skip
def test_a_raw_module_s_name_is_never_a_path(title: str, entrypoint: str, name: str) -> None:
    layer = Descriptor("application/wasm", GOOD, 1, {documents.TITLE: title} if title else {})
    assert module_name(layer, entrypoint) == name


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:01Z", 10**9), ("2023-11-14T22:13:20Z", 1_700_000_000 * 10**9),
        ("2023-11-14T23:13:20.000000001+01:00", 1_700_000_000 * 10**9 + 1),
        ("2023-11-14T22:13:20", 1_700_000_000 * 10**9),
        ("2023-11-14T22:13:20.123456789123Z", 1_700_000_000_123_456_789), ("0001-01-01T00:00:00Z", 0), ("", 0),
        ("yesterday", 0),
        ("9999-12-31T23:59:59Z", 0), ("1969-12-31T23:59:59Z", 0), ("2023-13-45T99:99:99Z", 0), ("9" * 10_000, 0),
    ],
)  # fmt: skip
def test_no_date_keeps_an_image_out(text: str, nanoseconds: int) -> None:
    assert documents.nanoseconds(text) == nanoseconds
