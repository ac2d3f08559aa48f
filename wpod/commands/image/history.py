"""wpod history"""

from __future__ import annotations

from wpod import times
from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode
from wpod.model import ids
from wpod.output import json, sizes, tables, template
from wpod.queries import images as queries
from wpod.queries.images import HistoryRow

_HEADERS = {"ID": "ID", "Created": "CREATED", "CreatedAt": "CREATED AT", "CreatedSince": "CREATED",
            "CreatedBy": "CREATED BY", "Size": "SIZE", "Comment": "COMMENT"}  # fmt: skip
_MISSING = "<missing>"
_WORDS_SHOWN = 45


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """Table, template, JSON or IDs, newest step first."""
    found = queries.history(session.store, session.store.images.find(arguments[0]))
    format_ = options.text("format")
    whole = options.flag("no-trunc")
    human = options.flag("human") if options.given("human") else True
    if template.wants_json(format_):
        session.output.line(json.compact([_json(row) for row in found]))
    elif options.flag("quiet"):
        for row in found:
            session.output.line((row.image_id if whole else ids.short(row.image_id)) or _MISSING)
    elif format_ and format_ != "table":
        data = [_fields(row, whole, human) for row in found]
        session.output.text(template.rows(format_, data, _HEADERS))
    else:
        columns = ("ID", "Created", "CreatedBy", "Size", "Comment")
        data = [_fields(row, whole, human) for row in found]
        headers = [_HEADERS[column] for column in columns]
        session.output.text(tables.table(headers, [[str(row[column]) for column in columns] for row in data]))
    return ExitCode.SUCCESS


def _fields(row: HistoryRow, whole: bool, human: bool) -> dict[str, object]:
    words = row.created_by
    if not whole and len(words) > _WORDS_SHOWN:
        words = words[: _WORDS_SHOWN - 3] + "..."
    since = times.since(row.created_nanoseconds)
    stamp = times.rfc3339(row.created_nanoseconds)
    return {
        "ID": (row.image_id if whole else ids.short(row.image_id)) or _MISSING,
        "Created": since if human else stamp,
        "CreatedSince": since,
        "CreatedAt": stamp,
        "CreatedBy": words,
        "Size": sizes.decimal(row.size_bytes, " ") if human else row.size_bytes,
        "Comment": row.comment,
    }


def _json(row: HistoryRow) -> dict[str, object]:
    whole_seconds = row.created_nanoseconds // 1_000_000_000 * 1_000_000_000
    return {
        "id": row.image_id or _MISSING,
        "created": times.rfc3339(row.created_nanoseconds),
        "CreatedBy": row.created_by,
        "size": row.size_bytes,
        **({"comment": row.comment} if row.comment else {}),
        "Created": times.rfc3339(whole_seconds),
    }
