"""wpod kill"""

from __future__ import annotations

from wpod.commands.container.select import Selector, selected
from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.model.container import Status
from wpod.queries import containers as queries


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """Returns when the signal has been sent; each container is echoed."""
    from wpod.operations.stop import send_signal

    selector = Selector(cidfile=True, everything=lambda container: container.observed.status is Status.RUNNING)
    chosen = selected(session, options, arguments, selector)
    number = options.number("signal")

    def send(name: str) -> None:
        send_signal(session.store, queries.find(session.store, name), number)

    return session.for_each(chosen, send)
