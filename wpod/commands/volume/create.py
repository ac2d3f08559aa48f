"""wpod volume create"""

from __future__ import annotations

import os
import time

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode
from wpod.model.volume import Volume


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """Prints the name; without one a random name is made."""
    from wpod.operations import volumes

    name = arguments[0] if arguments else os.urandom(32).hex()
    labels = {str(key): str(value) for key, value in options.values("label", tuple)}
    mountpoint = session.store.volumes.mountpoint(name)
    volumes.create(session.store, Volume(name, mountpoint, time.time_ns(), labels, {}, anonymous=False))
    session.output.line(name)
    return ExitCode.SUCCESS
