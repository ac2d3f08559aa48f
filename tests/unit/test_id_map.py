"""Id maps, and the ranges a user has (wpod.model.id_map, wpod.kernel.user_namespace)."""

from __future__ import annotations

import os
import re

import pytest

from tests.support import accounts_available
from wpod.kernel import user_namespace
from wpod.kernel.user_namespace import is_mapped, parse_ranges
from wpod.model.id_map import IDENTITY, SINGLE, IdMap, IdRange

RANGES = (IdRange(0, 1000, 1), IdRange(1, 100000, 65536))


def test_the_keys_are_safe_in_a_path_and_differ() -> None:
    maps = [
        IDENTITY, SINGLE, IdMap(RANGES, RANGES), IdMap(RANGES, ()), IdMap((), RANGES), IdMap(RANGES, RANGES[:1]),
        IdMap(RANGES[:1], RANGES), IdMap((IdRange(0, 1, 1),), ()), IdMap((IdRange(0, 11, 1),), ()),
    ]  # fmt: skip
    keys = [one.key for one in maps]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch(r"[a-z0-9-]+", key) for key in keys)
    assert keys[:2] == ["identity", "single"]
    assert IdMap(RANGES, RANGES).key == IdMap(RANGES, RANGES).key
    assert [one.is_ranges for one in maps] == [False, False] + [True] * 7


def test_a_range_is_a_line_of_uid_map() -> None:
    assert str(IdRange(1, 100000, 65536)) == "1:100000:65536"


OWN = IdRange(0, 1000, 1)
SUBUIDS = {
    "": (OWN,),
    "app:100000:65536\n": (OWN, IdRange(1, 100000, 65536)),
    "1000:100000:65536": (OWN, IdRange(1, 100000, 65536)),
    "app:100000:10\napp:200000:5\n1000:300000:1\n": (
        OWN, IdRange(1, 100000, 10), IdRange(11, 200000, 5), IdRange(16, 300000, 1),
    ),
    "other:100000:65536\napplication:1:1\n": (OWN,),
    "app:100000\napp\napp:\n:100000:5\napp::5\napp:5:\n": (OWN,),
    "app:-1:5\napp:1:-5\napp:0x10:5\napp:1:5x\napp:1:0\napp: 1:5\napp:1:5:6\n": (OWN,),
    "app:٣:5\napp:99999999999:5\napp:1:99999999999\n": (OWN,),
    "app:1:4294967295\n": (OWN,),
    "# app:1:5\n\n\0\n#\n": (OWN,),
}  # fmt: skip


@pytest.mark.parametrize(("content", "expected"), SUBUIDS.items())
def test_the_ranges_of_subuid(content: str, expected: tuple[IdRange, ...]) -> None:
    assert parse_ranges(content, ("app", "1000"), 1000) == expected


def test_no_more_ranges_than_the_monitor_passes_on() -> None:
    many = "".join(f"app:{100_000 * number}:10\n" for number in range(1, 50))
    assert len(parse_ranges(many, ("app",), 1000)) == 8


def test_the_ranges_never_run_over_the_largest_id() -> None:
    for content in ("app:100000:4294967294\n", "app:1:4294967290\napp:5:100\n", "app:4294967290:65536\n"):
        for item in parse_ranges(content, ("app",), 1000):
            assert item.inside + item.count <= 2**32 - 1
            assert item.outside + item.count <= 2**32 - 1


@pytest.mark.parametrize(
    ("number", "mapped"), [(0, True), (1, True), (65536, True), (65537, False), (1000, True), (2**32 - 2, False)]
)
def test_which_ids_exist_in_the_container(number: int, mapped: bool) -> None:
    assert is_mapped(RANGES, number) is mapped
    assert is_mapped((), number)


def test_root_keeps_every_owner() -> None:
    if os.geteuid() == 0:
        assert user_namespace.id_map() == IDENTITY
        assert user_namespace.missing_ranges() is None
    else:
        assert user_namespace.id_map().users[0] == IdRange(0, os.geteuid(), 1)


def test_the_test_account_s_own_map(monkeypatch: pytest.MonkeyPatch) -> None:
    account = accounts_available()[-1]
    monkeypatch.setattr(os, "geteuid", lambda: account.uid)
    monkeypatch.setattr(os, "getegid", lambda: account.gid)
    found = user_namespace.id_map.__wrapped__()
    assert found.users[0] == IdRange(0, account.uid, 1)
    assert found.groups[0] == IdRange(0, account.gid, 1)
    assert found.is_ranges
    assert len(found.users) == len(found.groups) == 2
