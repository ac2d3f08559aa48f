"""Where a store's networks really are, and what is done there: the host's namespace for root, the holder's for a user.

As root, published ports are rules of the firewall; a user's are sockets that the holder relays. Everything else is the
same: bridges, links, leases, names.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Collection, Iterator, Sequence

from wpod.errors import CannotEnforce, WpodError, system_failures
from wpod.formats import state_file
from wpod.formats.state_file import Kind
from wpod.frozen import replace
from wpod.kernel import pidfd
from wpod.model.container import Container, ContainerRecord
from wpod.model.network import DEFAULT_NETWORK, Attachment, Lease, Network, PublishedPort
from wpod.net import firewall, holder, host_routes, links
from wpod.net.namespace import NetworkNamespace
from wpod.operations import network_leases, network_names, network_records, published_ports
from wpod.operations.network_links import LinkMaker
from wpod.operations.wasm_networks import WasmNetworks
from wpod.runtime.backend import NOT_JOINED, Joined
from wpod.storage.store import Store

_NS_GET_USERNS = 0xB701


class Site:
    """Opened for one command. Nothing is started or made before it is needed; `close` lets go of the holder.

    Whatever the system refuses is raised as a WpodError.

    `beside` is another one of the same command, with which it shares the namespaces of wasm containers.
    """

    @system_failures()
    def __init__(self, store: Store, beside: Site | None = None) -> None:
        self._store = store
        self._rootless = os.geteuid() != 0
        self._holder: holder.Connection | None = None
        directory = holder.directory(store.paths.run)
        self._links = LinkMaker(directory)
        self._wasm: WasmNetworks = beside._wasm if beside else WasmNetworks(store, self._links, directory)

    def close(self) -> None:
        """The holder may end from here on, if nobody else needs it."""
        self._wasm.close()
        if self._holder is not None:
            self._holder.close()
            self._holder = None

    @system_failures()
    def join(self, record: ContainerRecord, sockets: Sequence[socket.socket]) -> Joined:
        """Give a container its places, and make ready what it needs for its links. Raises WpodError subclasses."""
        networking = record.plan.networking
        networks = [self._network(one.network) for one in networking.attachments]
        if record.plan.kind is Kind.WASM and not (networks[0].is_bridge and networks[0].subnets):
            raise CannotEnforce(
                f"a wasm container can't be on network {networks[0].name}: it needs an address of a bridge",
                hint="a network of the driver bridge gives one",
            )
        there = self._find()
        if there is not None:
            self._withdraw(there, self._store.networks.leases(record.container_id))
        leases = self._store.networks.lease(
            record.container_id, lambda lookup: network_leases.choose(record, networking.attachments, lookup), anew=True
        )
        namespace = self._enter(remains=None)
        for network in networks:
            self._make(namespace, network)
        self._publish(record, leases, sockets)
        network_names.update(self._store, namespace, self._holder)
        inner, messages = -1, ""
        if record.plan.kind is Kind.WASM:
            inner = self._wasm.join(namespace, networks[0], leases[0])
        else:
            messages = links.to_text(self._links.of_container(leases, {one.name: one for one in networks}))
        return replace(
            NOT_JOINED,
            user_namespace=namespace.user_path,
            network_namespace=namespace.network_path,
            inner=inner,
            messages=messages,
            leases=tuple(leases),
            name_servers=network_names.servers(networks),
            host_gateway=network_names.host_gateway(networks),
            internal=all(one.internal for one in networks),
        )

    @system_failures()
    def belongs_to_keeper(self, record: ContainerRecord) -> None:
        """From here on the end of the keeper is the end of the container; without one, the end of its main process."""
        if self._holder is None:
            return
        state, _ = state_file.read(self._store.paths.container(record.container_id).state)
        process = pidfd.open_verified(state.keeper_pid, state.keeper_start_ticks)
        if process is None:
            process = pidfd.open_verified(state.pid, state.start_ticks)
        if process is not None:
            try:
                self._holder.use(record.container_id, process)
            finally:
                os.close(process)

    @system_failures()
    def leave(self, record: ContainerRecord) -> None:
        """Take back what `join` did. Goes on past failures."""
        leases = self._store.networks.leases(record.container_id)
        with contextlib.suppress(WpodError):
            self.forget({record.container_id}, leases)

    @system_failures()
    def forget(self, container_ids: Collection[str], leases: Sequence[Lease]) -> None:
        """Give back the places, ports and names of containers that have ended. Raises WpodError."""
        there = self._find()
        if self._holder is not None:
            for container_id in container_ids:
                self._holder.forget(container_id)
        if not self._rootless:
            published = [pair for one in container_ids for pair in self._publications(one, leases)]
            firewall.withdraw(NetworkNamespace(), published)
        if there is not None:
            self._withdraw(there, leases)
        self._store.networks.release(container_ids)
        if there is not None:
            network_names.update(self._store, there, self._holder)

    @system_failures()
    def restore(self, container_ids: Collection[str], *, anew: bool = False) -> None:
        """What running containers need, where it was killed or lost; `anew`: make all of it again. Raises WpodError."""
        there = self._find()
        missing = set(container_ids)
        if there is not None and not anew:
            # Root's rules and bridges are the kernel's: nobody can kill them.
            missing = missing - self._holder.containers() if self._holder is not None else set()
        if not missing:
            if there is not None:
                self._restore_helpers(there)
            return
        running = [self._store.containers.find(one) for one in sorted(missing)]
        namespace = self._enter(self._remains(running))
        for name in sorted({one.network for one in self._store.networks.leases() if one.container_id in missing}):
            self._make(namespace, self._network(name), anew=True)
        for record in running:
            self._register(record)
        network_names.update(self._store, namespace, self._holder)

    def _restore_helpers(self, there: NetworkNamespace) -> None:
        """Pasta and the name server, where somebody has killed them."""
        if self._holder is not None:
            holder.connect_with_world(self._store.paths.run, self._holder)
        network_names.update(self._store, there, self._holder)

    @system_failures()
    def connect(self, container: Container, attachment: Attachment) -> None:
        """One more network for a running container. Raises NameTaken, WpodError."""
        record, state = container.record, container.observed.state
        assert state is not None, "a running container has a state file"
        network = self._network(attachment.network)
        position = network_leases.free_position(self._store.networks.leases(record.container_id))
        with self._undone_lease(record, network):
            leases = self._store.networks.lease(
                record.container_id,
                lambda lookup: network_leases.choose(record, (attachment,), lookup, position=position),
                anew=False,
            )
            namespace = self._enter(self._remains([record]))
            self._make(namespace, network)
            messages = self._links.of_container(leases, {network.name: network}, position)
            self._links.apply(namespace, messages, state.pid)
            network_names.update(self._store, namespace, self._holder)
            network_names.write_hosts(self._store, record)

    @system_failures()
    def disconnect(self, container: Container, network: str) -> None:
        """Take a running container off a network. Raises NotThere, WpodError."""
        record, state = container.record, container.observed.state
        assert state is not None, "a running container has a state file"
        leases = [one for one in self._store.networks.leases(record.container_id) if one.network == network]
        namespace = self._enter(self._remains([record]))
        for lease in leases:
            self._links.apply(namespace, [links.remove_interface(self._network(network), lease)], state.pid)
        self._store.networks.release([record.container_id], network)
        network_names.update(self._store, namespace, self._holder)
        network_names.write_hosts(self._store, record)

    @system_failures()
    def refresh_names(self) -> None:
        """Let the name server know what the records say by now; where none has a reason to run, none is started."""
        there = self._find()
        if there is not None and self._store.networks.leases():
            network_names.update(self._store, there, self._holder)

    @system_failures()
    def remove_network(self, network: Network) -> None:
        """Take a network's bridge and rules away, where they are; nobody is on it."""
        namespace = self._find()
        if namespace is None or not network.is_bridge:
            return
        if not self._rootless and network.interface not in host_routes.interfaces():
            return
        self._links.apply(namespace, [links.remove_bridge(network)])
        firewall.remove_network(namespace, network)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._mark(network))

    @contextlib.contextmanager
    def _undone_lease(self, record: ContainerRecord, network: Network) -> Iterator[None]:
        before = {one.network for one in self._store.networks.leases(record.container_id)}
        try:
            yield
        except BaseException:
            if network.name not in before:
                self._store.networks.release([record.container_id], network.name)
            raise

    def _network(self, name: str) -> Network:
        return (
            network_records.ensure_default(self._store) if name == DEFAULT_NETWORK else self._store.networks.find(name)
        )

    def _find(self) -> NetworkNamespace | None:
        """The namespace of the networks where it is there: a user's only while a holder runs."""
        if not self._rootless:
            return NetworkNamespace()
        self._holder = self._holder or holder.connect(self._store.paths.run)
        return self._holder.namespace if self._holder else None

    def _enter(self, remains: holder.Remains | None) -> NetworkNamespace:
        """The namespace of the networks, with a holder in it where there must be one."""
        there = self._find()
        if there is not None:
            if self._holder is not None:
                holder.connect_with_world(self._store.paths.run, self._holder)
            return there
        self._holder = holder.start(self._store.paths.run, remains)
        if self._holder.fresh:
            firewall.ensure(self._holder.namespace)
            self._links.apply(self._holder.namespace, self._links.relay_routes())
        return self._holder.namespace

    def _make(self, namespace: NetworkNamespace, network: Network, *, anew: bool = False) -> None:
        """The bridge and the rules of a network, where they aren't known to be there; others have a parent instead."""
        if not network.is_bridge:
            host_routes.parent_index(network.interface)
            return
        mark, there = self._mark(network), self._there(network)
        if there and not anew:
            return
        self._links.apply(namespace, self._links.bridge(network))
        firewall.ensure(namespace)
        firewall.add_network(namespace, network)
        if not self._rootless:
            _let_forward(network)
        with open(mark, "w", encoding="utf-8") as file:
            file.write(self._generation())

    def _there(self, network: Network) -> bool:
        if not self._rootless and network.interface not in host_routes.interfaces():
            return False
        try:
            with open(self._mark(network), encoding="utf-8") as file:
                return file.read() == self._generation()
        except FileNotFoundError:
            return False

    def _withdraw(self, namespace: NetworkNamespace, leases: Sequence[Lease]) -> None:
        """Take the addresses of wasm containers away, before their places are given back."""
        own = [one for one in leases if not one.interface]
        for name in sorted({one.network for one in own}):
            self._wasm.withdraw(namespace, self._network(name), [one for one in own if one.network == name])

    def _mark(self, network: Network) -> str:
        return f"{holder.directory(self._store.paths.run)}/made-{network.number}"

    def _generation(self) -> str:
        """What tells the namespace's life from its next."""
        if self._holder is None:
            return "host"
        pid = self._holder.namespace.pid
        return f"{pid} {pidfd.start_ticks(pid)}"

    def _publish(self, record: ContainerRecord, leases: Sequence[Lease], sockets: Sequence[socket.socket]) -> None:
        ports = published_ports.led(record)
        where = published_ports.place(self._store, record, leases)
        if ports and where is None:
            raise CannotEnforce(
                f"ports of container {record.name} can't be published: it is on no bridge with addresses",
                hint="put it on one besides: --network bridge",
            )
        if not self._rootless:
            firewall.publish(NetworkNamespace(), published_ports.with_addresses(ports, where))
            return
        assert self._holder is not None, "a user's networks have a holder"
        own = os.pidfd_open(os.getpid())
        try:
            self._holder.use(record.container_id, own)
        finally:
            os.close(own)
        if where is None:
            return
        source = "plain" if self._network(where.network).internal else "client"
        for port, listener in zip(ports, sockets if ports else (), strict=True):
            target = published_ports.target(port, where)
            self._holder.publish(record.container_id, (port.protocol.value, target, source), listener.fileno())

    def _register(self, record: ContainerRecord) -> None:
        """Tell a new holder of a container that runs. A port that somebody took meanwhile stays closed."""
        from wpod.net import ports

        leases = self._store.networks.leases(record.container_id)
        if not leases:
            return
        sockets: list[socket.socket] = []
        try:
            with contextlib.suppress(WpodError):
                sockets = ports.open_sockets(published_ports.led(record)) if self._rootless else []
            if sockets or not self._rootless:
                self._publish(record, leases, sockets)
            self.belongs_to_keeper(record)
        finally:
            for one in sockets:
                one.close()

    def _publications(self, container_id: str, leases: Sequence[Lease]) -> list[tuple[PublishedPort, str]]:
        with contextlib.suppress(WpodError):
            record = self._store.containers.find(container_id)
            own = [one for one in leases if one.container_id == container_id]
            return published_ports.with_addresses(
                published_ports.led(record), published_ports.place(self._store, record, own)
            )
        return []

    def _remains(self, records: Sequence[ContainerRecord]) -> holder.Remains | None:
        """The shared namespaces, as a container's keeper holds the network open."""
        if not self._rootless:
            return None
        for record in records:
            with contextlib.suppress(WpodError, OSError):
                state, _ = state_file.read(self._store.paths.container(record.container_id).state)
                for name in os.listdir(f"/proc/{state.keeper_pid}/fd"):
                    path = f"/proc/{state.keeper_pid}/fd/{name}"
                    if os.readlink(path).startswith("net:["):
                        return holder.Remains(_owner_of(path), path)
        return None


def _owner_of(namespace: str) -> str:
    """The user namespace that owns a network namespace (ioctl_ns(2)), left open until this command ends: a container
    may be in one below it.
    """
    network = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return f"/proc/{os.getpid()}/fd/{fcntl.ioctl(network, _NS_GET_USERNS)}"
    finally:
        os.close(network)


def _let_forward(network: Network) -> None:
    """As root the host must forward between bridges and the world, and from its loopback into them."""
    local = f"/proc/sys/net/ipv4/conf/{network.interface}/route_localnet"
    for path in ("/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding", local):
        with contextlib.suppress(FileNotFoundError), open(path, "r+", encoding="utf-8") as file:
            if file.read().strip() == "0":
                file.seek(0)
                file.write("1")
