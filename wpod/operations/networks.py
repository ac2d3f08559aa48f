"""What a container's networking is to be: networks and containers that are named are looked up, free ports chosen."""

from __future__ import annotations

from wpod.errors import CannotEnforce, NotThere
from wpod.formats.state_file import Kind
from wpod.frozen import replace
from wpod.model.image import Image
from wpod.model.network import (
    DEFAULT_NETWORK,
    Attachment,
    NetworkMode,
    NetworkOptions,
    NetworkPlan,
    Protocol,
    PublishedPort,
)
from wpod.plan import network as planning
from wpod.storage.store import Store


def look_network(store: Store, request: NetworkOptions, image: Image, kind: Kind) -> tuple[NetworkMode, NetworkPlan]:
    """Raises NotThere (125) for a network or a container that isn't there, InUse and WpodError for ports."""
    mode = planning.choose_mode(request, kind)
    exposed = planning.exposed_ports(request, image.config.exposed_ports)
    ports = planning.wanted_ports(request, exposed, mode)
    if kind is Kind.WASM and any(port.protocol is Protocol.UDP for port in ports):
        raise CannotEnforce("a wasm container accepts connections: only tcp ports can be published for it")
    if kind is Kind.NATIVE and request.outgoing:
        raise CannotEnforce(
            "allow= of --network holds for wasm containers: a native one makes its connections itself",
            hint="--network bridge with --internal networks keeps it from the world",
        )
    attachments = _attachments(store, request, mode)
    if kind is Kind.WASM:
        _check_of_wasm(attachments)
    return mode, NetworkPlan(
        target=_target(store, request, mode),
        attachments=attachments,
        ports=tuple(_with_host_port(port) for port in ports),
        exposed=exposed,
        outgoing=request.outgoing,
        names=request.names,
    )


def _check_of_wasm(attachments: tuple[Attachment, ...]) -> None:
    """A wasm container has an address on a network and no interface. Raises CannotEnforce."""
    if len(attachments) > 1:
        raise CannotEnforce("a wasm container can be on one network only", hint="give one --network")
    for one in attachments:
        if one.mac or one.interface:
            raise CannotEnforce(
                "a wasm container has no network interface: --mac-address and interface_name= have no meaning for it",
                hint="leave the option out",
            )


def _target(store: Store, request: NetworkOptions, mode: NetworkMode) -> str:
    return store.containers.find(request.target).container_id if mode is NetworkMode.CONTAINER else request.target


def _attachments(store: Store, request: NetworkOptions, mode: NetworkMode) -> tuple[Attachment, ...]:
    if mode is not NetworkMode.NETWORKS:
        return ()
    wanted = request.attachments or (Attachment(""),)
    return tuple(replace(one, network=_network_name(store, one.network or DEFAULT_NETWORK)) for one in wanted)


def _network_name(store: Store, name: str) -> str:
    """The full name. The default network is made when somebody starts on it."""
    try:
        return store.networks.find(name).name
    except NotThere:
        if name == DEFAULT_NETWORK:
            return name
        raise


def _with_host_port(port: PublishedPort) -> PublishedPort:
    if port.host_port:
        return port
    from wpod.net import ports

    return replace(port, host_port=ports.choose_free(port))
