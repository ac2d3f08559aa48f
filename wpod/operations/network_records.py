"""Networks as records: the default one, and what `wpod network` changes and removes."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from wpod.errors import CannotEnforce, InUse, NameTaken, NotThere, UsageError
from wpod.formats.state_file import Kind
from wpod.frozen import replace
from wpod.model.container import Container, Status
from wpod.model.network import DEFAULT_NETWORK, Attachment, Network, NetworkMode
from wpod.operations.locks import container_lock
from wpod.queries import containers as queries
from wpod.queries.networks import find, planned_default
from wpod.storage.store import Store


def ensure_default(store: Store) -> Network:
    """The network that containers join where no other is named, recorded at its first use. Raises StoreError."""
    try:
        return store.networks.find(DEFAULT_NETWORK)
    except NotThere:
        pass
    try:
        return store.networks.insert(planned_default)
    except NameTaken:  # another command was first
        return store.networks.find(DEFAULT_NETWORK)


def remove(store: Store, name_or_id: str, *, force: bool, stop_timeout_seconds: int | None) -> None:
    """Forget a network and take its bridge away; `force` removes the containers on it first.

    Raises NotThere, InUse.
    """
    from wpod.operations.network_site import Site
    from wpod.operations.remove import RemoveOptions, raise_first, remove_together

    network = find(store, name_or_id)
    if network.name == DEFAULT_NETWORK:
        raise UsageError(f"the default network {DEFAULT_NETWORK} can't be removed")
    users = _users(store, network.name)
    if users and not force:
        names = ", ".join(one.record.name for one in users)
        raise InUse(
            f"network {network.name} has associated containers with it: {names}", hint="-f removes them as well"
        )
    options = RemoveOptions(force=True, stop_timeout_seconds=stop_timeout_seconds)
    raise_first(remove_together(store, [one.record.container_id for one in users], options))
    with contextlib.closing(Site(store)) as site:
        site.remove_network(network)
    store.networks.delete(network.name)


def update(store: Store, name_or_id: str, added: Sequence[str], dropped: Sequence[str]) -> None:
    """Change the name servers that a network's own asks; running containers notice it at once.

    What is dropped and isn't there is done already. Raises NotThere, CannotEnforce (it has no names).
    """
    from wpod.operations.network_site import Site

    def changed(network: Network) -> Network:
        if not network.dns:
            raise CannotEnforce(
                f"network {network.name} has no name server of its own that could ask others",
                hint="networks of wpod network create have one, unless they have --disable-dns",
            )
        kept = [one for one in network.dns_servers if one not in dropped]
        return replace(network, dns_servers=tuple(dict.fromkeys((*kept, *added))))

    name = name_or_id if name_or_id == DEFAULT_NETWORK else store.networks.find(name_or_id).name
    if name == DEFAULT_NETWORK:
        ensure_default(store)
    store.networks.update(name, changed)
    with contextlib.closing(Site(store)) as site:
        site.refresh_names()


def prune(store: Store, names: Sequence[str]) -> list[str]:
    """Remove those of these that no container is on; the names of what was removed."""
    removed = []
    for name in names:
        if name == DEFAULT_NETWORK or _users(store, name):
            continue
        try:
            remove(store, name, force=False, stop_timeout_seconds=None)
        except (InUse, NotThere):  # somebody came, or another command was first
            continue
        removed.append(name)
    return removed


def _users(store: Store, name: str) -> list[Container]:
    """The containers that are on a network, or will be when they are started."""
    found = queries.all_containers(store)
    return [one for one in found if name in {at.network for at in one.record.plan.networking.attachments}]


def connect(store: Store, container_name: str, attachment: Attachment) -> None:
    """Put a container on a network, from now on and at every start.

    Raises NotThere, NameTaken (it is on it already), CannotEnforce.
    """
    from wpod.operations import network_start

    network = (
        ensure_default(store) if attachment.network == DEFAULT_NETWORK else store.networks.find(attachment.network)
    )
    attachment = replace(attachment, network=network.name)
    container = queries.find(store, container_name)
    _check_can_join(container)
    with container_lock(store.paths.container(container.record.container_id)):
        container = queries.find(store, container.record.container_id)
        networking = container.record.plan.networking
        if any(one.network == network.name for one in networking.attachments):
            raise NameTaken(f"container {container.record.name} is already connected to network {network.name}")
        joined: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
        if container.observed.status is Status.RUNNING:
            joined = network_start.connecting(store, container, attachment)
        with joined:
            _record(store, container, (*networking.attachments, attachment))


def disconnect(store: Store, container_name: str, network_name: str) -> None:
    """Take a container off a network. Raises NotThere where it isn't on it."""
    from wpod.operations import network_start

    container = queries.find(store, container_name)
    name = network_name if network_name == DEFAULT_NETWORK else store.networks.find(network_name).name
    with container_lock(store.paths.container(container.record.container_id)):
        container = queries.find(store, container.record.container_id)
        attachments = container.record.plan.networking.attachments
        left = tuple(one for one in attachments if one.network != name)
        if len(left) == len(attachments):
            raise NotThere(f"container {container.record.name} is not connected to network {name}")
        if container.observed.status is Status.RUNNING:
            network_start.disconnect(store, container, name)
        _record(store, container, left)


def _check_can_join(container: Container) -> None:
    name, plan = container.record.name, container.record.plan
    if plan.kind is Kind.WASM:
        raise CannotEnforce(
            f"container {name} is a wasm container: its network is chosen when it is created",
            hint="create it with --network NAME",
        )
    if plan.network is not NetworkMode.NETWORKS:
        raise CannotEnforce(
            f"container {name} has --network {plan.network.value}: only one that is on networks can join another",
            hint="create it with --network bridge",
        )


def _record(store: Store, container: Container, attachments: tuple[Attachment, ...]) -> None:
    plan = container.record.plan
    networking = replace(plan.networking, attachments=attachments)
    store.containers.change_plan(container.record.container_id, replace(plan, networking=networking))
