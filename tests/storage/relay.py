"""A relay before a registry that breaks connections off in the middle of what a client sends."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Relay:
    """`break_at` is searched for in what one connection has sent; it is cut there, while set, and counted."""

    host: str
    break_at: bytes = b""
    broken: int = 0
    seen: list[bytes] = field(default_factory=list)

    def requests(self, pattern: bytes) -> int:
        """How many request lines fit a pattern."""
        return len(re.findall(pattern, b"".join(self.seen)))


def _forward(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def _serve(relay: Relay, client: socket.socket, port: int) -> None:
    server = socket.create_connection(("localhost", port))
    threading.Thread(target=_forward, args=(server, client), daemon=True).start()
    sent = b""
    with contextlib.suppress(OSError), client, server:
        while data := client.recv(65536):
            relay.seen.append(data)
            sent += data
            if relay.break_at and relay.break_at in sent:
                relay.broken += 1
                return
            server.sendall(data)


@contextmanager
def before(host: str) -> Iterator[Relay]:
    """A relay before `localhost:PORT`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay = Relay(f"localhost:{listener.getsockname()[1]}")

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    arguments = (relay, client, int(host.rpartition(":")[2]))
                    threading.Thread(target=_serve, args=arguments, daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield relay
        listener.shutdown(socket.SHUT_RDWR)
