"""The OCI runtime specification's config.json of a native container: plan and facts in, a document out.

Version 1.0.2 of the specification, which crun and runc of Debian 12 know. The defaults (capabilities, masked
paths, mounts) are the containers project's. Pure: what must be looked at comes in `SpecFacts`.
"""

from __future__ import annotations

from collections.abc import Mapping

from wpod.errors import UsageError
from wpod.frozen import frozen
from wpod.model.container import ContainerPlan, MountPlan
from wpod.model.network import NetworkMode
from wpod.model.request import UlimitRequest
from wpod.plan.security import CapabilityRequest, capability_names, seccomp_filter

TYPE_CHECKING = False  # not typing's: importing that takes 2 ms
if TYPE_CHECKING:
    from typing import Any

VERSION = "1.0.2"
MASKED_PATHS = (
    "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
    "/proc/timer_list", "/proc/timer_stats", "/sys/dev/block", "/sys/devices/virtual/powercap", "/sys/firmware",
    "/sys/fs/selinux",
)  # fmt: skip
READ_ONLY_PATHS = (
    "/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
)  # fmt: skip
# Where crun has a hook's complaints appended (crun(1)): the monitor reads them from the runtime's own stderr.
_HOOK_COMPLAINTS = "run.oci.hooks.stderr"
# Annotations that select how a runtime executes: the user's --kind and --runtime do that here. The others name files of
# the host that crun would write to.
_HANDLERS = frozenset({"run.oci.handler", "module.wasm.image/variant", "run.oci.hooks.stdout", _HOOK_COMPLAINTS})


@frozen
class SpecFacts:
    """What was found on the machine and made for the container.

    `root_path` is where the root is when the runtime looks; `etc_files` are (source, target) of generated
    files; `existing_paths` says which of the masked and read-only paths this kernel has (a mount for each
    that it hasn't would be refused); `seccomp` is the profile, None for unconfined; `cgroup_v2` whether
    the container may see a cgroup file system; `last_capability` as /proc/sys/kernel/cap_last_cap.
    `network_path` is a network namespace to join instead of one of its own; `network_hook` the command that makes the
    links of a container that has been created.
    """

    annotations: Mapping[str, str]
    root_path: str
    etc_files: tuple[tuple[str, str], ...]
    existing_paths: frozenset[str]
    seccomp: Mapping[str, Any] | None
    machine: str
    last_capability: int
    cgroup_v2: bool
    in_user_namespace: bool
    network_path: str = ""
    network_hook: tuple[str, ...] = ()


def document(plan: ContainerPlan, facts: SpecFacts) -> dict[str, Any]:
    """config.json. Raises UsageError for capabilities or limits that make no sense."""
    spec: dict[str, Any] = {
        "ociVersion": VERSION,
        "process": process(plan, facts.last_capability),
        "root": {"path": facts.root_path, "readonly": plan.read_only},
        "hostname": plan.hostname,
        "mounts": _mounts(plan, facts),
        "annotations": {key: value for key, value in facts.annotations.items() if key not in _HANDLERS},
        "linux": _linux(plan, facts),
    }
    if facts.network_hook:
        spec["hooks"] = {"createRuntime": [{"path": facts.network_hook[0], "args": list(facts.network_hook)}]}
        spec["annotations"][_HOOK_COMPLAINTS] = "/proc/self/fd/2"
    return spec


@frozen
class ExecRequest:
    """What `exec` adds to the container's own process: see podman-exec(1)."""

    arguments: tuple[str, ...]
    environment: tuple[str, ...]
    working_directory: str
    terminal: bool
    privileged: bool


def exec_process(plan: ContainerPlan, request: ExecRequest, last_capability: int) -> dict[str, Any]:
    """The process object of `exec`; `plan` is the container's with the user of the exec in it."""
    base = process(plan, last_capability)
    names = {setting.partition("=")[0] for setting in request.environment}
    kept = [setting for setting in base["env"] if setting.partition("=")[0] not in names]
    if request.terminal and "TERM" not in names and not any(setting.startswith("TERM=") for setting in kept):
        kept.append("TERM=xterm")
    base["args"] = list(request.arguments)
    base["env"] = [*kept, *request.environment]
    base["cwd"] = request.working_directory or plan.working_directory
    base["terminal"] = request.terminal
    if request.privileged:
        everything = CapabilityRequest((), (), privileged=True, last=last_capability)
        base["capabilities"] = _capability_sets(capability_names(everything), (), root=True)
    return base


def process(plan: ContainerPlan, last_capability: int) -> dict[str, Any]:
    """The container's main process."""
    request = CapabilityRequest(plan.capabilities_added, plan.capabilities_dropped, plan.privileged, last_capability)
    names = capability_names(request)
    added = tuple(name for name in names if name[4:] in plan.capabilities_added)
    user: dict[str, Any] = {"uid": plan.user.user_id, "gid": plan.user.group_id, "umask": 0o022}
    if plan.user.supplementary:
        user["additionalGids"] = list(plan.user.supplementary)
    made: dict[str, Any] = {
        "terminal": plan.terminal,
        "user": user,
        "args": list(plan.arguments),
        "env": list(plan.environment),
        "cwd": plan.working_directory,
        "capabilities": _capability_sets(names, added, root=plan.user.user_id == 0),
        "noNewPrivileges": plan.no_new_privileges,
    }
    if plan.limits.ulimits:
        made["rlimits"] = [_rlimit(limit) for limit in plan.limits.ulimits]
    return made


def _capability_sets(names: tuple[str, ...], added: tuple[str, ...], *, root: bool) -> dict[str, list[str]]:
    """Root has them; another user has what was added by name, which only the ambient set carries over an exec.

    The inheritable set is empty otherwise: with file capabilities in an image it would give away more.
    """
    if root:
        return {"bounding": list(names), "effective": list(names), "permitted": list(names)}
    own = list(added)
    sets = {"bounding": list(names), "effective": own, "permitted": own}
    return {**sets, "inheritable": own, "ambient": own} if own else sets


def _rlimit(limit: UlimitRequest) -> dict[str, Any]:
    unlimited = 2**64 - 1
    soft, hard = (unlimited if value == -1 else value for value in (limit.soft, limit.hard))
    if soft > hard:
        raise UsageError(f"ulimit {limit.name}: the soft limit {limit.soft} is above the hard limit {limit.hard}")
    return {"type": f"RLIMIT_{limit.name.upper()}", "soft": soft, "hard": hard}


def _linux(plan: ContainerPlan, facts: SpecFacts) -> dict[str, Any]:
    kinds = ["pid", "ipc", "uts", "mount"]
    if plan.network is not NetworkMode.HOST:
        kinds.append("network")
    if facts.cgroup_v2:
        kinds.append("cgroup")
    linux: dict[str, Any] = {"namespaces": [{"type": kind} for kind in kinds]}
    if facts.network_path:
        linux["namespaces"][kinds.index("network")]["path"] = facts.network_path
    if not plan.privileged:
        linux["maskedPaths"] = [path for path in MASKED_PATHS if path in facts.existing_paths]
        linux["readonlyPaths"] = [path for path in READ_ONLY_PATHS if path in facts.existing_paths]
        if facts.seccomp is not None:
            request = CapabilityRequest(
                plan.capabilities_added, plan.capabilities_dropped, privileged=False, last=facts.last_capability
            )
            linux["seccomp"] = seccomp_filter(facts.seccomp, facts.machine, capability_names(request))
    return linux


def _mounts(plan: ContainerPlan, facts: SpecFacts) -> list[dict[str, Any]]:
    own = {mount.target for mount in plan.mounts}
    mounts = [mount for mount in _kernel_mounts(plan, facts) if mount["destination"] not in own]
    for source, target in facts.etc_files:
        if target not in own:
            options = ["bind", "rprivate", "nosuid", "nodev", "noexec", *(["ro"] if plan.read_only else [])]
            mounts.append({"destination": target, "type": "bind", "source": source, "options": options})
    return mounts + [_user_mount(mount) for mount in plan.mounts]


def _kernel_mounts(plan: ContainerPlan, facts: SpecFacts) -> list[dict[str, Any]]:
    """/dev is always a tmpfs of its own: device files of an image are never used, nor its links followed."""
    hard = ["nosuid", "noexec", "nodev"]
    shm_group = {"gid=5"} if not facts.in_user_namespace else set()
    access = "rw" if plan.privileged else "ro"
    mounts = [
        _mount("/proc", "proc", hard),
        _mount("/dev", "tmpfs", ["nosuid", "noexec", "strictatime", "mode=755", "size=65536k"]),
        _mount("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", *shm_group]),
        _mount("/dev/mqueue", "mqueue", hard),
        _mount("/dev/shm", "tmpfs", [*hard, "mode=1777", "size=65536k"], source="shm"),
    ]
    if facts.in_user_namespace and plan.network is NetworkMode.HOST:
        # A sysfs belongs to a network namespace; the host's can't be mounted anew by a user, only bound.
        mounts.append(_mount("/sys", "bind", ["rbind", "rslave", *hard, access], source="/sys"))
    else:
        mounts.append(_mount("/sys", "sysfs", [*hard, access]))
    if facts.cgroup_v2:
        mounts.append(_mount("/sys/fs/cgroup", "cgroup", ["rprivate", *hard, "relatime", access]))
    return mounts


def _mount(destination: str, kind: str, options: list[str], source: str = "") -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": source or kind, "options": options}


def _user_mount(mount: MountPlan) -> dict[str, Any]:
    access = "ro" if mount.read_only else "rw"
    given = [option for option in mount.options if option not in ("z", "Z", "U", "ro", "rw")]
    if mount.kind == "tmpfs":
        options = ["nosuid", "nodev", "noexec", access, f"mode={mount.mode if mount.mode is not None else 0o1777:o}"]
        options = [option for option in options if not _is_overruled(option, given)]
        if mount.size_bytes:
            options.append(f"size={mount.size_bytes}")
        return _mount(mount.target, "tmpfs", [*options, *given])
    options = ["rbind", "rprivate", "nosuid", "nodev", access]
    options = [option for option in options if not _is_overruled(option, given)]
    return _mount(mount.target, "bind", [*options, *given], source=mount.source)


def _is_overruled(option: str, given: list[str]) -> bool:
    """Whether the user said the opposite (`exec` for `noexec`), or another value of the same kind."""
    propagation = ("private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable")
    if option in propagation:
        return any(other in propagation for other in given)
    if option == "rbind":
        return "bind" in given
    return option.startswith("no") and option[2:] in given
