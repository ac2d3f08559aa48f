"""Which processes belong to a native container: those in its process namespace, and what these have started.

Theory of operation. All process numbers are looked at once; afterwards only those that are new. A container's processes
are in the namespace of its main process, those of `exec` too; those of a namespace within have a parent that is known.
What a keeper has started outside of it (fuse-overlayfs) helps. Strangers are forgotten after a while, for a number can
be given again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from wpod.frozen import frozen
from wpod.kernel.pidfd import stat_fields
from wpod.sampling.mappings import content
from wpod.sampling.process import Descriptors, Process

_STRANGERS_KEPT_LOOKS = 30


@frozen
class Member:
    """A process beside the main one, whose number is `main`. `helps`: it works for the container outside of it."""

    main: int
    process: Process
    helps: bool


@frozen
class _Places:
    """Process namespaces: those of main processes, and the one that everything else is in."""

    of_mains: Mapping[str, int]
    outside: str


class Members:
    """The processes of native containers, by the main process's number."""

    def __init__(self, descriptors: Descriptors) -> None:
        self._descriptors = descriptors
        self._strangers: set[int] = set()
        self._looks = 0
        self._found: dict[int, Member] = {}

    def update(self, mains: Iterable[int], keepers: Mapping[int, int]) -> None:
        """Look for processes that have come and gone.

        `keepers` lead from the number of a keeper that may have children outside to that of its main process.
        """
        known = set(mains)
        if not known and not self._found:
            return
        self._looks += 1
        if self._looks % _STRANGERS_KEPT_LOOKS == 0:
            self._strangers.clear()
        there = {int(name) for name in os.listdir("/proc") if name.isdigit()}
        for pid in [pid for pid, one in self._found.items() if pid not in there or one.main not in known]:
            self._forget(pid)
        self._strangers &= there
        fresh = sorted(there - self._strangers - self._found.keys() - known - keepers.keys())
        if not fresh:
            return
        namespaces = {_namespace(main): main for main in known}
        namespaces.pop("", None)
        outside = _namespace(os.getpid())
        namespaces.pop(outside, None)  # --pid host is not a container's own
        for pid in fresh:
            self._sort(pid, _Places(namespaces, outside), keepers, known)

    def by_main(self) -> dict[int, list[Member]]:
        """Those of each container beside its main process, where there are some."""
        found: dict[int, list[Member]] = {}
        for one in self._found.values():
            found.setdefault(one.main, []).append(one)
        return found

    def close(self) -> None:
        """Let go of all."""
        for pid in list(self._found):
            self._forget(pid)

    def _sort(self, pid: int, places: _Places, keepers: Mapping[int, int], mains: set[int]) -> None:
        namespace = _namespace(pid)
        main, helps = places.of_mains.get(namespace), False
        # Outside of all containers only the children of keepers count, those of which there are few.
        if main is None and (namespace != places.outside or keepers):
            parent = _parent(pid)
            above = self._found.get(parent)
            main, helps = keepers.get(parent), True
            if main is None and (parent in mains or above is not None):
                main, helps = (above.main, above.helps) if above is not None else (parent, False)
        if main is None:
            self._strangers.add(pid)
            return
        try:
            self._found[pid] = Member(main, Process(pid, self._descriptors), helps)
        except ProcessLookupError:
            return

    def _forget(self, pid: int) -> None:
        self._found.pop(pid).process.close()


def _namespace(pid: int) -> str:
    """Its process namespace, "" where that can't be told: it has gone, or is somebody else's."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def _parent(pid: int) -> int:
    try:
        return int(stat_fields(content(f"/proc/{pid}/stat"))[1])
    except OSError:
        return 0
