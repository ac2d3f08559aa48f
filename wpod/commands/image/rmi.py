"""wpod rmi"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.session import Codes, Session
from wpod.errors import NotThere


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """`Untagged:` and `Deleted:` lines as podman; 1 for what isn't there, 2 for what is in use."""
    from wpod.operations.collect import collect
    from wpod.operations.remove_image import remove_image
    from wpod.operations.sweep import sweep

    sweep(session.store)  # a dead --rm container uses no image
    force = options.flag("force")
    ignore = force or options.flag("ignore")
    chosen = [image.image_id for image in session.store.images.all()] if options.flag("all") else list(arguments)

    def one(name: str) -> str:
        try:
            done = remove_image(session.store, name, force=force or options.flag("all"))
        except NotThere:
            if ignore:
                return ""
            raise
        return "\n".join(done.lines())

    status = session.for_each(chosen, one, Codes.REMOVAL)
    if chosen:
        collect(session.store)
    return status
