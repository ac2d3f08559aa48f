"""wpod start"""

from __future__ import annotations

from wpod.commands.container.select import Selector, selected
from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import UsageError
from wpod.frozen import replace
from wpod.model.container import Status
from wpod.queries import containers as queries


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """With --attach this process becomes the container's; else each one started is echoed."""
    from wpod.operations.start import start_detached
    from wpod.operations.sweep import sweep

    selector = Selector(filter=True, everything=lambda container: container.observed.status is not Status.RUNNING)
    chosen = selected(session, options, arguments, selector)
    sweep(session.store)
    if options.flag("attach"):
        if len(chosen) != 1:
            raise UsageError("you cannot start and attach multiple containers at once")
        return _attached(session, chosen[0], interactive=options.flag("interactive"))

    def start(name: str) -> None:
        record = queries.find(session.store, name).record
        start_detached(session.store, record)
        session.warn_of_logout(record.plan)

    return session.for_each(chosen, start)


def _attached(session: Session, name: str, *, interactive: bool) -> int:
    from wpod.operations.start import start_foreground

    record = queries.find(session.store, name).record
    plan = replace(record.plan, interactive=record.plan.interactive and interactive)
    return start_foreground(session.store, replace(record, plan=plan), lambda: None, session.complain)
