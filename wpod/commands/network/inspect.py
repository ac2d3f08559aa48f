"""wpod network inspect"""

from __future__ import annotations

from wpod.commands.inspect import network_document, print_found
from wpod.commands.options import Options
from wpod.commands.session import Session


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """What was found is printed; what wasn't is told after it."""
    return print_found(session, options.text("format"), arguments, lambda name: network_document(session, name))
