"""What is missing on a machine, for machines that nobody has at hand."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from wpod.errors import StoreError
from wpod.kernel import cgroup
from wpod.model.id_map import IDENTITY
from wpod.queries.doctor import Cgroups, Confinement, Engine, Facts, Networks, Program, Roots, Users
from wpod.queries.missing import missing

_FLAGS = ("--memory", "--memory-swap", "--cpus", "--cpu-shares", "--pids-limit")
_ROOT = Users(0, "root", IDENTITY, "", "", "/usr/bin/newuidmap", "/usr/bin/newgidmap", True, True)
_USER = replace(_ROOT, uid=1000, name="somebody")
_COMPLETE = Facts(
    cgroups=Cgroups("v2", "systemd", ("cpu", "memory", "pids"), dict.fromkeys(_FLAGS)),
    users=_USER,
    roots=Roots(overlay=True, fuse_overlayfs="", fuse_device=False),
    confinement=Confinement(landlock=4, seccomp=True, profile="/usr/share/containers/seccomp.json"),
    engine=Engine(
        "2.4.0", "ab" * 32, "19.1", "/l/wpod-runner", "/l/wpod-monitor", "/l/wpod-aot-compiler", "/l/wpod-meter"
    ),
    runtime="crun",
    runtimes=(Program("crun", "/usr/bin/crun", "1.8.1", "crun version 1.8.1"),),
    networks=Networks(
        "/l/wpod-network", "/usr/sbin/nft", "/usr/bin/pasta", "/l/aardvark-dns", tun=True, ipv6=True, way_out=True
    ),
)


def _with(**changes: object) -> list[tuple[str, str]]:
    return [(one.what, one.hint) for one in missing(replace(_COMPLETE, **changes))]  # type: ignore[arg-type]


@pytest.mark.parametrize("users", [_ROOT, _USER], ids=["root", "user"])
def test_a_complete_machine_misses_nothing(users: Users) -> None:
    assert missing(replace(_COMPLETE, users=users)) == []


def test_the_store_comes_first() -> None:
    problem = StoreError("/x can't be written: Read-only file system", hint="another one")
    (found,) = missing(_COMPLETE, problem)
    assert (found.what, found.why, found.hint) == ("store", problem.message, "another one")


def test_parts_of_wpod() -> None:
    found = _with(engine=Engine("", "", "", "", "", "", ""))
    assert [what for what, _ in found] == ["wpod-runner", "wpod-monitor", "wpod-aot-compiler", "wpod-meter", "pywamr"]
    assert all("make install" in hint for _, hint in found)


def test_what_networks_need() -> None:
    nothing = Networks("", "", "", "", tun=False, ipv6=False, way_out=False)
    found = _with(networks=nothing)
    assert [what for what, _ in found] == ["wpod-network", "nft", "pasta", "/dev/net/tun", "default route",
                                           "aardvark-dns", "IPv6"]  # fmt: skip
    assert [hint for _, hint in found][1:3] == ["as root: apt-get install nftables", "as root: apt-get install passt"]
    of_root = _with(networks=nothing, users=_ROOT)
    assert [what for what, _ in of_root] == ["wpod-network", "nft", "aardvark-dns", "IPv6"]


def test_the_compilers_library() -> None:
    assert _with(engine=replace(_COMPLETE.engine, build="")) == [("LLVM", "apt-get install libllvm19")]


@pytest.mark.parametrize(
    ("runtime", "hint"),
    [("crun", "apt-get install crun"), ("runc", "apt-get install runc"), ("/opt/youki", "--runtime PROGRAM")],
)
def test_the_oci_runtime(runtime: str, hint: str) -> None:
    (found,) = _with(runtime=runtime, runtimes=())
    assert found[0] == runtime
    assert hint in found[1]


def test_an_oci_runtime_that_is_named_by_its_path() -> None:
    assert _with(runtime="/usr/bin/crun") == []


def test_another_runtime_does_not_stand_in() -> None:
    assert [what for what, _ in _with(runtimes=(Program("runc", "/usr/bin/runc", "1.1", ""),))] == ["crun"]


@pytest.mark.parametrize(
    ("setting", "command"),
    [
        ("/proc/sys/kernel/unprivileged_userns_clone", "sysctl -w kernel.unprivileged_userns_clone=1"),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ("/proc/sys/user/max_user_namespaces", "sysctl -w user.max_user_namespaces=15000"),
    ],
)
def test_user_namespaces(setting: str, command: str) -> None:
    assert _with(users=replace(_USER, forbidden_by=setting)) == [("user namespaces", f"as root: {command}")]


def test_ids_of_a_user() -> None:
    found = _with(users=replace(_USER, newuidmap="", newgidmap="", ranges_missing_in="/etc/subgid", lingers=False))
    assert found == [
        ("newuidmap", "as root: apt-get install uidmap"),
        ("newgidmap", "as root: apt-get install uidmap"),
        ("subordinate IDs", "as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 somebody"),
        ("lingering", "loginctl enable-linger somebody"),
    ]


def test_what_only_users_need_is_not_missed_by_root() -> None:
    assert _with(users=replace(_ROOT, newuidmap="", newgidmap="", forbidden_by="/proc/sys/x", lingers=False)) == []


@pytest.mark.parametrize(
    ("users", "roots", "expected"),
    [
        (_USER, Roots(False, "/usr/bin/fuse-overlayfs", True), []),
        (_USER, Roots(False, "", True), [("overlayfs", "as root: apt-get install fuse-overlayfs")]),
        (_USER, Roots(False, "/usr/bin/fuse-overlayfs", False), [("/dev/fuse", "as root: chmod 0666 /dev/fuse")]),
        (_ROOT, Roots(False, "", True), [("overlayfs", "modprobe overlay")]),
    ],
)
def test_roots(users: Users, roots: Roots, expected: list[tuple[str, str]]) -> None:
    assert _with(users=users, roots=roots) == expected


def test_confinement() -> None:
    found = _with(confinement=Confinement(0, False, ""))
    assert [what for what, _ in found] == ["seccomp profile", "Landlock", "seccomp filters"]


def test_limits_are_grouped_by_their_reason() -> None:
    limits = dict.fromkeys(_FLAGS, "cgroup v1 can't be delegated to a user")
    assert [what for what, _ in _with(cgroups=Cgroups("hybrid", "cgroupfs", (), limits))] == [", ".join(_FLAGS)]
    limits = {**dict.fromkeys(_FLAGS), "--cpus": "no cpu", "--cpu-shares": "no cpu", "--pids-limit": "no pids"}
    cpu, pids = missing(replace(_COMPLETE, cgroups=Cgroups("v2", "systemd", ("memory",), limits)))
    assert (cpu.what, cpu.why) == ("--cpus, --cpu-shares", "refused: no cpu")
    assert (pids.what, pids.why) == ("--pids-limit", "refused: no pids (but for wasm: --pids-limit)")


@pytest.mark.parametrize(
    ("mode", "users", "word"),
    [
        ("none", _USER, "mount -t cgroup2"),
        ("v1", _USER, "run wpod as root"),
        ("hybrid", _ROOT, "swapaccount=1"),
        ("v2", _USER, "Delegate="),
        ("v2", _ROOT, "cgroup.subtree_control"),
    ],
)
def test_the_way_to_limits_depends_on_the_machine(mode: str, users: Users, word: str) -> None:
    ((_, hint),) = _with(users=users, cgroups=Cgroups(mode, "cgroupfs", (), dict.fromkeys(_FLAGS, "for a reason")))
    assert word in hint


@pytest.mark.parametrize(
    ("arrange", "word"),
    [
        ({"systemd_runs": lambda: False}, "run wpod as root"),
        ({"systemd_runs": lambda: True, "_user_service": lambda: "/nowhere"}, "loginctl enable-linger"),
        (
            {"systemd_runs": lambda: True, "_user_service": lambda: "/", "_user_runtime": lambda: "/nowhere"},
            "dbus-user-session",
        ),
    ],
)
def test_a_user_s_way_to_limits_fits_the_words_of_the_refusal(
    arrange: dict[str, object], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for name, value in arrange.items():
        monkeypatch.setattr(cgroup, name, value)
    reason = cgroup._no_manager()
    assert reason is not None
    ((_, hint),) = _with(users=_USER, cgroups=Cgroups("v2", "systemd", (), dict.fromkeys(_FLAGS, reason)))
    assert word in hint
