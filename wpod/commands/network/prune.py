"""wpod network prune"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode
from wpod.model.network import PRUNE_FILTERS


def execute(session: Session, options: Options, _arguments: tuple[str, ...]) -> int:
    """The names of what was removed."""
    from wpod.operations import network_records
    from wpod.operations.sweep import sweep
    from wpod.queries.networks import selected

    question = "WARNING! This will remove all networks not used by at least one container."
    if not options.flag("force") and not session.output.confirm(
        f"{question}\nAre you sure you want to continue? [y/N] "
    ):
        return ExitCode.SUCCESS
    sweep(session.store)
    fitting, _ = selected(session.store, options.values("filter", tuple), PRUNE_FILTERS)
    for name in network_records.prune(session.store, [one.name for one in fitting]):
        session.output.line(name)
    return ExitCode.SUCCESS
