"""How long a registry is waited for, as one figure.

A server that is silent for `silence_seconds` has failed. WPOD_REGISTRY_TIMEOUT=SECONDS sets it, 0.1 to 3600,
where 30 is too short for the line or too long for a script; the other times keep their proportion to it:
connecting may take half of it, over twice of it at least 64 bytes a second must come, and the pauses between
attempts grow from a sixtieth of it.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from wpod.errors import UsageError

MAX_ATTEMPTS = 5
SLOWEST_BYTES_PER_SECOND = 64
VARIABLE = "WPOD_REGISTRY_TIMEOUT"
_DEFAULT_SECONDS = 30.0
_LIMITS = (0.1, 3600.0)
_LONGEST_REQUESTED_PAUSE_SECONDS = 60.0


@dataclass(frozen=True)
class Patience:
    """The times of one client."""

    silence_seconds: float = _DEFAULT_SECONDS

    @property
    def timeouts(self) -> tuple[float, float]:
        """Seconds for connecting, and for each read."""
        return self.silence_seconds / 2, self.silence_seconds

    def pause_seconds(self, attempt: int, retry_after: str) -> float:
        """The pause after this attempt, counted from 1; a server's Retry-After in seconds is obeyed, up to 60."""
        wait = min(8.0, 0.25 * 2.0**attempt) * min(1.0, self.silence_seconds / _DEFAULT_SECONDS)
        if retry_after.isascii() and retry_after.isdigit():
            wait = max(wait, min(_LONGEST_REQUESTED_PAUSE_SECONDS, float(retry_after[:4])))
        return wait

    def pace(self) -> Pace:
        """A watch over one body."""
        return Pace(2 * self.silence_seconds)


class Pace:
    """Tells a body that trickles from one that flows: no single read of it would ever time out."""

    def __init__(self, window_seconds: float) -> None:
        self._window_seconds = window_seconds
        self._start = time.monotonic()
        self._bytes = 0

    def is_too_slow(self, size: int) -> bool:
        """Count what came; whether a whole window brought less than it must."""
        self._bytes += size
        elapsed = time.monotonic() - self._start
        if elapsed < self._window_seconds:
            return False
        if self._bytes < SLOWEST_BYTES_PER_SECOND * elapsed:
            return True
        self._start, self._bytes = time.monotonic(), 0
        return False


def load() -> Patience:
    """What the environment says. Raises UsageError for a value that makes no sense."""
    text = os.environ.get(VARIABLE, "")
    if not text:
        return Patience()
    lowest, highest = _LIMITS
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not lowest <= seconds <= highest:
        raise UsageError(f"{VARIABLE}={text!r:.40} is not a number of seconds from {lowest:g} to {highest:g}")
    return Patience(seconds)
