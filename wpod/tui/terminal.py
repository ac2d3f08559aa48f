"""What the terminal can show, told from the environment before anything is written to it."""

from __future__ import annotations

import locale
import os
from collections.abc import Mapping

from wpod.errors import WpodError
from wpod.frozen import frozen


@frozen
class Ability:
    """`letters`: bars are letters, for want of colours. `ascii_only`: no other characters. `light`: the ground is."""

    letters: bool = False
    ascii_only: bool = False
    light: bool = False


def ability(environment: Mapping[str, str], encoding: str) -> Ability:
    """By NO_COLOR (no-color.org), TERM, COLORTERM and COLORFGBG, and the locale's encoding."""
    colours = "256" in environment.get("TERM", "") or environment.get("COLORTERM", "") in ("truecolor", "24bit")
    ascii_only = "utf" not in encoding.lower()
    ground = environment.get("COLORFGBG", "").rpartition(";")[2]
    return Ability(
        letters=bool(environment.get("NO_COLOR")) or not colours or ascii_only,
        ascii_only=ascii_only,
        light=ground.isdecimal() and int(ground) in (7, 15),
    )


def present() -> Ability:
    """Of this process's terminal. Raises WpodError where there is none that a full screen could be on."""
    if not (os.isatty(0) and os.isatty(1)):
        raise WpodError(
            "wpod top needs a terminal for input and output", hint="wpod stats --no-stream, or wpod top --once"
        )
    if os.environ.get("TERM", "") in ("", "dumb"):
        raise WpodError(
            f"wpod top can't use this terminal (TERM={os.environ.get('TERM', '')!r})",
            hint="wpod stats --no-stream, or wpod top --once",
        )
    return ability(os.environ, locale.getencoding())
