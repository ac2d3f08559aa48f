"""`create`: from a request to a recorded container, or nothing at all.

Order, so that kill -9 at any moment leaves what the next writing command can tell and sweep away: the
directory with its held lock first, then everything inside it, the database row last. A directory
without a row and with a free lock is rubbish; a row without a directory never exists.
"""

from __future__ import annotations

import contextlib
import os
import time

from wpod.errors import NameTaken, NotThere, StoreError, UsageError, WpodError
from wpod.frozen import replace
from wpod.model import ids
from wpod.model.container import ContainerPlan, ContainerRecord, RootKind
from wpod.model.image import Image
from wpod.model.request import RunRequest
from wpod.model.volume import Volume
from wpod.operations.locks import NewLock
from wpod.operations.look import look
from wpod.operations.sweep import sweep
from wpod.operations.undo import UndoStack
from wpod.paths import ContainerPaths
from wpod.plan.container import check_request, plan_container
from wpod.runtime.backend import Launch, for_kind
from wpod.state.containers import VolumeUse
from wpod.storage.layout import store_error
from wpod.storage.other_ids import copy_owned, remove_owned
from wpod.storage.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wpod.operations.volumes import Filling


def plan(store: Store, request: RunRequest, image: Image, *, detached: bool) -> tuple[str, ContainerPlan]:
    """A new container ID and its plan. The caller holds `store.lease()`. Changes nothing but the store's trees."""
    check_request(request, detached)
    container_id = ids.new_container_id()
    return container_id, plan_container(request, look(store, request, image, container_id))


def create(
    store: Store, request: RunRequest, image: Image, command_line: tuple[str, ...], *, detached: bool
) -> ContainerRecord:
    """Make and record one container. Raises WpodError subclasses; nothing is left behind then."""
    with UndoStack() as undo:
        record = create_undoable(store, request, image, command_line, undo, detached=detached)
        undo.keep()
    return record


def create_undoable(
    store: Store, request: RunRequest, image: Image, command_line: tuple[str, ...], undo: UndoStack, *, detached: bool
) -> ContainerRecord:
    """As `create`, where the caller goes on: all that was made is taken back unless it calls `undo.keep()`."""
    _refuse_cidfile(request.identity.cidfile)
    sweep(store)
    with store.lease():
        _check_image(store, request, image)
        return _create_one(store, request, image, command_line, undo, detached=detached)


def create_scaled(
    store: Store, request: RunRequest, image: Image, command_line: tuple[str, ...], undo: UndoStack, *, count: int
) -> list[ContainerRecord]:
    """`count` containers of one request, to be started detached: NAME-1 to NAME-`count`; as `create_undoable`."""
    fixed = next((port.host_port for port in request.network.ports if port.host_port), 0)
    if count > 1 and fixed:
        raise UsageError(f"--scale {count} can't publish port {fixed} of the host for all of them",
                         hint="leave the host's port out: each gets a free one, which wpod port tells")  # fmt: skip
    sweep(store)
    base = request.identity.name or _free_name(store)
    numbered = [f"{base}-{number}" for number in range(1, count + 1)]
    ids.check_name(numbered[-1])
    with store.lease():
        _check_image(store, request, image)
        return [
            _create_one(
                store,
                replace(request, identity=replace(request.identity, name=name)),
                image,
                command_line,
                undo,
                detached=True,
            )
            for name in numbered
        ]


def _create_one(
    store: Store, request: RunRequest, image: Image, command_line: tuple[str, ...], undo: UndoStack, *, detached: bool
) -> ContainerRecord:
    """The caller holds the lease and has seen that the image is there."""
    container_id, planned = plan(store, request, image, detached=detached)
    if request.identity.replace and request.identity.name:
        _replace(store, request.identity.name)
    record = ContainerRecord(
        container_id=container_id,
        name=request.identity.name or _free_name(store),
        image_id=image.image_id,
        image_digest=image.digest,
        image_name=_image_name(request, image),
        created_nanoseconds=time.time_ns(),
        plan=planned,
        remove=request.remove,
        labels={**image.config.labels, **dict(request.identity.labels)},
        annotations=dict(request.identity.annotations),
        create_command=command_line,
    )
    lock, anonymous = _make(store, record, request, undo)
    _record(store, record, anonymous, undo)
    lock.release()
    return record


def _check_image(store: Store, request: RunRequest, image: Image) -> None:
    """From here on the lease keeps its content; before, another command may have removed it."""
    try:
        store.images.get(image.digest)
    except NotThere:
        raise NotThere(f"{request.image or image.display_name}: image not known: it was removed meanwhile") from None


def launch_of(store: Store, record: ContainerRecord, *, foreground: bool) -> Launch:
    """What a backend is asked about this container."""
    return Launch(record, store.paths.container(record.container_id), store.paths, foreground)


def _make(store: Store, record: ContainerRecord, request: RunRequest, undo: UndoStack) -> tuple[NewLock, list[Volume]]:
    """The container's directory with all that is in it; its held lock, and the anonymous volumes that are ready."""
    launch = launch_of(store, record, foreground=False)
    own = launch.paths
    backend = for_kind(record.plan.kind)
    backend.check(launch)
    if request.identity.name and _name_exists(store, request.identity.name):
        raise store.containers.name_taken(request.identity.name)
    store.layout.create()
    try:
        lock = _make_directory(store, own, undo)
        os.mkdir(own.logs, 0o700)
        _make_root(record.plan, own)
        anonymous = _make_volumes(store, record.plan, own, undo)
        backend.prepare(launch)
        if request.identity.cidfile:
            _write_cidfile(request.identity.cidfile, record.container_id, undo)
    except OSError as error:
        raise store_error(error, own.directory) from error
    return lock, anonymous


def _make_directory(store: Store, own: ContainerPaths, undo: UndoStack) -> NewLock:
    """The container's directory with its held lock; both appear in one rename.

    Made in place, a sweep of another command could come between the directory and its lock, take it for
    rubbish, and remove it.
    """
    staged = ContainerPaths(f"{store.paths.temporary}/container-{os.path.basename(own.directory)}")
    undo.add(staged.directory, lambda: _remove(staged.directory))
    os.mkdir(staged.directory, 0o700)
    lock = NewLock(staged)
    undo.add("the container's lock", lock.release)
    undo.add(own.directory, lambda: _remove(own.directory))
    os.rename(staged.directory, own.directory)
    return lock


def _remove(directory: str) -> None:
    if not remove_owned(directory):
        raise StoreError(f"{directory} can't be removed")


def _make_root(plan: ContainerPlan, own: ContainerPaths) -> None:
    if plan.root.kind is RootKind.READ_ONLY:
        return
    if plan.root.kind is RootKind.COPY:
        (lower,) = plan.root.lowers
        copy_owned(lower, own.rootfs)
        return
    for directory in (own.rootfs, own.upper, own.work):
        os.mkdir(directory, 0o755)


def _make_volumes(store: Store, plan: ContainerPlan, own: ContainerPaths, undo: UndoStack) -> list[Volume]:
    """Named volumes are there from here on; the anonymous ones returned wait inside the container's directory."""
    from wpod.operations import volumes

    (lower,) = plan.root.lowers
    anonymous = []
    for mount in plan.mounts:
        if not mount.volume:
            continue
        filling = volumes.Filling(lower, mount.target)
        try:
            volumes.ensure_files(store, store.volumes.get(mount.volume))
        except NotThere:
            fresh = Volume(mount.volume, mount.source, time.time_ns(), {}, {}, ids.is_full_id(mount.volume))
            if fresh.anonymous:
                volumes.make_files(own.new_volume(fresh.name), filling)
                anonymous.append(fresh)
            else:
                _make_volume(store, fresh, filling, undo)
    return anonymous


def _make_volume(store: Store, volume: Volume, filling: Filling, undo: UndoStack) -> None:
    from wpod.operations import volumes

    try:
        volumes.create(store, volume, filling)
    except NameTaken:
        return  # another command made it meanwhile: its content is that one's business

    def forget() -> None:
        with contextlib.suppress(NotThere):
            volumes.remove(store, volume.name)

    undo.add(f"volume {volume.name}", forget)


def _record(store: Store, record: ContainerRecord, anonymous: list[Volume], undo: UndoStack) -> None:
    """The container and its anonymous volumes, in one transaction: neither is ever there without the other."""
    own = store.paths.container(record.container_id)
    made = {volume.name for volume in anonymous}
    others = {mount.volume for mount in record.plan.mounts if mount.volume} - made

    def put_in_place() -> None:
        for volume in anonymous:
            directory = os.path.dirname(volume.mountpoint)
            try:
                os.rename(own.new_volume(volume.name), directory)
            except OSError as error:
                raise store_error(error, directory) from error

    def forget() -> None:
        from wpod.operations import volumes

        store.containers.delete(record.container_id, with_volumes=True)
        for name in made:
            volumes.discard_files(store, name)

    undo.add(f"the record of {record.name}", forget)
    store.containers.insert(record, VolumeUse(tuple(sorted(others)), tuple(anonymous)), put_in_place)


def _refuse_cidfile(path: str) -> None:
    """Before anything is replaced; two commands with one file are told apart when it is made."""
    if path and os.path.lexists(path):
        raise UsageError(
            f"container id file {path} exists", hint="ensure another container is not using it, or delete it"
        )


def _write_cidfile(path: str, container_id: str, undo: UndoStack) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        undo.add(path, lambda: os.unlink(path))
        with os.fdopen(descriptor, "w") as file:
            file.write(container_id)
    except FileExistsError:
        _refuse_cidfile(path)
        raise
    except OSError as error:
        raise StoreError(f"container id file {path}: {error.strerror}") from None


def _replace(store: Store, name: str) -> None:
    from wpod.operations.remove import RemoveOptions, remove

    if _name_exists(store, name):
        remove(store, name, RemoveOptions(force=True, stop_timeout_seconds=0))


def _name_exists(store: Store, name: str) -> bool:
    return bool(store.database.rows("SELECT 1 FROM container WHERE name = ?", (name,)))


def _free_name(store: Store) -> str:
    for _ in range(100):
        name = ids.new_name()
        if not _name_exists(store, name):
            return name
    for _ in range(100):
        name = f"{ids.new_name()}{os.urandom(2).hex()}"
        if not _name_exists(store, name):
            return name
    raise WpodError("no free container name was found", hint="give one with --name")


def _image_name(request: RunRequest, image: Image) -> str:
    """What `ps` shows: the full name that the request's words mean, or what was typed where it was an ID."""
    if len(image.names) == 1:
        return image.names[0]
    wanted = request.image
    for name in image.names:
        if name == wanted or name.endswith((f"/{wanted}", f"/{wanted}:latest")):
            return name
    return image.display_name
