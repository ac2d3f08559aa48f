"""From the network options of `run` and `create` to what is asked for."""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.errors import UsageError
from wpod.frozen import replace
from wpod.model.network import Attachment, NameOptions, NetworkMode, NetworkOptions, NetworkWord


def network_options(options: Options) -> NetworkOptions:
    """Raises UsageError for options that contradict each other."""
    words = options.values("network", NetworkWord)
    modes = {word.mode for word in words}
    if len(modes) > 1 or (len(words) > 1 and modes != {NetworkMode.NETWORKS}):
        raise UsageError("several --network must all name networks")
    mode = words[0].mode if words else None
    attachments = tuple(word.attachment for word in words if word.attachment is not None)
    found = NetworkOptions(
        mode=mode,
        target=words[0].target if words else "",
        attachments=_attached(options, mode, attachments),
        ports=tuple(port for ports in options.values("publish", tuple) for port in ports),
        publish_all=options.flag("publish-all"),
        exposed=tuple(dict.fromkeys(port for ports in options.values("expose", tuple) for port in ports)),
        outgoing=tuple(one for word in words for one in word.outgoing),
        names=_names(options),
    )
    _check(found, options)
    return found


def _attached(options: Options, mode: NetworkMode | None, given: tuple[Attachment, ...]) -> tuple[Attachment, ...]:
    """The networks with --ip, --ip6 and --mac-address, which go with one network, and --network-alias, for all."""
    addresses = tuple(text for text in (options.text("ip"), options.text("ip6")) if text)
    mac, aliases = options.text("mac-address"), options.texts("network-alias")
    if not (addresses or mac or aliases):
        return given
    if mode not in (None, NetworkMode.NETWORKS):
        raise UsageError("--ip, --ip6, --mac-address and --network-alias need a network, such as --network bridge")
    if (addresses or mac) and len(given) > 1:
        raise UsageError("--ip, --ip6 and --mac-address can't be used with several networks",
                         hint="say --network NAME:ip=ADDRESS")  # fmt: skip
    return tuple(
        replace(
            one,
            addresses=addresses or one.addresses,
            mac=mac or one.mac,
            aliases=(*one.aliases, *aliases),
        )
        for one in given or (Attachment(""),)
    )


def _names(options: Options) -> NameOptions:
    return NameOptions(
        servers=options.texts("dns"),
        search=options.texts("dns-search"),
        options=options.texts("dns-option"),
        hosts=tuple((str(names), str(address)) for names, address in options.values("add-host", tuple)),
    )


def _check(found: NetworkOptions, options: Options) -> None:
    if found.names.hosts and options.flag("no-hosts"):
        raise UsageError("--no-hosts and --add-host can't be used together")
    if found.mode is NetworkMode.CONTAINER and (found.ports or found.publish_all):
        raise UsageError("ports are published by the container whose network is shared")
    seen: set[tuple[str, int, str]] = set()
    for port in found.ports:
        key = (port.host_address, port.host_port, port.protocol.value)
        if port.host_port and key in seen:
            raise UsageError(f"-p gives port {port.host_port}/{port.protocol.value} of the host twice")
        seen.add(key)
    names = [one.network for one in found.attachments]
    if len(set(names)) < len(names):
        raise UsageError("--network names a network twice")
