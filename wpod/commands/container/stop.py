"""wpod stop"""

from __future__ import annotations

from wpod.commands.container.select import Selector, selected
from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import NotThere, value_of
from wpod.model.container import Status
from wpod.queries import containers as queries


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """A stopped container is no error. Each one is echoed."""
    from wpod.operations.stop import stop_together

    selector = Selector(
        cidfile=True, filter=True, everything=lambda container: container.observed.status is Status.RUNNING
    )
    chosen = selected(session, options, arguments, selector)
    timeout = options.number("time") if options.given("time") else None
    outcomes = stop_together(session.store, queries.find_each(session.store, chosen), timeout)

    def end(_name: str) -> str | None:
        try:
            value_of(next(outcomes))
        except NotThere:
            if not options.flag("ignore"):
                raise
            return ""
        return None

    return session.for_each(chosen, end)
