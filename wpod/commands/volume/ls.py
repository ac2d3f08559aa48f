"""wpod volume ls"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode, UsageError
from wpod.output import json, tables, template
from wpod.queries import volumes as queries

_HEADERS = {
    "Driver": "DRIVER", "Name": "VOLUME NAME", "Mountpoint": "MOUNTPOINT", "CreatedAt": "CREATED AT",
    "Labels": "LABELS", "Scope": "SCOPE", "Options": "OPTIONS", "MountCount": "MOUNT COUNT", "Anonymous": "ANONYMOUS",
}  # fmt: skip


def execute(session: Session, options: Options, _arguments: tuple[str, ...]) -> int:
    """Table, template, JSON or names, sorted by name."""
    format_ = options.text("format")
    if options.flag("quiet") and format_:
        raise UsageError("quiet and format flags cannot be used together")
    documents = [queries.document(one) for one in queries.selected(session.store, options.values("filter", tuple))]
    heading = not options.flag("noheading")
    if template.wants_json(format_):
        session.output.line(json.document(documents, json.PS_INDENT))
    elif options.flag("quiet"):
        for one in documents:
            session.output.line(str(one["Name"]))
    elif format_ and format_ != "table":
        rows = [{"Anonymous": False, **one} for one in documents]
        session.output.text(template.rows(format_, rows, _HEADERS, heading=heading))
    else:
        lines = [[str(one["Driver"]), str(one["Name"])] for one in documents]
        session.output.text(tables.table([_HEADERS["Driver"], _HEADERS["Name"]], lines, heading=heading))
    return ExitCode.SUCCESS
