"""wpod top CONTAINER"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode, WpodError
from wpod.model.container import Status
from wpod.output import process_columns, tables
from wpod.queries import containers as queries
from wpod.sampling.process_view import processes_of


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """The processes of one container, as podman-top(1): a container and then descriptors, or --latest and descriptors.

    Raises WpodError for one that doesn't run, UsageError for a descriptor that isn't known.
    """
    latest = options.flag("latest")
    columns = process_columns.choose(arguments if latest else arguments[1:])
    container = queries.latest(session.store) if latest else queries.find(session.store, arguments[0])
    record = container.record
    if container.observed.status is not Status.RUNNING:
        raise WpodError(
            f"top can only be used on running containers: {record.name} is {container.observed.status.value}",
            hint=f"wpod start {record.name}",
        )
    needs = {column.need for column in columns if column.need is not None}
    found = processes_of(container, session.store.paths.container(record.container_id), needs)
    if not found:
        raise WpodError(f"container {record.name} has no processes: it has ended meanwhile")
    rows = process_columns.rows(columns, found)
    session.output.text(tables.table([column.header for column in columns], rows))
    return ExitCode.SUCCESS
