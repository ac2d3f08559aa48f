"""Passwords for registries: files, their order, helpers, and that no secret gets out (wpod.storage.registry.auth)."""

from __future__ import annotations

import base64
import json
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wpod.errors import RegistryError, UsageError
from wpod.storage.registry import auth
from wpod.storage.registry.auth import Credentials

SECRET = "s3cret-pässword:with:colons"
HOST = "registry.test:5000"


def encoded(user: str = "user", password: str = SECRET) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def entry(user: str) -> dict[str, str]:
    return {"auth": encoded(user)}


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No file of the machine is looked at."""
    for name in ("REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    return tmp_path


@pytest.fixture
def file(tmp_path: Path) -> Callable[[Any], str]:
    def write(document: Any) -> str:
        path = tmp_path / "auth.json"
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return str(path)

    return write


def user_of(found: Credentials | None) -> str | None:
    return found.user if found is not None else None


# --- which entry --------------------------------------------------------------------------------------------------

AUTHS = {
    HOST: entry("host"), f"{HOST}/team": entry("team"), f"{HOST}/team/app": entry("app"), "other.test": entry("other"),
    "https://old.test/v1/": entry("docker-v1"), "https://plain.test": entry("https"), "empty.test": {},
    "null.test": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("registry", "repository", "user"),
    [
        (HOST, "", "host"), (HOST, "x", "host"), (HOST, "team", "team"), (HOST, "team/x", "team"),
        (HOST, "team/app", "app"),
        (HOST, "team/app/deep", "app"), (HOST, "teamx", "host"), ("other.test", "a/b", "other"),
        ("old.test", "a", "docker-v1"),
        ("plain.test", "a", "https"), ("empty.test", "a", None), ("null.test", "a", None), ("registry.test", "a", None),
        ("nothing.test", "a", None), ("", "", None),
    ],
)  # fmt: skip
def test_the_most_specific_entry(registry: str, repository: str, user: str | None, file: Callable[[Any], str]) -> None:
    assert user_of(auth.find(registry, repository, file({"auths": AUTHS}))) == user


def test_the_files_in_podman_s_order(places: Path) -> None:
    names = ["run/containers/auth.json", "home/.config/containers/auth.json", "home/.docker/config.json"]
    for number in reversed(range(3)):
        path = places / names[number]
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"auths": {HOST: entry(f"file-{number}")}}))
        assert user_of(auth.find(HOST)) == f"file-{number}"
    (places / names[0]).write_text(json.dumps({"auths": {"other": entry("x")}}))
    assert user_of(auth.find(HOST)) == "file-1"
    (places / names[0]).write_text("")
    assert user_of(auth.find(HOST)) == "file-1"


def test_a_named_file_is_the_only_one(places: Path, file: Callable[[Any], str]) -> None:
    (places / "home/.docker").mkdir(parents=True)
    (places / "home/.docker/config.json").write_text(json.dumps({"auths": {HOST: entry("docker")}}))
    assert auth.find(HOST, "", file({"auths": {}})) is None
    with pytest.raises(UsageError, match="is not there"):
        auth.find(HOST, "", str(places / "nothing"))


def test_colons_umlauts_and_tokens(file: Callable[[Any], str]) -> None:
    found = auth.find(HOST, "", file({"auths": {HOST: entry("user")}}))
    assert found == Credentials("user", SECRET)
    assert base64.b64decode(found.basic.removeprefix("Basic ")).decode() == f"user:{SECRET}"
    token = auth.find(HOST, "", file({"auths": {HOST: {"identitytoken": "t0ken"}}}))
    assert token is not None
    assert token.identity_token == "t0ken"


# --- files that make no sense -------------------------------------------------------------------------------------

BROKEN: list[Any] = [
    "{", "[]", "null", "5", '"x"', "\x00", "[" * 100_000, {"auths": []}, {"auths": None}, {"credHelpers": []},
    {"auths": {HOST: {"auth": "!!!"}}}, {"auths": {HOST: {"auth": base64.b64encode(b"no colon").decode()}}},
    {"auths": {HOST: {"auth": base64.b64encode(b"\xff\xfe:\xff").decode()}}}, {"auths": {HOST: {"auth": 5}}},
]  # fmt: skip


@pytest.mark.parametrize("document", BROKEN)
def test_a_broken_file_is_named_and_its_content_not_shown(document: Any, file: Callable[[Any], str]) -> None:
    path = file(document)
    with pytest.raises(UsageError) as error:
        auth.find(HOST, "", path)
    assert path in error.value.message
    assert "\n" not in error.value.message
    assert len(error.value.message) < len(path) + 200


def test_a_directory_or_an_endless_file(places: Path) -> None:
    for path in (str(places), "/dev/zero"):
        with pytest.raises(UsageError, match=path):
            auth.find(HOST, "", path)


# --- helpers ------------------------------------------------------------------------------------------------------


@pytest.fixture
def helper(places: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Installs docker-credential-test; its words on the command line and its stdin are kept in a file."""
    seen = places / "seen"

    def install(script: str) -> Path:
        program = places / "bin" / "docker-credential-test"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "$@" > {seen}\ncat >> {seen}\n{script}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        return seen

    return install


HELPED = {"credHelpers": {HOST: "test"}, "auths": {}}


def test_a_helper_is_asked_on_its_stdin(helper: Callable[[str], Path], file: Callable[[Any], str]) -> None:
    seen = helper(f"""echo '{json.dumps({"Username": "u", "Secret": SECRET})}'""")
    assert auth.find(HOST, "team/app", file(HELPED)) == Credentials("u", SECRET)
    assert seen.read_text() == f"get\n{HOST}"
    assert auth.find("other.test", "", file(HELPED)) is None


def test_a_helper_may_have_a_token(helper: Callable[[str], Path], file: Callable[[Any], str]) -> None:
    helper("""echo '{"Username": "<token>", "Secret": "t0ken"}'""")
    found = auth.find(HOST, "", file(HELPED))
    assert found == Credentials("", "", "t0ken")


def test_the_helper_for_all_is_asked_for_what_was_logged_in_to(
    helper: Callable[[str], Path], file: Callable[[Any], str]
) -> None:
    helper("""echo '{"Username": "u", "Secret": "x"}'""")
    assert user_of(auth.find(HOST, "", file({"credsStore": "test", "auths": {HOST: {}}}))) == "u"
    assert auth.find(HOST, "", file({"credsStore": "test", "auths": {}})) is None


def test_a_helper_that_knows_nothing(helper: Callable[[str], Path], file: Callable[[Any], str]) -> None:
    helper("echo credentials not found in native keychain; exit 1")
    assert auth.find(HOST, "", file(HELPED)) is None


@pytest.mark.parametrize(
    "script",
    [
        f"echo {SECRET} >&2; exit 3", f"echo {SECRET}", f"echo '{{\"Username\": \"{SECRET}\"}}'", "echo '[]'",
        "echo null",
        f"echo '{{\"Username\": 5, \"Secret\": \"{SECRET}\"}}'", "exit 0", "kill -9 $$",
        "head -c 3000000 /dev/zero", f"printf '%0100000d' 0 | tr 0 '['; echo {SECRET}",
    ],
)  # fmt: skip
def test_a_failing_helper_is_named_and_what_it_said_is_not_shown(
    script: str, helper: Callable[[str], Path], file: Callable[[Any], str]
) -> None:
    helper(script)
    with pytest.raises(RegistryError, match="docker-credential-test") as error:
        auth.find(HOST, "", file(HELPED))
    assert SECRET not in "".join(traceback.format_exception_only(error.value))
    assert len(error.value.message) < 300


def test_a_helper_that_hangs(
    helper: Callable[[str], Path], file: Callable[[Any], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "_HELPER_SECONDS", 0.2)
    helper("exec sleep 600")
    with pytest.raises(RegistryError, match=r"did not end within 0\.2 s"):
        auth.find(HOST, "", file(HELPED))


@pytest.mark.parametrize("name", ["../../evil", "a b", "a;b", "", "-x\n", 5, ["x"], "missing-one"])
def test_a_helper_s_name_is_no_path(name: Any, file: Callable[[Any], str]) -> None:
    document = {"credHelpers": {HOST: name}}
    if name == "":
        assert auth.find(HOST, "", file(document)) is None
        return
    with pytest.raises(RegistryError, match="credential helper"):
        auth.find(HOST, "", file(document))


# --- remembering --------------------------------------------------------------------------------------------------


def test_what_is_saved_is_found_and_private(places: Path) -> None:
    path = auth.save(HOST, Credentials("u", SECRET))
    assert path == str(places / "run/containers/auth.json")
    assert Path(path).stat().st_mode & 0o777 == 0o600
    assert Path(path).parent.stat().st_mode & 0o777 == 0o700
    assert auth.find(HOST, "any") == Credentials("u", SECRET)
    assert [name.name for name in Path(path).parent.iterdir()] == ["auth.json"]


def test_other_content_is_kept(file: Callable[[Any], str]) -> None:
    path = file({"auths": {"other.test": entry("o")}, "credHelpers": {"x": "y"}, "unknown": [1]})
    auth.save(f"{HOST}/team", Credentials("u", "p"), path)
    assert auth.forget("nothing", path) is False
    document = json.loads(Path(path).read_text())
    assert document["auths"] == {"other.test": entry("o"), f"{HOST}/team": {"auth": encoded("u", "p")}}
    assert (document["credHelpers"], document["unknown"]) == ({"x": "y"}, [1])
    assert auth.forget("other.test", path) is True
    auth.forget_all(path)
    assert json.loads(Path(path).read_text())["auths"] == {}


def test_a_linked_file_stays_a_link(places: Path, file: Callable[[Any], str]) -> None:
    real = file({"auths": {}})
    link = places / "link.json"
    link.symlink_to(real)
    auth.save(HOST, Credentials("u", "p"), str(link))
    assert link.is_symlink()
    assert HOST in Path(real).read_text()


def test_a_broken_file_is_not_overwritten(file: Callable[[Any], str]) -> None:
    path = file("{broken")
    for change in (lambda: auth.save(HOST, Credentials("u", "p"), path), lambda: auth.forget(HOST, path)):
        with pytest.raises(UsageError):
            change()
    assert Path(path).read_text() == "{broken"


def test_a_place_that_cannot_be_written(places: Path) -> None:
    with pytest.raises(UsageError, match="Not a directory"):
        auth.save(HOST, Credentials("u", "p"), "/dev/null/auth.json")


def test_no_secret_in_a_repr() -> None:
    shown = repr(Credentials("user", SECRET, "t0ken"))
    assert "user" in shown
    assert SECRET not in shown
    assert "t0ken" not in shown


@pytest.mark.parametrize(("text", "expected"), [("u:p", ("u", "p")), ("u:", ("u", "")), ("u:a:b", ("u", "a:b"))])
def test_creds(text: str, expected: tuple[str, str]) -> None:
    assert auth.parse_pair(text) == Credentials(*expected)


@pytest.mark.parametrize("text", ["", ":", f":{SECRET}", "user"])
def test_creds_that_make_no_sense_are_not_repeated(text: str) -> None:
    with pytest.raises(UsageError) as error:
        auth.parse_pair(text)
    assert SECRET not in error.value.message
