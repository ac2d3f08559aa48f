"""Real clients and servers inside of network namespaces: small programs that are run there."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType

_PATIENCE_SECONDS = 5
_SERVER = """
import socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])), family=int(sys.argv[3]))
print("ready", flush=True)
while True:
    client, address = server.accept()
    client.sendall((address[0] + "\\n").encode())
    client.shutdown(socket.SHUT_WR)
    client.recv(1)
    client.close()
"""
_CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3])) as client:
    data = b""
    while piece := client.recv(4096):
        data += piece
sys.stdout.buffer.write(data)
"""
_ECHO = """
import socket, sys
server = socket.socket(int(sys.argv[3]), socket.SOCK_DGRAM)
server.bind((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
while True:
    data, address = server.recvfrom(2048)
    server.sendto(address[0].encode() + b" " + data, address)
"""
_NAMES = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
answer = bytes.fromhex("c00c00010001000000000004") + socket.inet_aton(sys.argv[4])
while True:
    data, address = server.recvfrom(2048)
    end = data.index(0, 12) + 5
    counts = (1).to_bytes(2, "big") * 2 + bytes(4)
    server.sendto(data[:2] + bytes.fromhex("8180") + counts + data[12:end] + answer, address)
"""
_ASK = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
client = socket.socket(family, socket.SOCK_DGRAM)
client.settimeout(float(sys.argv[3]))
client.connect((sys.argv[1], int(sys.argv[2])))
client.send(bytes.fromhex(sys.argv[4]))
sys.stdout.write(client.recv(4096).hex())
"""


@dataclass
class Inside:
    """The network namespace of a process; 0 is the tests' own. Servers end with the context."""

    pid: int
    _servers: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Inside:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._servers.close()

    def command(self, *words: str) -> list[str]:
        """How these words are run there."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", *words] if self.pid else list(words)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*words), capture_output=True, text=True, check=False, timeout=30)

    def serve(self, address: str, port: int) -> None:
        """A TCP server that tells each client the address that it comes from."""
        self._start(_SERVER, address, port)

    def serve_datagrams(self, address: str, port: int) -> None:
        """A UDP server that answers with the client's address and what was sent."""
        self._start(_ECHO, address, port)

    def serve_names(self, address: str, answer: str) -> None:
        """A name server that has one IPv4 address for every name."""
        self._start(_NAMES, address, 53, answer)

    def _start(self, program: str, address: str, port: int, *more: str) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        words = (sys.executable, "-c", program, address, str(port), str(int(family)), *more)
        server = subprocess.Popen(self.command(*words), stdout=subprocess.PIPE)
        self._servers.callback(server.wait)
        self._servers.callback(server.kill)
        assert server.stdout is not None
        self._servers.callback(server.stdout.close)
        assert server.stdout.readline() == b"ready\n"

    def fetch(self, address: str, port: int, patience_seconds: float = _PATIENCE_SECONDS) -> str | None:
        """What a TCP server tells, without the newline; None where there is no connection."""
        done = self.run(sys.executable, "-c", _CLIENT, address, str(port), str(patience_seconds))
        return done.stdout.strip() if done.returncode == 0 else None

    def ask(
        self, address: str, port: int, question: bytes, patience_seconds: float = _PATIENCE_SECONDS
    ) -> bytes | None:
        """A datagram's answer, None where none comes."""
        done = self.run(sys.executable, "-c", _ASK, address, str(port), str(patience_seconds), question.hex())
        return bytes.fromhex(done.stdout) if done.returncode == 0 else None

    def look_up(self, name: str, server: str, *, six: bool = False) -> list[str]:
        """The addresses of one version of IP that a name server gives (RFC 1035, 4); [] for an unknown name.

        Names that it doesn't know itself it asks the host's name server for, who needn't be there: no answer then.
        """
        wanted, family = (28, socket.AF_INET6) if six else (1, socket.AF_INET)
        labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
        question = struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", wanted, 1)
        answer = self.ask(server, 53, question, patience_seconds=1)
        if answer is None:
            return []
        (count,) = struct.unpack_from(">H", answer, 6)
        found, at = [], len(question)
        for _ in range(count):
            while answer[at] and answer[at] < 0xC0:
                at += answer[at] + 1
            at += 2 if answer[at] else 1
            kind, _, _, length = struct.unpack_from(">HHIH", answer, at)
            if kind == wanted:
                found.append(socket.inet_ntop(family, answer[at + 10 : at + 10 + length]))
            at += 10 + length
        return found
