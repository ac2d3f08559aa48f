"""What the mounts of every native container lie over, as one layer below all images.

The runtime makes a mount point where the root has none, and a mount holds on to it: made in each container's own
layer, these directories and files cost 9 kB of kernel memory a container. Here all containers share them. An image's
own directories and files of the same names lie above.
"""

from __future__ import annotations

import os

from wpod.errors import StoreError
from wpod.paths import StorePaths

_DIRECTORIES = ("proc", "sys", "dev", "etc")
_FILES = ("etc/hostname", "etc/resolv.conf")
_HOSTS = "etc/hosts"


def layer(store: StorePaths, *, with_hosts: bool) -> str:
    """The layer's path; made where it is missing. Raises StoreError."""
    path = f"{store.root}/mountpoints{'' if with_hosts else '-no-hosts'}"
    if os.path.isdir(path):
        return path
    staged = f"{store.temporary}/mountpoints-{os.urandom(8).hex()}"  # a leftover there is swept as staging
    try:
        os.makedirs(store.temporary, mode=0o700, exist_ok=True)
        _make(staged, (*_FILES, _HOSTS) if with_hosts else _FILES)
        os.rename(staged, path)
    except OSError as error:
        _remove(staged)
        if not os.path.isdir(path):  # else another command was quicker
            raise StoreError(f"{path} can't be made: {error.strerror}") from error
    return path


def _remove(staged: str) -> None:
    import shutil  # 2 ms, which only the loser of a race pays

    shutil.rmtree(staged, ignore_errors=True)


def _make(path: str, files: tuple[str, ...]) -> None:
    """Modes are set whatever the umask is: the guest's users must get at them."""
    for directory in (path, *(f"{path}/{name}" for name in _DIRECTORIES)):
        os.mkdir(directory, 0o755)
        os.chmod(directory, 0o755)  # noqa: S103 - as in any root
    for name in files:
        descriptor = os.open(f"{path}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            os.fchmod(descriptor, 0o644)
        finally:
            os.close(descriptor)
