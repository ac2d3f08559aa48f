"""Shows transfers on stderr: plain lines as podman's off a terminal, one line that moves on it."""

from __future__ import annotations

import time

from wpod.model import ids
from wpod.output.streams import Output
from wpod.storage.registry.events import Phase, TransferEvent

_REDRAW_SECONDS = 0.1


class TransferDisplay:
    """A progress callback. `quiet`: warnings only."""

    def __init__(self, output: Output, quiet: bool) -> None:
        self._output = output
        self._quiet = quiet
        self._moving: dict[str, tuple[int, int]] = {}
        self._drawn = 0.0
        self._dirty = False

    def __call__(self, event: TransferEvent) -> None:
        """Show one event."""
        if event.phase is Phase.WARNING:
            self.clear()
            self._output.warning(event.subject)
        elif not self._quiet:
            self._show(event)

    def _show(self, event: TransferEvent) -> None:
        if event.phase is Phase.COPYING:
            self._moving[event.subject] = (event.done_bytes, event.total_bytes)
            self._redraw()
            return
        self._moving.pop(event.subject, None)
        self.clear()
        if event.phase is Phase.TRYING:
            self._output.talk(f"Trying to pull {event.subject}...")
        elif event.phase is Phase.WRITING:
            self._output.talk("Writing manifest to image destination")
        elif event.phase is Phase.PRESENT:
            self._output.talk(f"Copying {event.kind} {event.subject} skipped: already exists")
        else:
            self._output.talk(f"Copying {event.kind} {event.subject} done")

    def _redraw(self) -> None:
        if not self._output.error_terminal or time.monotonic() - self._drawn < _REDRAW_SECONDS:
            return
        self._drawn = time.monotonic()
        self._dirty = True
        parts = [
            f"{ids.short(digest)} {done / 1e6:.1f}/{total / 1e6:.1f} MB"
            for digest, (done, total) in self._moving.items()
        ]
        self._output.write_error(("\r\x1b[K" + "  ".join(parts)[:100]).encode())

    def clear(self) -> None:
        """Wipe the moving line."""
        if self._dirty:
            self._output.write_error(b"\r\x1b[K")
            self._dirty = False
