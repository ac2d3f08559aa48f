"""Unpacks layers for one id map, with something outside the tree that must stay as it is."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.account import Account
from wpod import errors
from wpod.errors import WpodError
from wpod.storage import unpack
from wpod.storage.unpack import LayerSource, UnpackJob

# Run as the account, with the job on stdin: what `unpack.unpack` does for a user's native containers.
_DRIVER = """
import json, sys
from wpod.errors import WpodError
from wpod.kernel.user_namespace import id_map
from wpod.storage import unpack, unpack_worker
answer = {}
try:
    unpack_worker.run_in_namespace(unpack.decode(sys.stdin.buffer.read()), id_map())
except WpodError as error:
    answer = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
print(json.dumps(answer))
"""


@dataclass
class Box:
    """A place for one tree. `outside` lies beside it."""

    place: Path
    account: Account
    id_map: str
    package: Path
    interpreter: str
    count: int = 0

    def __post_init__(self) -> None:
        self.outside.mkdir()
        (self.outside / "secret").write_bytes(b"of the host\n")
        (self.outside / "secret").chmod(0o666)
        (self.outside / "below").mkdir(mode=0o777)
        (self.outside / "below").chmod(0o777)
        (self.outside / "below" / "kept").write_bytes(b"kept\n")
        for path in (self.place, self.outside, *self.outside.rglob("*")):
            self.account.own(path)
        self.before = self.snapshot()

    @property
    def tree(self) -> Path:
        return self.place / "fs"

    @property
    def outside(self) -> Path:
        return self.place / "outside"

    @property
    def keeps_owners(self) -> bool:
        return self.id_map != "single"

    def snapshot(self) -> dict[str, Any]:
        """All that could be changed outside: names, content, modes, links, times of change."""
        found: dict[str, Any] = {"beside": sorted(path.name for path in self.place.iterdir() if path != self.tree)}
        for path in (self.outside, *sorted(self.outside.rglob("*"))):
            status = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
            found[str(path)] = (status.st_mode, status.st_uid, status.st_nlink, status.st_mtime_ns, status.st_ctime_ns,
                                content, os.listxattr(path))  # fmt: skip
        return found

    def unpack(self, *layers: bytes, diff_ids: tuple[str, ...] = ()) -> Path:
        """Apply the layers (compressed or not) to a new tree. Raises what `unpack.execute` raises."""
        self._run(self.job(*layers, diff_ids=diff_ids))
        return self.tree

    def job(self, *layers: bytes, diff_ids: tuple[str, ...] = ()) -> UnpackJob:
        sources = tuple(self._source(data, diff_ids[number] if diff_ids else "") for number, data in enumerate(layers))
        return UnpackJob(str(self.tree), "", sources, self.keeps_owners, self.id_map == "identity")

    def _source(self, data: bytes, diff_id: str) -> LayerSource:
        digest = hashlib.sha256(data).hexdigest()
        path = self.place.parent / f"blob-{digest}"
        path.write_bytes(data)
        path.chmod(0o644)
        return LayerSource(str(path), f"sha256:{digest}", diff_id or f"sha256:{digest}")

    def _run(self, job: UnpackJob) -> None:
        if self.id_map != "ranges":
            unpack.execute(job)
            return
        as_other = os.geteuid() != self.account.uid
        done = subprocess.run(
            [self.interpreter, "-c", _DRIVER],
            input=unpack.encode(job),
            capture_output=True,
            check=False,
            cwd="/",
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(self.package), "PYTHONDONTWRITEBYTECODE": "1",
                 **{key: value for key, value in os.environ.items() if key.startswith("WPOD_MAX")}},
            user=self.account.uid if as_other else None,
            group=self.account.gid if as_other else None,
            extra_groups=[] if as_other else None,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        answer = json.loads(done.stdout)
        if answer:
            kind: type[WpodError] = getattr(errors, answer["error"])
            raise kind(answer["message"], hint=answer["hint"])

    def check(self) -> None:
        """Nothing outside the tree is other than before."""
        assert self.snapshot() == self.before

    def names(self) -> list[str]:
        """Everything in the tree."""
        return sorted(os.path.relpath(path, self.tree) for path in self.tree.rglob("*"))

    def text(self, name: str) -> bytes:
        """A regular file of the tree, reached through no link."""
        path = self.tree / name
        assert stat.S_ISREG(path.lstat().st_mode), f"{name} is no regular file"
        return path.read_bytes()
