"""Ports and networks on the command line, from words to what a container gets.

wpod.cli.network_values, wpod.commands.network_request and wpod.plan.network: every form and every error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from wpod.cli import network_values as values
from wpod.commands.network_request import network_options
from wpod.commands.options import Options
from wpod.errors import CannotEnforce, NotSupportedYet, UsageError
from wpod.formats.state_file import Kind
from wpod.model.network import (
    Attachment,
    NameOptions,
    NetworkMode,
    NetworkOptions,
    NetworkWord,
    Port,
    Protocol,
    PublishedPort,
)
from wpod.plan.network import choose_mode, exposed_ports, wanted_ports

UDP, TCP = Protocol.UDP, Protocol.TCP
JOIN = NetworkMode.NETWORKS

GOOD: list[tuple[Callable[[str], Any], dict[str, Any]]] = [
    (
        values.published,
        {
            "80": (PublishedPort(80, 0),),
            ":80": (PublishedPort(80, 0),),
            "8080:80": (PublishedPort(80, 8080),),
            "8080:80/tcp": (PublishedPort(80, 8080),),
            "8080:80/UDP": (PublishedPort(80, 8080, protocol=UDP),),
            "8080:80/tcp,udp": (PublishedPort(80, 8080), PublishedPort(80, 8080, protocol=UDP)),
            "127.0.0.1:8080:80": (PublishedPort(80, 8080, "127.0.0.1"),),
            "127.0.0.1::80": (PublishedPort(80, 0, "127.0.0.1"),),
            "0.0.0.0:8080:80": (PublishedPort(80, 8080),),
            "[::1]:8080:80": (PublishedPort(80, 8080, "::1"),),
            "[0:0::1]:8080:80": (PublishedPort(80, 8080, "::1"),),
            "[::1]::80/udp": (PublishedPort(80, 0, "::1", UDP),),
            "[::1]:80": (PublishedPort(80, 0, "::1"),),
            "8000-8001:80-81": (PublishedPort(80, 8000), PublishedPort(81, 8001)),
            "80-81": (PublishedPort(80, 0), PublishedPort(81, 0)),
            "1:65535": (PublishedPort(65535, 1),),
        },
    ),
    (
        values.exposed,
        {
            "80": (Port(80),),
            "80/udp": (Port(80, UDP),),
            "80-82": (Port(80), Port(81), Port(82)),
            "80/tcp,udp": (Port(80), Port(80, UDP)),
        },
    ),
    (
        values.network,
        {
            "none": NetworkWord(NetworkMode.NONE),
            "host": NetworkWord(NetworkMode.HOST),
            "host:allow=10.1.2.3/8:53": NetworkWord(NetworkMode.HOST, outgoing=("[10.0.0.0/8]:53",)),
            "bridge": NetworkWord(JOIN, attachment=Attachment("")),
            "private": NetworkWord(JOIN, attachment=Attachment("")),
            "pasta": NetworkWord(JOIN, attachment=Attachment("")),
            "container:db": NetworkWord(NetworkMode.CONTAINER, target="db"),
            "ns:/run/netns/x": NetworkWord(NetworkMode.PATH, target="/run/netns/x"),
            "mine": NetworkWord(JOIN, attachment=Attachment("mine")),
            "mine:ip=10.0.0.2,ip6=fd00::2,mac=02:00:00:00:00:01,interface_name=lan0,alias=a,alias=b": NetworkWord(
                JOIN, attachment=Attachment("mine", ("10.0.0.2", "fd00::2"), "02:00:00:00:00:01", "lan0", ("a", "b"))
            ),
        },
    ),
    (values.outgoing, {"10.0.0.1": "10.0.0.1/32", "[fd00::/8]:443": "[fd00::/8]:443", "::1": "::1/128"}),
    (values.ipv4, {"10.0.0.2": "10.0.0.2"}),
    (values.ipv6, {"FD00::0:2": "fd00::2"}),
    (values.interface, {"eth0": "eth0", "a.b-c_d": "a.b-c_d", "x" * 15: "x" * 15}),
    (
        values.host_entry,
        {
            "db:10.0.0.1": ("db", "10.0.0.1"),
            "a;b:10.0.0.1": ("a b", "10.0.0.1"),
            "db:::1": ("db", "::1"),
            "db:[::1]": ("db", "::1"),
            "db:host-gateway": ("db", "host-gateway"),
        },
    ),
    (values.search_domain, {".": ".", "example.org": "example.org"}),
    (values.resolver_option, {"ndots:2": "ndots:2"}),
]

BAD: list[tuple[Callable[[str], Any], dict[str, str]]] = [
    (
        values.published,
        {
            "": "not a number",
            "0": "from 1 to 65535",
            "65536": "65536",
            "8080:": "not a number",
            "0:80": "from 1 to 65535",
            "-1:80": "not a number",
            "+8:80": "not a number",
            "٨:80": "not a number",
            "8080:80/": "protocol",
            "8080:80/icmp": "icmp",
            "80:80:80:80": "HOST_PORT",
            "localhost:80:80": "IPv4",
            "10.0.0.300:80:80": "IPv4",
            "[::1:80:80": "ADDRESS",
            "[::1]80:80": "ADDRESS",
            "[10.0.0.1]:80:80": "IPv6",
            "[::1]:80:80:80": "HOST_PORT",
            "[fe80::1%eth0]:80:80": "IPv6",
            "8000-8002:80-81": "3 ports of the host for 2",
            "8000-8001:80": "2 ports of the host for 1",
            "81-80": "ends before it begins",
            "1-65535": "more than 4096",
            "80-": "not a number",
        },
    ),
    (values.exposed, {"": "not a number", "80:80": "not a number", "80/x": "protocol", "2-1": "ends before"}),
    (
        values.network,
        {
            "": "empty",
            "container:": "container:CONTAINER",
            "ns:run": "ns:/PATH",
            "none:x": "no options",
            "host:x=1": "allow=CIDR",
            "host:allow=": "allow=CIDR",
            "mine:ip=fd00::1": "IPv4",
            "mine:ip6=10.0.0.1": "IPv6",
            "mine:mac=01:00:00:00:00:01": "multicast",
            "mine:ip=10.0.0.1,ip=10.0.0.2": "ip twice",
            "mine:what=x": "unknown option",
            "mine:alias=": "unknown option",
        },
    ),
    (values.outgoing, {"x": "CIDR", "10.0.0.1:0": "from 1 to 65535", "10.0.0.0/33": "CIDR"}),
    (values.ipv4, {"": "IPv4", "::1": "IPv4"}),
    (values.ipv6, {"10.0.0.1": "IPv6", "fe80::1%1": "IPv6"}),
    (values.interface, {"": "15", "x" * 16: "15", ".": "15", "..": "15", "a b": "letters", "a/b": "letters"}),
    (values.host_entry, {"db": "NAME:ADDRESS", ":10.0.0.1": "NAME:ADDRESS", "db:x": "address", "a b:10.0.0.1": ""}),
    (values.search_domain, {"": "domain", "a b": "domain", "x" * 254: "domain"}),
    (values.resolver_option, {"": "one word", "a b": "one word"}),
]


@pytest.mark.parametrize(
    ("parse", "text", "wanted"), [(parse, text, wanted) for parse, table in GOOD for text, wanted in table.items()]
)
def test_good_words(parse: Callable[[str], Any], text: str, wanted: object) -> None:
    assert parse(text) == wanted


@pytest.mark.parametrize(
    ("parse", "text", "words"), [(parse, text, words) for parse, table in BAD for text, words in table.items()]
)
def test_bad_words(parse: Callable[[str], Any], text: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the reason is looked at
        parse(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("parse", "text"),
    [(values.published, "80:80/sctp"), (values.network, "slirp4netns"), (values.network, "pasta:-t,80")],
)
def test_words_of_podman_that_are_not_there_yet(parse: Callable[[str], Any], text: str) -> None:
    with pytest.raises(NotSupportedYet):
        parse(text)


NAMES = {
    "network": (), "publish": (), "expose": (), "network-alias": (), "dns": (), "dns-search": (), "dns-option": (),
    "add-host": (), "ip": "", "ip6": "", "mac-address": "", "publish-all": False, "no-hosts": False,
}  # fmt: skip


def asked(**given: Sequence[object]) -> NetworkOptions:
    return network_options(Options(NAMES, {name.replace("_", "-"): value for name, value in given.items()}))


def networks(*words: str) -> list[NetworkWord]:
    return [values.network(word) for word in words]


def test_nothing_asked_for_is_nothing() -> None:
    assert asked() == NetworkOptions()


def test_a_request_with_everything() -> None:
    found = asked(
        network=networks("mine"),
        publish=[values.published("8080-8081:80-81"), values.published("53/udp")],
        publish_all=[True],
        expose=[values.exposed("90"), values.exposed("90-91")],
        ip=["10.0.0.2"],
        ip6=["fd00::2"],
        mac_address=["02:00:00:00:00:01"],
        network_alias=["a", "b"],
        dns=["10.0.0.53"],
        dns_search=["example.org"],
        dns_option=["ndots:2"],
        add_host=[("db", "10.0.0.1")],
    )
    assert found == NetworkOptions(
        mode=JOIN,
        attachments=(Attachment("mine", ("10.0.0.2", "fd00::2"), "02:00:00:00:00:01", aliases=("a", "b")),),
        ports=(PublishedPort(80, 8080), PublishedPort(81, 8081), PublishedPort(53, 0, protocol=UDP)),
        publish_all=True,
        exposed=(Port(90), Port(91)),
        names=NameOptions(("10.0.0.53",), ("example.org",), ("ndots:2",), (("db", "10.0.0.1"),)),
    )


def test_an_address_alone_means_the_default_network() -> None:
    assert asked(ip=["10.88.0.9"]).attachments == (Attachment("", ("10.88.0.9",)),)


def test_aliases_hold_on_every_network() -> None:
    found = asked(network=networks("one", "two:alias=x"), network_alias=["a"]).attachments
    assert found == (Attachment("one", aliases=("a",)), Attachment("two", aliases=("x", "a")))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"network": networks("none", "host")}, "must all name networks"),
        ({"network": networks("host", "host")}, "must all name networks"),
        ({"network": networks("one", "one")}, "twice"),
        ({"network": networks("none"), "ip": ["10.0.0.2"]}, "need a network"),
        ({"network": networks("host"), "network_alias": ["a"]}, "need a network"),
        ({"network": networks("one", "two"), "ip": ["10.0.0.2"]}, "several networks"),
        ({"network": networks("one", "two"), "mac_address": ["02:00:00:00:00:01"]}, "several networks"),
        ({"network": networks("container:x"), "publish": [values.published("80")]}, "whose network is shared"),
        ({"network": networks("container:x"), "publish_all": [True]}, "whose network is shared"),
        ({"publish": [values.published("80:1"), values.published("80:2")]}, "80/tcp of the host twice"),
        ({"add_host": [("db", "10.0.0.1")], "no_hosts": [True]}, "--no-hosts"),
    ],
)
def test_contradictions(given: Mapping[str, Sequence[object]], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        asked(**given)
    assert words in caught.value.message


def test_ports_that_only_look_the_same() -> None:
    """Free ports, another protocol, and another address don't meet."""
    words = ["80", "80", "90:1", "90:1/udp", "127.0.0.1:90:1", "127.0.0.2:90:1"]
    assert len(asked(publish=[values.published(word) for word in words]).ports) == 6


PORT = (PublishedPort(80, 8080),)


@pytest.mark.parametrize(
    ("request_", "of_wasm", "of_native"),
    [
        (NetworkOptions(), NetworkMode.NONE, JOIN),
        (NetworkOptions(ports=PORT), NetworkMode.NONE, JOIN),
        (NetworkOptions(publish_all=True), NetworkMode.NONE, JOIN),
        (NetworkOptions(attachments=(Attachment(""),)), JOIN, JOIN),
        (NetworkOptions(mode=NetworkMode.HOST, ports=PORT), NetworkMode.HOST, NetworkMode.HOST),
        (NetworkOptions(mode=NetworkMode.NONE, ports=PORT), NetworkMode.NONE, NetworkMode.NONE),
    ],
)
def test_only_native_containers_are_on_a_network_unless_asked(
    request_: NetworkOptions, of_wasm: NetworkMode, of_native: NetworkMode
) -> None:
    assert choose_mode(request_, Kind.WASM) is of_wasm
    assert choose_mode(request_, Kind.NATIVE) is of_native


def test_exposed_ports_are_the_user_s_and_the_image_s() -> None:
    of_image = ["8080/tcp", "53/UDP", "90", "junk", "", "0/tcp", "65536", "80/sctp", "80/tcp/x", "9" * 40, "٨"]
    found = exposed_ports(NetworkOptions(exposed=(Port(90), Port(53))), of_image)
    assert found == (Port(53), Port(53, UDP), Port(90), Port(8080))


def test_all_exposed_ports_are_published_beside_those_named() -> None:
    request = NetworkOptions(ports=PORT, publish_all=True)
    exposed = (Port(80), Port(80, UDP), Port(90))
    assert wanted_ports(request, exposed, NetworkMode.NONE) == (
        *PORT, PublishedPort(80, 0, protocol=UDP), PublishedPort(90, 0)
    )  # fmt: skip
    assert wanted_ports(NetworkOptions(ports=PORT), exposed, NetworkMode.NONE) == PORT


def test_where_nothing_can_be_published() -> None:
    assert wanted_ports(NetworkOptions(ports=PORT), (), NetworkMode.HOST) == ()
    assert wanted_ports(NetworkOptions(), (Port(80),), NetworkMode.PATH) == ()
    with pytest.raises(CannotEnforce, match="ns:PATH"):
        wanted_ports(NetworkOptions(ports=PORT), (), NetworkMode.PATH)
