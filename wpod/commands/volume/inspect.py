"""wpod volume inspect"""

from __future__ import annotations

from wpod.commands.inspect import print_found, volume_document
from wpod.commands.options import Options
from wpod.commands.session import Session


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """What was found is printed; what wasn't is told after it."""
    names = [one.name for one in session.store.volumes.all()] if options.flag("all") else list(arguments)
    return print_found(session, options.text("format"), names, lambda name: volume_document(session, name))
