"""wpod doctor"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.commands.system.info import describe_store
from wpod.errors import ExitCode
from wpod.output import json, template
from wpod.queries import doctor
from wpod.queries.missing import documents, missing


def execute(session: Session, options: Options, _arguments: tuple[str, ...]) -> int:
    """What is missing here, what follows from it and what brings it; the status is 1 where something is."""
    facts = doctor.examine(session.runtime)
    _, problem = describe_store(session, facts)
    found = missing(facts, problem)
    format_ = options.text("format")
    if template.wants_json(format_):
        session.output.line(json.document(documents(found), json.PS_INDENT))
    elif format_:
        session.output.text(template.each(format_, documents(found)))
    else:
        for one in found:
            session.output.line(f"missing: {one.what}: {one.why}")
            session.output.line(f"   hint: {one.hint}")
        if not found:
            session.output.line("nothing is missing")
    return ExitCode.NOT_THERE if found else ExitCode.SUCCESS
