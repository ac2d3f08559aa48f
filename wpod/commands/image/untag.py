"""wpod untag"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode


def execute(session: Session, _options: Options, arguments: tuple[str, ...]) -> int:
    """Nothing on stdout."""
    from wpod.operations.remove_image import untag_image

    untag_image(session.store, arguments[0], arguments[1:])
    return ExitCode.SUCCESS
