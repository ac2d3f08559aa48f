"""wpod network exists"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode, NotThere


def execute(session: Session, _options: Options, arguments: tuple[str, ...]) -> int:
    """0 or 1, without a word."""
    from wpod.queries import networks as queries

    try:
        queries.find(session.store, arguments[0])
    except NotThere:
        return ExitCode.NOT_THERE
    return ExitCode.SUCCESS
