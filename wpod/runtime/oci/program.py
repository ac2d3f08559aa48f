"""Whether a running container has a program.

Asked before `exec`, because the runtime's own complaint would go to the guest's stderr, raw.
"""

from __future__ import annotations

import os
import posixpath
import stat

from wpod.errors import CannotInvoke, ProgramNotFound, WpodError
from wpod.kernel.openat2 import open_inside

_NOT_FOUND = "not found"


def check(pid: int, name: str, search_path: str) -> None:
    """Look for `name` as execvp(3) would, in the root of the container's main process.

    Raises ProgramNotFound, CannotInvoke (a directory, not executable), WpodError where the container has gone.
    A program that is there may still fail to run; then the runtime says so.
    """
    try:
        root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        raise WpodError("the container has ended") from None
    try:
        places = ["/"] if "/" in name else [place for place in search_path.split(":") if place.startswith("/")]
        problems = {_problem(root, posixpath.join(place, name)) for place in places} - {_NOT_FOUND}
    finally:
        os.close(root)
    if not problems:
        raise ProgramNotFound(f"executable file {name!r} not found in the container")
    if "" not in problems:
        raise CannotInvoke(f"{name!r} in the container can't be executed: {min(problems)}")


def _problem(root: int, path: str) -> str:
    try:
        descriptor = open_inside(root, path, os.O_PATH)
    except PermissionError:
        return "permission denied"
    except OSError:
        return _NOT_FOUND
    try:
        mode = os.fstat(descriptor).st_mode
    finally:
        os.close(descriptor)
    if stat.S_ISDIR(mode):
        return "is a directory"
    return "" if mode & 0o111 else "permission denied"
