"""wpod network rm"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.session import Codes, Session
from wpod.errors import NotThere


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """1 for what isn't there (0 with --force), 2 for what containers are on."""
    from wpod.operations import network_records
    from wpod.operations.sweep import sweep

    force = options.flag("force")
    timeout = options.number("time") if options.given("time") else None
    sweep(session.store)

    def take_away(name: str) -> str | None:
        try:
            network_records.remove(session.store, name, force=force, stop_timeout_seconds=timeout)
        except NotThere:
            if not force:
                raise
        return None

    return session.for_each(arguments, take_away, Codes.REMOVAL)
