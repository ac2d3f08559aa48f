"""wpod login"""

from __future__ import annotations

import os

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import AccessDenied, ExitCode, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wpod.operations.login import Registry
    from wpod.storage.registry.auth import Credentials

_STANDARD_INPUT = 0
_MAX_PASSWORD_BYTES = 64 << 10


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """podman's words on stdout; never the password."""
    from wpod.operations import login

    tls_verify = options.flag("tls-verify") if options.given("tls-verify") else None
    where = login.registry(arguments[0], options.text("authfile"), tls_verify)
    if options.flag("get-login"):
        known = login.stored_credentials(where)
        if known is None:
            raise UsageError(f"not logged into {where.key}")
        session.output.line(known.user)
        return ExitCode.SUCCESS
    chosen = _from_options(options)
    if chosen is None and not options.given("username") and _still_valid(session, where):
        return ExitCode.SUCCESS
    login.log_in(where, chosen or _asked(session, options))
    session.output.line("Login Succeeded!")
    return ExitCode.SUCCESS


def _from_options(options: Options) -> Credentials | None:
    """User and password where the command line gives both, the latter perhaps from standard input."""
    from wpod.storage.registry.auth import Credentials

    user = options.text("username")
    if options.flag("password-stdin"):
        if options.given("password"):
            raise UsageError("Can't specify both --password-stdin and --password")
        if not user:
            raise UsageError("Must provide --username with --password-stdin")
        return Credentials(user, _password_from_stdin())
    if user and options.text("password"):
        return Credentials(user, options.text("password"))
    return None


def _password_from_stdin() -> str:
    with os.fdopen(os.dup(_STANDARD_INPUT), "rb") as stream:
        data = stream.read(_MAX_PASSWORD_BYTES + 1)
    try:
        password = "".join(data.decode().splitlines())
    except UnicodeDecodeError:
        raise UsageError("the password on standard input is not UTF-8") from None
    if not password or len(data) > _MAX_PASSWORD_BYTES:
        raise UsageError("standard input holds no password" if not password else "the password is too long")
    return password


def _still_valid(session: Session, where: Registry) -> bool:
    from wpod.operations import login

    known = login.stored_credentials(where)
    if known is None:
        return False
    session.output.line(f"Authenticating with existing credentials for {where.key}")
    try:
        login.check(where, known)
    except AccessDenied:
        session.output.line("Existing credentials are invalid, please enter valid username and password")
        return False
    session.output.line(f"Existing credentials are valid. Already logged in to {where.key}")
    return True


def _asked(session: Session, options: Options) -> Credentials:
    """What the command line lacks, asked on the terminal; the password without echo."""
    from wpod.storage.registry.auth import Credentials

    if not os.isatty(_STANDARD_INPUT):
        raise UsageError("a user and a password are needed, and standard input is no terminal to ask for them",
                         hint="--username NAME --password-stdin")  # fmt: skip
    import getpass

    user = options.text("username")
    if not user:
        session.output.write_error(b"Username: ")
        user = os.read(_STANDARD_INPUT, 4096).decode(errors="replace").strip()
    try:
        password = options.text("password") or (getpass.getpass("Password: ") if user else "")
    except EOFError:
        password = ""
    if not user or not password:
        raise UsageError("a user and a password are needed")
    return Credentials(user, password)
