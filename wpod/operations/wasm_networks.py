"""The network namespaces that wasm containers share: one for each network that any of them is on.

Theory of operation. A wasm container needs no namespace of its own, for its runner binds each of the guest's sockets to
the container's address. So all of a network's are in one namespace, which has one interface on the bridge and all their
addresses; measured, a namespace for each costs more than the container itself (bench/README.md). It isn't the one where
the bridges are: there the host's own services would answer at a container's address. The kernel keeps it as long as a
runner is in it: the next one finds it through any of them. The first one is made under a lock, which is let go of when
its runner is in it. An address is taken away before its place is given back, or the namespace would answer for its next
owner.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Collection, Sequence

from wpod.errors import WpodError
from wpod.formats import state_file
from wpod.kernel import pidfd
from wpod.model.network import Lease, Network
from wpod.net.namespace import NetworkNamespace
from wpod.operations.network_links import LinkMaker
from wpod.storage.store import Store


class WasmNetworks:
    """Opened for the starts of one command; `close` when their runners are ready."""

    def __init__(self, store: Store, links: LinkMaker, directory: str) -> None:
        self._store = store
        self._links = links
        self._directory = directory
        self._opened: dict[str, int] = {}
        self._locks: list[int] = []

    def close(self) -> None:
        """The namespaces live on if somebody is in them."""
        for one in (*self._opened.values(), *self._locks):
            os.close(one)
        self._opened.clear()
        self._locks.clear()

    def join(self, namespace: NetworkNamespace, network: Network, lease: Lease) -> int:
        """The open namespace of a network, with this container's address in it, until `close`. Raises WpodError."""
        inner = self._opened.get(network.name)
        if inner is None:
            inner = self._opened[network.name] = self._open(namespace, network)
        self._links.apply_in(namespace, self._links.own_addresses([lease], network, present=True), inner)
        return inner

    def withdraw(self, namespace: NetworkNamespace, network: Network, leases: Sequence[Lease]) -> None:
        """Take the addresses of wasm containers away, where their namespace is still there. Raises WpodError."""
        inner = self._find(network, besides={one.container_id for one in leases})
        if inner is not None:
            try:
                self._links.apply_in(namespace, self._links.own_addresses(leases, network, present=False), inner)
            finally:
                os.close(inner)

    def _open(self, namespace: NetworkNamespace, network: Network) -> int:
        lock = os.open(f"{self._directory}/wasm-{network.number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = self._find(network, besides=())
            if found is not None:
                os.close(lock)
                return found
            made = self._links.share(namespace, network)
        except BaseException:
            os.close(lock)
            raise
        self._locks.append(lock)
        return made

    def _find(self, network: Network, besides: Collection[str]) -> int | None:
        """Through a runner that is in it."""
        for lease in self._store.networks.leases():
            if lease.network == network.name and not lease.interface and lease.container_id not in besides:
                with contextlib.suppress(WpodError, OSError):
                    state, _ = state_file.read(self._store.paths.container(lease.container_id).state)
                    found = _opened(state.pid, state.start_ticks)
                    if found is not None:
                        return found
        return None


def _opened(pid: int, start_ticks: int) -> int | None:
    """A runner's network namespace; None where it has ended. The number is checked after the file is open."""
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if pidfd.start_ticks(pid) != start_ticks:
        os.close(namespace)
        return None
    return namespace
