"""The link messages of a store's networks: made once for each network, kept in files, sent into its namespace."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

from wpod.model.network import Lease, Network
from wpod.net import host_routes, links
from wpod.net.namespace import NetworkNamespace
from wpod.plan import addresses


class LinkMaker:
    """`directory` is where a store keeps what its networks need at run time."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def apply(self, namespace: NetworkNamespace, messages: Sequence[links.Message], pid: int = 0) -> None:
        """Send messages; `pid` is the container whose namespace some are for. Raises WpodError."""
        with self._written(messages) as path:
            namespace.apply(path, pid)

    def apply_in(self, namespace: NetworkNamespace, messages: Sequence[links.Message], inner: int) -> None:
        """Send messages into an open namespace of containers. Raises WpodError."""
        with self._written(messages) as path:
            namespace.apply_in(path, inner)

    def share(self, namespace: NetworkNamespace, network: Network) -> int:
        """Make and open the namespace that a network's wasm containers are in. Raises WpodError."""
        lease = Lease(network.name, network.network_id, links.SHARED_INTERFACE, (), _random_mac())
        with self._written(links.filled(self._kept(network, "shared", lambda: links.shared(network)), lease)) as path:
            return namespace.share(path)

    @contextlib.contextmanager
    def _written(self, messages: Sequence[links.Message]) -> Iterator[str]:
        path = f"{self._directory}/messages-{os.getpid()}"
        try:
            with open(path, "w", encoding="utf-8") as file:
                file.write(links.to_text(messages))
            yield path
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def of_container(
        self, leases: Sequence[Lease], networks: Mapping[str, Network], position: int = 0
    ) -> list[links.Message]:
        """The interfaces of one native container; `position` counts those that it has already."""
        found: list[links.Message] = []
        for index, lease in enumerate(leases, position):
            network, name = networks[lease.network], lease.interface
            kept = self._kept(network, f"{name}-{index}", _template(network, name, index))
            found += links.filled(kept, lease)
        return found

    def own_addresses(self, leases: Sequence[Lease], network: Network, *, present: bool) -> list[links.Message]:
        """The addresses of wasm containers on a network, brought to their interface or taken away."""
        name = "own" if present else "gone"
        kept = self._kept(network, name, lambda: links.own_address(network, present=present))
        return [message for lease in leases for message in links.filled(kept, lease)]

    def bridge(self, network: Network) -> list[links.Message]:
        """Makes a network's bridge."""
        return self._kept(network, "bridge", lambda: links.bridge(network))

    def relay_routes(self) -> list[links.Message]:
        """What a fresh namespace of a user needs for connections in a client's name."""
        return self._kept_in(f"{self._directory}/links-relay", "relay", links.relay_routes)

    def _kept(self, network: Network, name: str, make: Callable[[], list[links.Message]]) -> list[links.Message]:
        subnets = ",".join(one.subnet + one.gateway for one in network.subnets)
        parent = 0 if network.is_bridge else host_routes.parent_index(network.interface)
        key = f"{network.network_id} {network.interface} {subnets} {parent}"
        return self._kept_in(f"{self._directory}/links-{network.number}-{name}", key, make)

    def _kept_in(self, path: str, key: str, make: Callable[[], list[links.Message]]) -> list[links.Message]:
        """From a file, where it is of this key: to load what makes them takes longer than all else of a start."""
        first = f"{links.TEMPLATE_VERSION} {key}"
        try:
            with open(path, encoding="utf-8") as file:
                head, _, text = file.read().partition("\n")
            if head == first:
                return links.from_text(text)
        except (FileNotFoundError, ValueError):
            pass
        made = make()
        with open(f"{path}.{os.getpid()}", "w", encoding="utf-8") as file:
            file.write(f"{first}\n{links.to_text(made)}")
        os.rename(f"{path}.{os.getpid()}", path)
        return made


def _template(network: Network, interface: str, position: int) -> Callable[[], list[links.Message]]:
    return lambda: links.template(network, interface, position)


def _random_mac() -> str:
    return addresses.hardware_address(os.urandom(6))
