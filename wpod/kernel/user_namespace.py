"""The IDs that a user's native containers get: the user, and the ranges of /etc/subuid and /etc/subgid.

subuid(5), newuidmap(1). Inside, the user is root; the ranges follow from 1 on.
"""

from __future__ import annotations

import functools
import os
import pwd

from wpod.model.id_map import IDENTITY, IdMap, IdRange

_READ_LIMIT_BYTES = 1024 * 1024
_LARGEST_COUNT = 2**32 - 2
# The kernel takes 340 lines; the monitor, which passes them on, eight.
_MOST_RANGES = 7


@functools.cache
def id_map() -> IdMap:
    """The map of native containers of the calling user: identity as root.

    Without ranges (or without the programs that may use them) only the user's own ID is there: images
    whose files belong to several users can't be unpacked then, and `--user` has no effect but 0.
    """
    if os.geteuid() == 0:
        return IDENTITY
    uid, gid = os.geteuid(), os.getegid()
    return IdMap(_ranges("/etc/subuid", uid, uid), _ranges("/etc/subgid", uid, gid))


def missing_ranges() -> str | None:
    """The file that gives the calling user no range; None where both do, and as root."""
    found = id_map()
    if os.geteuid() == 0:
        return None
    for path, ranges in (("/etc/subuid", found.users), ("/etc/subgid", found.groups)):
        if len(ranges) < 2:
            return path
    return None


def _ranges(path: str, uid: int, own_id: int) -> tuple[IdRange, ...]:
    try:
        with open(path, "rb") as file:
            content = file.read(_READ_LIMIT_BYTES)
    except OSError:
        content = b""
    return parse_ranges(content.decode(errors="surrogateescape"), _names(uid), own_id)


def parse_ranges(content: str, names: tuple[str, ...], own_id: int) -> tuple[IdRange, ...]:
    """`own_id` as 0, then every range of a line `NAME:START:COUNT` whose name (or number) is one of `names`.

    Malformed lines are passed over, as newuidmap does.
    """
    ranges = [IdRange(0, own_id, 1)]
    following = 1
    for line in content.splitlines():
        name, _, numbers = line.partition(":")
        start, _, count = numbers.partition(":")
        if name not in names or not _is_number(start) or not _is_number(count) or int(count) == 0:
            continue
        if int(start) + int(count) > _LARGEST_COUNT + 1:
            continue  # the kernel refuses the whole map
        if len(ranges) > _MOST_RANGES or following + int(count) > _LARGEST_COUNT:
            break
        ranges.append(IdRange(following, int(start), int(count)))
        following += int(count)
    return tuple(ranges)


def _names(uid: int) -> tuple[str, ...]:
    try:
        return (pwd.getpwuid(uid).pw_name, str(uid))
    except KeyError:
        return (str(uid),)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _LARGEST_COUNT


def is_mapped(ranges: tuple[IdRange, ...], number: int) -> bool:
    """Whether an ID of the container exists in these ranges (everything does in the identity map)."""
    return not ranges or any(item.inside <= number < item.inside + item.count for item in ranges)
