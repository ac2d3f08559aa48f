"""What a machine lacks for containers, told from the facts: what, why it matters, and what brings it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wpod import programs
from wpod.errors import WpodError
from wpod.queries.doctor import (
    COMPILER,
    METER,
    MONITOR,
    NETWORK,
    RUNNER,
    Cgroups,
    Confinement,
    Engine,
    Facts,
    Networks,
    Roots,
    Users,
)

_BUILD_HINT = "build and install wpod: make install"
# By the words of `wpod.kernel.cgroup`.
_USER_HINTS = {
    "no systemd": "run wpod as root",
    "no manager": "log in, or: loginctl enable-linger",
    "session bus": "as root: apt-get install dbus-user-session, then log in again",
}
_V2_HINT = "boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1 on the kernel's command line)"
_RANGE = "100000-165535"
# The value that allows what 0 or 1 forbids (wpod.kernel.overlay has the ones that forbid).
_ALLOWING = {"unprivileged_userns_clone": 1, "apparmor_restrict_unprivileged_userns": 0, "max_user_namespaces": 15000}


@dataclass(frozen=True)
class Missing:
    """Something that isn't there: what, what follows from it, and the command or setting that brings it."""

    what: str
    why: str
    hint: str


def missing(facts: Facts, store_problem: WpodError | None = None) -> list[Missing]:
    """Everything that some command would miss, the most important first. Pure."""
    found: list[Missing] = []
    if store_problem is not None:
        found.append(Missing("store", store_problem.message, store_problem.hint or "name another one: --root DIR"))
    found += _of_engine(facts.engine)
    found += _of_runtime(facts)
    if facts.users.uid != 0:
        found += _of_users(facts.users)
    found += _of_roots(facts.roots, facts.users)
    found += _of_confinement(facts.confinement)
    found += _of_networks(facts.networks, facts.users)
    found += _of_limits(facts.cgroups, facts.users)
    return found


def documents(found: Sequence[Missing]) -> list[dict[str, str]]:
    """As they are shown in JSON and to templates."""
    return [{"What": one.what, "Why": one.why, "Hint": one.hint} for one in found]


def _of_engine(engine: Engine) -> list[Missing]:
    parts = (
        (engine.runner, RUNNER, "wasm containers can't run"),
        (engine.monitor, MONITOR, "native containers can't run"),
        (engine.compiler, COMPILER, "modules are interpreted, which is slower than compiled code"),
        (engine.meter, METER, "looking at many containers takes longer (stats, top)"),
        (engine.version, "pywamr", "modules can't be looked into (image inspect)"),
    )
    found = [Missing(name, why, _BUILD_HINT) for there, name, why in parts if not there]
    if engine.compiler and not engine.build:
        hint = f"apt-get install libllvm{engine.llvm.partition('.')[0]}" if engine.llvm else _BUILD_HINT
        found.append(Missing("LLVM", f"{COMPILER} doesn't start, so modules are interpreted", hint))
    return found


def _of_runtime(facts: Facts) -> list[Missing]:
    found = []
    if not any(facts.runtime in (one.name, one.path) for one in facts.runtimes):
        package = programs.PACKAGES.get(facts.runtime)
        hint = f"apt-get install {package}" if package else "name one that is installed: --runtime PROGRAM"
        found.append(Missing(facts.runtime, "native containers can't run without an OCI runtime", hint))
    if not facts.confinement.profile:
        why = "native containers start only with --security-opt seccomp=unconfined or seccomp=FILE"
        found.append(Missing("seccomp profile", why, "apt-get install golang-github-containers-common"))
    return found


def _of_users(users: Users) -> list[Missing]:
    found = []
    if users.forbidden_by:
        setting = users.forbidden_by.removeprefix("/proc/sys/").replace("/", ".")
        value = _ALLOWING.get(setting.rpartition(".")[2], 1)
        why = f"{users.forbidden_by} forbids them to users, so native containers can't run"
        found.append(Missing("user namespaces", why, f"as root: sysctl -w {setting}={value}"))
    for name, path in (("newuidmap", users.newuidmap), ("newgidmap", users.newgidmap)):
        if not path:
            why = "native containers have a single user, and images with files of several can't be unpacked"
            found.append(Missing(name, why, f"as root: apt-get install {programs.PACKAGES[name]}"))
    if users.ranges_missing_in:
        why = f"{users.ranges_missing_in} gives {users.name} no range: images with files of several users can't be used"
        hint = f"as root: usermod --add-subuids {_RANGE} --add-subgids {_RANGE} {users.name}"
        found.append(Missing("subordinate IDs", why, hint))
    if not users.lingers:
        why = f"containers of {users.name} end with the last login"
        found.append(Missing("lingering", why, f"loginctl enable-linger {users.name}"))
    return found


def _of_roots(roots: Roots, users: Users) -> list[Missing]:
    if roots.kind != "copy":
        return []
    why = "each container gets a copy of its image: more disk space, slower starts"
    if users.uid == 0:
        return [Missing("overlayfs", why, "modprobe overlay")]
    if not roots.fuse_overlayfs:
        return [Missing("overlayfs", why, "as root: apt-get install fuse-overlayfs")]
    return [Missing("/dev/fuse", why, "as root: chmod 0666 /dev/fuse")]


def _of_confinement(confinement: Confinement) -> list[Missing]:
    found = []
    if not confinement.landlock:
        why = "wasm containers are confined by seccomp, namespaces and the engine, without Landlock's second check"
        found.append(Missing("Landlock", why, "a kernel with Landlock (5.13 or newer), booted with lsm=landlock,…"))
    if not confinement.seccomp:
        why = "containers can't be held to the system calls that they need"
        found.append(Missing("seccomp filters", why, "a kernel with CONFIG_SECCOMP_FILTER"))
    return found


def _of_networks(networks: Networks, users: Users) -> list[Missing]:
    """What --network none and host, and published ports of wasm containers, do without; the default network doesn't."""
    root = users.uid == 0
    prefix = "" if root else "as root: "
    why = "native containers can't join networks, so they start with --network none or host only"
    found = [] if networks.helper else [Missing(NETWORK, why, _BUILD_HINT)]
    if not networks.nft:
        found.append(Missing("nft", why, f"{prefix}apt-get install {programs.PACKAGES['nft']}"))
    if not networks.pasta and not root:
        found.append(Missing("pasta", why, f"{prefix}apt-get install {programs.PACKAGES['pasta']}"))
    if not networks.tun and not root:
        found.append(Missing("/dev/net/tun", why, "as root: modprobe tun, chmod 0666 /dev/net/tun"))
    if not networks.way_out and not root:
        alone = "containers on networks reach each other, but not the world"
        found.append(Missing("default route", alone, "connect this machine with a network"))
    if not networks.aardvark_dns:
        names = "containers find each other by address only: networks with names can't be started on"
        found.append(Missing("aardvark-dns", names, f"{prefix}apt-get install {programs.PACKAGES['aardvark-dns']}"))
    if not networks.ipv6:
        found.append(Missing("IPv6", "networks have IPv4 alone", "boot without ipv6.disable=1"))
    return found


def _of_limits(cgroups: Cgroups, users: Users) -> list[Missing]:
    by_reason: dict[str, list[str]] = {}
    for flag, reason in cgroups.limits.items():
        if reason is not None:
            by_reason.setdefault(reason, []).append(flag)
    return [
        Missing(", ".join(flags), _refused(reason, flags), _limit_hint(cgroups.mode, reason, is_root=users.uid == 0))
        for reason, flags in by_reason.items()
    ]


def _refused(reason: str, flags: list[str]) -> str:
    """Memory and processes of a wasm guest are counted without a cgroup: by the engine and the confinement."""
    held = [flag for flag in flags if not flag.startswith("--cpu")]
    return f"refused: {reason}" + (f" (but for wasm: {', '.join(held)})" if held else "")


def _limit_hint(mode: str, reason: str, *, is_root: bool) -> str:
    if mode == "none":
        return "as root: mount -t cgroup2 none /sys/fs/cgroup"
    if mode != "v2":
        return f"{_V2_HINT}, or swapaccount=1" if is_root else f"run wpod as root, or {_V2_HINT}"
    if is_root:
        return "as root: echo +memory +cpu +pids > /sys/fs/cgroup/cgroup.subtree_control"
    for words, hint in _USER_HINTS.items():
        if words in reason:
            return hint
    return "as root: systemctl edit user@.service, with [Service] Delegate=cpu memory pids, then log in again"
