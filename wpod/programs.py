"""The one door through which other programs are started.

Every start names its descriptors, gives the child no others, never goes through a shell, and turns a
missing program into one error that names the Debian package.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # the module that `signal` is a cover of: see entry.py
import os
import sys
from collections.abc import Mapping, Sequence

from wpod.errors import MissingProgram, WpodError, system_failures
from wpod.frozen import frozen

PACKAGES = {
    "crun": "crun",
    "runc": "runc",
    "newuidmap": "uidmap",
    "newgidmap": "uidmap",
    "fuse-overlayfs": "fuse-overlayfs",
    "systemd-run": "systemd",
    "nsenter": "util-linux",
    "pasta": "passt",
    "nft": "nftables",
    "aardvark-dns": "aardvark-dns",
    "unshare": "util-linux",
}
# Where Debian has programs; aardvark-dns is called by its callers only, so it is no command of a shell.
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/podman"
# What the installed script does (packaging/install.sh); the package's place is the first argument.
_OWN_START = "import sys; sys.path.append(sys.argv.pop(1)); sys.argv[0] = 'wpod'; from wpod.entry import run; run()"


@frozen
class Finished:
    """What a program left behind: exit status (128+n by signal n), and its output as bytes."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def complaint(self) -> str:
        """The last line of stderr, or the exit status where it said nothing."""
        lines = self.stderr.decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else f"exit status {self.status}"


def locate(name: str) -> str | None:
    """Absolute path of a program, or None. Systemd units have a short PATH, so the usual one is added."""
    if name.startswith("/"):
        return name if os.access(name, os.X_OK) and os.path.isfile(name) else None
    import shutil  # 2 ms, which a wasm container need not pay

    return shutil.which(name, path=os.environ.get("PATH", "") + ":" + SEARCH_PATH)


def require(name: str) -> str:
    """As `locate`. Raises MissingProgram with the package's name as the hint."""
    found = locate(name)
    if found is None:
        package = PACKAGES.get(os.path.basename(name))
        hint = f"apt-get install {package}" if package else None
        raise MissingProgram(f"the program {name} is not installed", hint=hint)
    return found


def run(
    arguments: Sequence[str],
    *,
    stdin: bytes | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float | None = 60.0,
    pass_descriptors: Sequence[int] = (),
) -> Finished:
    """Run a program to its end and collect its output.

    `stdin` None is /dev/null. Raises MissingProgram, and WpodError where it outlasts the timeout (it
    is killed then). Importing subprocess costs 8 ms, so only the callers of this function pay it.
    """
    import subprocess

    program = require(arguments[0])
    try:
        done = subprocess.run(
            [program, *arguments[1:]],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            env=dict(environment) if environment is not None else None,
            timeout=timeout_seconds,
            pass_fds=tuple(pass_descriptors),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise WpodError(f"{arguments[0]} did not end within {timeout_seconds:g} s") from None
    except OSError as error:
        raise WpodError(f"{arguments[0]} can't be started: {error.strerror}") from error
    status = done.returncode if done.returncode >= 0 else 128 - done.returncode
    return Finished(status, done.stdout, done.stderr)


def start_detached(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    keep_descriptors: Sequence[int] = (),
    output: int | None = None,
    errors: int | None = None,
) -> int:
    """Start a program in a session of its own with /dev/null as its three streams; returns its pid.

    It inherits `keep_descriptors` under their own numbers and nothing else; `output` and `errors` are descriptors for
    its standard output and error. By posix_spawn: no fork of the interpreter, and no import of subprocess on the way of
    `run -d`. Raises MissingProgram, WpodError.
    """
    program = require(arguments[0])
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    streams = (null, null if output is None else output, null if errors is None else errors)
    actions: list[tuple[int, ...]] = [(os.POSIX_SPAWN_DUP2, source, number) for number, source in enumerate(streams)]
    for descriptor in keep_descriptors:
        os.set_inheritable(descriptor, True)
    try:
        return os.posix_spawn(
            program,
            list(arguments),
            dict(environment),
            file_actions=actions,
            setsid=True,
            setsigdef=tuple(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, 32, 33}),
            setsigmask=(),
        )
    except OSError as error:
        raise WpodError(f"{arguments[0]} can't be started: {error.strerror}") from error
    finally:
        for descriptor in keep_descriptors:
            os.set_inheritable(descriptor, False)
        os.close(null)


def run_to_background(arguments: Sequence[str], *, environment: Mapping[str, str]) -> Finished:
    """Run a program that goes into the background by itself: only its first process is waited for.

    `run` would wait for whoever has inherited its streams. Raises MissingProgram, WpodError.
    """
    errors = os.memfd_create("wpod-errors", os.MFD_CLOEXEC)
    try:
        pid = start_detached(arguments, environment=environment, errors=errors)
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return Finished(code if code >= 0 else 128 - code, b"", os.pread(errors, 65536, 0))
    finally:
        os.close(errors)


async def run_apart(arguments: Sequence[str], *, environment: Mapping[str, str]) -> Finished:
    """Run a program to its end and collect its output, while the event loop goes on.

    It has a session of its own: no Ctrl-C reaches it, and it can't write to the terminal. Whoever has inherited its
    streams is not waited for. Cancelling this only ends the waiting: the program goes on to its end, where asyncio
    would kill it together with the loop, whatever it was at. Raises MissingProgram, WpodError.
    """
    files: list[int] = []
    try:
        with system_failures():
            for name in ("wpod-output", "wpod-errors"):
                files.append(os.memfd_create(name, os.MFD_CLOEXEC))  # noqa: PERF401 - the first is closed, too
            pid = start_detached(arguments, environment=environment, output=files[0], errors=files[1])
        code = os.waitstatus_to_exitcode(await _end_of(pid))
        output, errors = (os.pread(file, os.fstat(file).st_size, 0) for file in files)
        return Finished(code if code >= 0 else 128 - code, output, errors)
    finally:
        for file in files:
            os.close(file)


async def _end_of(pid: int) -> int:
    """The wait status of a child. Cancelled, it is still reaped when it ends, if the loop runs then."""
    import asyncio

    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()
    with system_failures():
        process = os.pidfd_open(pid)

    def reap() -> None:
        loop.remove_reader(process)
        os.close(process)
        _, status = os.waitpid(pid, 0)
        if not ended.done():
            ended.set_result(status)

    loop.add_reader(process, reap)
    return await ended


def own_command() -> tuple[str, ...]:
    """The words that run this very wpod, wherever it was loaded from; its arguments go behind them.

    The interpreter is as isolated as this one, and in any case doesn't look into the current directory for modules.
    """
    isolation = ["-I" if sys.flags.isolated else "-P", *(["-S"] if sys.flags.no_site else [])]
    place = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return (sys.executable, *isolation, "-c", _OWN_START, place)


def start_orphan(
    arguments: Sequence[str], *, environment: Mapping[str, str], keep_descriptors: Sequence[int] = ()
) -> int | None:
    """As `start_detached`, for a program that is nobody's child; a pidfd, None where it has ended already.

    This process may become a container's by exec, which reaps no children: they would stay as zombies.
    Raises MissingProgram, WpodError.
    """
    program = require(arguments[0])
    reader, writer = os.pipe2(os.O_CLOEXEC)
    between = os.fork()
    if between == 0:
        try:
            words = [program, *arguments[1:]]
            pid = start_detached(words, environment=environment, keep_descriptors=keep_descriptors)
            os.write(writer, str(pid).encode())
        finally:
            os._exit(0)
    os.close(writer)
    try:
        os.waitpid(between, 0)
        told = os.read(reader, 32)
    finally:
        os.close(reader)
    if not told:
        raise WpodError(f"{arguments[0]} can't be started")
    try:
        return os.pidfd_open(int(told))
    except ProcessLookupError:
        return None


def become(arguments: Sequence[str], *, environment: Mapping[str, str], keep_descriptors: Sequence[int] = ()) -> None:
    """Replace this process by a program (execve), with its streams and `keep_descriptors`.

    Python ignores SIGPIPE and handles SIGINT; both are given back first, for dispositions to ignore
    survive an exec. Returns only by raising MissingProgram or WpodError.
    """
    program = require(arguments[0])
    for descriptor in keep_descriptors:
        os.set_inheritable(descriptor, True)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        os.execve(program, list(arguments), dict(environment))
    except OSError as error:
        raise WpodError(f"{arguments[0]} can't be started: {error.strerror}") from error
