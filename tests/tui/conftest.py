"""What the tests have in common that run `wpod top` as a program."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Places
from tests.support.account import Account
from tests.support.command import Wpod


@pytest.fixture
def wpod(places: Places, root_account: Account) -> Iterator[Wpod]:
    """Root's, with a store of its own."""
    made = places.new(root_account)
    yield made
    root_account.remove_tree(made.scratch)
