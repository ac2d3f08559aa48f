"""wpod rm"""

from __future__ import annotations

from wpod.commands.container.select import Selector, selected
from wpod.commands.options import Options
from wpod.commands.session import Codes, Session
from wpod.errors import NotThere, value_of


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """Exit status 1 where a container isn't there (0 with --force or --ignore), 2 where it runs."""
    from wpod.operations.remove import RemoveOptions, remove_together
    from wpod.operations.sweep import sweep

    chosen = selected(session, options, arguments, Selector(cidfile=True, filter=True))
    forgiving = options.flag("force") or options.flag("ignore")
    how = RemoveOptions(
        force=options.flag("force"),
        volumes=options.flag("volumes"),
        stop_timeout_seconds=options.number("time") if options.given("time") else None,
    )
    sweep(session.store)
    outcomes = remove_together(session.store, chosen, how)

    def take_away(_name: str) -> str | None:
        try:
            value_of(next(outcomes))
        except NotThere:
            if not forgiving:
                raise
            return ""
        return None

    return session.for_each(chosen, take_away, Codes.REMOVAL)
