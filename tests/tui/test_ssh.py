"""`wpod top` over ssh: it works, it gives the shell back, and a lost connection ends it."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import Wpod
from tests.top.feed import moment, village
from tests.tui.pane import PROMPT, Pane, in_tmux, until
from tests.tui.stage import recording

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a server that logs a user in is root's")
# The server believes that root lives in the scratch directory, and leaves no trace in the machine's logs.
_SERVER = """
mount --bind "$0/passwd" /etc/passwd && mount -t tmpfs none /var/log &&
exec dropbear -F -E -e -s -m -j -k -r "$0/host" -P "$0/pid" -p "127.0.0.1:$1"
"""


@pytest.fixture
def client(wpod: Wpod) -> Iterator[str]:
    """A server on the loopback with keys of its own; the words that log in there with a terminal."""
    scratch, home = wpod.scratch, wpod.scratch / "home"
    (home / ".ssh").mkdir(mode=0o700)
    for name in ("host", "key"):
        made = subprocess.run(["dropbearkey", "-t", "ed25519", "-f", scratch / name], check=True, capture_output=True)
    public = next(line for line in made.stdout.splitlines() if line.startswith(b"ssh-"))
    (home / ".ssh" / "authorized_keys").write_bytes(public + b"\n")
    (scratch / "passwd").write_text(f"root:x:0:0::{home}:/bin/sh\n")
    with socket.create_server(("127.0.0.1", 0)) as found:  # this process has the network for itself
        port = found.getsockname()[1]
    server = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", _SERVER, scratch, str(port)], env=wpod.variables(), stderr=subprocess.PIPE
    )
    assert server.stderr is not None
    try:
        while b"Not backgrounding" not in (said := server.stderr.readline()):
            assert said, "the server has not started"
        yield f"{shutil.which('dbclient')} -y -y -i {scratch}/key -p {port} -t root@127.0.0.1"
    finally:
        server.kill()
        server.communicate()


def processes_of(words: str) -> list[int]:
    """Those in whose command lines the words are."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if words.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:  # it has ended
            continue
    return found


def open_far_away(pane: Pane, wpod: Wpod, client: str, file: str) -> None:
    pane.shows(PROMPT)
    pane.type(f"clear; {client} {shlex.quote(' '.join(wpod.program))} top --replay {file}; echo it ended with $?")
    pane.press("Enter")
    pane.fits(100, 30)


def test_over_ssh(wpod: Wpod, client: str, tmp_path: Path) -> None:
    file = recording(tmp_path / "village.jsonl", [moment(village())])

    def part(pane: Pane) -> None:
        open_far_away(pane, wpod, client, file)
        pane.filter()
        pane.resize(82, 24)
        pane.fits(82, 24)
        pane.press("q")
        pane.shows("it ended with 0")
        assert pane.modes == "0 0 1"
        until(lambda: not processes_of(file), lambda: str(processes_of(file)))

    in_tmux(wpod, "tmux-256color", part)


@pytest.mark.parametrize("lost", [signal.SIGKILL, signal.SIGTERM])
def test_a_lost_connection_ends_it(wpod: Wpod, client: str, tmp_path: Path, lost: signal.Signals) -> None:
    """The far end lets the program go; the near end's lines are the shell's again as far as the client sees to it."""
    file = recording(tmp_path / "village.jsonl", [moment(village())])

    def part(pane: Pane) -> None:
        open_far_away(pane, wpod, client, file)
        for number in processes_of("dbclient"):
            if file in Path(f"/proc/{number}/cmdline").read_text():
                os.kill(number, lost)
        until(lambda: not processes_of(f"--replay\0{file}"), lambda: str(processes_of(file)))

    in_tmux(wpod, "tmux-256color", part)
