"""The library that makes pasta small: pasta by itself, between two network namespaces of root's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.net.inside import Inside
from tests.support import accounts_available

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes links between namespaces")
_LIBRARY = Path(__file__).parents[2] / "wpod/libexec/wpod-pasta-pages.so"
_HERE, _THERE, _PORT = "198.18.0.1", "198.18.0.2", 7000
_MEGABYTES = 24
# Sends back as much as it is told to expect. No direction is shut down: Debian 12's pasta loses answers then.
_SERVER = """
import socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
client, _ = server.accept()
data = bytearray()
while len(data) < int(sys.argv[3]) << 20 and (piece := client.recv(1 << 16)):
    data += piece
client.sendall(data)
client.recv(1)
"""
# More than all of pasta's buffers hold, there and back.
_CLIENT = """
import socket, sys
sent = b"".join(number.to_bytes(4, "big") for number in range(int(sys.argv[3]) << 18))
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20) as client:
    client.sendall(sent)
    received = bytearray()
    while len(received) < len(sent) and (piece := client.recv(1 << 16)):
        received += piece
print(received == sent)
"""


@pytest.fixture
def namespaces() -> Iterator[tuple[Inside, Inside]]:
    """A host with a route to everywhere, and what it leads to."""
    words = ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep infinity"]
    ends = [subprocess.Popen(words, stdout=subprocess.PIPE) for _ in range(2)]
    try:
        for end in ends:
            assert end.stdout is not None
            assert end.stdout.readline() == b"up\n"
        here, there = (Inside(end.pid) for end in ends)
        pair = ("type", "veth", "peer", "name", "far", "netns", str(there.pid))
        assert here.run("ip", "link", "add", "name", "near", *pair).returncode == 0
        for inside, name, address in ((here, "near", _HERE), (there, "far", _THERE)):
            assert inside.run("ip", "addr", "add", f"{address}/24", "dev", name).returncode == 0
            assert inside.run("ip", "link", "set", name, "up").returncode == 0
        assert here.run("ip", "route", "add", "default", "via", _THERE).returncode == 0
        yield here, there
    finally:
        for end in ends:
            end.kill()
            end.wait()
            assert end.stdout is not None
            end.stdout.close()


@pytest.fixture
def library() -> Iterator[Path]:
    """Where the account can read it."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(shutil.copy(_LIBRARY, directory))


def test_all_arrives_through_a_pasta_that_has_given_pages_back(
    namespaces: tuple[Inside, Inside], library: Path
) -> None:
    here, there = namespaces
    user = next(one for one in accounts_available() if one.uid != 0)
    account = (f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups")
    pasta = ("pasta", "--quiet", "--config-net", "--no-map-gw", "-t", "none", "-u", "none", "-T", "none", "-U", "none")
    arguments = (_THERE, str(_PORT), str(_MEGABYTES))
    client = ("/usr/bin/python3", "-I", "-c", _CLIENT, *arguments)
    server = there.command(sys.executable, "-c", _SERVER, *arguments)
    with subprocess.Popen(server, stdout=subprocess.PIPE) as serving:
        try:
            assert serving.stdout is not None
            assert serving.stdout.readline() == b"ready\n"
            environment = ("env", "--chdir=/", f"LD_PRELOAD={library}")
            done = here.run("setpriv", *account, *environment, *pasta, "--", *client)
        finally:
            serving.kill()
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
    assert "preload" not in done.stderr
