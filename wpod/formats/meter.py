"""What wpod-meter prints (docs/formats.md, "Meter"): the memory of processes, for the first look of a command."""

from __future__ import annotations

from wpod.frozen import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

Identity = tuple[int, int]


@frozen
class Account:
    """What was read of a container's main process, in bytes.

    `touched` are minor faults, major faults and resident pages as `stat` says them, `region` start and bytes of its
    linear memory, zeroes for none; `parts` own, linear, code, shared, swapped, the size of the linear memory, and what
    of code and shared is pages of files.
    `moved` are bytes read from and written to storage. None is what can't be told.
    """

    touched: tuple[bytes, ...]
    region: tuple[int, int]
    parts: tuple[int, int, int, int, int, int, int]
    page_tables: int | None
    moved: tuple[int, int] | None


@frozen
class Reading:
    """All that was read, by number and start time (clock ticks since boot) of the process.

    `shares` are the share of memory and the page tables of keepers.
    """

    accounts: Mapping[Identity, Account]
    shares: Mapping[Identity, tuple[int, int]]


NOTHING = Reading({}, {})


def parse(text: bytes) -> Reading:
    """Raises ValueError where it is something else, or not whole."""
    accounts, shares = {}, {}
    if text and not text.endswith(b"\n"):
        raise ValueError("the last line is not whole")
    for line in text.splitlines():
        kind, *words = line.split(b" ")
        if kind == b"main":
            accounts[_identity(words)] = _account(words)
        elif kind == b"keeper" and len(words) == 4:
            shares[_identity(words)] = int(words[2]), int(words[3])
        else:
            raise ValueError(f"a line that is none: {line!r:.60}")
    return Reading(accounts, shares)


def _identity(words: list[bytes]) -> Identity:
    return int(words[0]), int(words[1])


def _account(words: list[bytes]) -> Account:
    _, _, minor, major, resident, *numbers, tables, read, written = words
    start, size, own, linear, code, shared, swap, linear_size, files = map(int, numbers)
    return Account(
        (minor, major, resident), (start, size), (own, linear, code, shared, swap, linear_size, files),
        None if tables == b"-" else int(tables), None if b"-" in (read, written) else (int(read), int(written)),
    )  # fmt: skip
