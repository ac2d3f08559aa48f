"""Compiled code of guests, made once for a session of tests and put into stores before they need it.

What compiling does for a store is the subject of a few tests, which load without this.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

from tests.support.command import Wpod
from tests.support.guests import TOP
from tests.support.images import ImageSource
from wpod.runtime.modules import cache

_COMPILER = TOP / "wpod" / "libexec" / cache.COMPILER
_MAGIC = b"\0asm"


def give(wpod: Wpod, source: ImageSource, session: Path) -> None:
    """Put the code of an image's modules where the store has it: at a later time than the compiler's installation."""
    for files in source.layers:
        for file in files.values():
            if file.content is not None and file.content.startswith(_MAGIC):
                _put(wpod, _compiled(file.content, session))


def _compiled(module: bytes, session: Path) -> Path:
    """The compiled file; the first worker that asks makes it."""
    place = session / "compiled"
    place.mkdir(exist_ok=True)
    digest = hashlib.sha256(module).hexdigest()
    target = Path(cache.cache_path(str(place), digest))
    with (place / f"{digest}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            source = place / f"{digest}.wasm"
            source.write_bytes(module)
            words = ("--module", str(source), "--digest", f"sha256:{digest}", "--output", str(target))
            subprocess.run([_COMPILER, *words], check=True)
    return target


def _put(wpod: Wpod, code: Path) -> None:
    place = wpod.store / "aot"
    for directory in (wpod.store, place):
        if not directory.exists():
            wpod.account.directory(directory)
    target = place / code.name
    if not target.exists():
        shutil.copyfile(code, target)
        target.chmod(0o600)
        wpod.account.own(target)
