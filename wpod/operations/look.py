"""Looking: what the image, the machine and the request's names really are, before anything is made."""

from __future__ import annotations

import os
import stat

from wpod.errors import CannotInvoke, ProgramNotFound, StoreError, UsageError
from wpod.formats.state_file import Kind
from wpod.frozen import frozen
from wpod.kernel.openat2 import open_inside, read_inside
from wpod.model.container import ModulePlan, MountPlan, RootPlan
from wpod.model.image import Image
from wpod.model.request import MountKind, MountRequest, RunRequest
from wpod.operations.networks import look_network
from wpod.plan.arguments import absolute_directory, command_line, program_candidates
from wpod.plan.container import Found, environment_settings, working_directory
from wpod.plan.users import READ_LIMIT_BYTES, resolve_user
from wpod.runtime import choose
from wpod.runtime.backend import TreeSize, for_kind
from wpod.runtime.backend import id_map as id_map_of
from wpod.runtime.modules import digests
from wpod.storage.store import Store
from wpod.storage.trees import Tree, artifact_module_name, find_or_unpack


@frozen
class Program:
    """The guest's program as found: path on the host, its first bytes, whether it is part of the image."""

    path: str
    head: bytes
    in_image: bool


@frozen
class _Guest:
    kind: Kind
    reason: str
    tree: Tree
    program: Program | None


def look(store: Store, request: RunRequest, image: Image, container_id: str) -> Found:
    """Everything that the plan needs; unpacks the image where that hasn't been done yet.

    The caller holds `store.lease()`. Raises UsageError, ProgramNotFound, CannotInvoke, StoreError,
    InvalidImage.
    """
    mounts = _mounts(store, request, image)
    fallback = _artifact_entrypoint(image)
    entrypoint, command = command_line(image.config, request.process, request.arguments, fallback)
    candidates = program_candidates(
        (*entrypoint, *command)[0], working_directory(request, image), environment_settings(request, image)
    )
    guest = _guest(store, request, image, candidates, mounts)
    passwd = read_inside(guest.tree.path, "etc/passwd", READ_LIMIT_BYTES) or b""
    group = read_inside(guest.tree.path, "etc/group", READ_LIMIT_BYTES) or b""
    module = None
    if guest.kind is Kind.WASM:
        module = _module(request, guest, (*entrypoint, *command)[0])
    _check_working_directory(request, guest, mounts)
    mode, networking = look_network(store, request.network, image, guest.kind)
    size = TreeSize(guest.tree.size_bytes, guest.tree.entries)
    backend = for_kind(guest.kind)
    root_kind = backend.root_kind(size, request.storage.read_only)
    return Found(
        container_id=container_id,
        image=image,
        kind=guest.kind,
        kind_reason=guest.reason,
        entrypoint=entrypoint,
        command=command,
        user=resolve_user(request.process.user or image.config.user, passwd, group),
        root=RootPlan(root_kind, (guest.tree.path,), id_map_of(guest.kind).key),
        mounts=mounts,
        module=module,
        network=mode,
        networking=networking,
    )


def _artifact_entrypoint(image: Image) -> tuple[str, ...]:
    """Wasm artifacts carry no configuration of a process: their module is the entrypoint."""
    name = artifact_module_name(image)
    return (f"/{name}",) if name else ()


def _guest(
    store: Store, request: RunRequest, image: Image, candidates: tuple[str, ...], mounts: tuple[MountPlan, ...]
) -> _Guest:
    """Choose the kind; unpack for the id map of that kind.

    Only an unprivileged user has two maps. Then an image that says nothing of itself is unpacked for
    the native one first and once more if its entrypoint turns out to be a module (those are small).
    """
    choice = choose.from_metadata(
        choose.ImageFacts(
            user_kind=request.engine.kind,
            user_annotations=dict(request.identity.annotations),
            image_annotations=image.annotations,
            config_media_type=image.config_descriptor.media_type,
            layer_media_types=tuple(layer.media_type for layer in image.layers),
            os=image.config.platform.os,
            architecture=image.config.platform.architecture,
        )
    )
    kind = choice.kind if choice else Kind.NATIVE
    id_map = id_map_of(kind)
    tree = find_or_unpack(store, image, id_map)
    program = _find_program(tree.path, candidates, mounts)
    if choice is None:
        choice = choose.from_program(program.head if program else b"")
        wanted = id_map_of(choice.kind)
        if wanted.key != id_map.key:
            tree = find_or_unpack(store, image, wanted)
            program = _find_program(tree.path, candidates, mounts)
    return _Guest(choice.kind, choice.reason, tree, program)


def _module(request: RunRequest, guest: _Guest, name: str) -> ModulePlan:
    program = guest.program
    if program is None:
        raise ProgramNotFound(f"module {name!r} not found in the image")
    if not program.head:
        raise CannotInvoke(f"module {name!r} is empty")
    if not program.head.startswith(choose.WASM_MAGIC):
        raise CannotInvoke(f"{name!r} is not a WebAssembly module", hint="--kind=native runs it as a program")
    memo = os.path.dirname(guest.tree.path) if program.in_image else None
    return ModulePlan(program.path, digests.module_digest(program.path, memo), request.engine.aot)


def _check_working_directory(request: RunRequest, guest: _Guest, mounts: tuple[MountPlan, ...]) -> None:
    """The user's must be there, as podman has it (126); one that the image names is made where it is missing."""
    wanted = request.process.working_directory
    path = absolute_directory(wanted)
    given_by_kernel = guest.kind is Kind.NATIVE and path.split("/")[1] in ("proc", "sys", "dev")
    if not wanted or given_by_kernel or any(mount.target == path for mount in mounts):
        return
    root, inner, _ = _where(guest.tree.path, path, mounts)
    directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.close(open_inside(directory, inner, os.O_PATH | os.O_DIRECTORY))
    except OSError as error:
        reason = "is not a directory" if isinstance(error, NotADirectoryError) else "does not exist in the container"
        raise CannotInvoke(f"workdir {wanted!r} {reason}") from None
    finally:
        os.close(directory)


def _find_program(tree: str, candidates: tuple[str, ...], mounts: tuple[MountPlan, ...]) -> Program | None:
    for candidate in candidates:
        root, inner, in_image = _where(tree, candidate, mounts)
        program = _open_program(root, inner, in_image)
        if program is not None:
            return program
    return None


def _where(tree: str, candidate: str, mounts: tuple[MountPlan, ...]) -> tuple[str, str, bool]:
    """The directory and the path below it that this path of the guest means: a mount's source or the tree."""
    for mount in sorted(mounts, key=lambda one: -len(one.target)):
        if mount.kind == "tmpfs" or (mount.volume and not os.path.isdir(mount.source)):
            continue  # a volume that isn't there yet is filled with what the image has
        if not mount.directory and candidate == mount.target:
            return os.path.dirname(mount.source), os.path.basename(mount.source), False
        if mount.directory and candidate.startswith(mount.target + "/"):
            return mount.source, candidate[len(mount.target) + 1 :], False
    return tree, candidate, True


def _open_program(root: str, inner: str, in_image: bool) -> Program | None:
    try:
        directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        descriptor = open_inside(directory, inner, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return None
    finally:
        os.close(directory)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return Program(os.readlink(f"/proc/self/fd/{descriptor}"), os.read(descriptor, 8), in_image)
    finally:
        os.close(descriptor)


def _mounts(store: Store, request: RunRequest, image: Image) -> tuple[MountPlan, ...]:
    planned = [_mount(store, mount) for mount in request.storage.mounts]
    taken = {mount.target for mount in planned}
    for target in image.config.volumes:
        normal = absolute_directory(target)
        if normal not in taken and normal != "/":
            planned.append(_mount(store, MountRequest(MountKind.VOLUME, "", normal)))
            taken.add(normal)
    return tuple(planned)


def _mount(store: Store, mount: MountRequest) -> MountPlan:
    target = absolute_directory(mount.target)
    if mount.kind is MountKind.TMPFS:
        return MountPlan(
            "tmpfs",
            "tmpfs",
            target,
            mount.read_only,
            size_bytes=mount.size_bytes,
            mode=mount.mode,
            options=mount.options,
        )
    if mount.kind is MountKind.VOLUME:
        name = mount.source or os.urandom(32).hex()
        return MountPlan(
            "volume", store.volumes.mountpoint(name), target, mount.read_only, volume=name, options=mount.options
        )
    source = os.path.abspath(mount.source)
    try:
        found = os.stat(source)
    except OSError as error:
        raise StoreError(f"volume source {mount.source}: {(error.strerror or str(error)).lower()}") from None
    if not (stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)):
        raise UsageError(f"volume source {mount.source} is neither a directory nor a regular file")
    return MountPlan("bind", source, target, mount.read_only, stat.S_ISDIR(found.st_mode), options=mount.options)
