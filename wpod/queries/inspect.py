"""The object of `container inspect`: podman's keys in podman's order, wpod's own under `Wpod`."""

from __future__ import annotations

from wpod import times
from wpod.formats.state_file import Cause, Confinement, Engine, Kind
from wpod.model.container import Container, ContainerPlan, MountPlan, RootKind, Status
from wpod.model.request import LimitOptions
from wpod.paths import ContainerPaths
from wpod.plan.security import DEFAULT_CAPABILITIES
from wpod.queries import limit_hit, networks
from wpod.storage.store import Store

_SHM_BYTES = 65536000
_STRUCTURE_VERSION = 1
_ENGINES = {
    Engine.NONE: "", Engine.INTERPRETER: "interpreter", Engine.AOT_SHARED: "compiled, shared code",
    Engine.AOT_PRIVATE: "compiled, private copy of the code",
}  # fmt: skip
_CONFINEMENT = {
    Confinement.USER_NAMESPACE: "user namespace", Confinement.NO_NEW_PRIVILEGES: "no_new_privs",
    Confinement.LANDLOCK: "landlock", Confinement.SECCOMP: "seccomp",
    Confinement.CAPABILITIES_DROPPED: "capabilities dropped", Confinement.MOUNT_NAMESPACE: "mount namespace",
}  # fmt: skip


def container_document(store: Store, container: Container) -> dict[str, object]:
    """Everything about one container. Raises nothing: a damaged state file is told in State.Error."""
    record, plan = container.record, container.record.plan
    own = store.paths.container(record.container_id)
    native = plan.kind is Kind.NATIVE
    return {
        "Id": record.container_id,
        "Created": times.rfc3339(record.created_nanoseconds),
        "Path": plan.arguments[0],
        "Args": list(plan.arguments[1:]),
        "State": _state(container),
        "Image": record.image_id,
        "ImageDigest": record.image_digest,
        "ImageName": record.image_name,
        "Rootfs": "",
        "Pod": "",
        "ResolvConfPath": f"{own.etc}/resolv.conf" if native else "",
        "HostnamePath": f"{own.etc}/hostname" if native else "",
        "HostsPath": f"{own.etc}/hosts" if native and not plan.no_hosts else "",
        "StaticDir": own.directory,
        "OCIConfigPath": f"{own.bundle}/config.json" if native else "",
        "OCIRuntime": (plan.runtime or "crun") if native else "wpod-runner",
        "Name": record.name,
        "RestartCount": 0,
        "Driver": "overlay" if plan.root.kind in (RootKind.OVERLAY, RootKind.FUSE_OVERLAY) else plan.root.kind.value,
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "EffectiveCaps": _capabilities(plan),
        "BoundingCaps": _capabilities(plan),
        "ExecIDs": [],
        "GraphDriver": _graph_driver(plan, own),
        "Mounts": [_mount(mount) for mount in plan.mounts if mount.kind != "tmpfs"],
        "Dependencies": [],
        "NetworkSettings": networks.settings(store, record),
        "Namespace": "",
        "IsInfra": False,
        "IsService": False,
        "Config": _config(container),
        "HostConfig": _host_config(container, own),
        "Wpod": _wpod(container, own),
    }


def _state(container: Container) -> dict[str, object]:
    observed, state = container.observed, container.observed.state
    running = observed.status is Status.RUNNING
    ended = observed.status is Status.EXITED
    return {
        "OciVersion": "1.0.2",
        "Status": observed.status.value,
        "Running": running,
        "Paused": False,
        "Restarting": False,
        "OOMKilled": observed.cause is Cause.OUT_OF_MEMORY,
        "Dead": False,
        "Pid": state.pid if running and state else 0,
        "ConmonPid": state.keeper_pid if running and state and observed.monitored else 0,
        "ExitCode": observed.exit_code,
        "Error": observed.problem or (state.reason if ended and state else ""),
        "StartedAt": times.rfc3339(state.started_nanoseconds if state else 0),
        "FinishedAt": times.rfc3339(state.finished_nanoseconds if ended and state else 0),
        "Health": {"Status": "", "FailingStreak": 0, "Log": None},
        "CheckpointedAt": times.NEVER,
        "RestoredAt": times.NEVER,
    }


def _capabilities(plan: ContainerPlan) -> list[str]:
    """A wasm guest has none; a native one what the runtime is told to give."""
    if plan.kind is Kind.WASM:
        return []
    from wpod.plan.security import ALL_CAPABILITIES, CapabilityRequest, capability_names

    request = CapabilityRequest(
        plan.capabilities_added, plan.capabilities_dropped, plan.privileged, len(ALL_CAPABILITIES) - 1
    )
    return list(capability_names(request))


def _graph_driver(plan: ContainerPlan, own: ContainerPaths) -> dict[str, object]:
    data = {"LowerDir": ":".join(plan.root.lowers)}
    if plan.root.kind in (RootKind.OVERLAY, RootKind.FUSE_OVERLAY):
        data.update(MergedDir=own.rootfs, UpperDir=own.upper, WorkDir=own.work)
    elif plan.root.kind is RootKind.COPY:
        data.update(MergedDir=own.rootfs)
    return {"Name": plan.root.kind.value, "Data": data}


def _mount(mount: MountPlan) -> dict[str, object]:
    propagation = next((word for word in mount.options if word.removeprefix("r") in _PROPAGATION), "rprivate")
    return {
        "Type": mount.kind,
        **({"Name": mount.volume} if mount.volume else {}),
        "Source": mount.source,
        "Destination": mount.target,
        "Driver": "local" if mount.volume else "",
        "Mode": "",
        "Options": ["rbind", *(word for word in mount.options if word not in ("rbind", propagation))],
        "RW": not mount.read_only,
        "Propagation": propagation,
    }


_PROPAGATION = ("private", "shared", "slave", "unbindable")


def _network_mode(plan: ContainerPlan) -> str:
    """podman's words: `bridge`, `container:ID`, `ns:PATH`, none and host."""
    return f"{plan.network.value}:{plan.networking.target}" if plan.networking.target else plan.network.value


def _config(container: Container) -> dict[str, object]:
    record, plan = container.record, container.record.plan
    return {
        "Hostname": plan.hostname,
        "Domainname": "",
        "User": plan.user.text,
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "Tty": plan.terminal,
        "OpenStdin": plan.interactive,
        "StdinOnce": False,
        "Env": list(plan.environment),
        "Cmd": list(plan.command),
        "Image": record.image_name,
        "Volumes": None,
        "WorkingDir": plan.working_directory,
        "Entrypoint": " ".join(plan.entrypoint),
        "OnBuild": None,
        "Labels": dict(record.labels) or None,
        "Annotations": dict(record.annotations) or None,
        "StopSignal": plan.stop_signal,
        "HealthcheckOnFailureAction": "none",
        "CreateCommand": list(record.create_command),
        "Umask": "0022",
        "Timeout": plan.timeout_seconds,
        "StopTimeout": plan.stop_timeout_seconds,
        "Passwd": False,
        "sdNotifyMode": "ignore",
    }


def _host_config(container: Container, own: ContainerPaths) -> dict[str, object]:
    record, plan = container.record, container.record.plan
    names = plan.networking.names
    security = [f"seccomp={plan.seccomp_profile}"] if plan.seccomp_profile else []
    return {
        "Binds": [_bind(mount) for mount in plan.mounts if mount.kind != "tmpfs"],
        "CgroupManager": "cgroupfs",
        "CgroupMode": "host",
        "ContainerIDFile": "",
        "LogConfig": {
            "Type": plan.log_driver,
            "Config": None,
            "Path": "" if plan.log_driver == "none" else own.log_file,
            "Tag": "",
            "Size": f"{plan.log_max_bytes}B",
        },
        "NetworkMode": _network_mode(plan),
        "PortBindings": networks.bindings(record),
        "RestartPolicy": {"Name": "", "MaximumRetryCount": 0},
        "AutoRemove": record.remove,
        "VolumeDriver": "",
        "VolumesFrom": None,
        "CapAdd": [f"CAP_{name}" for name in plan.capabilities_added],
        "CapDrop": [f"CAP_{name}" for name in plan.capabilities_dropped or _dropped_by_kind(plan)],
        "Dns": list(names.servers),
        "DnsOptions": list(names.options),
        "DnsSearch": list(names.search),
        "ExtraHosts": [f"{name}:{address}" for words, address in names.hosts for name in words.split()],
        "GroupAdd": [],
        "IpcMode": "shareable" if plan.kind is Kind.NATIVE else "host",
        "Cgroup": "",
        "Cgroups": "default" if plan.limits.needs_cgroup else "disabled",
        "Links": None,
        "OomScoreAdj": 0,
        "PidMode": "private" if plan.kind is Kind.NATIVE else "host",
        "Privileged": plan.privileged,
        "PublishAllPorts": False,
        "ReadonlyRootfs": plan.read_only,
        "SecurityOpt": [*security, *(["no-new-privileges"] if plan.no_new_privileges else [])],
        "Tmpfs": {mount.target: ",".join(mount.options) for mount in plan.mounts if mount.kind == "tmpfs"},
        "UTSMode": "private" if plan.kind is Kind.NATIVE else "host",
        "UsernsMode": "",
        "ShmSize": _SHM_BYTES if plan.kind is Kind.NATIVE else 0,
        "Runtime": "oci" if plan.kind is Kind.NATIVE else "wasm",
        "ConsoleSize": [0, 0],
        "Isolation": "",
        **_limits(plan.limits),
        "CgroupConf": None,
    }


def _limits(limits: LimitOptions) -> dict[str, object]:
    """The limits' part of `HostConfig`."""
    return {
        "CpuShares": limits.cpu_shares,
        "Memory": limits.memory_bytes,
        "NanoCpus": limits.cpu_quota_microseconds * 10_000,
        "CgroupParent": "",
        "CpuPeriod": 100_000 if limits.cpu_quota_microseconds else 0,
        "CpuQuota": limits.cpu_quota_microseconds,
        "CpusetCpus": "",
        "CpusetMems": "",
        "Devices": [],
        "DiskQuota": 0,
        "MemoryReservation": 0,
        "MemorySwap": limits.memory_swap_bytes,
        "MemorySwappiness": 0,
        "OomKillDisable": False,
        "PidsLimit": limits.pids,
        "Ulimits": [
            {"Name": f"RLIMIT_{one.name.upper()}", "Soft": one.soft, "Hard": one.hard} for one in limits.ulimits
        ],
    }


def _dropped_by_kind(plan: ContainerPlan) -> tuple[str, ...]:
    return DEFAULT_CAPABILITIES if plan.kind is Kind.WASM else ()


def _bind(mount: MountPlan) -> str:
    source = mount.volume or mount.source
    return f"{source}:{mount.target}:{'ro' if mount.read_only else 'rw'},rprivate,rbind"


def _wpod(container: Container, own: ContainerPaths) -> dict[str, object]:
    """What only wpod has: which kind and why, how the guest is executed and confined, its memory and log."""
    plan, state = container.record.plan, container.observed.state
    running = container.observed.status is Status.RUNNING
    found: dict[str, object] = {
        "SchemaVersion": _STRUCTURE_VERSION,
        "Kind": plan.kind.name.lower(),
        "KindReason": plan.kind_reason,
        "Cause": container.observed.cause.name.lower(),
        "StartCount": container.record.start_count,
        "Network": plan.network.value,
        "Monitored": container.observed.monitored if running else None,
        "LogBytes": state.log_bytes if state else 0,
        "DroppedLogLines": state.dropped_lines if state else 0,
        "MemoryLimitHit": limit_hit.document(limit_hit.limit_hit(own, container.observed)),
    }
    if plan.module is not None:
        found["Module"] = {"Path": plan.module.path, "Digest": plan.module.digest, "Aot": plan.module.aot.value}
        found["Engine"] = _ENGINES[state.engine] if state else ""
        found["EngineReason"] = state.reason if state and running else ""
        found["Confinement"] = [words for flag, words in _CONFINEMENT.items() if state and flag & state.confinement]
        found["LinearMemory"] = {
            "UsedBytes": state.linear_used_bytes if state else 0,
            "LimitBytes": state.linear_limit_bytes if state else 0,
        }
        found["CodeBytes"] = state.code_bytes if state else 0
    return found
