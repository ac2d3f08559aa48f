"""Which modules a command of this checkout has loaded when it ends."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

_TOP = Path(__file__).parents[2]
# Each of these costs more than a hot command may take in all, but for its own work.
FORBIDDEN = frozenset(
    ("oras", "psutil", "pydantic", "pyroute2", "pywamr", "requests", "rich", "textual", "typer", "urllib3", "zstandard")
)


def of_command(arguments: Sequence[str], environment: Mapping[str, str], directory: Path) -> frozenset[str]:
    """Run it without Python's own start-up files and give the names of the top-level modules. It must succeed."""
    report = directory / "modules"
    code = (
        f"import atexit, sys; sys.path[:0] = [{str(_TOP)!r}, {sysconfig.get_path('purelib')!r}]\n"
        f"atexit.register(lambda: open({str(report)!r}, 'w').write(' '.join(sys.modules)))\n"
        "sys.argv[0] = 'wpod'\nfrom wpod.__main__ import main\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-IS", "-c", code, *arguments],
        env=dict(environment), cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = report.read_text()
    report.unlink()
    return frozenset(name.partition(".")[0] for name in found.split())
