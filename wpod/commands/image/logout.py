"""wpod logout"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """podman's words on stdout."""
    from wpod.operations import login
    from wpod.storage.registry import auth

    authfile = options.text("authfile")
    if options.flag("all"):
        auth.forget_all(authfile)
        session.output.line("Removed login credentials for all registries")
        return ExitCode.SUCCESS
    where = login.registry(arguments[0], authfile)
    login.log_out(where)
    session.output.line(f"Removed login credentials for {where.key}")
    return ExitCode.SUCCESS
