"""config.json of a native container: what it may do, what it sees, what is mounted (wpod.plan.oci_spec, .security)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import records
from wpod.errors import StoreError, UsageError
from wpod.model.container import MountPlan, UserPlan
from wpod.model.network import NetworkMode
from wpod.model.request import LimitOptions, UlimitRequest
from wpod.plan import oci_spec
from wpod.plan.security import (
    ALL_CAPABILITIES,
    DEFAULT_CAPABILITIES,
    CapabilityRequest,
    capability_names,
    seccomp_filter,
)

LAST = len(ALL_CAPABILITIES) - 1
PROFILE = json.loads(Path("/usr/share/containers/seccomp.json").read_text())


def facts(**changes: Any) -> oci_spec.SpecFacts:
    values: dict[str, Any] = {
        "annotations": {},
        "root_path": "/root",
        "etc_files": (("/own/hosts", "/etc/hosts"),),
        "existing_paths": frozenset((*oci_spec.MASKED_PATHS, *oci_spec.READ_ONLY_PATHS)),
        "seccomp": PROFILE,
        "machine": "x86_64",
        "last_capability": LAST,
        "cgroup_v2": True,
        "in_user_namespace": False,
        **changes,
    }
    return oci_spec.SpecFacts(**values)


def spec(found: oci_spec.SpecFacts | None = None, **plan: Any) -> dict[str, Any]:
    document = oci_spec.document(records.plan(**plan), found or facts())
    assert json.loads(json.dumps(document)) == document  # what is written is what is meant
    return document


def mount_at(document: dict[str, Any], target: str) -> dict[str, Any]:
    (found,) = (mount for mount in document["mounts"] if mount["destination"] == target)
    return found


# --- capabilities -------------------------------------------------------------------------------------------------


def names(added: tuple[str, ...] = (), dropped: tuple[str, ...] = (), privileged: bool = False) -> set[str]:
    listed = capability_names(CapabilityRequest(added, dropped, privileged, LAST))
    assert list(listed) == sorted(set(listed))
    assert all(name.startswith("CAP_") for name in listed)
    return {name.removeprefix("CAP_") for name in listed}


DEFAULT, ALL = set(DEFAULT_CAPABILITIES), set(ALL_CAPABILITIES)
CAPABILITIES = {
    "the default": ((), (), False, DEFAULT),
    "one more": (("NET_ADMIN",), (), False, DEFAULT | {"NET_ADMIN"}),
    "one less": ((), ("CHOWN",), False, DEFAULT - {"CHOWN"}),
    "one that was not there is dropped": ((), ("SYS_ADMIN",), False, DEFAULT),
    "none": ((), ("ALL",), False, set()),
    "nothing but one": (("KILL",), ("ALL",), False, {"KILL"}),
    "all": (("ALL",), (), False, ALL),
    "all but one": (("ALL",), ("SYS_ADMIN",), False, ALL - {"SYS_ADMIN"}),
    "privileged": ((), (), True, ALL),
    "privileged but one": ((), ("SYS_ADMIN",), True, ALL - {"SYS_ADMIN"}),
    "privileged without any": ((), ("ALL",), True, set()),
    "all and one": (("ALL", "KILL"), (), False, ALL),
}


@pytest.mark.parametrize("case", CAPABILITIES.values(), ids=CAPABILITIES.keys())
def test_capabilities(case: tuple[Any, ...]) -> None:
    added, dropped, privileged, expected = case
    assert names(added, dropped, privileged) == expected


@pytest.mark.parametrize(
    ("added", "dropped", "word"),
    [
        (("NET_EVERYTHING",), (), "NET_EVERYTHING"),
        ((), ("CAP_CHOWN",), "CAP_CHOWN"),
        (("KILL",), ("KILL",), "KILL"),
        (("ALL",), ("ALL",), "ALL"),
    ],
)
def test_capabilities_that_contradict_or_do_not_exist(
    added: tuple[str, ...], dropped: tuple[str, ...], word: str
) -> None:
    with pytest.raises(UsageError, match=word):
        names(added, dropped)


def test_an_old_kernel_s_capabilities_end_earlier() -> None:
    listed = capability_names(CapabilityRequest(("ALL",), (), False, 37))
    assert "CAP_AUDIT_READ" in listed
    assert not {"CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE"} & set(listed)


def test_the_sets_of_root_and_of_another_user() -> None:
    root = spec()["process"]["capabilities"]
    assert root["effective"] == root["permitted"] == root["bounding"]
    assert "inheritable" not in root
    assert "ambient" not in root
    plain = spec(user=UserPlan(1000, 1000))["process"]["capabilities"]
    assert (plain["effective"], plain["permitted"]) == ([], [])
    assert len(plain["bounding"]) == len(DEFAULT_CAPABILITIES)
    given = spec(user=UserPlan(1000, 1000), capabilities_added=("NET_RAW",))["process"]["capabilities"]
    assert given["effective"] == given["permitted"] == given["ambient"] == given["inheritable"] == ["CAP_NET_RAW"]


# --- seccomp ------------------------------------------------------------------------------------------------------


def allowed(document: dict[str, Any]) -> set[str]:
    rules = document["linux"]["seccomp"]["syscalls"]
    return {
        name for rule in rules if rule["action"] == "SCMP_ACT_ALLOW" and not rule.get("args") for name in rule["names"]
    }


def test_the_filter_follows_the_capabilities() -> None:
    plain, admin = allowed(spec()), allowed(spec(capabilities_added=("SYS_ADMIN",)))
    assert {"read", "write", "openat2", "exit_group"} <= plain
    assert not {"bpf", "perf_event_open", "kexec_load", "init_module"} & plain
    assert {"bpf", "perf_event_open"} <= admin
    assert "init_module" not in admin
    assert "chroot" in plain
    assert "chroot" not in allowed(spec(capabilities_dropped=("SYS_CHROOT",)))


def test_the_filter_denies_by_default_and_names_the_machine() -> None:
    made = spec()["linux"]["seccomp"]
    assert made["defaultAction"] == "SCMP_ACT_ERRNO"
    assert made["architectures"][0] == "SCMP_ARCH_X86_64"
    arm = seccomp_filter(PROFILE, "aarch64", ())
    assert arm["architectures"][0] == "SCMP_ARCH_AARCH64"
    assert all(set(rule) <= {"names", "action", "errnoRet", "args"} for rule in made["syscalls"])


def test_rules_hold_by_machine_and_capability() -> None:
    profile = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 38,
        "syscalls": [
            {"names": ["always"], "action": "SCMP_ACT_ALLOW", "comment": "x", "includes": {}, "excludes": {}},
            {"names": ["arm"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}},
            {"names": ["not-amd"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["amd64"]}},
            {"names": ["both"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_A", "CAP_B"]}},
            {"names": ["without"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "excludes": {"caps": ["CAP_A"]}},
            {"name": "old-form", "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": 8, "valueTwo": 0, "op": "SCMP_CMP_EQ", "note": "dropped"}]},
        ],
    }  # fmt: skip

    def held(*capabilities: str) -> list[str]:
        return [name for rule in seccomp_filter(profile, "x86_64", capabilities)["syscalls"] for name in rule["names"]]

    assert held() == ["always", "without", "old-form"]
    assert held("CAP_A") == ["always", "old-form"]
    assert held("CAP_A", "CAP_B") == ["always", "both", "old-form"]
    made = seccomp_filter(profile, "x86_64", ())
    assert made["defaultErrnoRet"] == 38
    assert made["syscalls"][1] == {"names": ["without"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}
    assert made["syscalls"][2]["args"] == [{"index": 0, "value": 8, "valueTwo": 0, "op": "SCMP_CMP_EQ"}]


@pytest.mark.parametrize(
    "profile",
    [
        {},
        {"defaultAction": "A", "syscalls": 5},
        {"defaultAction": "A", "syscalls": [5]},
        {"defaultAction": "A", "syscalls": [{}]},
        {"defaultAction": "A", "syscalls": [{"names": ["a"]}]},
        {"defaultAction": "A", "syscalls": [{"names": ["a"], "action": "B", "errnoRet": "x"}]},
        {"defaultAction": "A", "defaultErrnoRet": []},
        {"defaultAction": "A", "archMap": [{}]},
        {"defaultAction": "A", "archMap": 5},
        {"defaultAction": "A", "syscalls": [{"names": ["a"], "action": "B", "includes": []}], "architectures": 3},
        [],
        None,
    ],
)
def test_a_document_that_is_no_profile_is_one_error(profile: Any) -> None:
    with pytest.raises(StoreError, match="seccomp profile"):
        seccomp_filter(profile, "x86_64", ())


def test_no_filter_for_an_unknown_machine_is_refused_not_left_out() -> None:
    with pytest.raises(StoreError, match="vax"):
        seccomp_filter(PROFILE, "vax", ())


# --- what is hidden -----------------------------------------------------------------------------------------------


def test_what_the_kernel_shows_is_masked() -> None:
    linux = spec()["linux"]
    assert {"/proc/kcore", "/proc/keys", "/sys/firmware"} <= set(linux["maskedPaths"])
    assert {"/proc/sys", "/proc/sysrq-trigger"} <= set(linux["readonlyPaths"])
    few = spec(facts(existing_paths=frozenset({"/proc/keys", "/proc/sys"})))["linux"]
    assert (few["maskedPaths"], few["readonlyPaths"]) == (["/proc/keys"], ["/proc/sys"])


def test_privileged_hides_and_filters_nothing() -> None:
    document = spec(privileged=True)
    assert not {"maskedPaths", "readonlyPaths", "seccomp"} & set(document["linux"])
    assert "rw" in mount_at(document, "/sys")["options"]
    assert "ro" in mount_at(spec(), "/sys")["options"]
    assert "seccomp" not in spec(facts(seccomp=None))["linux"]


@pytest.mark.parametrize(
    ("network", "cgroup_v2", "expected"),
    [
        (NetworkMode.NONE, True, {"pid", "ipc", "uts", "mount", "network", "cgroup"}),
        (NetworkMode.NONE, False, {"pid", "ipc", "uts", "mount", "network"}),
        (NetworkMode.HOST, True, {"pid", "ipc", "uts", "mount", "cgroup"}),
    ],
)
def test_namespaces(network: NetworkMode, cgroup_v2: bool, expected: set[str]) -> None:
    listed = spec(facts(cgroup_v2=cgroup_v2), network=network)["linux"]["namespaces"]
    assert {one["type"] for one in listed} == expected
    assert all("path" not in one for one in listed)


def test_an_annotation_never_selects_what_executes() -> None:
    given = {"run.oci.handler": "wasm", "module.wasm.image/variant": "compat", "mine": "kept"}
    given |= {"run.oci.hooks.stdout": "/etc/x", "run.oci.hooks.stderr": "/etc/x"}
    assert spec(facts(annotations=given))["annotations"] == {"mine": "kept"}


# --- mounts -------------------------------------------------------------------------------------------------------


def test_dev_is_always_a_tmpfs_and_comes_before_what_lies_in_it() -> None:
    for document in (spec(), spec(privileged=True), spec(facts(in_user_namespace=True, cgroup_v2=False))):
        targets = [mount["destination"] for mount in document["mounts"]]
        assert mount_at(document, "/dev")["type"] == "tmpfs"
        assert targets.index("/dev") < targets.index("/dev/pts") < targets.index("/dev/shm")
        assert targets.index("/proc") == 0


def test_sys_in_a_user_namespace_with_the_host_s_network_is_bound() -> None:
    bound = mount_at(spec(facts(in_user_namespace=True), network=NetworkMode.HOST), "/sys")
    assert (bound["type"], bound["source"]) == ("bind", "/sys")
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(bound["options"])
    assert mount_at(spec(facts(in_user_namespace=True)), "/sys")["type"] == "sysfs"


def test_the_pts_group_exists_only_outside_a_user_namespace() -> None:
    assert "gid=5" in mount_at(spec(), "/dev/pts")["options"]
    assert "gid=5" not in mount_at(spec(facts(in_user_namespace=True)), "/dev/pts")["options"]


def test_a_user_s_mount_replaces_wpod_s_own() -> None:
    mine = (MountPlan("bind", "/my/hosts", "/etc/hosts", directory=False), MountPlan("tmpfs", "tmpfs", "/dev/shm"))
    document = spec(mounts=mine)
    assert mount_at(document, "/etc/hosts")["source"] == "/my/hosts"
    assert mount_at(document, "/dev/shm")["source"] == "tmpfs"
    assert mount_at(spec(), "/etc/hosts")["source"] == "/own/hosts"


def test_read_only_reaches_the_root_and_the_generated_files() -> None:
    document = spec(read_only=True)
    assert document["root"] == {"path": "/root", "readonly": True}
    assert "ro" in mount_at(document, "/etc/hosts")["options"]
    assert spec()["root"]["readonly"] is False
    assert "ro" not in mount_at(spec(), "/etc/hosts")["options"]


MOUNTS = {
    "a bind": (MountPlan("bind", "/s", "/t"), {"rbind", "rprivate", "nosuid", "nodev", "rw"}, set()),
    "read-only": (MountPlan("bind", "/s", "/t", read_only=True), {"ro"}, {"rw"}),
    "a volume": (MountPlan("volume", "/v/_data", "/t", volume="v"), {"rbind", "rw", "nodev"}, set()),
    "shared": (MountPlan("bind", "/s", "/t", options=("rshared",)), {"rshared"}, {"rprivate"}),
    "not recursive": (MountPlan("bind", "/s", "/t", options=("bind",)), {"bind"}, {"rbind"}),
    "with devices": (MountPlan("bind", "/s", "/t", options=("dev", "suid")), {"dev", "suid"}, {"nodev", "nosuid"}),
    "labels do nothing": (MountPlan("bind", "/s", "/t", options=("z", "Z")), {"rbind"}, {"z", "Z"}),
    "a tmpfs": (MountPlan("tmpfs", "tmpfs", "/t"), {"nosuid", "nodev", "noexec", "mode=1777", "rw"}, {"rbind"}),
    "a small tmpfs": (MountPlan("tmpfs", "tmpfs", "/t", size_bytes=9, mode=0o700), {"size=9", "mode=700"}, set()),
    "a tmpfs of mode 0": (MountPlan("tmpfs", "tmpfs", "/t", mode=0), {"mode=0"}, {"mode=1777"}),
    "programs on tmpfs": (MountPlan("tmpfs", "tmpfs", "/t", True, options=("exec",)), {"exec", "ro"}, {"noexec", "rw"}),
}  # fmt: skip


@pytest.mark.parametrize(("mount", "there", "absent"), MOUNTS.values(), ids=MOUNTS.keys())
def test_mount_options(mount: MountPlan, there: set[str], absent: set[str]) -> None:
    made = mount_at(spec(mounts=(mount,)), "/t")
    assert made["type"] == ("tmpfs" if mount.kind == "tmpfs" else "bind")
    assert made["source"] == mount.source
    assert there <= set(made["options"])
    assert not absent & set(made["options"])


# --- the process --------------------------------------------------------------------------------------------------


def test_the_process() -> None:
    document = spec(
        arguments=("/e", "a b"), environment=("A=1",), working_directory="/w", terminal=True, no_new_privileges=True,
        user=UserPlan(5, 6, (7, 8)),
    )  # fmt: skip
    process = document["process"]
    assert process["args"] == ["/e", "a b"]
    assert (process["env"], process["cwd"], process["terminal"]) == (["A=1"], "/w", True)
    assert process["user"] == {"uid": 5, "gid": 6, "umask": 0o22, "additionalGids": [7, 8]}
    assert process["noNewPrivileges"] is True
    assert (document["ociVersion"], document["hostname"]) == ("1.0.2", "host")
    assert "rlimits" not in process


def test_limits_of_the_process() -> None:
    limits = LimitOptions(ulimits=(UlimitRequest("nofile", 10, 20), UlimitRequest("core", -1, -1)))
    assert spec(limits=limits)["process"]["rlimits"] == [
        {"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20},
        {"type": "RLIMIT_CORE", "soft": 2**64 - 1, "hard": 2**64 - 1},
    ]
    for soft, hard in ((2, 1), (-1, 1)):
        with pytest.raises(UsageError, match="nofile"):
            spec(limits=LimitOptions(ulimits=(UlimitRequest("nofile", soft, hard),)))


def test_exec_keeps_the_container_s_process_and_adds_its_own() -> None:
    plan = records.plan(environment=("A=1", "B=2"), working_directory="/w", no_new_privileges=True)
    wanted = oci_spec.ExecRequest(("/x",), ("B=3", "C=4"), "", terminal=True, privileged=False)
    made = oci_spec.exec_process(plan, wanted, LAST)
    assert (made["args"], made["cwd"], made["terminal"]) == (["/x"], "/w", True)
    assert made["env"] == ["A=1", "TERM=xterm", "B=3", "C=4"]
    assert made["noNewPrivileges"] is True
    assert set(made["capabilities"]["bounding"]) == {f"CAP_{name}" for name in DEFAULT_CAPABILITIES}
    more = oci_spec.exec_process(plan, oci_spec.ExecRequest(("/x",), (), "/v", False, privileged=True), LAST)
    assert len(more["capabilities"]["effective"]) == len(ALL_CAPABILITIES)
    assert (more["cwd"], more["terminal"]) == ("/v", False)
