"""Commands of the OCI runtime on a container that is there: delete and exec.

They run through `wpod-monitor --runtime`, which makes the surroundings that the runtime needs for as long
as the command takes (rust/monitor/src/transient.rs).
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable

from wpod import paths, programs
from wpod.errors import CannotInvoke, ExitCode, ProgramNotFound, WpodError
from wpod.frozen import replace
from wpod.kernel import cgroup
from wpod.model.container import Observation, RootKind
from wpod.plan import oci_spec
from wpod.runtime.backend import Exec, Launch
from wpod.runtime.oci import machine, program

DEFAULT_RUNTIME = "crun"


def runtime_program(wanted: str) -> str:
    """Absolute path of the runtime that --runtime names (a name or a path), crun by default. Raises MissingProgram."""
    return programs.require(wanted or DEFAULT_RUNTIME)


def environment() -> dict[str, str]:
    """What the monitor and the runtime need."""
    return {"PATH": programs.SEARCH_PATH}


def global_options(launch: Launch, runtime: str) -> list[str]:
    """Before the command. wpod makes the cgroups itself (`wpod.kernel.cgroup`), so crun is told to make none."""
    options = ["--root", _state_root(launch)]
    if os.path.basename(runtime).startswith("crun"):
        options.insert(0, "--cgroup-manager=disabled")
    return options


def delete(launch: Launch) -> None:
    """Have the runtime forget the container and kill what is left of it; nothing where it knows none.

    The monitor does this at the container's end; here it is for containers that outlived their monitor.
    """
    if launch.record.plan.root.kind is RootKind.FUSE_OVERLAY:
        _end_mounters(launch)
    if not os.path.isdir(f"{_state_root(launch)}/{launch.record.container_id}"):
        return
    arguments = ["--map-self"] if os.geteuid() != 0 else []
    done = programs.run(
        _in_surroundings(launch, arguments, ["delete", "--force", launch.record.container_id]),
        environment=environment(),
    )
    if done.status != 0 and os.path.isdir(f"{_state_root(launch)}/{launch.record.container_id}"):
        raise WpodError(f"container {launch.record.name} can't be deleted: {done.complaint}")


def execute(launch: Launch, observed: Observation, wanted: Exec) -> int:
    """Run a program in the container, with this process's streams; returns its exit status.

    Raises ProgramNotFound (127) and CannotInvoke (126) where it can't be run, WpodError for all else.
    """
    if observed.state is None:
        raise WpodError(f"container {launch.record.name} is not running")
    plan = replace(launch.record.plan, user=wanted.user)
    program.check(observed.state.pid, wanted.request.arguments[0], _search_path(plan.environment, wanted.request))
    process = oci_spec.exec_process(plan, wanted.request, machine.last_capability())
    token = f"{launch.paths.bundle}/exec-{os.getpid()}"
    process_file, log_file = f"{token}.json", f"{token}.log"
    try:
        with open(process_file, "w", encoding="utf-8", errors="surrogateescape") as file:
            json.dump(process, file)
        surroundings = ["--join", str(observed.state.pid)] if os.geteuid() != 0 else []
        command = ["exec", "--process", process_file, launch.record.container_id]
        arguments = _in_surroundings(launch, surroundings, command, log_file)
        member = observed.state.pid if plan.limits.needs_cgroup else None
        status = _run_attached(arguments, wanted.interactive, lambda: _enter_cgroup(launch, member, log_file))
        if status != 0:
            _raise_complaint(log_file)
        return status
    finally:
        for path in (process_file, log_file):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def _search_path(environment: tuple[str, ...], request: oci_spec.ExecRequest) -> str:
    settings = dict(setting.partition("=")[::2] for setting in (*environment, *request.environment))
    return settings.get("PATH", "")


def _enter_cgroup(launch: Launch, member: int | None, log_file: str) -> None:
    """In the child: the limits hold for what runs later, too. The runtime was told to leave cgroups alone."""
    if member is None:
        return
    try:
        cgroup.enter(launch.record.container_id, member)
    except WpodError as error:
        with open(log_file, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(error.message)
        os._exit(ExitCode.FAILED)


def _run_attached(arguments: list[str], interactive: bool, entering: Callable[[], None]) -> int:
    """A child with this process's streams; signals of the terminal reach it directly, so they are ignored here.

    `entering` is called in the child before its program.
    """
    import signal
    import subprocess

    def prepare() -> None:
        _default_signals()
        entering()

    ignored = (signal.SIGINT, signal.SIGQUIT)
    before = [signal.signal(number, signal.SIG_IGN) for number in ignored]
    try:
        child = subprocess.Popen(  # noqa: S603 - the program is wpod's own
            arguments,
            stdin=None if interactive else subprocess.DEVNULL,
            env=environment(),
            restore_signals=True,
            preexec_fn=prepare,  # noqa: PLW1509 - no threads here
        )
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda received, _frame: child.send_signal(received))
        status = child.wait()
    finally:
        for number, handler in zip(ignored, before, strict=True):
            signal.signal(number, handler)
    return status if status >= 0 else 128 - status


def _default_signals() -> None:
    import signal

    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


def _raise_complaint(log_file: str) -> None:
    """Raises what the runtime has logged; nothing logged means that the status is the guest's own."""
    try:
        with open(log_file, "rb") as file:
            lines = file.read(65536).decode(errors="replace").strip().splitlines()
    except FileNotFoundError:
        return
    if not lines:
        return
    try:
        entry = json.loads(lines[-1])
        message = str(entry["msg"]) if isinstance(entry, dict) else lines[-1]
    except (ValueError, KeyError):
        message = lines[-1]
    lower = message.lower()
    about_program = "exec" in lower or "chdir" in lower
    if about_program and ("permission denied" in lower or "operation not permitted" in lower or "format" in lower):
        raise CannotInvoke(message)
    if about_program and ("not found" in lower or "no such file" in lower):
        raise ProgramNotFound(message)
    raise WpodError(message, code=int(ExitCode.FAILED))


def _in_surroundings(launch: Launch, surroundings: list[str], command: list[str], log_file: str = "") -> list[str]:
    runtime = runtime_program(launch.record.plan.runtime)
    hide = ["--hide-unified-cgroup"] if cgroup.hides_unified() else []
    log = ["--log", log_file, "--log-format", "json"] if log_file else []
    options = [*global_options(launch, runtime), *log]
    return [paths.part("wpod-monitor"), "--runtime", *hide, *surroundings, "--", runtime, *options, *command]


def _state_root(launch: Launch) -> str:
    return f"{launch.paths.directory}/runtime"


def _end_mounters(launch: Launch) -> None:
    """fuse-overlayfs of a killed monitor: told by its last argument, this container's own root."""
    import signal

    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read(65536).rstrip(b"\0").split(b"\0")
            if os.path.basename(words[0]) == b"fuse-overlayfs" and words[-1] == os.fsencode(launch.paths.rootfs):
                os.kill(int(name), signal.SIGKILL)
