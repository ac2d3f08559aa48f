"""Who the guest is: `--user` or the image's USER against the image's own passwd and group files.

The files come from the image and are hostile: the caller reads them inside the image's root and
bounded; here every malformed line is passed over, as the C library does (passwd(5), group(5)).
"""

from __future__ import annotations

from collections.abc import Iterator

from wpod.errors import UsageError
from wpod.frozen import frozen
from wpod.model.container import UserPlan

_LARGEST_ID = 2**32 - 2
READ_LIMIT_BYTES = 1024 * 1024


@frozen
class _Account:
    name: str
    user_id: int
    group_id: int
    home: str


def resolve_user(text: str, passwd: bytes, group: bytes) -> UserPlan:
    """USER[:GROUP], names or numbers, as podman-run(1) --user; empty is root.

    A number that isn't in passwd is taken as it is, with group 0 and home /. Supplementary groups come
    from the group file where no group was named. Raises UsageError for an unknown name, a number out
    of range, or more than one colon.
    """
    user_text, colon, group_text = text.partition(":")
    if ":" in group_text or (colon and not group_text):
        raise UsageError(f"invalid user {text!r}: expected USER or USER:GROUP")
    account = _find_account(user_text or "0", passwd)
    if group_text:
        return UserPlan(account.user_id, _find_group(group_text, group), (), text, account.home)
    extra = tuple(sorted({gid for gid in _memberships(account.name, group) if gid != account.group_id}))
    return UserPlan(account.user_id, account.group_id, extra, text, account.home)


def _find_account(wanted: str, passwd: bytes) -> _Account:
    number = _number(wanted)
    for account in _accounts(passwd):
        # A number never means a name: a hostile account called "1000" would make it root (CVE-2016-3697).
        if account.user_id == number if number is not None else account.name == wanted:
            return account
    if number is None:
        raise UsageError(f"unable to find user {wanted}: no matching entries in the image's passwd file")
    return _Account("", number, 0, "/")


def _find_group(wanted: str, group: bytes) -> int:
    number = _number(wanted)
    if number is not None:
        return number
    for name, group_id, _members in _groups(group):
        if name == wanted:
            return group_id
    raise UsageError(f"unable to find group {wanted}: no matching entries in the image's group file")


def _number(text: str) -> int | None:
    if not (text.isascii() and text.isdigit()):
        return None
    number = int(text) if len(text) < 12 else _LARGEST_ID + 1
    if number > _LARGEST_ID:
        raise UsageError(f"the ID {text[:20]} is out of range (0 to {_LARGEST_ID})")
    return number


def _accounts(passwd: bytes) -> Iterator[_Account]:
    for line in passwd.decode(errors="surrogateescape").splitlines():
        fields = line.split(":")
        if len(fields) == 7 and _is_id(fields[2]) and _is_id(fields[3]):
            yield _Account(fields[0], int(fields[2]), int(fields[3]), fields[5] or "/")


def _groups(group: bytes) -> Iterator[tuple[str, int, list[str]]]:
    for line in group.decode(errors="surrogateescape").splitlines():
        fields = line.split(":")
        if len(fields) == 4 and _is_id(fields[2]):
            yield fields[0], int(fields[2]), fields[3].split(",")


def _memberships(name: str, group: bytes) -> Iterator[int]:
    if name:
        yield from (group_id for _, group_id, members in _groups(group) if name in members)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 12 and int(text) <= _LARGEST_ID
