"""wpod network disconnect"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode, NotThere


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """Without a word, as podman."""
    from wpod.operations import network_records

    try:
        network_records.disconnect(session.store, arguments[1], arguments[0])
    except NotThere:
        if not options.flag("force"):
            raise
    return ExitCode.SUCCESS
