"""wpod container cleanup"""

from __future__ import annotations

from wpod.commands.container.select import Selector, selected
from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import WpodError
from wpod.model.container import Status
from wpod.queries import containers as queries


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """Runtime state and cgroups of ended containers are given back; with --rm the container goes, too."""
    from wpod.operations.create import launch_of
    from wpod.operations.locks import container_lock
    from wpod.operations.record_end import record_end
    from wpod.operations.remove import RemoveOptions, remove
    from wpod.runtime.backend import for_kind

    selector = Selector(everything=lambda container: container.observed.status is not Status.RUNNING)

    def clean(name: str) -> None:
        container = queries.find(session.store, name)
        if container.observed.status is Status.RUNNING:
            raise WpodError(f"container {container.record.name} is running")
        if options.flag("rm"):
            remove(session.store, name, RemoveOptions(volumes=True))
            return
        launch = launch_of(session.store, container.record, foreground=False)
        with container_lock(launch.paths):
            # Before its cgroup goes, which may be all that tells of it.
            if record_end(launch.paths).status is Status.RUNNING:
                raise WpodError(f"container {container.record.name} was started again meanwhile")
            for_kind(container.record.plan.kind).release(launch)

    return session.for_each(selected(session, options, arguments, selector), clean)
