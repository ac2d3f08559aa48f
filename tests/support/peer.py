"""podman under the same tests: what proves that they ask for podman's behaviour."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.account import Account
from tests.support.command import Wpod

_WITH_PEERS = Path(__file__).parents[2] / "bench" / "with_peers.sh"


def is_there() -> bool:
    """podman and crun are installed. (Only root can use them on a host with hybrid cgroups.)"""
    return all(shutil.which(program) for program in ("podman", "crun", "unshare"))


def podman(account: Account, place: Path) -> Wpod:
    """A podman with a store of its own below `place`, behind the same interface as wpod."""
    program = (
        str(_WITH_PEERS), "podman", "--root", f"{place}/store", "--runroot", f"{place}/run",
        "--tmpdir", f"{place}/libpod", "--storage-driver", "overlay",
    )  # fmt: skip
    return Wpod(program, account, place / "store", place)
