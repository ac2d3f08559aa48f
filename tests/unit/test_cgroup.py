"""Limits as cgroup settings for v1, v2 and systemd, and what is named where one can't be held (wpod.kernel.cgroup)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.records import container_id
from wpod.errors import CannotEnforce
from wpod.kernel import cgroup
from wpod.kernel.cgroup import Hierarchy, Placement
from wpod.model.request import LimitOptions, UlimitRequest

MIB = 1 << 20
ID = container_id("abc")
ALL = LimitOptions(64 * MIB, 96 * MIB, 150_000, 1024, 7)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A machine with this hierarchy below a directory of the test, whose files can be written."""

    def build(
        hierarchy: Hierarchy,
        *,
        uid: int = 0,
        systemd: bool = False,
        controllers: str = "cpu memory pids",
        swap: bool = True,
        manager: bool = True,
        bus: bool = True,
    ) -> Path:
        root = tmp_path / "cgroup"
        root.mkdir(exist_ok=True)
        runtime = tmp_path / "runtime"
        runtime.mkdir(exist_ok=True)
        if bus:
            (runtime / "bus").touch()
        points = {name: str(root / name) for name in controllers.split()} if hierarchy is not Hierarchy.V2 else {}
        for point in points.values():
            Path(point).mkdir()
        if "memory" in points and swap:
            (root / "memory" / "memory.memsw.limit_in_bytes").touch()
        base = root if uid == 0 else root / f"user.slice/user-{uid}.slice/user@{uid}.service"
        if manager:
            base.mkdir(parents=True, exist_ok=True)
            (base / "cgroup.controllers").write_text(controllers + "\n")
        for name, value in {
            "ROOT": str(root), "_user_runtime": lambda: str(runtime),
            "hierarchy": lambda: hierarchy, "systemd_runs": lambda: systemd,
            "_controllers_v1": lambda: points if hierarchy in (Hierarchy.V1, Hierarchy.HYBRID) else {},
        }.items():  # fmt: skip
            monkeypatch.setattr(cgroup, name, value)
        monkeypatch.setattr(os, "geteuid", lambda: uid)
        return root

    return build


def settings(root: Path) -> dict[str, str]:
    """What was written below the container's directories."""
    return {
        f"{path.relative_to(root).parts[0]}/{path.name}": path.read_text()
        for path in root.rglob("*") if path.is_file() and path.parent.name == ID
    }  # fmt: skip


def test_without_limits_there_is_no_cgroup(machine: Callable[..., Path]) -> None:
    root = machine(Hierarchy.V2)
    for limits in (LimitOptions(), LimitOptions(ulimits=(UlimitRequest("nofile", 1, 1),))):
        assert cgroup.place(ID, limits) == Placement()
        assert cgroup.can_enforce(limits)
    assert not (root / "wpod").exists()


def test_v2_in_one_directory(machine: Callable[..., Path]) -> None:
    root = machine(Hierarchy.V2)
    assert cgroup.place(ID, ALL) == Placement(directories=(f"{root}/wpod/{ID}",))
    assert settings(root) == {
        "wpod/memory.max": str(64 * MIB), "wpod/memory.swap.max": str(32 * MIB), "wpod/cpu.max": "150000 100000",
        "wpod/cpu.weight": "39", "wpod/pids.max": "7",
    }  # fmt: skip
    for parent in (root, root / "wpod"):
        assert (parent / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


@pytest.mark.parametrize("hierarchy", [Hierarchy.V1, Hierarchy.HYBRID])
def test_v1_in_one_directory_for_each_controller(hierarchy: Hierarchy, machine: Callable[..., Path]) -> None:
    root = machine(hierarchy)
    placed = cgroup.place(ID, ALL)
    assert placed == Placement(directories=tuple(f"{root}/{name}/wpod/{ID}" for name in ("memory", "cpu", "pids")))
    assert settings(root) == {
        "memory/memory.limit_in_bytes": str(64 * MIB), "memory/memory.memsw.limit_in_bytes": str(96 * MIB),
        "cpu/cpu.cfs_period_us": "100000", "cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.shares": "1024",
        "pids/pids.max": "7",
    }  # fmt: skip
    other = container_id("def")
    assert cgroup.place(other, LimitOptions(pids=3)).directories == (f"{root}/pids/wpod/{other}",)
    assert (root / "pids" / "wpod" / other / "pids.max").read_text() == "3"
    assert not (root / "memory" / "wpod" / other).exists()


@pytest.mark.parametrize(
    ("uid", "manager", "parent"),
    [(0, "--system", "system.slice"), (1000, "--user", "user.slice/user-1000.slice/user@1000.service/app.slice")],
)
def test_systemd_makes_a_scope(uid: int, manager: str, parent: str, machine: Callable[..., Path]) -> None:
    root = machine(Hierarchy.V2, uid=uid, systemd=True)
    placed = cgroup.place(ID, ALL)
    assert placed.prefix[:3] == ("systemd-run", manager, "--scope")
    assert placed.prefix[-1] == "--"
    assert {"Delegate=yes", f"MemoryMax={64 * MIB}", f"MemorySwapMax={32 * MIB}", "CPUQuota=150.00%", "CPUWeight=39",
            "TasksMax=7"} <= set(placed.prefix)  # fmt: skip
    assert not (root / "wpod").exists()
    (unit,) = [word.removeprefix("--unit=") for word in placed.prefix if word.startswith("--unit=")]
    assert placed.directories == (f"{root}/{parent}/{unit}",)
    assert f"--slice={Path(parent).name}" in placed.prefix
    units = {cgroup.place(ID, ALL).directories for _ in range(3)}
    assert len(units) == 3  # a unit that is just ending must not be in the way of the next start
    assert all(ID in unit for (unit,) in units)


def test_the_user_s_systemd_is_found_whatever_the_environment_says(
    machine: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/elsewhere")
    machine(Hierarchy.V2, uid=1000, systemd=True)
    runtime = cgroup._user_runtime()
    assert cgroup.place(ID, ALL).environment == (
        ("XDG_RUNTIME_DIR", runtime), ("DBUS_SESSION_BUS_ADDRESS", f"unix:path={runtime}/bus"),
    )  # fmt: skip
    machine(Hierarchy.V2, systemd=True)
    assert cgroup.place(ID, ALL).environment == ()


@pytest.mark.parametrize(
    ("limits", "v2", "scope"),
    [
        (LimitOptions(64 * MIB, -1), "max", "MemorySwapMax=infinity"),
        (LimitOptions(64 * MIB, 64 * MIB), "0", "MemorySwapMax=0"),
        (LimitOptions(0, -1), "max", "MemorySwapMax=infinity"),
    ],
)
def test_swap_is_counted_apart_on_v2(
    limits: LimitOptions, v2: str, scope: str, machine: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = machine(Hierarchy.V2)
    cgroup.place(ID, limits)
    assert settings(root)["wpod/memory.swap.max"] == v2
    monkeypatch.setattr(cgroup, "systemd_runs", lambda: True)
    assert scope in cgroup.place(ID, limits).prefix


@pytest.mark.parametrize(
    ("shares", "weight"),
    [(2, 1), (1024, 39), (512, 20), (262144, 10000), (131072, 5000), (3, 1), (1, 1), (10**9, 10000)],
)
def test_shares_become_a_weight_as_in_the_oci_runtimes(shares: int, weight: int, machine: Callable[..., Path]) -> None:
    root = machine(Hierarchy.V2)
    cgroup.place(ID, LimitOptions(cpu_shares=shares))
    assert settings(root) == {"wpod/cpu.weight": str(weight)}


# --- what is missing ----------------------------------------------------------------------------------------------

MISSING = {
    # machine, limits, what the message names
    "no cgroups": ({"hierarchy": Hierarchy.NONE}, LimitOptions(pids=1), ("--pids-limit", "no cgroups are mounted")),
    "v1 as a user": ({"hierarchy": Hierarchy.V1, "uid": 1000}, LimitOptions(64 * MIB), ("--memory", "v1")),
    "hybrid as a user": ({"hierarchy": Hierarchy.HYBRID, "uid": 1000}, ALL, ("--memory, --memory-swap, --cpus", "v1")),
    "v1 without pids": (
        {"hierarchy": Hierarchy.V1, "controllers": "cpu memory"}, LimitOptions(pids=1),
        ("--pids-limit", "pids is not mounted"),
    ),
    "v1 without swap accounting": (
        {"hierarchy": Hierarchy.V1, "swap": False}, LimitOptions(64 * MIB, 96 * MIB), ("--memory-swap", "swap"),
    ),
    "v2 as a user without systemd": ({"hierarchy": Hierarchy.V2, "uid": 1000}, LimitOptions(64 * MIB), ("no systemd",)),
    "v2 without a manager of the user's": (
        {"hierarchy": Hierarchy.V2, "uid": 1000, "systemd": True, "manager": False},
        LimitOptions(64 * MIB), ("--memory", "no manager for user 1000", "loginctl enable-linger"),
    ),
    "v2 without a bus of the user's": (
        {"hierarchy": Hierarchy.V2, "uid": 1000, "systemd": True, "bus": False},
        LimitOptions(64 * MIB), ("--memory", "dbus-user-session"),
    ),
    "v2 without delegated cpu": (
        {"hierarchy": Hierarchy.V2, "uid": 1000, "systemd": True, "controllers": "memory pids"},
        LimitOptions(cpu_shares=5), ("--cpu-shares", "cpu is not delegated"),
    ),
    "v2 as root without a controller": (
        {"hierarchy": Hierarchy.V2, "controllers": "cpu"}, LimitOptions(64 * MIB), ("--memory", "controller memory"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("how", "limits", "words"), MISSING.values(), ids=MISSING.keys())
def test_what_is_missing_is_named(
    how: dict[str, object], limits: LimitOptions, words: tuple[str, ...], machine: Callable[..., Path]
) -> None:
    root = machine(**how)
    assert not cgroup.can_enforce(limits)
    for refuse in (lambda: cgroup.check(limits), lambda: cgroup.place(ID, limits)):
        with pytest.raises(CannotEnforce) as error:
            refuse()
        for word in words:
            assert word in error.value.message
        assert error.value.hint is not None
    assert not list(root.rglob(ID))


def test_a_limit_that_needs_no_missing_controller_is_held(machine: Callable[..., Path]) -> None:
    machine(Hierarchy.V1, controllers="pids")
    assert cgroup.can_enforce(LimitOptions(pids=1))
    assert not cgroup.can_enforce(LimitOptions(pids=1, memory_bytes=MIB))


# --- joining ------------------------------------------------------------------------------------------------------


def test_a_process_joins_every_v1_cgroup_of_the_container(machine: Callable[..., Path]) -> None:
    root = machine(Hierarchy.V1)
    cgroup.place(ID, LimitOptions(64 * MIB, pids=1))
    cgroup.enter(ID, os.getpid())
    joined = {str(path.parent.relative_to(root)) for path in root.rglob("cgroup.procs")}
    assert joined == {f"memory/wpod/{ID}", f"pids/wpod/{ID}"}
    assert all(path.read_text() == "0" for path in root.rglob("cgroup.procs"))


def test_a_process_joins_the_cgroup_of_a_member_on_v2(
    machine: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = machine(Hierarchy.V2)
    (root / "some.slice/one.scope").mkdir(parents=True)
    monkeypatch.setattr(cgroup, "_cgroup_of", lambda member: "/some.slice/one.scope")
    cgroup.enter(ID, 4711)
    assert (root / "some.slice/one.scope/cgroup.procs").read_text() == "0"


def test_what_cannot_be_joined_is_named(machine: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    root = machine(Hierarchy.V2)
    monkeypatch.setattr(cgroup, "_cgroup_of", lambda member: "/gone.scope")
    with pytest.raises(CannotEnforce, match=r"gone\.scope/cgroup\.procs can't be joined: No such file"):
        cgroup.enter(ID, 4711)
    assert not list(root.rglob("cgroup.procs"))


# --- making and removing ------------------------------------------------------------------------------------------


def test_a_failure_names_the_file_and_leaves_nothing(
    machine: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = machine(Hierarchy.V1)
    write = cgroup._write

    def refuse(path: str, value: str) -> None:
        if path.endswith("pids.max"):
            raise OSError(22, "Invalid argument", path)
        write(path, value)

    monkeypatch.setattr(cgroup, "_write", refuse)
    # The kernel's directories have their files by themselves, and rmdir takes them along.
    rmdir = os.rmdir

    def remove(path: str) -> None:
        for file in Path(path).iterdir():
            file.unlink()
        rmdir(path)

    monkeypatch.setattr(cgroup.os, "rmdir", remove)
    with pytest.raises(CannotEnforce, match=r"pids\.max: Invalid argument"):
        cgroup.place(ID, ALL)
    assert not list(root.rglob(ID))


def test_an_earlier_run_s_cgroup_is_not_used_again(
    machine: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its counters (out of memory) would be read as this run's."""
    root = machine(Hierarchy.V2)
    old = root / "wpod" / ID
    old.mkdir(parents=True)
    removed = []
    rmdir = os.rmdir
    monkeypatch.setattr(cgroup.os, "rmdir", lambda path: (removed.append(path), rmdir(path)))
    cgroup.place(ID, LimitOptions(pids=1))
    assert removed == [str(old)]
    assert settings(root) == {"wpod/pids.max": "1"}


def test_removing_is_done_where_nothing_is(machine: Callable[..., Path]) -> None:
    root = machine(Hierarchy.V1)
    for directory in cgroup.directories(ID)[:2]:
        os.makedirs(directory)
    cgroup.remove(ID)
    cgroup.remove(ID)
    assert not list(root.rglob(ID))
    assert (root / "memory").is_dir()


def test_what_cannot_be_removed_is_left_without_hanging(
    machine: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = machine(Hierarchy.V2)
    busy = root / "wpod" / ID / "below"
    busy.mkdir(parents=True)
    monkeypatch.setattr(cgroup.time, "sleep", lambda seconds: None)
    cgroup.remove(ID)
    assert busy.is_dir()


def test_this_machine_s_own_hierarchy_is_known() -> None:
    assert cgroup.hierarchy() in Hierarchy
    kinds = {line.split()[2] for line in Path("/proc/self/mounts").read_text().splitlines()}
    assert (cgroup.hierarchy() is Hierarchy.NONE) == (not kinds & {"cgroup", "cgroup2"})
