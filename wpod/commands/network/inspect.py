"""wpod network inspect"""

from __future__ import annotations

from wpod.commands.inspect import network_document, print_found
from wpod.commands.options import Options
from wpod.commands.session import Session


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """What was found is printed; what wasn't is told after it."""
    from wpod.output import template
    from wpod.queries import networks as queries

    format_ = options.text("format")
    if template.wants_json(format_):
        return print_found(session, format_, arguments, lambda name: network_document(session, name))
    return print_found(session, format_, arguments, lambda name: queries.fields(queries.find(session.store, name)))
