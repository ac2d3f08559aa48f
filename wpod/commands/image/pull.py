"""wpod pull, and the pull that run and create make"""

from __future__ import annotations

from wpod.commands.image.progress import TransferDisplay
from wpod.commands.options import Options
from wpod.commands.request import platform
from wpod.commands.session import Session
from wpod.model.image import Image
from wpod.model.request import PullPolicy, RunRequest


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """The image's ID last on stdout, for each argument."""
    from wpod.operations.pull import PullRequest, pull
    from wpod.storage.registry import auth

    credentials = auth.parse_pair(options.text("creds")) if options.given("creds") else None
    tls_verify = options.flag("tls-verify") if options.given("tls-verify") else None
    display = TransferDisplay(session.output, options.flag("quiet"))

    def one(name: str) -> str:
        request = PullRequest(name, PullPolicy.ALWAYS, platform(options), tls_verify, options.text("authfile"),
                              credentials)  # fmt: skip
        image = pull(session.store, request, display)
        compile_quietly(session, image)
        return image.image_id

    return session.for_each(arguments, one)


def pull_for_run(session: Session, request: RunRequest) -> Image:
    """What `run` and `create` do for an image that is missing or may be old. Raises as `operations.pull`."""
    from wpod.operations.pull import PullRequest, pull

    wanted = request.image_options
    policy = PullPolicy.ALWAYS if wanted.pull is PullPolicy.MISSING else wanted.pull
    display = TransferDisplay(session.output, wanted.quiet)
    asked = PullRequest(request.image, policy, wanted.platform, wanted.tls_verify, wanted.authfile)
    return pull(session.store, asked, display)


def compile_quietly(session: Session, image: Image) -> None:
    """Begin to compile the image's module, if it has one; what goes wrong is told at its first run."""
    from wpod.operations.precompile import precompile

    precompile(session.store, image)
