"""wpod run"""

from __future__ import annotations

from wpod.commands.container.create import find_image, print_plan
from wpod.commands.options import Options
from wpod.commands.request import run_request
from wpod.commands.session import Session
from wpod.errors import ExitCode, PortInUse, UsageError
from wpod.model.image import Image
from wpod.model.request import RunRequest


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """In the foreground this process becomes the container's; detached, it prints the ID when the guest can run."""
    _check_scale(options)
    request = run_request(options, arguments, session.runtime)
    detached = options.flag("detach")
    image = find_image(session, request)
    if options.flag("dry-run"):
        return print_plan(session, request, image, detached=detached)
    try:
        return _run(session, options, request, image)
    except PortInUse as error:
        error.code = int(ExitCode.CANNOT_INVOKE)
        raise


def _run(session: Session, options: Options, request: RunRequest, image: Image) -> int:
    from wpod.operations import run

    if not options.flag("detach"):
        return run.run_foreground(session.store, request, image, session.command_line, session.complain)
    scale = options.number("scale")
    if scale:
        records = run.run_scaled(session.store, request, image, session.command_line, scale)
    else:
        records = [run.run_detached(session.store, request, image, session.command_line)]
    for record in records:
        session.output.line(record.container_id)
    for warning in records[0].plan.warnings:
        session.output.warning(warning)
    session.warn_of_logout(records[0].plan)
    return ExitCode.SUCCESS


def _check_scale(options: Options) -> None:
    if not options.number("scale"):
        return
    if not options.flag("detach"):
        raise UsageError("--scale needs --detach")
    if options.text("cidfile"):
        raise UsageError("--scale and --cidfile exclude each other", hint="the IDs are printed, one a line")
