"""What a transfer tells whoever watches it. Called from worker threads, one call at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wpod.enumeration import Enum


class Phase(Enum):
    """Of one blob, or of the whole transfer (TRYING, WRITING)."""

    TRYING = "trying"
    COPYING = "copying"
    PRESENT = "present"
    DONE = "done"
    WRITING = "writing"
    RETRYING = "retrying"
    WARNING = "warning"


@dataclass(frozen=True)
class TransferEvent:
    """`subject` is a reference (TRYING), a digest, or the text of a warning."""

    phase: Phase
    subject: str
    kind: str = "blob"
    done_bytes: int = 0
    total_bytes: int = 0


Progress = Callable[[TransferEvent], None]


def silent(event: TransferEvent) -> None:
    """For those who don't watch."""
