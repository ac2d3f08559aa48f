"""wpod network reload"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode


def execute(session: Session, _options: Options, arguments: tuple[str, ...]) -> int:
    """Prints the IDs of the containers whose networks were made anew."""
    from wpod.operations import network_start
    from wpod.operations.sweep import sweep
    from wpod.queries import containers as queries

    for name in arguments:
        queries.find(session.store, name)
    sweep(session.store)
    for container_id in network_start.reload(session.store):
        session.output.line(container_id)
    return ExitCode.SUCCESS
