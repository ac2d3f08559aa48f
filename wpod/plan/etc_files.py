"""What a native container's /etc/hosts and /etc/resolv.conf say: pure text."""

from __future__ import annotations

from collections.abc import Sequence

from wpod.errors import CannotEnforce
from wpod.frozen import field, frozen
from wpod.model.network import Lease, NameOptions, NetworkMode

# The name server of a user's containers: pasta leads it to the one that the host asks (pasta(1), --dns-forward).
FORWARDED_NAME_SERVER = "169.254.1.1"
# What leads to the host itself, as podman and Docker name it.
HOST_NAMES = ("host.containers.internal", "host.docker.internal")
SEARCH_DOMAIN = "dns.podman"  # aardvark-dns takes it off, as podman has it
_LOOPBACK = (
    "127.0.0.1\tlocalhost localhost.localdomain localhost4 localhost4.localdomain4\n"
    "::1\tlocalhost localhost.localdomain localhost6 localhost6.localdomain6\n"
)


@frozen
class Names:
    """What is told of names: the container's own, where it is on networks, and what the user asked for.

    `name_servers` are those of its networks. `forwarded`: the host's name servers are reached through pasta.
    `host_gateway` is what `host-gateway` of --add-host stands for and HOST_NAMES lead to, "" where the host has no
    address for the container.
    """

    hostname: str
    name: str
    mode: NetworkMode
    leases: tuple[Lease, ...] = ()
    name_servers: tuple[str, ...] = ()
    forwarded: bool = False
    host_gateway: str = ""
    asked: NameOptions = field(default_factory=NameOptions)


def hosts(names: Names, host_file: str) -> str:
    """The user's lines, the host's names, the container's own on its addresses; with the host's network its file first.

    A name that the user gives is the user's alone. Where it is on no network, its own names are on the loopback
    address. Raises CannotEnforce for a `host-gateway` that there is not.
    """
    own = " ".join(dict.fromkeys((names.hostname, names.name)))
    base = host_file if names.mode is NetworkMode.HOST and host_file else _LOOPBACK
    addresses = [address.partition("/")[0] for lease in names.leases for address in lease.addresses] or ["127.0.0.1"]
    lines = [f"{_resolved(address, names)}\t{word}" for word, address in names.asked.hosts]
    given = {name for words, _ in names.asked.hosts for name in words.split()}
    of_host = [name for name in HOST_NAMES if name not in given]
    if names.host_gateway and of_host:
        lines.append(f"{names.host_gateway}\t{' '.join(of_host)}")
    lines += [f"{address}\t{own}" for address in addresses]
    return "\n".join((base.rstrip(), *lines)) + "\n"


def _resolved(address: str, names: Names) -> str:
    if address != "host-gateway":
        return address
    if not names.host_gateway:
        raise CannotEnforce(
            "--add-host with host-gateway: the host has no address that leads to it from this container",
            hint="with --network bridge it has where the host has an IPv4 address, and with --network host",
        )
    return names.host_gateway


def resolv_conf(names: Names, host_file: str) -> str:
    """The host's with the host's network, the networks' own name servers, or nothing where there is none to ask.

    --dns, --dns-search and --dns-option replace what would stand there (podman-run(1)).
    """
    if names.mode is NetworkMode.NONE and not names.asked.servers:
        return ""
    found = _Resolver.of(host_file)
    asked = names.asked
    servers = list(asked.servers or names.name_servers)
    if not servers and names.mode is NetworkMode.HOST:
        servers = found.servers
    elif not servers:
        servers = reachable(host_file) or ([FORWARDED_NAME_SERVER] if names.forwarded else [])
    search = [one for one in asked.search if one != "."] if asked.search else list(found.search)
    if names.name_servers and not asked.search:
        search.insert(0, SEARCH_DOMAIN)
    options = list(asked.options) or found.options
    lines = [f"search {' '.join(search)}"] if search else []
    lines += [f"nameserver {server}" for server in servers]
    lines += [f"options {' '.join(options)}"] if options else []
    return "".join(f"{line}\n" for line in lines)


def reachable(host_file: str) -> list[str]:
    """The name servers of a resolv.conf that aren't on the host's own loopback."""
    return [one for one in _Resolver.of(host_file).servers if not one.startswith("127.") and one != "::1"]


class _Resolver:
    """The parts of a resolv.conf(5)."""

    def __init__(self, servers: Sequence[str], search: Sequence[str], options: Sequence[str]) -> None:
        self.servers = list(servers)
        self.search = list(search)
        self.options = list(options)

    @classmethod
    def of(cls, text: str) -> _Resolver:
        servers: list[str] = []
        search: list[str] = []
        options: list[str] = []
        for line in text.splitlines():
            words = line.split("#")[0].split(";")[0].split()
            if len(words) > 1 and words[0] == "nameserver":
                servers.append(words[1])
            elif len(words) > 1 and words[0] in ("search", "domain"):
                search = words[1:]
            elif words and words[0] == "options":
                options += words[1:]
        return cls(servers, search, options)
