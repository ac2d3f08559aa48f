"""What a start knows of names, for the files of a native container and the look-ups of a wasm one."""

from __future__ import annotations

from wpod.model.network import NetworkMode
from wpod.plan import etc_files
from wpod.runtime.backend import Launch


def of_launch(launch: Launch) -> etc_files.Names:
    """Names, addresses and name servers of this start."""
    plan, joined = launch.record.plan, launch.joined
    return etc_files.Names(
        hostname=plan.hostname,
        name=launch.record.name,
        mode=plan.network,
        leases=joined.leases,
        name_servers=joined.name_servers,
        forwarded=bool(joined.user_namespace),
        host_gateway="127.0.0.1" if plan.network is NetworkMode.HOST else joined.host_gateway,
        asked=plan.networking.names,
    )


def host_file(path: str) -> str:
    """A small text file of the host; empty where there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read(65536)
    except OSError:
        return ""
