"""Native containers: an OCI runtime creates them, the monitor keeps them (rust/monitor, docs/formats.md).

Theory of operation. Python writes a bundle (config.json and generated files of /etc) and a launch plan; the
monitor does the rest: user namespace, overlay, `create`, `start`. The runtime's own state lies in the
container's directory, not in /run: there it would be memory for as long as the container lives, and it
goes with the container in any case.
"""

from __future__ import annotations

import json
import os

from wpod import paths, programs
from wpod.errors import CannotEnforce, StoreError, UsageError
from wpod.formats.launch_plan import Pair
from wpod.kernel import cgroup, overlay, pidfd, user_namespace
from wpod.model.container import ContainerPlan, Observation, RootKind
from wpod.plan import etc_files, oci_spec
from wpod.runtime import names
from wpod.runtime.backend import Command, Exec, Launch, TreeSize, common_pairs
from wpod.runtime.oci import control, machine, mountpoints

# With these a process could make or mount device files, which only a device cgroup would hold back.
_DEVICE_CAPABILITIES = frozenset({"MKNOD", "SYS_RAWIO", "ALL"})


class NativeBackend:
    """See `wpod.runtime.backend.Backend`."""

    largest_batch = 1  # each has a monitor of its own

    def root_kind(self, tree: TreeSize, read_only: bool) -> RootKind:
        """An overlay wherever one can be had, also read-only: mount points are made in it."""
        if overlay.native_works():
            return RootKind.OVERLAY
        if programs.locate("fuse-overlayfs") and os.access("/dev/fuse", os.R_OK | os.W_OK):
            return RootKind.FUSE_OVERLAY
        return RootKind.COPY

    def check(self, launch: Launch) -> None:
        plan = launch.record.plan
        control.runtime_program(plan.runtime)
        cgroup.check(plan.limits)
        self._check_user(plan)
        risky = _DEVICE_CAPABILITIES & set(plan.capabilities_added)
        if risky and not plan.privileged and os.geteuid() == 0:
            raise CannotEnforce(
                f"--cap-add={sorted(risky)[0]} would open every device of this machine to the container",
                hint="run it as a user, or say --privileged",
            )
        machine.seccomp_profile(plan)

    def _check_user(self, plan: ContainerPlan) -> None:
        ids = user_namespace.id_map()
        forbidden = overlay.user_namespaces_forbidden()
        if os.geteuid() != 0 and forbidden:
            raise CannotEnforce(
                f"native containers of a user need user namespaces, which {forbidden} forbids",
                hint="change that setting, or run as root",
            )
        for ranges, number, what in (
            (ids.users, plan.user.user_id, "user"),
            (ids.groups, plan.user.group_id, "group"),
        ):
            if not user_namespace.is_mapped(ranges, number):
                missing = user_namespace.missing_ranges()
                hint = f"give this user a range in {missing}" if missing else "the ranges in /etc/subuid are too small"
                raise UsageError(f"{what} {number} does not exist in the container's user namespace", hint=hint)

    def prepare(self, launch: Launch) -> None:
        os.mkdir(launch.paths.bundle, 0o700)
        os.mkdir(launch.paths.etc, 0o755)

    def command(self, launch: Launch, leader: Command | None = None) -> Command:
        plan = launch.record.plan
        for source, content in self._etc_contents(launch):  # they tell of addresses, which are each start's own
            _write(source, content)
        if launch.joined.messages:
            _write(_messages_file(launch), launch.joined.messages)
        _write(f"{launch.paths.bundle}/config.json", json.dumps(self.spec(launch), separators=(",", ":")))
        placement = cgroup.place(launch.record.container_id, plan.limits)
        pairs = common_pairs(launch)
        pairs += [("cgroup", directory) for directory in placement.directories]
        pairs += self._runtime_pairs(launch)
        pairs += self._root_pairs(launch)
        environment = {**control.environment(), **dict(placement.environment)}
        return Command(paths.part("wpod-monitor"), tuple(pairs), environment, placement.prefix)

    def spec(self, launch: Launch) -> dict[str, object]:
        """The container's config.json as a document."""
        plan = launch.record.plan
        facts = oci_spec.SpecFacts(
            annotations=launch.record.annotations,
            root_path=launch.paths.rootfs,
            etc_files=tuple((f"{launch.paths.etc}/{name}", f"/etc/{name}") for name in _etc_names(plan)),
            existing_paths=machine.existing_paths((*oci_spec.MASKED_PATHS, *oci_spec.READ_ONLY_PATHS)),
            seccomp=machine.seccomp_profile(plan),
            machine=os.uname().machine,
            last_capability=machine.last_capability(),
            cgroup_v2=cgroup.hierarchy() is cgroup.Hierarchy.V2,
            in_user_namespace=os.geteuid() != 0,
            network_path=launch.joined.shared,
            network_hook=_network_hook(launch),
        )
        return oci_spec.document(plan, facts)

    def send_signal(self, launch: Launch, observed: Observation, number: int) -> bool:
        """By descriptor, from the host: a number used again is never hit, and a dead monitor does not matter."""
        if observed.state is None:
            return False
        descriptor = pidfd.open_verified(observed.state.pid, observed.state.start_ticks)
        if descriptor is None:
            return False
        try:
            return pidfd.send(descriptor, number)
        finally:
            os.close(descriptor)

    def execute(self, launch: Launch, observed: Observation, wanted: Exec) -> int:
        return control.execute(launch, observed, wanted)

    def release(self, launch: Launch) -> None:
        control.delete(launch)
        if launch.record.plan.limits.needs_cgroup:
            cgroup.remove(launch.record.container_id)

    def _etc_contents(self, launch: Launch) -> list[tuple[str, str]]:
        plan, own = launch.record.plan, names.of_launch(launch)
        contents = {
            "hostname": lambda: f"{plan.hostname}\n",
            "resolv.conf": lambda: etc_files.resolv_conf(own, names.host_file("/etc/resolv.conf")),
            "hosts": lambda: etc_files.hosts(own, names.host_file("/etc/hosts")),
        }
        return [(f"{launch.paths.etc}/{name}", contents[name]()) for name in _etc_names(plan)]

    def _runtime_pairs(self, launch: Launch) -> list[Pair]:
        plan = launch.record.plan
        runtime = control.runtime_program(plan.runtime)
        pairs: list[Pair] = [("runtime", runtime), ("bundle", launch.paths.bundle)]
        pairs += [("runtime-argument", argument) for argument in control.global_options(launch, runtime)]
        pairs.append(("hide-unified-cgroup", "1" if cgroup.hides_unified() else "0"))
        pairs.append(("pty", "1" if plan.terminal else "0"))
        joined = launch.joined
        if joined.network_namespace:
            pairs.append(("network-namespace", joined.network_namespace))
        if joined.user_namespace:
            pairs.append(("user-namespace", joined.user_namespace))
            return pairs
        ids = user_namespace.id_map()
        pairs += [("uid-map", str(item)) for item in ids.users]
        pairs += [("gid-map", str(item)) for item in ids.groups]
        return pairs

    def _root_pairs(self, launch: Launch) -> list[Pair]:
        plan, own = launch.record.plan, launch.paths
        pairs: list[Pair] = [("root-path", own.rootfs)]
        if plan.root.kind is RootKind.COPY:
            return pairs
        below = mountpoints.layer(launch.store, with_hosts=not plan.no_hosts)
        pairs += [("root-lower", lower) for lower in (*plan.root.lowers, below)]
        pairs += [("root-upper", own.upper), ("root-work", own.work)]
        if plan.root.kind is RootKind.FUSE_OVERLAY:
            pairs.append(("root-mounter", programs.require("fuse-overlayfs")))
        return pairs


def _messages_file(launch: Launch) -> str:
    return f"{launch.paths.bundle}/links"


def _network_hook(launch: Launch) -> tuple[str, ...]:
    """What makes the links, called by the runtime between `create` and `start` (rust/network/src/apply.rs)."""
    return (paths.part("wpod-network"), "apply", _messages_file(launch)) if launch.joined.messages else ()


def _etc_names(plan: ContainerPlan) -> tuple[str, ...]:
    """Which files of /etc are generated."""
    return ("hostname", "resolv.conf") if plan.no_hosts else ("hostname", "resolv.conf", "hosts")


def _write(path: str, content: str) -> None:
    """Replaces a file that nobody else uses yet; the next start writes it anew if this one is cut short."""
    try:
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(content)
    except OSError as error:
        raise StoreError(f"{path} can't be written: {error.strerror}") from None
