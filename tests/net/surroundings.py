"""A machine that lacks something, for one command at a time: what root arranges before a user's command begins."""

from __future__ import annotations

import dataclasses
import os

import pytest

from tests.support import accounts_available
from tests.support.command import Wpod

NEEDS_ROOT = "only root can mount a file system"


def arranged(wpod: Wpod, *steps: str, network: int = 0) -> Wpod:
    """The same wpod on the same store as the same account, after shell commands of root among mounts of its own.

    `network` is a process whose network namespace stands for the host's, 0 for the one that it is in already.
    """
    if os.geteuid() != 0:
        pytest.skip(NEEDS_ROOT)
    root = next(one for one in accounts_available() if one.uid == 0)
    become = f"setpriv --reuid={wpod.account.uid} --regid={wpod.account.gid} --clear-groups" if wpod.account.uid else ""
    there = f"nsenter --net=/proc/{network}/ns/net" if network else ""
    script = "\n".join((*steps, f'exec {there} {become} "$@"'))
    program = ("unshare", "--mount", "sh", "-euc", script, "sh", *wpod.program)
    return dataclasses.replace(wpod, account=root, program=program)


def hidden(*paths: str) -> tuple[str, ...]:
    """Steps after which these programs or device files aren't there to be used."""
    return tuple(f"mount --bind /dev/null {path}" for path in paths)
