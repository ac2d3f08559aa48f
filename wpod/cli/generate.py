"""Writes what is made from the option table: completions/ and docs/compatibility.md (`make docs`)."""

from __future__ import annotations

import sys
from pathlib import Path

from wpod.cli import compatibility
from wpod.commands.completion_scripts import SCRIPTS

_COMPLETIONS = {"bash": "completions/wpod.bash", "zsh": "completions/_wpod", "fish": "completions/wpod.fish"}


def files() -> dict[str, str]:
    """Content by path below the top of the sources."""
    return {
        **{path: SCRIPTS[shell] for shell, path in _COMPLETIONS.items()},
        "docs/compatibility.md": compatibility.document(),
    }


def main() -> None:
    """Write the files that differ, and say which."""
    top = Path(__file__).parents[2]
    for name, content in files().items():
        path = top / name
        if path.exists() and path.read_text(encoding="utf-8") == content:
            continue
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
        sys.stdout.write(f"wrote {name}\n")


if __name__ == "__main__":
    main()
