"""Which user and group IDs a container's processes and files have on the host."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class IdRange:
    """`count` IDs from `inside` on are those from `outside` on (user_namespaces(7))."""

    inside: int
    outside: int
    count: int


@dataclass(frozen=True)
class IdMap:
    """The maps of one user namespace; empty tuples mean none, IDs are the host's own.

    A map of one ID each needs no helper program: files are then all the user's own.
    """

    uids: tuple[IdRange, ...] = ()
    gids: tuple[IdRange, ...] = ()

    @property
    def is_host(self) -> bool:
        return not self.uids

    @property
    def is_single(self) -> bool:
        """Only one ID each: nothing can be chowned."""
        return len(self.uids) == 1 and self.uids[0].count == 1

    @property
    def key(self) -> str:
        """Name of the directory of layers unpacked for this map: `host`, `single`, or `map-` and a hash."""
        if self.is_host:
            return "host"
        if self.is_single:
            return "single"
        text = repr((self.uids, self.gids)).encode()
        return f"map-{hashlib.sha256(text).hexdigest()[:16]}"
