"""Networks as each user: root in a network namespace of its own, so that nothing is made in the machine's."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Iterator

import pytest

from tests import conftest as base
from tests.net.inside import Inside
from tests.support.account import Account
from tests.support.command import Wpod
from tests.support.images import ImageSource


@pytest.fixture(scope="session")
def host_namespace() -> Iterator[int]:
    """A process in a fresh network namespace, which stands for root's host: its lo is up, and nothing else is there."""
    holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep infinity"],
                              stdout=subprocess.PIPE)  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"up\n"
    yield holder.pid
    holder.kill()
    holder.wait()


@pytest.fixture
def networked(
    account: Account,
    places: base.Places,
    host_namespace: int,
    archives: base.Archives,
    probe_sources: dict[str, ImageSource],
) -> Iterator[Wpod]:
    """wpod on a store of its own with the native probe in it, for each account."""
    wpod = places.new(account)
    if account.uid == 0:
        wpod = dataclasses.replace(wpod, program=("nsenter", f"--net=/proc/{host_namespace}/ns/net", *wpod.program))
    with base.filled(wpod, archives, probe_sources["native"]) as made:
        yield made


@pytest.fixture
def host(account: Account, host_namespace: int) -> Inside:
    """Where published ports of this account's containers are."""
    return Inside(host_namespace if account.uid == 0 else 0)
