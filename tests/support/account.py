"""The users that tests run wpod as."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

TESTER = "wpod-tester"
_SCRIPT = Path(__file__).parents[2] / "packaging" / "test-account.sh"


@dataclass(frozen=True)
class Account:
    """One user: `label` is `root` or `user` in the names of tests."""

    label: str
    name: str
    uid: int
    gid: int

    def own(self, path: Path) -> Path:
        """Give a file or directory to the account, and return it."""
        if os.geteuid() != self.uid:
            os.chown(path, self.uid, self.gid)
        return path

    def directory(self, path: Path, mode: int = 0o700) -> Path:
        """Make a directory that belongs to the account."""
        path.mkdir(mode=mode)
        path.chmod(mode)
        return self.own(path)

    def remove_tree(self, path: Path) -> None:
        """Remove a tree, files of subordinate ids and directories without permissions included."""
        shutil.rmtree(path, ignore_errors=True)
        if path.exists() and os.geteuid() != 0:
            subprocess.run(["unshare", "--map-root-user", "--map-auto", "rm", "-rf", str(path)], check=False)


def available() -> list[Account]:
    """As root: root and the unprivileged test user (made where missing). Otherwise the own user alone."""
    if os.geteuid() != 0:
        own = pwd.getpwuid(os.geteuid())
        return [Account("user", own.pw_name, own.pw_uid, own.pw_gid)]
    subprocess.run([str(_SCRIPT)], check=True)
    tester = pwd.getpwnam(TESTER)
    return [Account("root", "root", 0, 0), Account("user", TESTER, tester.pw_uid, tester.pw_gid)]
