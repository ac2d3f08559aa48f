"""Names of containers on their networks: aardvark-dns, one process for all networks of a namespace.

Its configuration is a directory with a file for each network: the addresses that it listens on, after a blank the name
servers that it asks for other names where the network has its own, then a line for each container:
`ID IPv4,… IPv6,… NAME,…` (aardvark-dns(8)). It reads them anew at SIGHUP and ends where none is left.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping, Sequence

from wpod import programs
from wpod.errors import WpodError
from wpod.frozen import frozen
from wpod.kernel import pidfd
from wpod.model.network import Lease, Network
from wpod.net.namespace import NetworkNamespace

_PROGRAM = "aardvark-dns"


@frozen
class Named:
    """A container's place on a network, with all the names that lead to it there."""

    lease: Lease
    names: tuple[str, ...]


class NameServer:
    """The name server of one namespace; `directory` is its own."""

    def __init__(self, directory: str, namespace: NetworkNamespace) -> None:
        self._directory = directory
        self._namespace = namespace

    def update(self, networks: Mapping[str, Network], named: Sequence[Named]) -> int | None:
        """Let it know who is where, starting it where it must run; a pidfd of it.

        `networks` are those with names, by name. Raises MissingProgram, WpodError.
        """
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        wanted = {name: _document(networks[name], named) for name in networks}
        wanted = {name: text for name, text in wanted.items() if "\n" in text.strip()}
        changed = self._write(wanted)
        process = self._running()
        if process is None:
            return self._start() if wanted else None
        if changed:
            pidfd.send(process, signal.SIGHUP if wanted else signal.SIGTERM)
        return process

    def _write(self, wanted: Mapping[str, str]) -> bool:
        changed = False
        present = {name for name in os.listdir(self._directory) if not name.startswith(_PROGRAM.partition("-")[0])}
        for name in present - wanted.keys():
            os.unlink(f"{self._directory}/{name}")
            changed = True
        for name, text in wanted.items():
            path = f"{self._directory}/{name}"
            if _content(path) != text:
                with open(f"{path}.new", "w", encoding="utf-8") as file:
                    file.write(text)
                os.rename(f"{path}.new", path)
                changed = True
        return changed

    def _running(self) -> int | None:
        return pidfd.open_noted(f"{self._directory}/aardvark.pid", self._directory)

    def _start(self) -> int:
        """It goes into the background by itself, once it listens, and notes its process number."""
        command = self._namespace.entering([_PROGRAM, "--config", self._directory, "-p", "53", "run"])
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self._directory}/aardvark.pid")
        done = programs.run_to_background(command, environment={"PATH": programs.SEARCH_PATH})
        process = self._running()
        if done.status != 0 or process is None:
            raise WpodError(
                f"aardvark-dns can't be started: {done.complaint}", hint="is port 53 of the networks' gateways taken?"
            )
        return process


def _document(network: Network, named: Sequence[Named]) -> str:
    gateways = ",".join(subnet.gateway for subnet in network.subnets if subnet.gateway)
    lines = [f"{gateways} {','.join(network.dns_servers)}".rstrip()]
    for one in named:
        if one.lease.network == network.name:
            plain = [address.partition("/")[0] for address in one.lease.addresses]
            four = ",".join(address for address in plain if ":" not in address)
            six = ",".join(address for address in plain if ":" in address)
            lines.append(f"{one.lease.container_id} {four} {six} {','.join(one.names)}")
    return "\n".join(lines) + "\n"


def _content(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""
