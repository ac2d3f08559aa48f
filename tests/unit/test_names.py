"""Image references: their parts, what is stored and what is asked for (wpod.storage.registry.names).

The grammar, and names from strangers, are in tests/storage/test_hostile_documents.py.
"""

from __future__ import annotations

import pytest

from wpod.errors import UsageError
from wpod.storage.registry import names
from wpod.storage.registry.names import Reference

DIGEST = f"sha256:{'a' * 64}"

PARTS = {
    # text: registry, repository, tag, digest
    "app": ("", "app", "latest", ""),
    "app:v1": ("", "app", "v1", ""),
    "team/app": ("", "team/app", "latest", ""),
    "localhost/app": ("localhost", "app", "latest", ""),
    "localhost:5000/app": ("localhost:5000", "app", "latest", ""),
    "host.test/app": ("host.test", "app", "latest", ""),
    "host.test:5000/a/b/c:v1.2-x_y": ("host.test:5000", "a/b/c", "v1.2-x_y", ""),
    "HOST/app": ("HOST", "app", "latest", ""),
    "[::1]:5000/app": ("[::1]:5000", "app", "latest", ""),
    "127.0.0.1:5000/app": ("127.0.0.1:5000", "app", "latest", ""),
    f"app@{DIGEST}": ("", "app", "", DIGEST),
    f"host.test/app:v1@{DIGEST}": ("host.test", "app", "v1", DIGEST),
    "docker://host.test/app": ("host.test", "app", "latest", ""),
    "a.b/c": ("a.b", "c", "latest", ""),
    "a__b/c-d--e.f_g": ("", "a__b/c-d--e.f_g", "latest", ""),
    "app:" + "t" * 128: ("", "app", "t" * 128, ""),
}


@pytest.mark.parametrize(("text", "parts"), PARTS.items())
def test_the_parts(text: str, parts: tuple[str, str, str, str]) -> None:
    reference = names.parse(text)
    assert (reference.registry, reference.repository, reference.tag, reference.digest) == parts
    assert names.parse(str(reference)) == reference


@pytest.mark.parametrize(
    ("text", "stored", "remote", "shown"),
    [
        ("host.test/app", "host.test/app:latest", "latest", "host.test/app:latest"),
        (f"host.test/app@{DIGEST}", f"host.test/app@{DIGEST}", DIGEST, f"host.test/app@{DIGEST}"),
        (f"host.test/app:v1@{DIGEST}", f"host.test/app@{DIGEST}", DIGEST, f"host.test/app:v1@{DIGEST}"),
        ("app:v1", "app:v1", "v1", "app:v1"),
    ],
)
def test_what_is_stored_and_what_is_asked_for(text: str, stored: str, remote: str, shown: str) -> None:
    reference = names.parse(text)
    assert (reference.stored, reference.remote, str(reference)) == (stored, remote, shown)


def test_names_that_are_given_here_are_of_localhost() -> None:
    assert names.local("app") == Reference("localhost", "app", "latest")
    assert names.local("team/app:v1").stored == "localhost/team/app:v1"
    assert names.local("host.test/app").stored == "host.test/app:latest"
    with pytest.raises(UsageError, match="digest"):
        names.local(f"app@{DIGEST}")


def test_a_host_alone_is_a_short_name() -> None:
    assert names.parse("host.test") == Reference("", "host.test", "latest")
