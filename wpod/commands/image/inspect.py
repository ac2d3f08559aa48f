"""wpod image inspect"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.session import Session, exit_code
from wpod.errors import ExitCode, WpodError
from wpod.model.image import Image
from wpod.output import json, template
from wpod.queries import images as queries


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """What was found is printed; what wasn't is told after it."""
    found: list[dict[str, object]] = []
    failures: list[WpodError] = []
    for name in arguments:
        try:
            image = session.store.images.find(name)
            found.append({**queries.inspect(session.store, image), "Wpod": _own(session, image)})
        except WpodError as error:
            failures.append(error)
    format_ = options.text("format") or "json"
    if template.wants_json(format_) or format_ == "json":
        session.output.line(json.document(found))
    else:
        session.output.text(template.each(format_, found))
    for failure in failures:
        session.output.error(failure.message, failure.hint)
    return max((exit_code(failure) for failure in failures), default=int(ExitCode.SUCCESS))


def _own(session: Session, image: Image) -> dict[str, object]:
    """wpod's own part: what is known of the image beyond podman's keys."""
    from wpod.operations.precompile import describe_module

    module = describe_module(session.store, image)
    return {"SchemaVersion": 1, "Platform": str(image.config.platform), "Module": module}
