"""Where things are, whatever the environment says or doesn't (wpod.paths)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import accounts_available
from wpod import paths
from wpod.errors import StoreError

UID = 12345


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("XDG_", "WPOD_", "CONTAINERS_", "REGISTRY_", "DOCKER_")) or name == "HOME":
            monkeypatch.delenv(name)
    monkeypatch.setenv("WPOD_TESTS_SESSION", "/nowhere")


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As an unprivileged user, as far as the module can see."""
    monkeypatch.setattr(os, "geteuid", lambda: UID)
    return


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(paths, "_SYSTEM_RUN", str(tmp_path / "run-wpod"))
    return tmp_path / "run-wpod"


def test_the_store_of_root(root: Path) -> None:
    assert paths.data_root() == "/var/lib/wpod"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HOME": "/h"}, "/h/.local/share/wpod"),
        ({"HOME": "/h", "XDG_DATA_HOME": "/x"}, "/x/wpod"),
        ({"HOME": "/h", "XDG_DATA_HOME": "relative"}, "/h/.local/share/wpod"),
        ({"HOME": "/h", "XDG_DATA_HOME": ""}, "/h/.local/share/wpod"),
        ({"HOME": "/h", "WPOD_ROOT": "/w/../v/"}, "/v"),
        ({"HOME": "/h", "WPOD_ROOT": ""}, "/h/.local/share/wpod"),
    ],
)
@pytest.mark.usefixtures("user")
def test_the_store_of_a_user(variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert paths.data_root() == expected
    assert paths.store_paths().root == expected
    assert paths.store_paths("/given").root == "/given"


def test_without_home_the_password_database_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    account = accounts_available()[-1]
    monkeypatch.setattr(os, "geteuid", lambda: account.uid)
    for home in (None, "", "relative"):
        if home is not None:
            monkeypatch.setenv("HOME", home)
        assert paths.effective_home().startswith("/")
        assert paths.data_root() == f"{paths.effective_home()}/.local/share/wpod"


@pytest.mark.usefixtures("user")
def test_a_user_that_nobody_knows_and_no_home_is_a_clear_error() -> None:
    with pytest.raises(StoreError, match=f"HOME is unset and user {UID}") as error:
        paths.data_root()
    assert error.value.hint == "set HOME"


def test_a_relative_store_is_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert paths.store_paths("x").root == f"{tmp_path}/x"
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for use in (lambda: paths.store_paths("x"), lambda: monkeypatch.setenv("WPOD_ROOT", "x") or paths.data_root()):
        with pytest.raises(StoreError, match="working directory"):
            use()


# --- the runtime directory ----------------------------------------------------------------------------------------


def own(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a directory look as if it belonged to the pretended user."""
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid)


def test_the_runtime_directory_of_the_default_store(root: Path) -> None:
    assert paths.runtime_root("/var/lib/wpod") == str(root)
    assert root.stat().st_mode & 0o777 == 0o700


def test_each_store_has_its_own(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = paths.runtime_root("/one"), paths.runtime_root("/two")
    assert len({first, second, str(root)}) == 3
    assert Path(first).parent == Path(second).parent == root
    assert paths.runtime_root("/one") == first
    for name in ("/one", "/var/lib/wpod", ""):
        # How a store was named must not matter: its running containers are found there.
        monkeypatch.setenv("WPOD_ROOT", name)
        assert paths.runtime_root("/one") == first
        assert paths.runtime_root("/var/lib/wpod") == str(root)


def test_a_store_reached_by_a_link_is_the_same_one(root: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert paths.runtime_root(str(tmp_path / "link")) == paths.runtime_root(str(tmp_path / "real"))
    (tmp_path / "default").symlink_to("/var/lib/wpod")
    assert paths.runtime_root(str(tmp_path / "default")) == str(root)


def test_a_named_store_needs_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uid = UID
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(os, "lstat", lambda path: _owned(os.stat(path, follow_symlinks=False), uid))
    monkeypatch.setattr(paths, "_user_runtime_base", lambda uid: f"{tmp_path}/run")
    assert paths.runtime_root("/one").startswith(f"{tmp_path}/run/")


def test_an_open_umask_opens_nothing(root: Path) -> None:
    before = os.umask(0)
    try:
        made = Path(paths.runtime_root("/one"))
    finally:
        os.umask(before)
    assert made.stat().st_mode & 0o777 == 0o700
    assert root.stat().st_mode & 0o777 == 0o700


def test_a_user_s_runtime_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uid = accounts_available()[-1].uid
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(os, "lstat", lambda path: _owned(os.stat(path, follow_symlinks=False), uid))
    monkeypatch.setenv("HOME", "/h")
    given = tmp_path / "xdg"
    given.mkdir(mode=0o700)
    os.chown(given, uid, -1)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(given))
    assert paths.runtime_root("/h/.local/share/wpod") == f"{given}/wpod"
    os.chown(given, os.getuid() + 1, -1)  # sudo keeps the other user's variable
    assert not paths.runtime_root("/h/.local/share/wpod").startswith(str(given))


def _owned(found: os.stat_result, uid: int) -> os.stat_result:
    return os.stat_result((*found[:4], uid, *found[5:]))


HOSTILE: dict[str, Callable[[Path], object]] = {
    "writable by all": lambda path: (path.mkdir(), path.chmod(0o777)),
    "writable by the group": lambda path: (path.mkdir(), path.chmod(0o770)),
    "another user's": lambda path: (path.mkdir(), os.chown(path, 4242, 4242)),
    "a link": lambda path: path.symlink_to("/tmp"),
    "a dangling link": lambda path: path.symlink_to("/nowhere/at/all"),
    "a file": lambda path: path.touch(),
}


@pytest.mark.parametrize("prepare", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_foreign_runtime_directory_is_refused(prepare: Callable[[Path], object], root: Path) -> None:
    prepare(root)
    for store in ("/var/lib/wpod", "/other"):
        with pytest.raises(StoreError) as error:
            paths.runtime_root(store)
        assert str(root) in error.value.message
        assert error.value.hint is not None


@pytest.mark.parametrize("prepare", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_foreign_directory_of_one_store_is_refused(prepare: Callable[[Path], object], root: Path) -> None:
    name = Path(paths.runtime_root("/one"))
    name.rmdir()
    prepare(name)
    with pytest.raises(StoreError, match=name.name):
        paths.runtime_root("/one")
    assert paths.runtime_root("/two")


# --- configuration, credentials, parts ----------------------------------------------------------------------------


def test_where_configuration_and_credentials_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/h")
    assert paths.containers_configuration("x.conf") == [
        "/h/.config/containers/x.conf", "/etc/containers/x.conf", "/usr/share/containers/x.conf",
    ]  # fmt: skip
    assert paths.credential_files()[1:] == ["/h/.config/containers/auth.json", "/h/.docker/config.json"]
    assert paths.credential_files()[0] == f"/run/containers/{os.geteuid()}/auth.json"
    monkeypatch.setenv("XDG_CONFIG_HOME", "/c")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/r")
    monkeypatch.setenv("DOCKER_CONFIG", "/d")
    assert paths.credential_files() == ["/r/containers/auth.json", "/c/containers/auth.json", "/d/config.json"]
    monkeypatch.setenv("REGISTRY_AUTH_FILE", "/only")
    assert paths.credential_files() == ["/only"]
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", "/mine")
    assert paths.containers_configuration("registries.conf") == ["/mine"]
    assert paths.containers_configuration("policy.json")[0] == "/c/containers/policy.json"


def test_the_programs_of_wpod_are_found_or_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WPOD_LIBEXEC_DIR", str(tmp_path))
    program = tmp_path / "wpod-runner"
    program.touch(mode=0o755)
    assert paths.part("wpod-runner") == str(program)
    with pytest.raises(StoreError, match=f"wpod-monitor is not installed.*{tmp_path}"):
        paths.part("wpod-monitor")
    monkeypatch.delenv("WPOD_LIBEXEC_DIR")
    assert paths.part("wpod-runner") != str(program)


def test_everything_of_a_store_lies_in_it() -> None:
    store = paths.StorePaths("/s")
    container = store.container("c" * 64)
    inside = (
        store.database,
        store.content,
        store.unpacked,
        store.aot,
        store.containers,
        store.volumes,
        store.temporary,
    )
    assert all(path.startswith("/s/") for path in inside)
    assert len(set(inside)) == len(inside)
    own_files = (
        container.state, container.lock, container.logs, container.upper, container.work, container.rootfs,
        container.bundle, container.etc,
    )  # fmt: skip
    assert all(path.startswith(f"/s/containers/{'c' * 64}/") for path in own_files)
    assert len(set(own_files)) == len(own_files)
    assert container.log_file.startswith(container.logs + "/")
