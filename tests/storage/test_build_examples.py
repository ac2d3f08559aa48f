"""The examples: each is prepared, built and run, as its README says."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import session_directory
from tests.support.command import Wpod, eventually

_EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def prepared() -> Callable[[str], Path]:
    """The context of an example; prepare.sh keeps what is newer than its sources."""

    def prepare(name: str) -> Path:
        with (session_directory() / "preparing").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            done = subprocess.run([_EXAMPLES / "prepare.sh", name], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return Path(done.stdout.strip())

    return prepare


@pytest.mark.parametrize(
    ("name", "arguments", "printed"),
    [
        ("counter", ["-v", "counted:/data", "counter"], "start number 1\n"),
        ("busybox", ["busybox", "echo", "hello"], "hello\n"),
        ("debian", ["debian", "bash", "-c", "echo $LANG; head -1 /etc/group"], "C.UTF-8\nroot:x:0:\n"),
    ],
)
def test_an_example_builds_and_runs(
    fresh: Wpod, prepared: Callable[[str], Path], name: str, arguments: list[str], printed: str
) -> None:
    context = shutil.copytree(prepared(name), fresh.scratch / "context", symlinks=True)
    fresh("build", "--tag", name, context).ok()
    assert fresh("run", "--rm", *arguments).ok().out == printed
    if name == "counter":
        assert fresh("run", "--rm", *arguments).ok().out == "start number 2\n"
        fresh("volume", "rm", "counted").ok()


def test_an_example_that_idles(fresh: Wpod, prepared: Callable[[str], Path]) -> None:
    context = shutil.copytree(prepared("hello-c"), fresh.scratch / "context", symlinks=True)
    fresh("build", "--tag", "hello-c", context).ok()
    container = fresh("run", "--detach", "--env", "NAME=you", "hello-c").ok().line
    eventually(lambda: fresh("logs", container).ok().out == "hello, you\n")
    fresh("rm", "--force", "--time", "0", container).ok()
