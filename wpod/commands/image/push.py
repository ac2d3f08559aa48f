"""wpod push"""

from __future__ import annotations

from wpod.commands.image.progress import TransferDisplay
from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode, UsageError


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """Nothing on stdout; the digest to --digestfile."""
    from wpod.operations.push import PushRequest, push
    from wpod.storage.registry import auth

    credentials = auth.parse_pair(options.text("creds")) if options.given("creds") else None
    tls_verify = options.flag("tls-verify") if options.given("tls-verify") else None
    request = PushRequest(arguments[0], "".join(arguments[1:]), tls_verify, options.text("authfile"), credentials)
    digest = push(session.store, request, TransferDisplay(session.output, options.flag("quiet")))
    path = options.text("digestfile")
    if path:
        try:
            with open(path, "w", encoding="utf-8") as stream:  # not replaced by a rename: /dev/stdout is usual
                stream.write(digest)
        except OSError as error:
            raise UsageError(f"{path} can't be written: {error.strerror}") from error
    return ExitCode.SUCCESS
