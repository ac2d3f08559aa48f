"""A copy of the package that every account can read: a checkout need not be."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.support.guests import TOP


def interpreter() -> str:
    """A Python that every account can execute."""
    script = str(TOP / "packaging" / "choose-python.sh")
    return subprocess.run([script], check=True, capture_output=True, text=True).stdout.strip()


def made(directory: Path, *left_out: str) -> Path:
    """A new one below a directory, compiled, for those who start it can't write there."""
    place = Path(tempfile.mkdtemp(prefix="package-", dir=directory))
    place.chmod(0o755)
    shutil.copytree(TOP / "wpod", place / "wpod", ignore=shutil.ignore_patterns("__pycache__", *left_out))
    words = ("-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(place / "wpod"))
    subprocess.run([interpreter(), *words], check=True)
    return place
