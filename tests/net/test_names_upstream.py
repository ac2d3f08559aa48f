"""Names of the world on networks with a name server, where the host asks one of its own loopback."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.net.inside import Inside
from tests.net.surroundings import NEEDS_ROOT, arranged
from tests.net.test_native_networks import PROBE, SLEEP
from tests.support.command import Wpod, eventually

_ANSWER = "192.0.2.77"


def test_the_host_s_name_server_may_be_on_its_loopback(networked: Wpod, host: Inside) -> None:
    """As systemd-resolved's 127.0.0.53: root's name server asks it, and a user's asks through pasta."""
    if os.geteuid() != 0:
        pytest.skip(NEEDS_ROOT)
    file = Path(networked.scratch) / "resolv.conf"
    file.write_text("nameserver 127.0.0.53\n")
    local = arranged(networked, f"mount --bind {file} /etc/resolv.conf")
    with host:
        host.serve_names("127.0.0.53", _ANSWER)
        local("network", "create", "named").ok()
        local("run", "-d", "--name", "a", "--network", "named", PROBE, *SLEEP).ok()
        inside = Inside(int(local.field("a", "{{.State.Pid}}")))
        gateway = local("network", "inspect", "-f", "{{(index .Subnets 0).Gateway}}", "named").ok().line
        assert f"nameserver {gateway}\n" in local("exec", "a", "/main", "read", "/etc/resolv.conf").ok().out
        eventually(lambda: inside.look_up("a.dns.podman", gateway))
        assert inside.look_up("world.example", gateway) == [_ANSWER]
        networked("rm", "-f", "-t", "0", "a").ok()
