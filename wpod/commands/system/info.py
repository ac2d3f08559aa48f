"""wpod info"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping

from wpod import paths
from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.commands.system import version
from wpod.errors import ExitCode, WpodError
from wpod.model.container import Status
from wpod.model.id_map import IdRange
from wpod.output import json, template, yaml
from wpod.output.go_struct import GoStruct
from wpod.output.template_values import GoMap
from wpod.plan.security import DEFAULT_CAPABILITIES
from wpod.queries import containers, doctor, host, networks
from wpod.queries.doctor import Facts
from wpod.queries.missing import Missing, documents, missing
from wpod.storage.registry import policy

# Podman's names in templates where they aren't the JSON key with an upper-case letter (libpod/define/info.go).
_GO_NAMES = {
    "cgroupVersion": "CgroupsVersion", "cpus": "CPUs", "cpuUtilization": "CPUUtilization", "gidmap": "GIDMap",
    "idMappings": "IDMappings", "ociRuntime": "OCIRuntime", "os": "OS", "uidmap": "UIDMap",
    "apparmorEnabled": "AppArmorEnabled", "capabilities": "DefaultCapabilities", "seccompEnabled": "SECCOMPEnabled",
    "seccompProfilePath": "SECCOMPProfilePath", "selinuxEnabled": "SELinuxEnabled",
}  # fmt: skip


def execute(session: Session, options: Options, _arguments: tuple[str, ...]) -> int:
    """YAML, JSON or a template. Works whatever is missing, the store included: that is what it is for."""
    facts = doctor.examine(session.runtime)
    store, problem = describe_store(session, facts)
    document = {
        "host": dict(sorted({**host.describe(), **_host(facts)}.items())),
        "store": store,
        "registries": GoMap(_registries()),
        "plugins": {"volume": ["local"], "network": ["bridge", "macvlan", "ipvlan"], "log": ["k8s-file", "none"]},
        "version": version.client(),
        "Wpod": _own(facts, missing(facts, problem)),
    }
    format_ = options.text("format")
    if not format_:
        session.output.text(yaml.document(document))
    elif template.wants_json(format_):
        session.output.line(json.document(document, json.PS_INDENT))
    else:
        session.output.text(template.each(format_, [GoStruct(document, _GO_NAMES)]))
    return ExitCode.SUCCESS


def _host(facts: Facts) -> dict[str, object]:
    runtime = facts.runtimes[0] if facts.runtimes and facts.runtime in _names(facts) else None
    return {
        "cgroupManager": facts.cgroups.manager,
        "cgroupVersion": "v2" if facts.cgroups.mode == "v2" else "v1",
        "cgroupControllers": list(facts.cgroups.controllers),
        "eventLogger": "none",
        "idMappings": {
            "gidmap": _mappings(facts.users.id_map.groups),
            "uidmap": _mappings(facts.users.id_map.users),
        },
        "logDriver": "k8s-file",
        "networkBackend": "wpod",
        "ociRuntime": {
            "name": facts.runtime,
            "package": "",
            "path": runtime.path if runtime else "",
            "version": runtime.text if runtime else "",
        },
        "serviceIsRemote": False,
        "security": {
            "apparmorEnabled": False,
            "capabilities": ",".join(f"CAP_{name}" for name in DEFAULT_CAPABILITIES),
            "rootless": facts.users.uid != 0,
            "seccompEnabled": facts.confinement.seccomp,
            "seccompProfilePath": facts.confinement.profile,
            "selinuxEnabled": False,
        },
    }


def _names(facts: Facts) -> tuple[str, str]:
    return facts.runtimes[0].name, facts.runtimes[0].path


def _mappings(ranges: tuple[IdRange, ...]) -> list[dict[str, object]] | None:
    return [{"container_id": one.inside, "host_id": one.outside, "size": one.count} for one in ranges] or None


def describe_store(session: Session, facts: Facts) -> tuple[dict[str, object], WpodError | None]:
    """The store's part, and what keeps it from being used."""
    root, run = session.root, ""
    counts, images, problem = Counter[Status](), 0, None
    try:
        root = paths.absolute(root) if root else paths.data_root()
        run = paths.runtime_path(root)
        counts = Counter(one.observed.status for one in containers.all_containers(session.store))
        images = len(session.store.images.all())
    except WpodError as error:
        problem = error
    there = _nearest(root or "/")
    if problem is None and not os.access(there, os.W_OK | os.X_OK):
        problem = WpodError(f"{there} can't be written", hint="name another one with --root or WPOD_ROOT")
    allocated, used = _space(there)
    return {
        "containerStore": {
            "number": counts.total(),
            "paused": 0,
            "running": counts[Status.RUNNING],
            "stopped": counts.total() - counts[Status.RUNNING],
        },
        "graphDriverName": facts.roots.kind,
        "graphOptions": GoMap(),
        "graphRoot": root,
        "graphRootAllocated": allocated,
        "graphRootUsed": used,
        "graphStatus": GoMap({"Backing Filesystem": host.file_system(there)}),
        "imageStore": {"number": images},
        "runRoot": run,
        "volumePath": f"{root}/volumes",
    }, problem


def _nearest(path: str) -> str:
    """The path or the nearest directory above that is there: a store is made at its first use."""
    while not os.path.lexists(path) and path not in ("/", ""):
        path = os.path.dirname(path)
    return path


def _space(path: str) -> tuple[int, int]:
    """Bytes of the file system, and those in use."""
    try:
        found = os.statvfs(path)
    except OSError:
        return 0, 0
    return found.f_blocks * found.f_frsize, (found.f_blocks - found.f_bfree) * found.f_frsize


def _registries() -> dict[str, object]:
    """registries.conf as podman shows it; a broken file is told by the commands that need it."""
    try:
        found = policy.load()
    except WpodError:
        return {}
    shown: dict[str, object] = {
        one.prefix: {"Prefix": one.prefix, "Location": one.location, "Insecure": one.insecure, "Blocked": one.blocked,
                     "Mirrors": [{"Location": location, "Insecure": insecure} for location, insecure in one.mirrors]}
        for one in found.registries
    }  # fmt: skip
    return {**shown, "search": list(found.search)} if found.search else shown


def _own(facts: Facts, lacks: list[Missing]) -> Mapping[str, object]:
    users, engine = facts.users, facts.engine
    return {
        "SchemaVersion": version.SCHEMA_VERSION,
        "Cgroups": {
            "Mode": facts.cgroups.mode,
            "Limits": GoMap({flag.removeprefix("--"): reason is None for flag, reason in facts.cgroups.limits.items()}),
        },
        "UserNamespaces": {
            "Allowed": not users.forbidden_by,
            "SubordinateUsers": sum(one.count for one in users.id_map.users[1:]),
            "SubordinateGroups": sum(one.count for one in users.id_map.groups[1:]),
            "Newuidmap": users.newuidmap,
            "Newgidmap": users.newgidmap,
        },
        "Systemd": {"Running": users.systemd, "Lingers": users.lingers},
        "Roots": {
            "Kind": facts.roots.kind,
            "Overlay": facts.roots.overlay,
            "FuseOverlayfs": facts.roots.fuse_overlayfs,
            "FuseDevice": facts.roots.fuse_device,
        },
        "Confinement": {
            "LandlockVersion": facts.confinement.landlock,
            "Seccomp": facts.confinement.seccomp,
            "SeccompProfile": facts.confinement.profile,
        },
        "Networks": {
            "Helper": facts.networks.helper,
            "Nft": facts.networks.nft,
            "Pasta": facts.networks.pasta,
            "AardvarkDns": facts.networks.aardvark_dns,
            "Tun": facts.networks.tun,
            "IPv6": facts.networks.ipv6,
            "DefaultRoute": facts.networks.way_out,
            "ClientAddressesLost": list(networks.LOST_TO_ROOT if users.uid == 0 else networks.LOST_TO_USERS),
        },
        "OciRuntimes": [{"Name": one.name, "Path": one.path, "Version": one.version} for one in facts.runtimes],
        "Engine": {
            "Name": version.ENGINE_NAME,
            "Version": engine.version,
            "Build": engine.build,
            "Runner": engine.runner,
            "Monitor": engine.monitor,
            "AotCompiler": engine.compiler,
            "Meter": engine.meter,
            "Llvm": engine.llvm,
        },
        "Missing": documents(lacks),
    }
