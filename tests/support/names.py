"""A name server for tests: A and AAAA by UDP."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
import threading

_PORT = 53
_HEADER_BYTES = 12
_TYPES = {1: 4, 28: 6}
_NAME_ERROR = 3


class NameServer:
    """Answers for `names` (lower case, without a dot at the end) until it is closed, and keeps what it was asked."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.names: dict[str, list[str]] = {}
        self.asked: list[tuple[str, int]] = []
        self.clients: set[str] = set()
        self.silent = False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((address, _PORT))
        except OSError:
            self._socket.close()
            raise
        self._socket.settimeout(0.1)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                query, client = self._socket.recvfrom(512)
                self.clients.add(client[0])
                if not self.silent:
                    self._socket.sendto(self._answer(query), client)

    def _answer(self, query: bytes) -> bytes:
        name, end = _name(query)
        kind, _ = struct.unpack_from("!HH", query, end)
        self.asked.append((name, kind))
        addresses = [ipaddress.ip_address(text) for text in self.names.get(name, [])]
        packed = [address.packed for address in addresses if address.version == _TYPES.get(kind)]
        code = 0 if name in self.names else _NAME_ERROR
        header = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(packed), 0, 0)
        records = [struct.pack("!HHHIH", 0xC00C, kind, 1, 60, len(data)) + data for data in packed]
        return header + query[_HEADER_BYTES : end + 4] + b"".join(records)


def _name(query: bytes) -> tuple[str, int]:
    """The name of the first question, and where it ends."""
    labels, at = [], _HEADER_BYTES
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode().lower())
        at += 1 + length
    return ".".join(labels), at + 1
