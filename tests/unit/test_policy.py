"""registries.conf: search list, aliases, mirrors, insecure and blocked registries (wpod.storage.registry.policy)."""

from __future__ import annotations

from pathlib import Path

import pytest

from wpod.errors import RegistryError, UsageError
from wpod.storage.registry import names, policy
from wpod.storage.registry.policy import Policy

DIGEST = f"sha256:{'a' * 64}"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own configuration is out of sight."""
    monkeypatch.delenv("CONTAINERS_REGISTRIES_CONF", raising=False)
    monkeypatch.setattr(
        policy.paths,
        "containers_configuration",
        lambda name: [str(tmp_path / place / name) for place in ("user", "etc", "usr")],
    )


def configure(tmp_path: Path, text: str, name: str = "user/registries.conf") -> Policy:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return policy.load()


def candidates(found: Policy, text: str) -> list[str]:
    return [str(reference) for reference in found.candidates(text)]


def endpoints(found: Policy, text: str, tls_verify: bool | None = None) -> list[tuple[str, bool]]:
    return [(str(one.reference), one.insecure) for one in found.endpoints(names.parse(text), tls_verify)]


def test_without_any_file_a_name_needs_its_registry() -> None:
    found = policy.load()
    assert candidates(found, "host.test/app") == ["host.test/app:latest"]
    with pytest.raises(UsageError, match='short-name "app"') as error:
        found.candidates("app")
    assert error.value.hint is not None
    assert endpoints(found, "host.test/app") == [("host.test/app:latest", False)]


def test_short_names_are_searched_in_order(tmp_path: Path) -> None:
    found = configure(tmp_path, 'unqualified-search-registries = ["one.test", "two.test:5000"]')
    assert candidates(found, "team/app:v1") == ["one.test/team/app:v1", "two.test:5000/team/app:v1"]
    assert candidates(found, f"app@{DIGEST}") == [f"one.test/app@{DIGEST}", f"two.test:5000/app@{DIGEST}"]
    assert candidates(found, "host.test/app") == ["host.test/app:latest"]


def test_an_alias_wins_over_the_search(tmp_path: Path) -> None:
    found = configure(
        tmp_path, 'unqualified-search-registries = ["one.test"]\n[aliases]\n"app" = "real.test/x/y"\n"off" = ""\n'
    )
    assert candidates(found, "app:v2") == ["real.test/x/y:v2"]
    assert candidates(found, f"app@{DIGEST}") == [f"real.test/x/y@{DIGEST}"]
    assert candidates(found, "team/app") == ["one.test/team/app:latest"]
    assert candidates(found, "off") == ["one.test/off:latest"]


REGISTRIES = """
[[registry]]
location = "plain.test"
insecure = true

[[registry]]
prefix = "moved.test/old"
location = "new.test/deep/er"

[[registry]]
location = "mirrored.test"
[[registry.mirror]]
location = "mirror.test:5000/cache"
insecure = true
[[registry.mirror]]
location = "second.test"

[[registry]]
prefix = "mirrored.test/private"
location = "mirrored.test/private"

[[registry]]
location = "bad.test"
blocked = true
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain.test/app", [("plain.test/app:latest", True)]),
        ("plain.test:5000/app", [("plain.test:5000/app:latest", False)]),
        ("xplain.test/app", [("xplain.test/app:latest", False)]),
        ("moved.test/old/app:v1", [("new.test/deep/er/app:v1", False)]),
        ("moved.test/older/app", [("moved.test/older/app:latest", False)]),
        ("mirrored.test/a/b", [
            ("mirror.test:5000/cache/a/b:latest", True), ("second.test/a/b:latest", False),
            ("mirrored.test/a/b:latest", False),
        ]),
        ("mirrored.test/private/x", [("mirrored.test/private/x:latest", False)]),
        (f"mirrored.test/a@{DIGEST}", [
            (f"mirror.test:5000/cache/a@{DIGEST}", True), (f"second.test/a@{DIGEST}", False),
            (f"mirrored.test/a@{DIGEST}", False),
        ]),
    ],
)  # fmt: skip
def test_where_a_name_is_asked_for(text: str, expected: list[tuple[str, bool]], tmp_path: Path) -> None:
    assert endpoints(configure(tmp_path, REGISTRIES), text) == expected


def test_the_command_line_overrules_insecure_for_all(tmp_path: Path) -> None:
    found = configure(tmp_path, REGISTRIES)
    assert [insecure for _, insecure in endpoints(found, "mirrored.test/a", tls_verify=True)] == [False] * 3
    assert [insecure for _, insecure in endpoints(found, "mirrored.test/a", tls_verify=False)] == [True] * 3
    assert endpoints(found, "plain.test/a", tls_verify=True) == [("plain.test/a:latest", False)]
    assert endpoints(found, "other.test/a", tls_verify=False) == [("other.test/a:latest", True)]


def test_a_blocked_registry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"bad\.test is blocked"):
        endpoints(configure(tmp_path, REGISTRIES), "bad.test/app")


def test_the_first_file_counts_and_the_directories_add(tmp_path: Path) -> None:
    configure(tmp_path, 'unqualified-search-registries = ["usr.test"]', "usr/registries.conf")
    found = configure(tmp_path, 'unqualified-search-registries = ["etc.test"]', "etc/registries.conf")
    assert candidates(found, "app") == ["etc.test/app:latest"]
    configure(tmp_path, "[aliases]\na = 'etc.test/a'\nb = 'etc.test/b'", "etc/registries.conf.d/10.conf")
    configure(tmp_path, "[aliases]\na = 'later.test/a'", "etc/registries.conf.d/20.conf")
    configure(tmp_path, "[aliases]\nb = 'user.test/b'", "user/registries.conf.d/00.conf")
    configure(tmp_path, "broken", "etc/registries.conf.d/readme.txt")
    found = policy.load()
    assert candidates(found, "a") == ["later.test/a:latest"]
    assert candidates(found, "b") == ["user.test/b:latest"]
    assert candidates(found, "c") == ["etc.test/c:latest"]


def test_a_later_entry_of_one_prefix_replaces_the_earlier(tmp_path: Path) -> None:
    configure(tmp_path, REGISTRIES)
    found = configure(tmp_path, '[[registry]]\nlocation = "plain.test"\n', "user/registries.conf.d/x.conf")
    assert endpoints(found, "plain.test/app") == [("plain.test/app:latest", False)]


BROKEN = {
    "no TOML": "this is not = = toml",
    "a wrong byte": "a = '\udcff'",
    "version 1": "[registries.search]\nregistries = ['one.test']",
    "a text for a list": 'unqualified-search-registries = "one.test"',
    "a number in the list": "unqualified-search-registries = [[]]",
    "a list for aliases": "aliases = []",
    "a table for registries": "[registry]\nlocation = 'x.test'",
    "a number for a mirror": "[[registry]]\nlocation = 'x.test'\nmirror = 5",
    "texts for mirrors": "[[registry]]\nlocation = 'x.test'\nmirror = ['m.test']",
    "a mirror without a place": "[[registry]]\nlocation = 'x.test'\n[[registry.mirror]]\ninsecure = true",
    "a registry without a place": "[[registry]]\ninsecure = true",
    "a place that is none": "[[registry]]\nprefix = 'x.test'\nlocation = '../../etc'",
    "a search registry that is none": "unqualified-search-registries = ['-x/../y']",
    "a text for insecure": "[[registry]]\nlocation = 'x.test'\ninsecure = 'false'",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_what_makes_no_sense_is_one_error_that_names_the_file(text: str, tmp_path: Path) -> None:
    path = tmp_path / "user" / "registries.conf"
    path.parent.mkdir()
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises((UsageError, RegistryError)) as error:
        found = policy.load()
        found.endpoints(found.candidates("x.test/app")[0], None)
        found.candidates("app")
    assert "\n" not in error.value.message
    assert str(path) in error.value.message


def test_a_wildcard_prefix_is_podman_s(tmp_path: Path) -> None:
    found = configure(tmp_path, "[[registry]]\nprefix = '*.corp.test'\nblocked = true\n")
    with pytest.raises(RegistryError, match="blocked"):
        endpoints(found, "any.corp.test/app")
    assert endpoints(found, "corp.test/app") == [("corp.test/app:latest", False)]
