"""Values of networks on the command line: --network, --publish, addresses, names and ports.

As in `values`, ValueError carries the reason alone and nothing is looked up. `ipaddress` is loaded only where an
address was given, for `run` without one should not pay for it.
"""

from __future__ import annotations

from wpod.cli import values
from wpod.errors import NotSupportedYet
from wpod.model import ids
from wpod.model.network import AddressDriver, Attachment, NetworkMode, NetworkWord, Port, Protocol, PublishedPort, Route

_LARGEST_PORT = 65535
_MOST_PORTS = 4096
_PROTOCOLS = {protocol.value: protocol for protocol in Protocol}
_ATTACHMENT_KEYS = ("ip", "ip6", "mac", "interface_name", "alias")


def network(text: str) -> NetworkWord:
    """`none`, `host[:allow=…]`, `bridge`, `private`, `pasta`, `container:CTR`, `ns:PATH`, `NAME[:OPTIONS]`."""
    name, _, rest = text.partition(":")
    if not name:
        raise ValueError("must not be empty")
    if name == "none":
        if rest:
            raise ValueError("takes no options after none")
        return NetworkWord(NetworkMode.NONE)
    if name == "host":
        allowed, others = _outgoing(rest)
        if others:
            raise ValueError(f"has an unknown option {others!r:.80}: must be allow=CIDR[:PORT]")
        return NetworkWord(NetworkMode.HOST, outgoing=allowed)
    if name in ("container", "ns"):
        if not rest or (name == "ns" and not rest.startswith("/")):
            raise ValueError("must be container:CONTAINER" if name == "container" else "must be ns:/PATH")
        return NetworkWord(NetworkMode(name), target=rest)
    if name == "slirp4netns":
        raise NotSupportedYet("--network slirp4netns", hint="pasta serves all networks of a user: --network bridge")
    if name == "pasta":
        from wpod.cli import pasta_options

        pasta_options.check(rest)
        rest = ""
    if name == "private" and rest:
        raise ValueError("takes no options after private")
    named = "" if name in ("bridge", "default", "private", "pasta") else ids.check_name(name, "network")
    allowed, others = _outgoing(rest)
    return NetworkWord(NetworkMode.NETWORKS, attachment=_attachment(named, others), outgoing=allowed)


def _outgoing(rest: str) -> tuple[tuple[str, ...], str]:
    """What `allow=CIDR,allow=…` lets a wasm guest reach, everything where nothing is said; and the other options."""
    fields = rest.split(",") if rest else []
    allowed = tuple(outgoing(field.partition("=")[2]) for field in fields if field.startswith("allow="))
    return allowed, ",".join(field for field in fields if not field.startswith("allow="))


def outgoing(text: str) -> str:
    """`CIDR[:PORT]`, an IPv6 address in brackets where a port follows; kept as `CIDR` or `[CIDR]:PORT`."""
    import ipaddress

    block, port = text, ""
    if text.startswith("["):
        block, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        block, _, port = text.partition(":")
    try:
        found = ipaddress.ip_network(block, strict=False)
    except ValueError:
        raise ValueError(f"has {text!r:.80}, which must be allow=CIDR[:PORT]") from None
    return f"[{found}]:{_port(port)}" if port else str(found)


def _attachment(name: str, rest: str) -> Attachment:
    given: dict[str, list[str]] = {}
    for field in rest.split(",") if rest else ():
        key, equals, value = field.partition("=")
        if key not in _ATTACHMENT_KEYS or not equals or not value:
            raise ValueError(f"has an unknown option {field!r:.80}: must be one of {', '.join(_ATTACHMENT_KEYS)}")
        given.setdefault(key, []).append(value)
    for key, found in given.items():
        if key != "alias" and len(found) > 1:
            raise ValueError(f"gives {key} twice")
    return Attachment(
        network=name,
        addresses=(*map(ipv4, given.get("ip", ())), *map(ipv6, given.get("ip6", ()))),
        mac=hardware_address(given["mac"][0]) if "mac" in given else "",
        interface=interface(given["interface_name"][0]) if "interface_name" in given else "",
        aliases=tuple(map(values.hostname, given.get("alias", ()))),
    )


def ipv4(text: str) -> str:
    """--ip."""
    return _address(text, 4)


def ipv6(text: str) -> str:
    """--ip6."""
    return _address(text, 6)


def address(text: str) -> str:
    """An IP address of either version."""
    return _address(text, 0)


def _address(text: str, version: int) -> str:
    import ipaddress

    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"must be an IPv{version or 4} address") from None
    if (version and found.version != version) or getattr(found, "scope_id", None):
        raise ValueError(f"must be an IPv{version or 4} address")
    return str(found)


def hardware_address(text: str) -> str:
    """--mac-address."""
    from wpod.errors import UsageError
    from wpod.plan import addresses

    try:
        return addresses.parse_hardware_address(text)
    except UsageError as error:
        raise ValueError(error.message) from None


def interface(text: str) -> str:
    """A network interface's name: what the kernel takes (dev_valid_name), and nothing that a shell would split."""
    if not 0 < len(text) < 16 or text in (".", "..") or not text.isascii():
        raise ValueError("must be an interface name of at most 15 characters")
    if any(not (character.isalnum() or character in "._-") for character in text):
        raise ValueError("must be an interface name of letters, digits, dots and dashes")
    return text


def host_entry(text: str) -> tuple[str, str]:
    """--add-host: `NAME[;NAME…]:ADDRESS`, the address may be `host-gateway`; kept as (names, address)."""
    names, colon, where = text.partition(":")
    if not colon or not names or not where:
        raise ValueError("must be NAME:ADDRESS")
    for name in names.split(";"):
        values.hostname(name)
    return names.replace(";", " "), where if where == "host-gateway" else address(
        where.removeprefix("[").removesuffix("]")
    )


def search_domain(text: str) -> str:
    """--dns-search: a domain, or `.` for none at all."""
    if text == ".":
        return text
    if not text or len(text) > 253 or not text.isascii() or any(character.isspace() for character in text):
        raise ValueError("must be a domain name, or . for none")
    return text


def resolver_option(text: str) -> str:
    """--dns-option: one word of resolv.conf(5)."""
    if not text or not text.isascii() or any(character.isspace() for character in text):
        raise ValueError("must be one word, such as ndots:2")
    return text


def published(text: str) -> tuple[PublishedPort, ...]:
    """-p: `[[ADDRESS:][HOST_PORT]:]PORT[/PROTOCOL]`, each port may be a range FIRST-LAST (podman-run(1), --publish)."""
    rest, slash, word = text.partition("/")
    protocols = _protocols(word) if slash else (Protocol.TCP,)
    host_address = ""
    if rest.startswith("["):
        host_address, closed, rest = rest[1:].partition("]")
        if not closed or not rest.startswith(":"):
            raise ValueError("must be [ADDRESS]:HOST_PORT:PORT")
        host_address, rest = ipv6(host_address), rest[1:]
    fields = rest.split(":")
    if len(fields) == 3 and not host_address:
        host_address = "" if fields[0] in ("", "0.0.0.0") else ipv4(fields[0])  # noqa: S104 - compared, not bound
        fields = fields[1:]
    if len(fields) > 2:
        raise ValueError("must be [[ADDRESS:]HOST_PORT:]PORT[/PROTOCOL]")
    inside = _range(fields[-1])
    outside = _range(fields[0]) if len(fields) == 2 and fields[0] else range(0)
    if outside and len(outside) != len(inside):
        raise ValueError(f"has {len(outside)} ports of the host for {len(inside)} of the container")
    return tuple(
        PublishedPort(number, outside[index] if outside else 0, host_address, protocol)
        for protocol in protocols
        for index, number in enumerate(inside)
    )


def exposed(text: str) -> tuple[Port, ...]:
    """--expose: `PORT[-LAST][/PROTOCOL]`."""
    rest, slash, word = text.partition("/")
    protocols = _protocols(word) if slash else (Protocol.TCP,)
    return tuple(Port(number, protocol) for protocol in protocols for number in _range(rest))


def _protocols(word: str) -> tuple[Protocol, ...]:
    found = []
    for name in word.lower().split(","):
        if name == "sctp":
            raise NotSupportedYet("the protocol sctp")
        if name not in _PROTOCOLS:
            raise ValueError(f"has an unknown protocol {word!r:.20}: must be tcp or udp")
        found.append(_PROTOCOLS[name])
    return tuple(found)


def _range(text: str) -> range:
    first_text, dash, last_text = text.partition("-")
    first = _port(first_text)
    last = _port(last_text) if dash else first
    if last < first:
        raise ValueError(f"has a range that ends before it begins: {text}")
    if last - first >= _MOST_PORTS:
        raise ValueError(f"has a range of more than {_MOST_PORTS} ports")
    return range(first, last + 1)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) <= _LARGEST_PORT):
        raise ValueError(f"has a port that is not a number from 1 to {_LARGEST_PORT}: {text!r:.20}")
    return int(text)


def subnet(text: str) -> str:
    """--subnet: CIDR form, without host bits."""
    from wpod.errors import UsageError
    from wpod.plan import addresses

    try:
        return str(addresses.parse_subnet(text))
    except UsageError as error:
        raise ValueError(error.message) from None


def network_option(text: str) -> tuple[str, str]:
    """--opt: KEY=VALUE; which keys there are depends on the driver (`wpod.plan.network_options`)."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ValueError("must be KEY=VALUE")
    return key, value


def address_driver(text: str) -> str:
    """--ipam-driver."""
    if text == "dhcp":
        raise NotSupportedYet("the ipam driver dhcp", hint="--ipam-driver none, and a DHCP client in the container")
    return values.choice(*(one.value for one in AddressDriver))(text)


def route(text: str) -> Route:
    """--route: `CIDR,GATEWAY[,METRIC]`."""
    import ipaddress

    fields = text.split(",")
    if len(fields) not in (2, 3):
        raise ValueError("must be CIDR,GATEWAY[,METRIC]")
    metric = fields[2] if len(fields) == 3 else "100"
    if not (metric.isascii() and metric.isdigit() and len(metric) < 11 and 0 < int(metric) < 1 << 32):
        raise ValueError(f"has a metric that is not a number from 1 to {(1 << 32) - 1}")
    try:
        destination = ipaddress.ip_network(fields[0])
    except ValueError:
        raise ValueError("has a destination that is not in CIDR form without host bits") from None
    gateway = address(fields[1])
    if (destination.version == 6) != (":" in gateway):
        raise ValueError("has a destination and a gateway of different versions of IP")
    if not destination.prefixlen:
        raise ValueError("has the default route for its destination: that one is the gateway of --subnet")
    return Route(str(destination), gateway, int(metric))
