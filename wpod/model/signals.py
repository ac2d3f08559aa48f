"""Signals by name or number, as users and images write them (signal(7), sigaction(2))."""

from __future__ import annotations

import signal


def parse(text: str) -> int:
    """A signal by number or by name, with or without SIG, in any case; RTMIN+3 and RTMAX-1 too.

    Raises ValueError with the reason alone.
    """
    if text.isascii() and text.isdigit():
        number = int(text) if len(text) < 4 else 0
        if 1 <= number <= signal.SIGRTMAX:
            return number
        raise ValueError(f"must be a signal from 1 to {int(signal.SIGRTMAX)}")
    name = text.upper().removeprefix("SIG")
    for base, sign in (("RTMIN", "+"), ("RTMAX", "-")):
        offset = name.removeprefix(base + sign)
        if offset != name and offset.isascii() and offset.isdigit() and len(offset) < 3:
            number = int(signal.SIGRTMIN) + int(offset) if sign == "+" else int(signal.SIGRTMAX) - int(offset)
            if signal.SIGRTMIN <= number <= signal.SIGRTMAX:
                return number
    found = getattr(signal, f"SIG{name}", None) if name.isalnum() else None
    if not isinstance(found, signal.Signals):
        raise ValueError("is not a signal")
    return int(found)
