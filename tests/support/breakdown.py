"""The parts of a container's memory as `stats --format json` tells them, and what may have changed between two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Memory = dict[str, int | None]
_PARTS = ("own", "linear", "kernel", "code", "shared", "helpers", "cache")
_KIB = 1024


def memories(told: Sequence[dict[str, Any]]) -> dict[str, Memory]:
    """The parts by the container's name, out of one look. Each is checked to be the sum that it claims."""
    by_name: dict[str, Memory] = {one["name"]: one["wpod"]["memory"] for one in told}
    for memory in by_name.values():
        assert memory["total"] == sum(memory[part] or 0 for part in _PARTS)
        assert all(value is None or value >= 0 for value in memory.values())
    return by_name


def grew(with_load: Memory, without: Memory, part: str, kilobytes: int) -> None:
    """The part is larger by this, within 2 % or 64 kB."""
    change = (with_load[part] or 0) - (without[part] or 0)
    assert abs(change - kilobytes * _KIB) <= max(kilobytes * _KIB // 50, 64 * _KIB), (part, change, kilobytes)


def unchanged(with_load: Memory, without: Memory, *grown: str) -> None:
    """All parts but these, and the kernel's, are as they were, within 64 kB."""
    for part in set(_PARTS) - set(grown) - {"kernel"}:
        grew(with_load, without, part, 0)
