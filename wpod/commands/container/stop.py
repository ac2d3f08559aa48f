"""wpod stop"""

from __future__ import annotations

from wpod.commands.container.select import Selector, selected
from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import NotThere
from wpod.model.container import Status
from wpod.queries import containers as queries


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """A stopped container is no error. Each one is echoed."""
    from wpod.operations.stop import stop

    selector = Selector(
        cidfile=True, filter=True, everything=lambda container: container.observed.status is Status.RUNNING
    )
    chosen = selected(session, options, arguments, selector)
    timeout = options.number("time") if options.given("time") else None

    def end(name: str) -> str | None:
        try:
            stop(session.store, queries.find(session.store, name), timeout)
        except NotThere:
            if not options.flag("ignore"):
                raise
            return ""
        return None

    return session.for_each(chosen, end)
