"""wpod images"""

from __future__ import annotations

from wpod import times
from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode, UsageError
from wpod.model import ids
from wpod.model.image import Image
from wpod.output import json, sizes, tables, template
from wpod.queries import images as queries
from wpod.queries.images import ImageRow

_HEADERS = {
    "Repository": "REPOSITORY", "Tag": "TAG", "ID": "IMAGE ID", "Id": "IMAGE ID", "Digest": "DIGEST",
    "Created": "CREATED", "CreatedSince": "CREATED", "CreatedAt": "CREATED AT", "CreatedTime": "CREATED AT",
    "Size": "SIZE", "VirtualSize": "VIRTUAL SIZE", "Labels": "LABELS", "Names": "NAMES", "Containers": "CONTAINERS",
    "RepoTags": "REPO TAGS", "RepoDigests": "REPO DIGESTS", "History": "HISTORY", "ReadOnly": "READ ONLY",
    "Dangling": "DANGLING", "SharedSize": "SHARED SIZE",
}  # fmt: skip


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """Table, template, JSON or IDs."""
    terms = options.values("filter", tuple)
    format_ = options.text("format")
    if options.flag("quiet") and format_:
        raise UsageError("--quiet can't be used with --format")
    chosen = queries.selected(session.store, terms, arguments[0] if arguments else "")
    counts = session.store.containers.counts_by_image()
    if template.wants_json(format_):
        session.output.line(json.document([_json(image, counts) for image in _images_sorted(chosen, options)]))
        return ExitCode.SUCCESS
    rows = _sorted(queries.rows(chosen), options.text("sort") or "created")
    whole = options.flag("no-trunc")
    if options.flag("quiet"):
        for image_id in dict.fromkeys(row.image.image_id for row in rows):
            session.output.line(f"sha256:{image_id}" if whole else ids.short(image_id))
        return ExitCode.SUCCESS
    heading = not options.flag("noheading")
    if format_ and format_ != "table":
        data = [_fields(row, counts, whole) for row in rows]
        session.output.text(template.rows(format_, data, _HEADERS, heading=heading))
        return ExitCode.SUCCESS
    columns = ["Repository", "Tag", *(["Digest"] if options.flag("digests") else []), "ID", "Created", "Size"]
    lines = [[str(_fields(row, counts, whole)[column]) for column in columns] for row in rows]
    session.output.text(tables.table([_HEADERS[column] for column in columns], lines, heading=heading))
    return ExitCode.SUCCESS


def _images_sorted(chosen: list[Image], options: Options) -> list[Image]:
    ordered = _sorted(queries.rows(chosen), options.text("sort") or "created")
    return list({row.image.image_id: row.image for row in ordered}.values())


def _sorted(rows: list[ImageRow], column: str) -> list[ImageRow]:
    if column == "size":
        return sorted(rows, key=lambda row: (row.image.size_bytes, row.image.image_id))
    if column == "id":
        return sorted(rows, key=lambda row: row.image.image_id)
    if column in ("repository", "tag"):
        both = (lambda row: (row.repository, row.tag)) if column == "repository" else (lambda row: (row.tag,))
        return sorted(rows, key=lambda row: (*both(row), row.image.image_id))
    return rows


def _fields(row: ImageRow, counts: dict[str, int], whole: bool) -> dict[str, object]:
    image = row.image
    image_id = f"sha256:{image.image_id}" if whole else ids.short(image.image_id)
    created = times.since(image.created_nanoseconds)
    return {
        "Repository": row.repository, "Tag": row.tag, "ID": image_id, "Id": image.image_id, "Digest": image.digest,
        "Created": created, "CreatedSince": created, "CreatedAt": times.created_at(image.created_nanoseconds),
        "CreatedTime": times.created_at(image.created_nanoseconds), "Size": sizes.decimal(image.size_bytes, " "),
        "VirtualSize": sizes.decimal(image.size_bytes, " "), "SharedSize": 0, "Labels": dict(image.config.labels),
        "Names": list(image.names), "Containers": counts.get(image.image_id, 0), "RepoTags": list(image.names),
        "RepoDigests": queries.repository_digests(image), "History": list(image.names), "ReadOnly": False,
        "Dangling": not image.names,
    }  # fmt: skip


def _json(image: Image, counts: dict[str, int]) -> dict[str, object]:
    return {
        "Id": image.image_id,
        "ParentId": "",
        "RepoTags": None,
        "RepoDigests": queries.repository_digests(image),
        "Size": image.size_bytes,
        "SharedSize": 0,
        "VirtualSize": image.size_bytes,
        "Labels": dict(image.config.labels) or None,
        "Containers": counts.get(image.image_id, 0),
        **({} if image.names else {"Dangling": True}),
        **({"Names": list(image.names)} if image.names else {}),
        "Digest": image.digest,
        "History": list(image.names),
        "Created": image.created_nanoseconds // 1_000_000_000,
        "CreatedAt": times.rfc3339(image.created_nanoseconds // 1_000_000_000 * 1_000_000_000),
    }
