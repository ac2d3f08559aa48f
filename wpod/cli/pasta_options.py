"""`--network pasta:OPTIONS`: which of pasta's options can be had where one pasta serves all containers of a user."""

from __future__ import annotations

from wpod.errors import NotSupportedYet

# What stands here for options of pasta, one of which serves all containers of a user; "" for what holds in any case.
_PASTA_OPTIONS: dict[tuple[str, ...], str] = {
    ("--config-net", "--no-map-gw", "--quiet", "-q"): "",
    ("-t", "--tcp-ports", "-u", "--udp-ports"): "-p publishes ports, for each container by itself",
    ("-T", "--tcp-ns", "-U", "--udp-ns", "--map-gw"): "--network host reaches the services of the host's loopback",
    ("-m", "--mtu"): "wpod network create --opt mtu=BYTES sets it for all on a network",
    ("-a", "--address", "-n", "--netmask", "-g", "--gateway"): "wpod network create --subnet and --gateway, run --ip",
    ("-M", "--mac-addr", "-I", "--ns-ifname"): "--network NAME:mac=ADDRESS,interface_name=NAME",
    ("-D", "--dns", "-S", "--search", "--dns-forward"): "--dns and --dns-search, or wpod network create --dns",
}
_PASTA_FORWARDS = ("-t", "--tcp-ports", "-u", "--udp-ports", "-T", "--tcp-ns", "-U", "--udp-ns")


def check(rest: str) -> None:
    """`pasta:OPTIONS`: what holds in any case is taken, all else refused by its name. Raises NotSupportedYet."""
    words = rest.split(",") if rest else []
    while words:
        name, equals, value = words.pop(0).partition("=")
        if name in _PASTA_FORWARDS and not equals and words:
            value = words.pop(0)
        if name in _PASTA_FORWARDS and value == "none":
            continue
        hint = next((text for names, text in _PASTA_OPTIONS.items() if name in names), None)
        if hint == "" and not equals:
            continue
        raise NotSupportedYet(
            f"pasta's option {name!r:.80}",
            hint=hint or "one pasta serves all containers of a user: its options are wpod's",
        )
