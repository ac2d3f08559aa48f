"""wpod wait"""

from __future__ import annotations

import time

from wpod.commands.container.select import Selector, selected
from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import NotThere
from wpod.model.container import Container, Status
from wpod.queries import containers as queries

_ENDED = frozenset({"stopped", "exited"})


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """Prints each container's exit status, in the order given; itself 0."""
    conditions = set(options.texts("condition")) or _ENDED
    interval = options.value("interval", float) or 0.25
    chosen = selected(session, options, arguments, Selector(all_name=""))

    def wait(name: str) -> str:
        try:
            container = queries.find(session.store, name)
        except NotThere:
            if not options.flag("ignore"):
                raise
            return "-1"
        return str(_wait(session, container, conditions, interval))

    return session.for_each(chosen, wait)


def _wait(session: Session, container: Container, conditions: set[str] | frozenset[str], interval: float) -> int:
    from wpod.operations.stop import wait_end

    own = session.store.paths.container(container.record.container_id)
    observed = queries.observe(own)
    while not _meets(observed.status, conditions):
        if observed.status is Status.RUNNING and conditions <= _ENDED:
            observed = wait_end(session.store, container, None)
            continue
        time.sleep(interval)
        observed = queries.observe(own)
    return observed.exit_code if observed.status is Status.EXITED else -1


def _meets(status: Status, conditions: set[str] | frozenset[str]) -> bool:
    if status is Status.EXITED:
        return bool(conditions & _ENDED)
    if status is Status.CREATED:
        return bool(conditions & {"created", "configured"})
    return status.value in conditions
