"""One container's plan: the request joined with what was found, checked, nothing done yet."""

from __future__ import annotations

from wpod.errors import NotSupportedYet, UsageError
from wpod.formats.state_file import Kind
from wpod.frozen import frozen
from wpod.model import ids, signals
from wpod.model.container import ContainerPlan, ModulePlan, MountPlan, RootPlan, UserPlan
from wpod.model.image import Image
from wpod.model.network import NetworkMode, NetworkPlan
from wpod.model.request import RunRequest
from wpod.plan.arguments import absolute_directory, merge_environment, native_environment


@frozen
class Found:
    """What looking at the image and the machine gave (`wpod.operations.look`)."""

    container_id: str
    image: Image
    kind: Kind
    kind_reason: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    user: UserPlan
    root: RootPlan
    mounts: tuple[MountPlan, ...]
    module: ModulePlan | None
    network: NetworkMode
    networking: NetworkPlan


def working_directory(request: RunRequest, image: Image) -> str:
    """The user's, else the image's, else /."""
    return absolute_directory(request.process.working_directory or image.config.working_directory or "/")


def environment_settings(request: RunRequest, image: Image) -> tuple[str, ...]:
    """The image's and the user's, nothing else."""
    return merge_environment(image.config.environment, request.process.environment)


def plan_container(request: RunRequest, found: Found) -> ContainerPlan:
    """Raises UsageError and NotSupportedYet where the request makes no sense for what was found."""
    process = request.process
    hostname = request.identity.hostname or ids.short(found.container_id)
    if len(hostname) > 64:
        raise UsageError(f"hostname {hostname[:20]}… is longer than 64 characters")
    environment = environment_settings(request, found.image)
    if found.kind is Kind.NATIVE:
        environment = native_environment(environment, hostname, found.user.home, process.terminal)
    _check_mounts(found.mounts)
    return ContainerPlan(
        kind=found.kind,
        kind_reason=found.kind_reason,
        arguments=(*found.entrypoint, *found.command),
        entrypoint=found.entrypoint,
        command=found.command,
        environment=environment,
        working_directory=working_directory(request, found.image),
        user=found.user,
        hostname=hostname,
        root=found.root,
        mounts=tuple(sorted(found.mounts, key=lambda mount: mount.target.count("/"))),
        limits=request.limits,
        network=found.network,
        stop_signal=_stop_signal(process.stop_signal or found.image.config.stop_signal),
        stop_timeout_seconds=process.stop_timeout_seconds,
        timeout_seconds=process.timeout_seconds,
        interactive=process.interactive,
        terminal=process.terminal,
        read_only=request.storage.read_only,
        log_driver=request.log.driver,
        log_max_bytes=request.log.max_bytes,
        module=found.module,
        runtime=request.engine.runtime,
        no_hosts=request.storage.no_hosts,
        no_new_privileges=request.security.no_new_privileges,
        seccomp_profile=request.security.seccomp_profile,
        privileged=request.security.privileged,
        capabilities_added=request.security.capabilities_added,
        capabilities_dropped=request.security.capabilities_dropped,
        networking=found.networking,
    )


def check_request(request: RunRequest, detached: bool) -> None:
    """Refuse what can't work whatever the image is, before anything is pulled."""
    if request.identity.name:
        ids.check_name(request.identity.name)
    if detached and request.process.terminal:
        raise NotSupportedYet("--tty together with --detach", hint="leave out -t, or run it in the foreground")
    for mount in request.storage.mounts:
        if not mount.target.startswith("/"):
            raise UsageError(f"invalid mount destination {mount.target!r}: must be an absolute path")
        if absolute_directory(mount.target) == "/":
            raise UsageError("invalid mount destination '/': the root can't be mounted over")


def _check_mounts(mounts: tuple[MountPlan, ...]) -> None:
    seen: set[str] = set()
    for mount in mounts:
        if mount.target in seen:
            raise UsageError(f"{mount.target}: duplicate mount destination")
        seen.add(mount.target)


def _stop_signal(text: str) -> int:
    try:
        return signals.parse(text or "TERM")
    except ValueError:
        raise UsageError(f"invalid stop signal {text!r:.80}") from None
