"""wpod restart"""

from __future__ import annotations

from wpod.commands.container.select import Selector, selected
from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.model.container import Status
from wpod.queries import containers as queries


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """Stop those that run, then start all. Each one is echoed."""
    from wpod.operations.start import start_detached
    from wpod.operations.stop import stop
    from wpod.operations.sweep import sweep

    running_only = options.flag("running")
    chosen = list(selected(session, options, arguments, Selector(cidfile=True, filter=True)))
    if running_only and not chosen:
        chosen = [container.record.container_id for container in queries.all_containers(session.store)]
    timeout = options.number("time") if options.given("time") else None

    def again(name: str) -> str | None:
        container = queries.find(session.store, name)
        if running_only and container.observed.status is not Status.RUNNING:
            return ""
        stop(session.store, container, timeout)
        start_detached(session.store, container.record)
        session.warn_of_logout(container.record.plan.limits)
        return None

    worst = session.for_each(chosen, again)
    sweep(session.store)
    return worst
