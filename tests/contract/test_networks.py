"""Network modes: none, host and the default; what isn't there is refused by its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract.conftest import Subject


@pytest.mark.native
def test_none_has_the_loopback_alone(subject: Subject) -> None:
    out = subject.wpod("run", "--rm", "--network", "none", subject.image, "list", "/sys/class/net").ok().out
    assert out == "lo\n"


@pytest.mark.own
@pytest.mark.native
def test_a_bridge_network_is_the_default_of_native_containers(subject: Subject) -> None:
    """`inspect` and `ps` say so, as podman's; nothing was published for it."""
    wpod = replace(subject.wpod, of_new=())
    out = wpod("run", "--name", "c", subject.image, "list", "/sys/class/net").ok().out
    assert sorted(out.split()) == ["eth0", "lo"]
    assert subject.wpod.field("c", "{{.HostConfig.NetworkMode}}") == "bridge"
    assert subject.wpod("ps", "-a", "--format", "{{.Networks}} {{.Ports}}").ok().line.strip() == "wpod"


@pytest.mark.own
@pytest.mark.wasm
def test_none_is_the_default_of_wasm_containers(subject: Subject) -> None:
    subject.wpod("run", "--name", "c", subject.image, "line", "x").ok()
    assert subject.wpod.field("c", "{{.HostConfig.NetworkMode}}") == "none"


@pytest.mark.native
def test_host_shows_the_hosts_interfaces(subject: Subject) -> None:
    """Not /sys/class/net: what that shows belongs to who has mounted it."""
    out = subject.wpod("run", "--rm", "--network", "host", subject.image, "read", "/proc/net/dev").ok().out
    assert _interfaces(out) == _interfaces(Path("/proc/net/dev").read_text())


def _interfaces(table: str) -> list[str]:
    return sorted(line.partition(":")[0].strip() for line in table.splitlines()[2:])


@pytest.mark.own
@pytest.mark.parametrize(
    ("network", "words"),
    [
        ("slirp4netns", "not supported yet"),
        ("pasta:-t,80", "not supported yet"),
        ("container:nosuch", "no such container"),
        ("nosuch", "network not found"),
    ],
)
def test_what_is_not_there_is_refused_by_name(subject: Subject, network: str, words: str) -> None:
    name = network.partition(":")[2] if network.startswith("container") else network.partition(":")[0]
    subject.wpod("run", "--rm", "--network", network, subject.image, "line", "x").fails(125, name, words)
    assert subject.wpod("ps", "-aq").ok().out == ""


@pytest.mark.own
@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("-p", "0:80"), "port"),
        (("-p", "80:80:80:80"), "HOST_PORT"),
        (("-p", "8000-8002:80-81"), "3 ports"),
        (("-p", "8080:80/sctp"), "sctp"),
        (("-p", "70000:80"), "70000"),
        (("--ip", "10.0.0.300"), "IPv4"),
        (("--ip6", "10.0.0.3"), "IPv6"),
        (("--network", "none", "--ip", "10.0.0.3"), "need a network"),
        (("--network", "none", "--network", "host"), "several"),
        (("--mac-address", "01:00:00:00:00:01"), "multicast"),
        (("--add-host", "db"), "NAME:ADDRESS"),
        (("--add-host", "db:10.0.0.1", "--no-hosts"), "--no-hosts"),
    ],
)
def test_options_that_make_no_sense(subject: Subject, options: tuple[str, ...], word: str) -> None:
    subject.wpod("run", "--rm", *options, subject.image, "line", "x").fails(125, word)
    assert subject.wpod("ps", "-aq").ok().out == ""
