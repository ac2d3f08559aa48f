"""Which numbers the users of an image's files become on this machine."""

from __future__ import annotations

import hashlib

from wpod.frozen import frozen


@frozen
class IdRange:
    """One line of /proc/PID/uid_map: `count` ids from `inside` are `outside` on the host."""

    inside: int
    outside: int
    count: int

    def __str__(self) -> str:
        return f"{self.inside}:{self.outside}:{self.count}"


@frozen
class IdMap:
    """The id map that a tree is unpacked for.

    Both empty: identity (root keeps the image's owners). `single` True: everything belongs to the
    calling user, no chown is made (a user's wasm containers need no other ids). Otherwise the ranges
    of a user namespace, in which the unpacking happens.
    """

    users: tuple[IdRange, ...] = ()
    groups: tuple[IdRange, ...] = ()
    single: bool = False

    @property
    def key(self) -> str:
        """A name safe in a path, the same for the same map: `identity`, `single` or `ranges-HEX`."""
        if self.single:
            return "single"
        if not self.users and not self.groups:
            return "identity"
        text = ",".join(map(str, self.users)) + ";" + ",".join(map(str, self.groups))
        return f"ranges-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    @property
    def is_ranges(self) -> bool:
        return not self.single and bool(self.users or self.groups)


IDENTITY = IdMap()
SINGLE = IdMap(single=True)
