"""`wpod-network hold` itself: relaying, its users, its end, and the namespaces that outlive it (docs/formats.md)."""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Places, session_directory
from tests.support.account import Account
from tests.support.command import eventually
from wpod.formats import launch_plan

_READY_BYTES = 4096
_TARGET = "10.99.0.2"
_MEGABYTE = 1 << 20
# Runs in the namespace of a container: says who calls, then sends back what it hears until the other side has ended.
_SERVER = """
import socket, socketserver, sys
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall((self.client_address[0] + "\\n").encode())
        total = 0
        while piece := self.request.recv(1 << 16):
            total += len(piece)
            if total <= 16:
                self.request.sendall(piece)
        self.request.sendall(b"%d" % total)
class Datagrams(socketserver.BaseRequestHandler):
    def handle(self):
        data, answer = self.request
        answer.sendto(b"heard " + data, self.client_address)
class Server(socketserver.ThreadingTCPServer):
    request_queue_size = 256
    daemon_threads = True
import threading
udp = socketserver.UDPServer(("0.0.0.0", 81), Datagrams)
threading.Thread(target=udp.serve_forever, daemon=True).start()
tcp = Server(("0.0.0.0", 80), Echo)
print("ready", flush=True)
tcp.serve_forever()
"""


def _identity(account: Account) -> dict[str, Any]:
    """How subprocess runs something as the account."""
    return {"user": account.uid, "group": account.gid, "extra_groups": []} if os.geteuid() == 0 else {}


class Holder:
    """A holder that was started as an account, and a connection to it."""

    def __init__(self, account: Account, program: Path, control: socket.socket, pairs: list[tuple[str, str]]) -> None:
        reader, writer = os.pipe()
        plan = launch_plan.to_descriptor((("control-fd", str(control.fileno())), ("ready-fd", str(writer)), *pairs))
        try:
            started = subprocess.run(
                [str(program), "hold", str(plan)], pass_fds=(control.fileno(), writer, plan), check=False,
                env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}, **_identity(account), timeout=30,
            )  # fmt: skip
        finally:
            os.close(plan)
            os.close(writer)
        told = b""
        with os.fdopen(reader, "rb") as file:
            told = file.read(_READY_BYTES)
        assert (started.returncode, told[:1]) == (0, b"R"), told
        self.pid = int(told[1:])
        self.process = os.pidfd_open(self.pid)
        self.link = _connected(account, control.getsockname())

    def ask(self, *words: str, descriptor: int | None = None) -> list[str]:
        socket.send_fds(self.link, ["\0".join(words).encode()], [] if descriptor is None else [descriptor])
        return self.link.recv(65536).decode().split("\0")

    def namespace(self, kind: str) -> int:
        return os.stat(f"/proc/{self.pid}/ns/{kind}").st_ino

    def has_ended(self, patience_seconds: float = 20) -> bool:
        return bool(select.select([self.process], [], [], patience_seconds)[0])

    def close(self) -> None:
        self.link.close()
        if not self.has_ended(0):
            signal.pidfd_send_signal(self.process, signal.SIGKILL)
        assert self.has_ended()
        os.close(self.process)


def _connected(account: Account, path: str) -> socket.socket:
    """A connection in the account's name: the holder looks at whose it is."""
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    link.settimeout(20)
    before = os.geteuid()
    os.seteuid(account.uid)
    try:
        link.connect(path)
    finally:
        os.seteuid(before)
    return link


def _maps(account: Account) -> list[tuple[str, str]]:
    """The account alone, which needs no program; the ranges of /etc/subuid are covered by whole containers' tests."""
    return [("uid-map", f"0:{account.uid}:1"), ("gid-map", f"0:{account.gid}:1")]


class Stage:
    """A holder with a container's namespace beside it, joined by a veth."""

    def __init__(self, account: Account, program: Path, directory: Path, stack: ExitStack) -> None:
        self.account, self.program, self.stack = account, program, stack
        self.control = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        self.control.bind(str(directory / "control"))
        account.own(directory / "control")
        self.control.listen(16)
        self.holder = self.start(_maps(account))
        self.container = self.serve()

    def start(self, pairs: list[tuple[str, str]]) -> Holder:
        holder = Holder(self.account, self.program, self.control, pairs)
        self.stack.callback(holder.close)
        return holder

    def inside(self, *words: str) -> list[str]:
        pid = self.holder.pid
        return ["nsenter", f"--user=/proc/{pid}/ns/user", f"--net=/proc/{pid}/ns/net", "--preserve-credentials", *words]

    def serve(self) -> subprocess.Popen[bytes]:
        """A server in a network namespace that only the holder's reaches."""
        command = self.inside(
            "unshare", "--net", os.path.realpath(sys.executable), "-c", "import sys;sys.stdin.readline();" + _SERVER
        )
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **_identity(self.account))
        self.stack.callback(server.wait)
        self.stack.callback(server.kill)
        eventually(lambda: os.stat(f"/proc/{server.pid}/ns/net").st_ino
                   not in (self.holder.namespace("net"), os.stat("/proc/self/ns/net").st_ino))  # fmt: skip
        there = f"nsenter --net=/proc/{server.pid}/ns/net"
        script = f"""
            ip link add veth0 type veth peer name eth0 netns {server.pid}
            ip addr add 10.99.0.1/24 dev veth0
            ip link set veth0 up
            {there} ip addr add {_TARGET}/24 dev eth0
            {there} ip link set eth0 up
            {there} ip link set lo up
            {there} ip route add default via 10.99.0.1
        """
        subprocess.run(self.inside("sh", "-ec", script), check=True, timeout=30, **_identity(self.account))
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(b"\n")
        server.stdin.flush()
        assert server.stdout.readline() == b"ready\n"
        return server

    def keeper(self, name: str) -> subprocess.Popen[bytes]:
        """A process that counts as a container."""
        process = subprocess.Popen(["sleep", "infinity"])
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        pidfd = os.pidfd_open(process.pid)
        assert self.holder.ask("use", name, descriptor=pidfd) == ["ok"]
        os.close(pidfd)
        return process

    def publish(self, name: str, protocol: str = "tcp", target: str = f"{_TARGET}:80") -> int:
        """The port of the host that leads to a target."""
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        with socket.socket(socket.AF_INET, kind) as port:
            port.bind(("127.0.0.1", 0))
            if protocol == "tcp":
                port.listen(256)
            assert self.holder.ask("publish", name, protocol, target, "client", descriptor=port.fileno()) == ["ok"]
            number: int = port.getsockname()[1]
        return number


@pytest.fixture
def stage(account: Account, places: Places) -> Iterator[Stage]:
    directory = Path(tempfile.mkdtemp(prefix=f"{account.label}-", dir=session_directory()))
    account.own(directory)
    program = Path(places.program[0]).parents[1] / "lib/wpod/wpod/libexec/wpod-network"
    with ExitStack() as stack:
        yield Stage(account, program, directory, stack)
    account.remove_tree(directory)


def _talk(port: int, data: bytes) -> bytes:
    """What the server says to someone who sends all this and then ends his half."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        heard = b""
        while piece := client.recv(4096):
            heard += piece
    return heard


def _is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_connections_are_relayed(stage: Stage) -> None:
    """Many at once, half-closed ones, much data; a client of the loopback appears as the bridge's own address."""
    stage.keeper("c")
    port = stage.publish("c")
    assert _talk(port, b"hello") == b"10.99.0.1\nhello5"
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda number: _talk(port, b"%03d" % number), range(200)))
    assert answers == [b"10.99.0.1\n%03d3" % number for number in range(200)]
    assert _talk(port, bytes(100 * _MEGABYTE)).endswith(b"%d" % (100 * _MEGABYTE))
    eventually(lambda: len(os.listdir(f"/proc/{stage.holder.pid}/fd")) < 15)


def test_datagrams_are_relayed(stage: Stage) -> None:
    stage.keeper("c")
    port = stage.publish("c", "udp", f"{_TARGET}:81")
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(20)]
    for number, client in enumerate(clients):
        client.settimeout(20)
        client.sendto(b"%d" % number, ("127.0.0.1", port))
    assert [client.recv(100) for client in clients] == [b"heard %d" % number for number in range(20)]
    for client in clients:
        client.close()


def test_a_refused_target_closes_the_client(stage: Stage) -> None:
    stage.keeper("c")
    port = stage.publish("c", target=f"{_TARGET}:82")
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        try:
            assert client.recv(1) == b""
        except ConnectionResetError:
            pass  # as good: nothing was heard


def test_descriptors_run_out(stage: Stage) -> None:
    """A connection for which there are none left is closed at once, nothing spins, and the next one is served again."""
    stage.keeper("c")
    port = stage.publish("c")
    used = len(os.listdir(f"/proc/{stage.holder.pid}/fd"))
    limit = ["prlimit", f"--pid={stage.holder.pid}", f"--nofile={used + 8}:{used + 8}"]
    subprocess.run(limit, check=True, timeout=30, **_identity(stage.account))
    clients = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(12)]
    answers = []
    for client in clients:
        try:
            answers.append(client.recv(100))
        except ConnectionResetError:
            answers.append(b"")
    served = [one for one in answers if one]
    assert 0 < len(served) < len(clients)
    before = _processor_ticks(stage.holder.pid)
    time.sleep(1)
    assert _processor_ticks(stage.holder.pid) - before < os.sysconf("SC_CLK_TCK") // 2
    for client in clients:
        client.close()
    eventually(lambda: _is_served(port))


def _is_served(port: int) -> bool:
    """The holder lets go of descriptors when it notices that clients have gone: until then it closes new ones."""
    try:
        return _talk(port, b"hello") == b"10.99.0.1\nhello5"
    except ConnectionResetError:
        return False
    except OSError as error:
        if error.errno != errno.ENOTCONN:  # reset before it talks
            raise
        return False


def _processor_ticks(pid: int) -> int:
    """What a process has had of the processors (proc_pid_stat(5), utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_a_container_ends(stage: Stage) -> None:
    """The end of its process closes its ports, of it alone; `forget` does the same; the last one ends the holder."""
    first, second = stage.keeper("a"), stage.keeper("b")
    one, two = stage.publish("a"), stage.publish("b")
    told = stage.holder.ask("list")
    assert (told[:2], sorted(told[2:])) == (["ok", str(stage.holder.pid)], ["a", "b"])
    first.kill()
    first.wait()
    eventually(lambda: not _is_open(one))
    assert _is_open(two)
    replaced = stage.keeper("b")
    second.kill()
    second.wait()
    assert stage.holder.ask("list")[2:] == ["b"]
    assert _is_open(two)
    assert stage.holder.ask("forget", "b") == ["ok"]
    assert not _is_open(two)
    assert replaced.poll() is None
    helper = subprocess.Popen(["sleep", "infinity"], **_identity(stage.account))
    pidfd = os.pidfd_open(helper.pid)
    assert stage.holder.ask("helper", "sleep", descriptor=pidfd) == ["ok"]
    os.close(pidfd)
    stage.holder.link.close()
    assert stage.holder.has_ended()
    assert helper.wait(20) == -signal.SIGTERM


def test_a_dead_process_that_a_command_still_holds(stage: Stage) -> None:
    """Its end is told once, though the pidfd stays open elsewhere; the name can be taken again at once."""
    for _ in range(20):
        process = subprocess.Popen(["sleep", "infinity"])
        held = os.pidfd_open(process.pid)
        assert stage.holder.ask("use", "c", descriptor=held) == ["ok"]
        process.kill()
        process.wait()
        stage.keeper("c")
        assert stage.holder.ask("list")[2:] == ["c"]
        os.close(held)


def test_what_is_refused(stage: Stage) -> None:
    for words in (("nothing",), ("use", "c"), ("publish", "c", "tcp", "nowhere", "plain")):
        assert stage.holder.ask(*words)[0].startswith("error ")
    with open("/dev/null", "rb") as unfit:  # noqa: PTH123 - a descriptor is wanted
        assert stage.holder.ask("use", "c", descriptor=unfit.fileno())[0].startswith("error ")
    assert stage.holder.ask("list") == ["ok", str(stage.holder.pid)]


def test_a_killed_one_is_followed(stage: Stage) -> None:
    """Another takes the same namespaces by a process that is still in them, with all their links."""
    spaces = [stage.holder.namespace(kind) for kind in ("user", "net")]
    inside = subprocess.Popen(stage.inside("sleep", "infinity"), **_identity(stage.account))
    stage.stack.callback(inside.wait)
    stage.stack.callback(inside.kill)
    eventually(lambda: os.stat(f"/proc/{inside.pid}/ns/net").st_ino == spaces[1])
    signal.pidfd_send_signal(stage.holder.process, signal.SIGKILL)
    assert stage.holder.has_ended()
    paths = [
        (f"{kind}-namespace", f"/proc/{inside.pid}/ns/{short}")
        for kind, short in (("user", "user"), ("network", "net"))
    ]
    stage.holder = stage.start(paths)
    assert [stage.holder.namespace(kind) for kind in ("user", "net")] == spaces
    stage.keeper("c")
    assert _talk(stage.publish("c"), b"again") == b"10.99.0.1\nagain5"


def test_its_confinement(stage: Stage) -> None:
    status = dict(line.split(":\t") for line in Path(f"/proc/{stage.holder.pid}/status").read_text().splitlines())
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"].strip() == "2"  # a filter
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 1 << 12 | 1 << 13  # CAP_NET_ADMIN, CAP_NET_RAW
    assert [os.readlink(f"/proc/{stage.holder.pid}/fd/{number}") for number in range(3)] == ["/dev/null"] * 3
