"""Whether a container outlives a logout, told from files (wpod.kernel.login_session)."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from types import SimpleNamespace

import pytest

from wpod.kernel import cgroup, login_session
from wpod.model.network import NetworkMode
from wpod.model.request import LimitOptions

NONE = LimitOptions()
SOME = LimitOptions(pids=5)
SESSION = "/user.slice/user-1000.slice/session-3.scope"
MANAGER = "/user.slice/user-1000.slice/user@1000.service/app.slice/terminal.scope"
SERVICE = "/system.slice/web.service"


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """User `somebody` on a machine with systemd and cgroup v2; returns the directory of those who linger."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: SimpleNamespace(pw_name="somebody"))
    monkeypatch.setattr(cgroup, "systemd_runs", lambda: True)
    monkeypatch.setattr(cgroup, "hierarchy", lambda: cgroup.Hierarchy.V2)
    monkeypatch.setattr(login_session, "_LINGERING", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("own", "limits", "network", "words"),
    [
        (SESSION, NONE, NetworkMode.NONE, "may end with your session"),
        (SESSION, SOME, NetworkMode.NONE, "ends with your last session"),
        (SESSION, SOME, NetworkMode.NETWORKS, "may end with your session"),
        (MANAGER, NONE, NetworkMode.NONE, "ends with your last session"),
        (MANAGER, SOME, NetworkMode.NETWORKS, "ends with your last session"),
        (SERVICE, SOME, NetworkMode.NONE, "ends with your last session"),
        (SERVICE, NONE, NetworkMode.NONE, None),
        ("/user.slice/user-1000.slice/user@1001.service/app.slice/a.scope", NONE, NetworkMode.NONE, None),
        ("/", NONE, NetworkMode.NONE, None),
    ],
)  # fmt: skip
def test_by_where_the_container_is(
    own: str, limits: LimitOptions, network: NetworkMode, words: str | None, user: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(login_session, "_own_cgroup", lambda: own)
    warning = login_session.logout_warning(limits, network)
    if words is None:
        assert warning is None
    else:
        assert warning is not None
        assert words in warning
        assert "loginctl enable-linger somebody" in warning
    (user / "somebody").touch()
    assert login_session.logout_warning(limits, network) is None


@pytest.mark.parametrize(("name", "value"), [("geteuid", 0), ("systemd_runs", False)])
def test_not_as_root_and_not_without_systemd(
    name: str, value: int, user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_session, "_own_cgroup", lambda: MANAGER)
    assert login_session.logout_warning(NONE, NetworkMode.NONE) is not None
    monkeypatch.setattr(os if name == "geteuid" else cgroup, name, lambda: value)
    assert login_session.logout_warning(NONE, NetworkMode.NONE) is None


def test_a_user_without_a_name_does_not_linger(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert not login_session.lingers(1000)


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ("0::/a/b\n", "/a/b"),
        ("12:pids:/c\n1:name=systemd:/user.slice/x:y\n", "/user.slice/x:y"),
        ("4:memory:/docker/abc\n", ""),
    ],
)
def test_the_process_s_own_cgroup(content: str, path: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "cgroup"
    file.write_text(content)
    monkeypatch.setattr(login_session, "_OWN_CGROUP", str(file))
    assert login_session._own_cgroup() == path
