"""Fills the cache of compiled modules, without making anybody wait long for it.

The compiler is a process of its own. A caller waits for it as long as its patience lasts; after that the
process goes on by itself at the lowest priority and ends by itself, and the container runs on the
interpreter meanwhile. It inherits the lock of its module, so a second one is never started, and writes what
kept it from finishing into a note beside the lock, so that it isn't tried again at every start.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select

from wpod import paths, programs
from wpod.enumeration import Enum
from wpod.errors import StoreError
from wpod.frozen import frozen
from wpod.runtime.modules import cache

DEFAULT_PATIENCE_SECONDS = 1.0
# A compiler that died without a word (killed, out of memory, power cut) is tried again, but not forever.
_MAX_ATTEMPTS = 3
_LOWEST_PRIORITY = 19
_NOTE_LIMIT_BYTES = 4096


class CompileStatus(Enum):
    """How far compiling a module has come."""

    READY = "ready"
    RUNNING = "running"
    FAILED = "failed"


@frozen
class CompileOutcome:
    """`path` is the cache file where it is ready; `reason` says why there is none, for `inspect`."""

    status: CompileStatus
    path: str | None = None
    reason: str = ""


@frozen
class _Note:
    """What is known of earlier attempts; `reason` is empty while one runs or after one that died."""

    engine_build: str = ""
    attempts: int = 0
    reason: str = ""


def ensure_compiled(
    module_path: str, digest: str, cache_dir: str, patience_seconds: float = DEFAULT_PATIENCE_SECONDS
) -> CompileOutcome:
    """Have the module `digest` compiled into `cache_dir`, and wait for it at most `patience_seconds`.

    READY: `path` is there. RUNNING: a compiler is at work, this caller's or another one's. FAILED: it has
    been tried with this build of the engine and can't be; `reason` is one line. Raises StoreError where the
    directory can't be written, WpodError where the compiler can't be started.
    """
    found = cache.find(cache_dir, digest)
    if found is not None:
        return CompileOutcome(CompileStatus.READY, found)
    try:
        os.makedirs(cache_dir, mode=0o755, exist_ok=True)
        lock = os.open(_beside(cache_dir, digest, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{cache_dir} can't be written: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _wait_for_other(lock, digest, cache_dir, patience_seconds)
    else:
        return _compile_locked(module_path, digest, cache_dir, lock, patience_seconds)
    finally:
        os.close(lock)


def engine_build() -> str:
    """The build id of the installed engine, which the compiler writes into every file. Costs its start."""
    return programs.run([paths.part(cache.COMPILER), "--identity"]).stdout.decode(errors="replace").strip()


def _compile_locked(
    module_path: str, digest: str, cache_dir: str, lock: int, patience_seconds: float
) -> CompileOutcome:
    build = engine_build()
    path = cache.cache_path(cache_dir, digest)
    if _still_good(path, build):
        return CompileOutcome(CompileStatus.READY, path)
    note = _read_note(cache_dir, digest)
    if note.engine_build == build:
        if note.reason:
            return CompileOutcome(CompileStatus.FAILED, reason=note.reason)
        if note.attempts >= _MAX_ATTEMPTS:
            return CompileOutcome(CompileStatus.FAILED, reason=f"the compiler died {note.attempts} times")
    attempts = note.attempts + 1 if note.engine_build == build else 1
    _write_note(cache_dir, digest, _Note(build, attempts))
    process = programs.start_orphan(
        [
            paths.part(cache.COMPILER),
            "--module", module_path,
            "--digest", digest,
            "--output", path,
            "--note", _beside(cache_dir, digest, "note"),
            "--lock", str(lock),
        ],
        environment={"PATH": os.environ.get("PATH", "")},
        keep_descriptors=(lock,),
    )  # fmt: skip
    if process is not None and not _ends_within(process, patience_seconds):
        return CompileOutcome(CompileStatus.RUNNING, reason="the module is being compiled")
    return _outcome(digest, cache_dir)


def _still_good(path: str, build: str) -> bool:
    """Whether a file older than the installed compiler is for its build all the same; then it is as new."""
    try:
        if cache.read_header(path).engine_build != build:
            return False
        os.utime(path)
    except (StoreError, OSError):
        return False
    return True


def _outcome(digest: str, cache_dir: str) -> CompileOutcome:
    path = cache.find(cache_dir, digest)
    if path is not None:
        return CompileOutcome(CompileStatus.READY, path)
    reason = _read_note(cache_dir, digest).reason or "the compiler died; `wpod doctor` tells whether it starts"
    return CompileOutcome(CompileStatus.FAILED, reason=reason)


def _ends_within(process: int, seconds: float) -> bool:
    """Whether the compiler ends in time; where it doesn't, it goes on at the lowest priority.

    Closes the pidfd. Its status isn't needed: the cache file and the note say it all.
    """
    try:
        poller = select.poll()
        poller.register(process, select.POLLIN)
        if poller.poll(seconds * 1000):
            return True
        with contextlib.suppress(OSError, ValueError):
            lower(_pid_of(process))
        return False
    finally:
        os.close(process)


def lower(pid: int) -> None:
    """Give a process the lowest priority; that of its session too, where that is its own.

    Where the kernel groups by session (sched(7), autogroup), niceness counts inside of one alone. Raises OSError.
    """
    os.setpriority(os.PRIO_PROCESS, pid, _LOWEST_PRIORITY)
    with contextlib.suppress(FileNotFoundError):  # a kernel without autogroup
        if os.getsid(pid) == pid:
            with open(f"/proc/{pid}/autogroup", "w", encoding="utf-8") as file:
                file.write(str(_LOWEST_PRIORITY))


def _pid_of(pidfd: int) -> int:
    """The process's number, -1 where it has ended (proc(5), /proc/PID/fdinfo). Raises ValueError."""
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="utf-8") as file:
        number = next(int(line.split()[1]) for line in file if line.startswith("Pid:"))
    if number <= 0:
        raise ValueError("the process has ended")
    return number


def _wait_for_other(lock: int, digest: str, cache_dir: str, seconds: float) -> CompileOutcome:
    """Another caller's compiler has the lock, which has no way of waiting with a limit."""
    import time

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.02)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return _outcome(digest, cache_dir)
    return CompileOutcome(CompileStatus.RUNNING, reason="the module is being compiled")


def _beside(cache_dir: str, digest: str, kind: str) -> str:
    return f"{cache_dir}/{digest.removeprefix('sha256:')}.{kind}"


def _read_note(cache_dir: str, digest: str) -> _Note:
    """Three lines: build, attempts, reason. A damaged note is none."""
    try:
        with open(_beside(cache_dir, digest, "note"), encoding="utf-8", errors="replace") as file:
            lines = file.read(_NOTE_LIMIT_BYTES).split("\n")
        return _Note(lines[0], int(lines[1]), lines[2] if len(lines) > 2 else "")
    except (OSError, ValueError, IndexError):
        return _Note()


def _write_note(cache_dir: str, digest: str, note: _Note) -> None:
    path = _beside(cache_dir, digest, "note")
    temporary = f"{path}.{os.getpid()}"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(f"{note.engine_build}\n{note.attempts}\n{note.reason}")
        os.replace(temporary, path)
    except OSError as error:
        raise StoreError(f"{path} can't be written: {error.strerror}") from None
