"""wpod volume rm"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.session import Codes, Session
from wpod.errors import NotThere


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """1 for what isn't there (0 with --force), 2 for what containers use."""
    from wpod.operations import volumes
    from wpod.operations.sweep import sweep

    force = options.flag("force")
    timeout = options.number("time") if options.given("time") else None
    chosen = [one.name for one in session.store.volumes.all()] if options.flag("all") else list(arguments)
    sweep(session.store)

    def take_away(name: str) -> str | None:
        try:
            volumes.remove(session.store, name, force=force, stop_timeout_seconds=timeout)
        except NotThere:
            if not force:
                raise
            return ""
        return None

    return session.for_each(chosen, take_away, Codes.REMOVAL)
