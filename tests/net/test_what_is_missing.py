"""A machine that lacks what networks need: the error, what `info` says, and the way without."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.net.inside import Inside
from tests.net.surroundings import arranged, hidden
from tests.net.test_native_networks import PROBE, SLEEP
from tests.support.command import Wpod

_USERS_ALONE = ("pasta", "/dev/net/tun", "default route")


@pytest.mark.parametrize(
    ("what", "steps", "hint"),
    [
        ("nft", hidden("/usr/sbin/nft"), "apt-get install nftables"),
        ("pasta", hidden("/usr/bin/pasta"), "apt-get install passt"),
        ("/dev/net/tun", ("mount -t tmpfs none /dev/net",), "/dev/net/tun"),
    ],
)
def test_what_the_default_network_needs(networked: Wpod, what: str, steps: tuple[str, ...], hint: str) -> None:
    """The error and `info` name it; --network none does without, and nothing is left of the failure."""
    lacking = arranged(networked, *steps)
    is_needed = networked.account.uid != 0 or what not in _USERS_ALONE
    missing = {one["What"]: one["Hint"] for one in lacking("info", "--format", "json").ok().json["Wpod"]["Missing"]}
    assert (what in missing) == is_needed
    if not is_needed:
        lacking("run", "--rm", PROBE, "exit", "42").exits(42)
        return
    assert hint in missing[what]
    told = lacking("doctor").exits(1).out
    assert f"missing: {what}: " in told
    assert hint in told
    lacking("run", "-d", PROBE, *SLEEP).fails(125, what, hint, "--network none")
    assert networked("ps", "-aq").ok().out == ""
    lacking("run", "--rm", "--network", "none", PROBE, "exit", "42").exits(42)
    networked("run", "--rm", PROBE, "exit", "42").exits(42)


def test_names_need_a_name_server(networked: Wpod) -> None:
    lacking = arranged(networked, *hidden("/usr/lib/podman/aardvark-dns"))
    networked("network", "create", "named").ok()
    missing = {one["What"]: one["Hint"] for one in lacking("info", "--format", "json").ok().json["Wpod"]["Missing"]}
    assert "apt-get install aardvark-dns" in missing["aardvark-dns"]
    words = ("aardvark-dns", "apt-get install aardvark-dns", "--network none")
    lacking("run", "-d", "--network", "named", PROBE, *SLEEP).fails(125, *words)
    lacking("run", "--rm", PROBE, "exit", "42").exits(42)


def test_a_host_without_a_network(networked: Wpod, host_namespace: int) -> None:
    """Containers are started all the same and reach each other; with a way out again, the next command finds it."""
    lonely = arranged(networked, network=host_namespace)
    lonely("run", "-d", "--name", "a", PROBE, *SLEEP).ok()
    assert "internal" not in lonely("exec", "a", "/main", "read", "/etc/hosts").ok().out or networked.account.uid == 0
    lonely("run", "-d", "--name", "b", PROBE, *SLEEP).ok()
    first, second = (Inside(int(networked.field(name, "{{.State.Pid}}"))) for name in ("a", "b"))
    with first:
        first.serve("0.0.0.0", 80)
        assert second.fetch(networked.field("a", "{{.NetworkSettings.IPAddress}}"), 80) is not None
    if networked.account.uid != 0:
        found = [one["What"] for one in lonely("info", "--format", "json").ok().json["Wpod"]["Missing"]]
        assert "default route" in found
        assert not list(Path(networked.scratch / "runtime").rglob("pasta.pid"))
        networked("create", "--name", "c", PROBE, *SLEEP).ok()
        assert list(Path(networked.scratch / "runtime").rglob("pasta.pid"))
