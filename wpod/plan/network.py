"""Which networking a container gets: the request, the image and the kind in, a mode and a plan out. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from wpod.errors import CannotEnforce
from wpod.formats.state_file import Kind
from wpod.model.network import NetworkMode, NetworkOptions, Port, Protocol, PublishedPort

_PROTOCOLS = {protocol.value: protocol for protocol in Protocol}
_LARGEST_PORT = 65535


def choose_mode(request: NetworkOptions, kind: Kind) -> NetworkMode:
    """What was asked for. Otherwise the default network for a native container, as podman's, and none for wasm."""
    if request.mode is not None:
        return request.mode
    if request.attachments or kind is Kind.NATIVE:
        return NetworkMode.NETWORKS
    return NetworkMode.NONE


def exposed_ports(request: NetworkOptions, of_image: Sequence[str]) -> tuple[Port, ...]:
    """The user's and the image's (`80`, `80/udp`), sorted. What an image says that is no port is passed over."""
    found = dict.fromkeys(request.exposed)
    for text in of_image:
        number, _, word = text.partition("/")
        protocol = _PROTOCOLS.get(word.lower() or "tcp")
        if protocol and number.isascii() and number.isdigit() and len(number) < 6 and 0 < int(number) <= _LARGEST_PORT:
            found[Port(int(number), protocol)] = None
    return tuple(sorted(found, key=lambda port: (port.number, port.protocol.value)))


def wanted_ports(request: NetworkOptions, exposed: Sequence[Port], mode: NetworkMode) -> tuple[PublishedPort, ...]:
    """What shall be published, host port 0 where any will do. With the host's network there is nothing to publish.

    Raises CannotEnforce for a mode in which a published port would lead nowhere.
    """
    ports = list(request.ports)
    if request.publish_all:
        taken = {(port.container_port, port.protocol) for port in ports}
        ports += [
            PublishedPort(port.number, 0, protocol=port.protocol)
            for port in exposed
            if (port.number, port.protocol) not in taken
        ]
    if mode is NetworkMode.HOST:
        return ()
    if ports and mode is NetworkMode.PATH:
        raise CannotEnforce("ports can't be published for --network ns:PATH: that namespace isn't wpod's")
    return tuple(ports)
