"""Networks, as far as they go: none and host; everything else is refused by its name."""

from __future__ import annotations

import os

import pytest

from tests.contract.conftest import Subject


@pytest.mark.native
def test_none_has_the_loopback_alone(subject: Subject) -> None:
    out = subject.wpod("run", "--rm", "--network", "none", subject.image, "list", "/sys/class/net").ok().out
    assert out == "lo\n"


@pytest.mark.own
@pytest.mark.native
def test_none_is_the_default(subject: Subject) -> None:
    assert subject.wpod("run", "--rm", subject.image, "list", "/sys/class/net").ok().out == "lo\n"


@pytest.mark.native
def test_host_shows_the_hosts_interfaces(subject: Subject) -> None:
    out = subject.wpod("run", "--rm", "--network", "host", subject.image, "list", "/sys/class/net").ok().out
    assert sorted(out.split()) == sorted(os.listdir("/sys/class/net"))


@pytest.mark.own
@pytest.mark.parametrize("network", ["bridge", "pasta", "slirp4netns", "container:x", "mine", "ns:/run/x"])
def test_other_modes_are_refused_by_name(subject: Subject, network: str) -> None:
    subject.wpod("run", "--rm", "--network", network, subject.image, "line", "x").fails(
        125, network, "not supported yet"
    )
    assert subject.wpod("ps", "-aq").ok().out == ""


@pytest.mark.own
@pytest.mark.parametrize("option", [("-p", "8080:80"), ("--publish", "80"), ("-P",), ("--ip", "10.0.0.2")])
def test_publishing_is_refused_by_name(subject: Subject, option: tuple[str, ...]) -> None:
    result = subject.wpod("run", "--rm", *option, subject.image, "line", "x")
    result.fails(125, "not supported yet")
    assert subject.wpod("ps", "-aq").ok().out == ""
