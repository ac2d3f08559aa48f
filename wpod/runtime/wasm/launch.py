"""WebAssembly containers: one process each, the runner, which confines itself (docs/architecture.md)."""

from __future__ import annotations

import contextlib
import os

from wpod import paths
from wpod.errors import CannotEnforce, CannotInvoke, WpodError
from wpod.formats import launch_plan
from wpod.formats.launch_plan import Pair
from wpod.kernel import overlay, pidfd
from wpod.model import ids
from wpod.model.container import ContainerPlan, ModulePlan, MountPlan, Observation, RootKind
from wpod.model.request import AotPolicy
from wpod.runtime.backend import Command, Exec, Launch, TreeSize, common_pairs
from wpod.runtime.modules import cache
from wpod.runtime.wasm import network

PAGE_BYTES = 64 * 1024
# What the runner itself needs beside the guest's linear memory, so that memory.grow fails in the guest
# before the kernel kills at the cgroup's limit.
RUNNER_RESERVE_BYTES = 1024 * 1024
# Up to here a private copy is cheaper than an overlay in a mount namespace (20 to 30 kB of kernel memory).
_SMALL_TREE_BYTES = 1024 * 1024
_SMALL_TREE_ENTRIES = 64
# --wasm-aot=require waits for the compiler, which takes a minute for some MB of module.
_REQUIRED_PATIENCE_SECONDS = 900.0
_LEAST_MEMORY_BYTES = RUNNER_RESERVE_BYTES + PAGE_BYTES


class WasmBackend:
    """See `wpod.runtime.backend.Backend`."""

    largest_batch = 1000  # a bound for what one keeper is asked; more are started a thousand at a time

    def root_kind(self, tree: TreeSize, read_only: bool) -> RootKind:
        if read_only:
            return RootKind.READ_ONLY
        if tree.size_bytes <= _SMALL_TREE_BYTES and tree.entries <= _SMALL_TREE_ENTRIES:
            return RootKind.COPY
        return RootKind.OVERLAY if overlay.native_works() else RootKind.COPY

    def check(self, launch: Launch) -> None:
        plan = launch.record.plan
        if plan.privileged or plan.capabilities_added:
            raise CannotEnforce(
                "a wasm container has no capabilities: --privileged and --cap-add have no meaning for it",
                hint="leave the flag out",
            )
        if _asks_for_hostname(launch) and plan.root.kind is RootKind.READ_ONLY:
            raise CannotEnforce(
                "--hostname is told to a wasm guest by /etc/hostname, which --read-only forbids to write",
                hint="leave one of them out",
            )
        if plan.limits.memory_bytes and plan.limits.memory_bytes < _LEAST_MEMORY_BYTES:
            raise CannotEnforce(f"--memory must be at least {_LEAST_MEMORY_BYTES} bytes for a wasm container")
        if _needs_own_cgroup(plan):
            from wpod.kernel import cgroup

            cgroup.check(plan.limits)

    def prepare(self, launch: Launch) -> None:
        """/etc/hostname where --hostname was given: a wasm guest has no other way to ask for it."""
        if _asks_for_hostname(launch):
            root = launch.paths.rootfs if launch.record.plan.root.kind is RootKind.COPY else launch.paths.upper
            _write_hostname(root, launch.record.plan.hostname)

    def command(self, launch: Launch, leader: Command | None = None) -> Command:
        plan = launch.record.plan
        prefix: tuple[str, ...] = ()
        environment: dict[str, str] = {}
        pairs = common_pairs(launch)
        if plan.limits.needs_cgroup:
            from wpod.kernel import cgroup

            if _needs_own_cgroup(plan) or cgroup.can_enforce(plan.limits):
                placement = cgroup.place(launch.record.container_id, plan.limits)
                prefix, environment = placement.prefix, dict(placement.environment)
                pairs += [("cgroup", directory) for directory in placement.directories]
        # Compiled code may appear between one container and the next: a shared keeper loads one form of it.
        pairs += [pair for pair in leader.pairs if pair[0] in _MODULE_KEYS] if leader else _module_pairs(launch)
        pairs += _process_pairs(plan)
        pairs += _root_pairs(launch)
        pairs += _mount_pairs(plan.mounts)
        pairs += network.pairs(launch)
        return Command(paths.part("wpod-runner"), tuple(pairs), environment, prefix, network.descriptors(launch))

    def send_signal(self, launch: Launch, observed: Observation, number: int) -> bool:
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
        raise WpodError(
            f"container {launch.record.name} is a wasm container: there is one module and no other program in it",
            hint="wpod run the module again with other arguments, or use a volume that both see",
        )

    def release(self, launch: Launch) -> None:
        if launch.record.plan.limits.needs_cgroup:
            from wpod.kernel import cgroup

            cgroup.remove(launch.record.container_id)


def _asks_for_hostname(launch: Launch) -> bool:
    return launch.record.plan.hostname != ids.short(launch.record.container_id)


def _write_hostname(root: str, hostname: str) -> None:
    """A new file in the container's own tree, never through a link of the image."""
    directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    etc = -1
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir("etc", 0o755, dir_fd=directory)
        etc = os.open("etc", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        with contextlib.suppress(FileNotFoundError):
            os.unlink("hostname", dir_fd=etc)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open("hostname", flags, 0o644, dir_fd=etc), "w") as file:
            file.write(f"{hostname}\n")
    except OSError as error:
        raise CannotEnforce(f"--hostname: /etc/hostname can't be written: {error.strerror}") from None
    finally:
        os.close(directory)
        if etc >= 0:
            os.close(etc)


def _needs_own_cgroup(plan: ContainerPlan) -> bool:
    """Memory is held by the engine and processes by the confinement; only CPU time needs a cgroup."""
    return bool(plan.limits.cpu_quota_microseconds or plan.limits.cpu_shares)


_MODULE_KEYS = frozenset(("module", "module-digest", "aot", "aot-file"))


def _module_pairs(launch: Launch) -> list[Pair]:
    module = launch.record.plan.module
    assert module is not None, "a wasm plan without a module is a bug of plan/container"
    pairs: list[Pair] = [("module", module.path), ("module-digest", module.digest), ("aot", module.aot.value)]
    if module.aot is not AotPolicy.OFF:
        cache_file = cache.find(launch.store.aot, module.digest) or _compiled(launch, module)
        if cache_file is not None:
            pairs.append(("aot-file", cache_file))
    return pairs


def _compiled(launch: Launch, module: ModulePlan) -> str | None:
    """Have the module compiled, waiting as long as the policy allows; None: the interpreter has to do.

    Raises CannotInvoke under `require`.
    """
    from wpod.runtime.modules import compile as compiling

    required = module.aot is AotPolicy.REQUIRE
    patience = _REQUIRED_PATIENCE_SECONDS if required else compiling.DEFAULT_PATIENCE_SECONDS
    try:
        outcome = compiling.ensure_compiled(module.path, module.digest, launch.store.aot, patience)
    except WpodError as error:
        if required:
            raise
        outcome = compiling.CompileOutcome(compiling.CompileStatus.FAILED, reason=error.message)
    if outcome.path is None and required:
        raise CannotInvoke(
            f"--wasm-aot=require: module {launch.record.plan.arguments[0]!r} can't be compiled: {outcome.reason}",
            hint="--wasm-aot=auto runs it on the interpreter",
        )
    return outcome.path


def _process_pairs(plan: ContainerPlan) -> list[Pair]:
    pairs: list[Pair] = [("argument", argument) for argument in plan.arguments]
    pairs += [("environment", setting) for setting in plan.environment]
    pairs += [
        ("workdir", plan.working_directory),
        ("user-id", str(plan.user.user_id)),
        ("group-id", str(plan.user.group_id)),
    ]
    pairs += [("supplementary-group", str(group)) for group in plan.user.supplementary]
    if plan.limits.memory_bytes:
        usable = (plan.limits.memory_bytes - RUNNER_RESERVE_BYTES) // PAGE_BYTES * PAGE_BYTES
        pairs.append(("memory-max-bytes", str(usable)))
    pairs += [("rlimit", f"{limit.name}:{limit.soft}:{limit.hard}") for limit in plan.limits.ulimits]
    return pairs


def _root_pairs(launch: Launch) -> list[Pair]:
    plan, own = launch.record.plan, launch.paths
    (lower,) = plan.root.lowers
    if plan.root.kind is RootKind.READ_ONLY:
        return [("root", "read-only"), ("root-path", lower)]
    if plan.root.kind is RootKind.COPY:
        return [("root", "copy"), ("root-path", own.rootfs)]
    return [
        ("root", "overlay"),
        ("root-path", own.rootfs),
        ("root-lower", lower),
        ("root-upper", own.upper),
        ("root-work", own.work),
    ]


def _mount_pairs(mounts: tuple[MountPlan, ...]) -> list[Pair]:
    pairs: list[Pair] = []
    for mount in mounts:
        if mount.kind == "tmpfs":
            pairs.append(("tmpfs", f"{mount.size_bytes}:{mount.target}"))
        else:
            pairs.append(
                launch_plan.volume(mount.source, mount.target, read_only=mount.read_only, directory=mount.directory)
            )
    return pairs
