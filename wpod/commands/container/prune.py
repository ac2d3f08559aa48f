"""wpod container prune"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode, WpodError, value_of
from wpod.model.container import Status
from wpod.queries import containers as queries


def execute(session: Session, options: Options, _arguments: tuple[str, ...]) -> int:
    """Removes what doesn't run, after a question where there is a terminal to ask at."""
    from wpod.operations.remove import RemoveOptions, remove_together
    from wpod.operations.sweep import sweep
    from wpod.queries.filters import container_filter

    if not options.flag("force") and not session.output.confirm(
        "WARNING! This will remove all non running containers.\nAre you sure you want to continue? [y/N] "
    ):
        return ExitCode.SUCCESS
    sweep(session.store)
    fits = container_filter(session.store, options.values("filter", tuple))
    chosen = [
        container.record.container_id
        for container in queries.all_containers(session.store)
        if container.observed.status is not Status.RUNNING and fits(container)
    ]
    outcomes = remove_together(session.store, chosen, RemoveOptions())

    def take_away(container_id: str) -> str | None:
        try:
            value_of(next(outcomes))
        except WpodError:
            if queries.observe(session.store.paths.container(container_id)).status is Status.RUNNING:
                return ""  # started meanwhile: no longer ours to prune
            raise
        return None

    return session.for_each(chosen, take_away)
