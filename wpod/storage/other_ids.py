"""Trees with files of a user's subordinate ids, which his own processes can't remove, copy or look into.

A process in the user namespace with his id ranges can; it is started only where the direct way failed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from wpod.errors import StoreError, WpodError
from wpod.storage.layout import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wpod.model.id_map import IdMap
    from wpod.storage.rootfs import TreeSize


def remove_owned(path: str) -> bool:
    """Remove a tree of the store whoever owns its files; whether it is gone. Never raises."""
    remove_all_owned([path])
    return not os.path.lexists(path)


def remove_all_owned(paths: Sequence[str]) -> None:
    """As `remove_owned` for several, with one process for all that need it."""
    for path in paths:
        remove_tree(path)
    left = [path for path in paths if os.path.lexists(path)]
    ranges = _ranges() if left else None
    if ranges is not None:
        from wpod.storage.unpack_worker import remove_in_namespace

        with contextlib.suppress(WpodError):
            remove_in_namespace(left, ranges)


def copy_owned(source: str, target: str) -> None:
    """A private copy of a tree as the new directory `target`, owners kept. Raises StoreError."""
    from wpod.storage import rootfs

    try:
        rootfs.copy_tree(source, target)
    except StoreError as error:
        ranges = _ranges()
        if ranges is None or not isinstance(error.__cause__, PermissionError):
            raise
        from wpod.storage.unpack_worker import copy_in_namespace

        remove_owned(target)
        copy_in_namespace(source, target, ranges)


def measure_owned(path: str) -> TreeSize:
    """The size of a tree. Raises StoreError."""
    from wpod.storage import rootfs

    try:
        return rootfs.measure(path)
    except StoreError as error:
        ranges = _ranges()
        if ranges is None or not isinstance(error.__cause__, PermissionError):
            raise
        from wpod.storage.unpack_worker import measure_in_namespace

        return measure_in_namespace(path, ranges)


def _ranges() -> IdMap | None:
    if os.geteuid() == 0:
        return None
    from wpod.kernel import user_namespace

    found = user_namespace.id_map()
    return found if found.is_ranges else None
