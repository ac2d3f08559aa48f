"""podman under the same tests: what proves that they ask for podman's behaviour."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.account import Account
from tests.support.command import Wpod, eventually

_WITH_PEERS = Path(__file__).parents[2] / "bench" / "with_peers.sh"


def is_there() -> bool:
    """podman and crun are installed. (Only root can use them on a host with hybrid cgroups.)"""
    return all(shutil.which(program) for program in ("podman", "crun", "unshare", "nsenter"))


@contextmanager
def podman(account: Account, place: Path) -> Iterator[Wpod]:
    """A podman with a store of its own below `place`, behind the same interface as wpod.

    One process holds the mount namespace that hides the host's cgroups from crun: podman finds the mounts of
    its earlier commands there.
    """
    holder = subprocess.Popen([str(_WITH_PEERS), "sleep", "infinity"])
    try:
        eventually(lambda: Path(f"/proc/{holder.pid}/comm").read_text() == "sleep\n")
        configuration = Path(f"/proc/{holder.pid}/environ").read_text().split("CONTAINERS_CONF=")[1].split("\0")[0]
        program = (
            "nsenter", f"--mount=/proc/{holder.pid}/ns/mnt", "podman", "--root", f"{place}/store",
            "--runroot", f"{place}/run", "--tmpdir", f"{place}/libpod", "--storage-driver", "overlay",
        )  # fmt: skip
        environment = {"CONTAINERS_CONF": configuration, "PODMAN_IGNORE_CGROUPSV1_WARNING": "1"}
        yield Wpod(program, account, place / "store", place, environment)
    finally:
        holder.kill()
        holder.wait()
