"""wpod network reload"""

from __future__ import annotations

from wpod.commands.container.select import Selector, selected
from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.model.container import Container, Status
from wpod.model.network import NetworkMode


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """Prints the IDs of the containers whose networks were made anew."""
    from wpod.operations import network_start
    from wpod.operations.sweep import sweep

    chosen = selected(session, options, arguments, Selector(everything=_is_on_networks))
    sweep(session.store)
    return session.for_each(chosen, lambda name: network_start.reload(session.store, name))


def _is_on_networks(container: Container) -> bool:
    running = container.observed.status is Status.RUNNING
    return running and container.record.plan.network is NetworkMode.NETWORKS
