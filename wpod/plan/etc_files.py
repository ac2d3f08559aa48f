"""What a native container's /etc/hosts and /etc/resolv.conf say: pure text."""

from __future__ import annotations

from wpod.model.request import NetworkMode

_LOOPBACK = (
    "127.0.0.1\tlocalhost localhost.localdomain localhost4 localhost4.localdomain4\n"
    "::1\tlocalhost localhost.localdomain localhost6 localhost6.localdomain6\n"
)


def hosts(hostname: str, name: str, network: NetworkMode, host_file: str) -> str:
    """The container's own names on the loopback address; with the host's network the host's entries as well."""
    own = " ".join(dict.fromkeys((hostname, name)))
    base = host_file if network is NetworkMode.HOST and host_file else _LOOPBACK
    return f"{base.rstrip()}\n127.0.0.1\t{own}\n"


def resolv_conf(network: NetworkMode, host_file: str) -> str:
    """The host's with the host's network; nothing where there is no network to ask over."""
    return host_file if network is NetworkMode.HOST else ""
