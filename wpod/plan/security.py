"""What a native container may do: capabilities and the seccomp filter, as the containers project sets them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wpod.errors import StoreError, UsageError
from wpod.frozen import frozen

TYPE_CHECKING = False  # not typing's: importing that takes 2 ms
if TYPE_CHECKING:
    from typing import Any

# containers.conf(5), default_capabilities.
DEFAULT_CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP",
    "SETUID", "SYS_CHROOT",
)  # fmt: skip
# capabilities(7), in the kernel's order: the first one is number 0.
ALL_CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip

# The kernel's name of a machine, seccomp's and Go's (which the profile's conditions use).
_ARCHITECTURES = {
    "x86_64": ("SCMP_ARCH_X86_64", "amd64"),
    "aarch64": ("SCMP_ARCH_AARCH64", "arm64"),
    "s390x": ("SCMP_ARCH_S390X", "s390x"),
    "ppc64le": ("SCMP_ARCH_PPC64LE", "ppc64le"),
    "riscv64": ("SCMP_ARCH_RISCV64", "riscv64"),
}


@frozen
class CapabilityRequest:
    """What was asked for: names in upper case without CAP_, or ALL. `last` is the kernel's highest number."""

    added: tuple[str, ...]
    dropped: tuple[str, ...]
    privileged: bool
    last: int


def capability_names(request: CapabilityRequest) -> tuple[str, ...]:
    """The container's capabilities (CAP_…), sorted: the default, less what was dropped, and what was added.

    As podman: `ALL` dropped leaves only what was added by name, and a name in both is refused. Unlike podman,
    dropping counts for privileged containers as well. Raises UsageError for an unknown name.
    """
    known = set(ALL_CAPABILITIES[: request.last + 1])
    for name in (*request.added, *request.dropped):
        if name != "ALL" and name not in ALL_CAPABILITIES:
            raise UsageError(f"unknown capability {name!r}")
    both = set(request.added) & set(request.dropped)
    if both:
        raise UsageError(f"capability {min(both)} is both added and dropped")
    if "ALL" in request.dropped:
        names = set(request.added)
    elif request.privileged or "ALL" in request.added:
        names = known - set(request.dropped)
    else:
        names = (set(DEFAULT_CAPABILITIES) | set(request.added)) - set(request.dropped)
    return tuple(sorted(f"CAP_{name}" for name in names & known))


def seccomp_filter(profile: Mapping[str, Any], machine: str, capabilities: Sequence[str]) -> dict[str, Any]:
    """A containers profile (containers-seccomp.json(5)) as the OCI runtime specification's `linux.seccomp`.

    Rules that hold only for some machines or capabilities are kept where they hold. Raises StoreError for
    a document of another shape and for a machine that isn't known.
    """
    if machine not in _ARCHITECTURES:
        raise StoreError(f"no seccomp filter for the machine {machine}", hint="--security-opt seccomp=unconfined")
    seccomp_name, go_name = _ARCHITECTURES[machine]
    try:
        architectures = _architectures(profile, seccomp_name)
        held = set(capabilities)
        rules = [_rule(rule) for rule in profile.get("syscalls") or () if _holds(rule, go_name, held)]
        result: dict[str, Any] = {"defaultAction": profile["defaultAction"], "architectures": architectures}
        if "defaultErrnoRet" in profile:
            result["defaultErrnoRet"] = int(profile["defaultErrnoRet"])
        return {**result, "syscalls": rules}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise StoreError(f"the seccomp profile is not one: {error!r}") from None


def _architectures(profile: Mapping[str, Any], wanted: str) -> list[str]:
    if profile.get("architectures"):
        return [str(name) for name in profile["architectures"]]
    for entry in profile.get("archMap") or ():
        if entry["architecture"] == wanted:
            return [wanted, *(str(name) for name in entry.get("subArchitectures") or ())]
    return [wanted]


def _holds(rule: Mapping[str, Any], architecture: str, capabilities: set[str]) -> bool:
    includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
    if includes.get("arches") and architecture not in includes["arches"]:
        return False
    if not set(includes.get("caps") or ()) <= capabilities:
        return False
    excluded = architecture in (excludes.get("arches") or ()) or set(excludes.get("caps") or ()) & capabilities
    return not excluded


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    names = rule.get("names") or [rule["name"]]
    made: dict[str, Any] = {"names": list(names), "action": rule["action"]}
    if rule.get("errnoRet") is not None:
        made["errnoRet"] = int(rule["errnoRet"])
    arguments = [
        {key: item[key] for key in ("index", "value", "valueTwo", "op") if key in item}
        for item in rule.get("args") or ()
    ]
    if arguments:
        made["args"] = arguments
    return made
