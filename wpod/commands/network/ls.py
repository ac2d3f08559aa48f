"""wpod network ls"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode, UsageError
from wpod.model import ids
from wpod.output import json, tables, template
from wpod.queries import networks as queries

_HEADERS = {"ID": "NETWORK ID", "Name": "NAME", "Driver": "DRIVER", "Labels": "LABELS", "Created": "CREATED"}


def execute(session: Session, options: Options, _arguments: tuple[str, ...]) -> int:
    """Table, template, JSON or names, sorted by name; a record that can't be read is told after the others."""
    format_ = options.text("format")
    if options.flag("quiet") and format_:
        raise UsageError("quiet and format flags cannot be used together")
    found, problems = queries.selected(session.store, options.values("filter", tuple))
    heading = not options.flag("noheading")
    whole = options.flag("no-trunc")
    if template.wants_json(format_):
        session.output.line(json.document([queries.document(one) for one in found], json.PS_INDENT))
    elif options.flag("quiet"):
        for one in found:
            session.output.line(one.name)
    elif format_ and format_ != "table":
        rows = [{**queries.fields(one), "ID": one.network_id if whole else ids.short(one.network_id)} for one in found]
        session.output.text(template.rows(format_, rows, _HEADERS, heading=heading))
    else:
        lines = [[one.network_id if whole else ids.short(one.network_id), one.name, one.driver.value] for one in found]
        columns = [_HEADERS[name] for name in ("ID", "Name", "Driver")]
        session.output.text(tables.table(columns, lines, heading=heading))
    for problem in problems:
        session.complain(problem)
    return ExitCode.FAILED if problems else ExitCode.SUCCESS
