"""wpod restart"""

from __future__ import annotations

from wpod.commands.container.select import Selector, selected
from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import value_of
from wpod.queries import containers as queries


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """Stop those that run, then start all. Each one is echoed."""
    from wpod.operations.start import start_detached
    from wpod.operations.stop import stop_together
    from wpod.operations.sweep import sweep

    running_only = options.flag("running")
    chosen = list(selected(session, options, arguments, Selector(cidfile=True, filter=True)))
    if running_only and not chosen:
        chosen = [container.record.container_id for container in queries.all_containers(session.store)]
    timeout = options.number("time") if options.given("time") else None
    found = queries.find_each(session.store, chosen)
    each = zip(found, stop_together(session.store, found, timeout), strict=True)

    def again(_name: str) -> str | None:
        one, outcome = next(each)
        container, was_running = value_of(one), value_of(outcome)
        if running_only and not was_running:
            return ""
        start_detached(session.store, container.record)
        session.warn_of_logout(container.record.plan)
        return None

    worst = session.for_each(chosen, again)
    sweep(session.store)
    return worst
