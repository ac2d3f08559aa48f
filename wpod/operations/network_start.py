"""A container's networks from before its start to its end.

Theory of operation. Everything that can fail is done before the keeper is started: the host's ports are opened, the
addresses leased, the namespace, bridges and rules made. What the keeper needs of it is in `Joined`. What must live as
long as the container (relayed ports of a user) is told to the holder twice: first with this command's own process as
the one whose end is the container's, then with the keeper's, so that a command that is killed in between leaves
nothing. In the foreground both are the same process.

Leases are given back by the next command that writes, when the container has ended (`release_dead`).
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Collection, Iterator, Sequence

from wpod.errors import CannotEnforce, MissingProgram, NoNetworks, WpodError, system_failures
from wpod.formats.state_file import Kind
from wpod.frozen import replace
from wpod.model.container import Container, ContainerRecord, Status
from wpod.model.network import Attachment, Lease, NetworkMode
from wpod.operations import published_ports
from wpod.operations.locks import try_lock
from wpod.operations.network_site import Site
from wpod.queries import containers as queries
from wpod.runtime.backend import NOT_JOINED, Joined
from wpod.storage.store import Store

_CONNECTING = "connecting-"


class NetworkStart:
    """One start's networks. `joined` is what the backend is told; `close` when the start is over, however it went.

    `beside` is another start of the same keeper.
    """

    def __init__(self, store: Store, record: ContainerRecord, beside: NetworkStart | None = None) -> None:
        self.joined: Joined = NOT_JOINED
        self._store = store
        self._record = record
        self._sockets: list[socket.socket] = []
        self._site: Site | None = None
        self._beside = beside._site if beside else None

    def prepare(self) -> None:
        """Do everything that can fail. Raises WpodError subclasses; `undo` takes back what was done."""
        plan, networking = self._record.plan, self._record.plan.networking
        if plan.network is NetworkMode.NETWORKS:
            self._site = Site(self._store, self._beside)
            published_ports.check(self._store, self._record)
        if networking.ports:
            from wpod.net import ports

            self._sockets = ports.open_sockets(networking.ports)
        if self._site is not None:
            self.joined = self._site.join(self._record, self._sockets)
        elif plan.network is NetworkMode.CONTAINER:
            self.joined = _of_container(self._store, networking.target)
        elif plan.network is NetworkMode.PATH:
            from wpod.net import foreign

            foreign.check(networking.target)
            self.joined = replace(NOT_JOINED, shared=networking.target)
        if plan.kind is Kind.WASM:
            self.joined = replace(self.joined, listeners=tuple(one.fileno() for one in self._sockets))

    def running(self) -> None:
        """The keeper is ready: what lasts as long as the container is its from here on.

        A holder that was killed at this moment is nobody's failure: the next command that writes restores it.
        """
        if self._site is not None:
            with contextlib.suppress(WpodError):
                self._site.belongs_to_keeper(self._record)

    def undo(self) -> None:
        """The container doesn't run."""
        if self._site is not None:
            self._site.leave(self._record)

    def close(self) -> None:
        """This process's own copies of sockets and connections go."""
        for one in self._sockets:
            one.close()
        if self._site is not None:
            self._site.close()


@contextlib.contextmanager
def starting(store: Store, record: ContainerRecord, beside: NetworkStart | None) -> Iterator[NetworkStart]:
    """Prepared networks of one start, taken back where the block raises."""
    made = NetworkStart(store, record, beside)
    try:
        with _way_without(record):
            made.prepare()
        yield made
    except BaseException:
        made.undo()
        raise
    finally:
        made.close()


@contextlib.contextmanager
def _way_without(record: ContainerRecord) -> Iterator[None]:
    """Where the machine can't give networks, the hint says so also to those who have not asked for one."""
    try:
        yield
    except (MissingProgram, NoNetworks) as error:
        if record.plan.network is NetworkMode.NETWORKS:
            without = "--network none does without"
            error.hint = f"{error.hint}; {without}" if error.hint else without
        raise


def release_dead(store: Store) -> None:
    """Give back the places of containers that have ended, and restore what was killed. Failures are left for later."""
    leases = store.networks.leases()
    with contextlib.suppress(WpodError), system_failures():
        if leases:
            _undo_connections(store)
            _release_dead(store, leases)
        elif os.geteuid() != 0:
            from wpod.net import holder

            holder.end_orphans(store.paths.run)


def _release_dead(store: Store, leases: Sequence[Lease]) -> None:
    holders = {one.container_id for one in leases}
    dead = {one for one in holders if _has_ended(store, one)}
    with contextlib.closing(Site(store)) as site:
        if dead:
            site.forget(dead, [one for one in leases if one.container_id in dead])
        if holders - dead:
            site.restore(holders - dead)


def release(store: Store, container_ids: Collection[str]) -> str:
    """Give back the places of containers that are being removed; what can't be, in words, or ""."""
    leases = [one for one in store.networks.leases() if one.container_id in container_ids]
    if not leases:
        return ""
    try:
        with contextlib.closing(Site(store)) as site:
            site.forget(container_ids, leases)
    except WpodError as error:
        return error.message
    return ""


def _undo_connections(store: Store) -> None:
    """Take back what a killed `network connect` has done and not recorded. Whoever is still at it holds the lock."""
    from wpod.net import holder

    directory = holder.directory(store.paths.run)
    for name in os.listdir(directory):
        if not name.startswith(_CONNECTING):
            continue
        container_id, mark = name.removeprefix(_CONNECTING), f"{directory}/{name}"
        own = store.paths.container(container_id)
        lock = try_lock(own)
        if lock is None and os.path.isdir(own.directory):
            continue
        try:
            with contextlib.suppress(WpodError):
                _disconnect_unrecorded(store, container_id, os.readlink(mark))
            os.unlink(mark)
        except FileNotFoundError:  # another command was first
            pass
        finally:
            if lock is not None:
                os.close(lock)


def _disconnect_unrecorded(store: Store, container_id: str, network: str) -> None:
    container = queries.find(store, container_id)
    if any(one.network == network for one in container.record.plan.networking.attachments):
        return
    if container.observed.status is Status.RUNNING:
        disconnect(store, container, network)


def _has_ended(store: Store, container_id: str) -> bool:
    """Whether it doesn't run and nobody is starting it: who starts one holds its lock."""
    own = store.paths.container(container_id)
    if queries.observe(own).status is Status.RUNNING:
        return False
    lock = try_lock(own)
    if lock is None:
        return not os.path.isdir(own.directory)
    try:
        return queries.observe(own).status is not Status.RUNNING
    finally:
        os.close(lock)


def _of_container(store: Store, container_id: str) -> Joined:
    """Another container's network namespace, and as a user the user namespace that it belongs to."""
    container = queries.find(store, container_id)
    state = container.observed.state
    if container.observed.status is not Status.RUNNING or state is None:
        raise WpodError(
            f"container {container.record.name} is not running: its network can't be shared", hint="start it first"
        )
    if container.record.plan.kind is Kind.WASM:
        raise CannotEnforce(
            f"container {container.record.name} is a wasm container: it has no network of its own to share",
            hint="give both the same --network",
        )
    if container.record.plan.network is NetworkMode.HOST:
        raise CannotEnforce(f"container {container.record.name} has the host's network", hint="--network host")
    path = f"/proc/{state.pid}/ns/net"
    user = f"/proc/{state.pid}/ns/user" if os.geteuid() else ""
    return replace(NOT_JOINED, shared=path, user_namespace=user)


@contextlib.contextmanager
def connecting(store: Store, container: Container, attachment: Attachment) -> Iterator[None]:
    """Join a running container, which is locked, to one more network; the caller records that in the block.

    Where it is killed before the end, the next command that writes takes the container off again. Raises NameTaken,
    WpodError.
    """
    from wpod.net import holder

    mark = f"{holder.directory(store.paths.run)}/{_CONNECTING}{container.record.container_id}"
    with system_failures():
        with contextlib.suppress(FileNotFoundError):
            os.unlink(mark)
        os.symlink(attachment.network, mark)  # a file that is there with its content at once
    try:
        with contextlib.closing(Site(store)) as site:
            site.connect(container, attachment)
        try:
            yield
        except BaseException:
            disconnect(store, container, attachment.network)
            raise
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(mark)


def disconnect(store: Store, container: Container, network: str) -> None:
    """Take a running container off a network. Raises NotThere, WpodError."""
    with contextlib.closing(Site(store)) as site:
        site.disconnect(container, network)


def reload(store: Store, name: str) -> str:
    """Make bridges, rules, ports and names of a running container anew, as they are recorded; its ID.

    Raises NotThere, WpodError (it isn't running), CannotEnforce (it is on no network).
    """
    container = queries.find(store, name)
    record = container.record
    if container.observed.status is not Status.RUNNING:
        raise WpodError(f"container {record.name} is not running: it has no network to reload")
    if not store.networks.leases(record.container_id):
        raise CannotEnforce(f"container {record.name} is on no network")
    with contextlib.closing(Site(store)) as site:
        site.restore([record.container_id], anew=True)
    return record.container_id
