"""wpod create, and what it shares with run."""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.request import run_request
from wpod.commands.session import Session
from wpod.errors import ExitCode, NotThere
from wpod.model.image import Image
from wpod.model.request import PullPolicy, RunRequest


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """Prints the new container's ID."""
    from wpod.operations.create import create

    request = run_request(options, arguments, session.runtime)
    image = find_image(session, request)
    if options.flag("dry-run"):
        return print_plan(session, request, image, detached=False)
    record = create(session.store, request, image, session.command_line, detached=False)
    session.output.line(record.container_id)
    return ExitCode.SUCCESS


def find_image(session: Session, request: RunRequest) -> Image:
    """The image in the store, pulled first where the policy says so.

    A local image of another platform than the one asked for counts as missing. Raises NotThere,
    RegistryError, InvalidImage.
    """
    policy = request.image_options.pull
    if policy in (PullPolicy.MISSING, PullPolicy.NEVER):
        try:
            image = session.store.images.find(request.image)
        except NotThere:
            if policy is PullPolicy.NEVER:
                raise
        else:
            wanted = request.image_options.platform
            if wanted is None or (image.config.platform.os, image.config.platform.architecture) == (
                wanted.os,
                wanted.architecture,
            ):
                return image
            if policy is PullPolicy.NEVER:
                raise NotThere(f"{request.image} is there for {image.config.platform}, not for {wanted}")
    from wpod.commands.image.pull import pull_for_run

    return pull_for_run(session, request)


def print_plan(session: Session, request: RunRequest, image: Image, *, detached: bool) -> int:
    """--dry-run: the plan as JSON."""
    import json

    from wpod.operations.create import plan
    from wpod.state.encoding import to_json

    with session.store.lease():
        _, planned = plan(session.store, request, image, detached=detached)
    session.output.line(json.dumps(json.loads(to_json(planned)), indent=4))
    return ExitCode.SUCCESS
