"""What several kinds of tests share: accounts, the command under test, guests, images, leftovers."""

from functools import cache

from tests.support.account import Account, available


@cache
def accounts_available() -> list[Account]:
    """The accounts that can be tested here; looked up once per process."""
    return available()
