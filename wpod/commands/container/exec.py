"""wpod exec"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.request import environment
from wpod.commands.session import Session
from wpod.errors import ExitCode, UsageError, WpodError
from wpod.model.container import Container, Status, UserPlan
from wpod.queries import containers as queries

# What podman-exec(1) gives where there is no command to execute.
_NO_COMMAND = 255


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """The exit status is the program's."""
    latest = options.flag("latest")
    name = "" if latest else arguments[0]
    words = arguments if latest else arguments[1:]
    if not words or not words[0]:
        raise UsageError("must provide a non-empty command to start an exec session", code=_NO_COMMAND)
    container = queries.latest(session.store) if latest else queries.find(session.store, name)
    if container.observed.status is not Status.RUNNING:
        raise WpodError(
            f"can only create exec sessions on running containers: {container.record.name} is"
            f" {container.observed.status.value}",
            code=_NO_COMMAND,
        )
    return _execute(session, options, container, words)


def _execute(session: Session, options: Options, container: Container, words: tuple[str, ...]) -> int:
    from wpod.operations.create import launch_of
    from wpod.plan.oci_spec import ExecRequest
    from wpod.runtime.backend import Exec, for_kind

    if options.flag("tty") and not session.output.input_terminal:
        session.output.warning("the input device is not a TTY: --tty and --interactive might not work properly")
    request = ExecRequest(
        arguments=words,
        environment=tuple(f"{key}={value}" for key, value in environment(options)),
        working_directory=options.text("workdir"),
        terminal=options.flag("tty"),
        privileged=options.flag("privileged"),
    )
    wanted = Exec(request, _user(container, options.text("user")), options.flag("interactive"))
    backend = for_kind(container.record.plan.kind)
    launch = launch_of(session.store, container.record, foreground=True)
    return int(backend.execute(launch, container.observed, wanted)) or int(ExitCode.SUCCESS)


def _user(container: Container, text: str) -> UserPlan:
    """--user by the container's own passwd and group files as they are now; the container's user where not given."""
    if not text or container.observed.state is None:
        return container.record.plan.user
    from wpod.kernel.openat2 import read_inside
    from wpod.plan.users import READ_LIMIT_BYTES, resolve_user

    root = f"/proc/{container.observed.state.pid}/root"
    passwd = read_inside(root, "etc/passwd", READ_LIMIT_BYTES) or b""
    group = read_inside(root, "etc/group", READ_LIMIT_BYTES) or b""
    return resolve_user(text, passwd, group)
