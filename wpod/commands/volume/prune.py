"""wpod volume prune"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode


def execute(session: Session, options: Options, _arguments: tuple[str, ...]) -> int:
    """The names of what was removed."""
    from wpod.operations import volumes
    from wpod.operations.sweep import sweep
    from wpod.queries.volumes import selected

    question = "WARNING! This will remove all volumes not used by at least one container."
    if not options.flag("force") and not session.output.confirm(
        f"{question}\nAre you sure you want to continue? [y/N] "
    ):
        return ExitCode.SUCCESS
    sweep(session.store)
    fitting = [volume.name for volume in selected(session.store, options.values("filter", tuple))]
    for name in volumes.prune(session.store, fitting):
        session.output.line(name)
    return ExitCode.SUCCESS
