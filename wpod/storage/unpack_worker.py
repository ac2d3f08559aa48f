"""Unpacking, and removing what was unpacked, inside a user namespace with a user's id ranges.

A user's process can't give files to other ids; inside a user namespace with newuidmap's ranges it can. The
worker is this module started as a program: it makes the namespace, waits until its parent had the maps
written (the namespace's maker isn't allowed to), does one task, and reports in JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wpod import errors, programs
from wpod.errors import StoreError, WpodError
from wpod.model.id_map import IdMap, IdRange
from wpod.storage import layout
from wpod.storage.rootfs import TreeSize

if TYPE_CHECKING:
    from wpod.storage.unpack import UnpackJob

_CLONE_NEWUSER = 0x10000000
_PACKAGE_PARENT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def run_in_namespace(job: UnpackJob, id_map: IdMap) -> TreeSize:
    """Complete an unpacking job. Raises what `unpack.complete` raises, MissingProgram, CannotEnforce."""
    from wpod.storage import unpack

    answer = _run(["unpack", unpack.encode(job).decode()], id_map)
    return TreeSize(int(answer["bytes"]), int(answer["entries"]))


def copy_in_namespace(source: str, target: str, id_map: IdMap) -> None:
    """Copy a tree with its owners, as `rootfs.copy_tree`. Raises StoreError."""
    _run(["copy", source, target], id_map)


def measure_in_namespace(path: str, id_map: IdMap) -> TreeSize:
    """The size of a tree that has directories which only their owners may enter. Raises StoreError."""
    answer = _run(["measure", path], id_map)
    return TreeSize(int(answer["bytes"]), int(answer["entries"]))


def remove_in_namespace(paths: list[str], id_map: IdMap) -> None:
    """Remove trees whose files belong to the ranges. Raises StoreError.

    A list, for a text is a sequence of texts, too: its characters would be removed, and one of them is "/".
    """
    for path in paths:
        if not os.path.isabs(path) or os.path.normpath(path).strip("/") == "":
            raise StoreError(f"{path!r} is no tree of a store and is not removed")
    _run(["remove", *paths], id_map)


def _run(task: Sequence[str], id_map: IdMap) -> dict[str, Any]:
    task_read, task_write = os.pipe()
    answer_read, answer_write = os.pipe()
    try:
        environment = {**os.environ, "PYTHONPATH": _PACKAGE_PARENT}
        command = [sys.executable, "-m", "wpod.storage.unpack_worker", str(task_read), str(answer_write)]
        pid = programs.start_detached(command, environment=environment, keep_descriptors=(task_read, answer_write))
    finally:
        os.close(task_read)
        os.close(answer_write)
    with os.fdopen(task_write, "wb") as tell, os.fdopen(answer_read, "rb") as hear:
        try:
            first = hear.readline()
            if first == b"namespace\n":
                _write_maps(pid, id_map)
                tell.write(json.dumps(list(task)).encode())
                tell.close()
                first = hear.readline()
        finally:
            if not tell.closed:
                tell.close()  # the worker ends at end of file
            os.waitpid(pid, 0)
    return _understood(first)


def _write_maps(pid: int, id_map: IdMap) -> None:
    for program, ranges in (("newuidmap", id_map.users), ("newgidmap", id_map.groups)):
        done = programs.run([program, str(pid), *_numbers(ranges)])
        if done.status != 0:
            raise errors.CannotEnforce(
                f"{program} failed: {done.complaint}", hint="give the user id ranges in /etc/subuid and /etc/subgid"
            )


def _numbers(ranges: Sequence[IdRange]) -> list[str]:
    return [str(number) for item in ranges for number in (item.inside, item.outside, item.count)]


def _understood(line: bytes) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(line)
    except ValueError:
        raise StoreError("the unpacking process died", hint="was it killed for want of memory?") from None
    if answer.get("error"):
        kind = getattr(errors, str(answer["error"]), WpodError)
        raise kind(answer["message"], hint=answer.get("hint"))
    return answer


def _work(task_descriptor: int, answer_descriptor: int) -> None:
    import ctypes

    with os.fdopen(task_descriptor, "rb") as hear, os.fdopen(answer_descriptor, "wb") as tell:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_CLONE_NEWUSER) != 0:
            reason = os.strerror(ctypes.get_errno())
            answer = {"error": "CannotEnforce", "message": f"no user namespace can be made: {reason}",
                      "hint": "native containers of a user need unprivileged user namespaces"}  # fmt: skip
            tell.write(json.dumps(answer).encode() + b"\n")
            return
        tell.write(b"namespace\n")
        tell.flush()
        data = hear.read()
        if not data:
            return
        answer = _do(json.loads(data))
        tell.write(json.dumps(answer).encode() + b"\n")


def _do(task: list[str]) -> dict[str, Any]:
    from wpod.storage import rootfs, unpack

    size = TreeSize(0, 0)
    try:
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        if task[0] == "unpack":
            size = unpack.complete(unpack.decode(task[1].encode()))
        elif task[0] == "copy":
            rootfs.copy_tree(task[1], task[2])
        elif task[0] == "measure":
            size = rootfs.measure(task[1])
        else:
            for path in task[1:]:
                layout.remove_tree(path)
    except WpodError as error:
        return {"error": type(error).__name__, "message": error.message, "hint": error.hint or ""}
    except OSError as error:
        return {"error": "StoreError", "message": f"unpacking failed: {error}", "hint": ""}
    return {"error": "", "bytes": size.total_bytes, "entries": size.entries}


if __name__ == "__main__":
    _work(int(sys.argv[1]), int(sys.argv[2]))
