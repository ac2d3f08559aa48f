"""What this machine offers to containers: the facts behind `info` and `version`.

Nothing is changed and nothing is tried out: no namespace is made, no mount, no cgroup. The only programs
that are started are those whose version is asked for. Whatever is absent is a fact, never an error.
What of it is worth a remark is `wpod.queries.missing`'s.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from dataclasses import dataclass

from wpod import paths, programs
from wpod.errors import StoreError, WpodError
from wpod.kernel import cgroup, login_session, overlay, probes, user_namespace
from wpod.model.id_map import IdMap
from wpod.model.request import LimitOptions
from wpod.net import host_routes

RUNNER, MONITOR, COMPILER = "wpod-runner", "wpod-monitor", "wpod-aot-compiler"
NETWORK, METER = "wpod-network", "wpod-meter"
DEFAULT_RUNTIME = "crun"
_RUNTIMES = ("crun", "runc")
_PROGRAM_SECONDS = 5.0
_READ_LIMIT_BYTES = 64 << 20
# One limit of each kind, to ask which ones can be held.
_LIMITS = {
    "--memory": LimitOptions(memory_bytes=1 << 30),
    "--memory-swap": LimitOptions(memory_bytes=1 << 30, memory_swap_bytes=1 << 30),
    "--cpus": LimitOptions(cpu_quota_microseconds=100_000),
    "--cpu-shares": LimitOptions(cpu_shares=1024),
    "--pids-limit": LimitOptions(pids=1024),
}


@dataclass(frozen=True)
class Program:
    """An installed program. `version` and what it says in full are empty where it doesn't tell."""

    name: str
    path: str
    version: str
    text: str


@dataclass(frozen=True)
class Cgroups:
    """`limits`: why the limit of a flag can't be held, None where it can."""

    mode: str
    manager: str
    controllers: tuple[str, ...]
    limits: Mapping[str, str | None]


@dataclass(frozen=True)
class Users:
    """The calling user and the IDs of its containers. `forbidden_by`: the setting that forbids user namespaces.

    `ranges_missing_in` names the file that gives no range; it and the paths are empty where all is well.
    """

    uid: int
    name: str
    id_map: IdMap
    forbidden_by: str
    ranges_missing_in: str
    newuidmap: str
    newgidmap: str
    systemd: bool
    lingers: bool


@dataclass(frozen=True)
class Roots:
    """What container roots can be made of."""

    overlay: bool
    fuse_overlayfs: str
    fuse_device: bool

    @property
    def kind(self) -> str:
        """How a large image's root is put together: overlay, fuse-overlayfs or copy."""
        if self.overlay:
            return "overlay"
        return "fuse-overlayfs" if self.fuse_overlayfs and self.fuse_device else "copy"


@dataclass(frozen=True)
class Confinement:
    """`landlock` is the version of its interface, 0 without; `profile` the default seccomp profile, "" without."""

    landlock: int
    seccomp: bool
    profile: str


@dataclass(frozen=True)
class Engine:
    """wpod's own parts: paths, empty where missing; versions and the build id, empty where they can't be told."""

    version: str
    build: str
    llvm: str
    runner: str
    monitor: str
    compiler: str
    meter: str


@dataclass(frozen=True)
class Networks:
    """What networks need: the paths of programs, "" for those that aren't there; `tun` for a user's pasta alone.

    `way_out`: the host has a default route.
    """

    helper: str
    nft: str
    pasta: str
    aardvark_dns: str
    tun: bool
    ipv6: bool
    way_out: bool


@dataclass(frozen=True)
class Facts:
    """Everything. `runtime` is the name of the OCI runtime that is used, whether it is there or not."""

    cgroups: Cgroups
    users: Users
    roots: Roots
    confinement: Confinement
    engine: Engine
    runtime: str
    runtimes: tuple[Program, ...]
    networks: Networks


def examine(runtime: str = "") -> Facts:
    """Look at the machine for the calling user; `runtime` is the global --runtime."""
    from wpod.runtime.oci import machine

    return Facts(
        cgroups=_cgroups(),
        users=_users(),
        roots=Roots(
            overlay.native_works(), programs.locate("fuse-overlayfs") or "", os.access("/dev/fuse", os.R_OK | os.W_OK)
        ),
        confinement=Confinement(
            probes.landlock_version(), probes.has_seccomp_filters(), machine.default_profile() or ""
        ),
        engine=engine(),
        runtime=runtime or DEFAULT_RUNTIME,
        runtimes=runtimes(runtime),
        networks=networks(),
    )


def networks() -> Networks:
    """What there is of it."""
    return Networks(
        helper=_part(NETWORK),
        nft=programs.locate("nft") or "",
        pasta=programs.locate("pasta") or "",
        aardvark_dns=programs.locate("aardvark-dns") or "",
        tun=os.access("/dev/net/tun", os.R_OK | os.W_OK),
        ipv6=os.path.exists("/proc/net/if_inet6"),
        way_out=host_routes.has_way_out(),
    )


def engine() -> Engine:
    """wpod's own parts and what they say of themselves."""
    compiler = _part(COMPILER)
    return Engine(
        version=_engine_version(),
        build=_build_id(compiler),
        llvm=_llvm(compiler),
        runner=_part(RUNNER),
        monitor=_part(MONITOR),
        compiler=compiler,
        meter=_part(METER),
    )


def runtimes(wanted: str = "") -> tuple[Program, ...]:
    """The OCI runtimes that are installed, the wanted one or crun first."""
    names = dict.fromkeys((wanted or DEFAULT_RUNTIME, *_RUNTIMES))
    return tuple(_program(path) for name in names if (path := programs.locate(name)))


def _cgroups() -> Cgroups:
    manager = "systemd" if cgroup.made_by_systemd() else "cgroupfs"
    reasons = {flag: _reason(limits) for flag, limits in _LIMITS.items()}
    return Cgroups(cgroup.hierarchy().value, manager, cgroup.controllers(), reasons)


def _reason(limits: LimitOptions) -> str | None:
    try:
        cgroup.check(limits)
    except WpodError as error:
        return error.message.partition(": ")[2] or error.message  # without the flags before it
    return None


def _users() -> Users:
    uid = os.geteuid()
    name = _user_name(uid)
    systemd = cgroup.systemd_runs()
    return Users(
        uid=uid,
        name=name,
        id_map=user_namespace.id_map(),
        forbidden_by="" if uid == 0 else overlay.user_namespaces_forbidden() or "",
        ranges_missing_in=user_namespace.missing_ranges() or "",
        newuidmap=programs.locate("newuidmap") or "",
        newgidmap=programs.locate("newgidmap") or "",
        systemd=systemd,
        lingers=uid == 0 or not systemd or login_session.lingers(uid),
    )


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _part(name: str) -> str:
    try:
        return paths.part(name)
    except StoreError:
        return ""


def _engine_version() -> str:
    try:
        from wpod.runtime.modules import inspect
    except ImportError:
        return ""
    return inspect.engine_version()


def _build_id(compiler: str) -> str:
    """Empty also where the compiler doesn't start, for want of LLVM."""
    return _answer(compiler, "--identity") if compiler else ""


def _llvm(compiler: str) -> str:
    """The version in the name of the library that the compiler is linked with."""
    try:
        with open(compiler, "rb") as file:
            found = re.search(rb"libLLVM(?:-|\.so\.)([0-9][0-9.]*[0-9])", file.read(_READ_LIMIT_BYTES))
    except OSError:
        return ""
    return found.group(1).decode() if found else ""


def _program(path: str) -> Program:
    lines = _answer(path, "--version").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("rundir:"))  # not the one of containers
    version = next((word for word in text.partition("\n")[0].split() if word[:1].isdigit()), "")
    return Program(os.path.basename(path), path, version, text)


def _answer(path: str, argument: str) -> str:
    """What a program prints; empty where it fails, hangs or can't be started.

    crun makes its runtime directory even when it is only asked for its version: it is given none.
    """
    environment = {"PATH": os.environ.get("PATH", ""), "XDG_RUNTIME_DIR": os.devnull}
    try:
        finished = programs.run([path, argument], environment=environment, timeout_seconds=_PROGRAM_SECONDS)
    except WpodError:
        return ""
    return "" if finished.status else finished.stdout.decode(errors="replace").strip()
