"""The state file of a container (docs/formats.md): written by its keeper, read by everybody.

The keeper is the runner (wasm) or the monitor (native). Whether it lives is told by its lock on this
file, never by a process ID: killed orphans stay zombies for seconds where PID 1 reaps late.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import struct

from wpod.enumeration import IntEnum
from wpod.errors import StoreError
from wpod.frozen import frozen

SIZE_BYTES = 4096
VERSION = 1
MAGIC = b"WPODSTAT"
# magic, version, kind, boot id, main pid, keeper pid, their start times, phase, status, cause, signal,
# started and finished (realtime ns), the same (boottime ns), linear base, used, limit, code base,
# bytes, engine, confinement, log bytes, dropped lines; the limit of memory that was hit, how often, use, limit;
# what a cgroup counted near its limit: anonymous, file, kernel
_HEAD = struct.Struct("<8sII16siiQQIiIIqqQQQQQQQIIQQIIQQQQQ")
# phase, linear memory used, limit: what changes while a container runs and is asked for often
_LIVE = struct.Struct("<56xI52xQQ")
_REASON_OFFSET = 256
_REASON_BYTES = 512
_F_OFD_GETLK = 36
_FLOCK = struct.Struct("hhqqi4x")


class Kind(IntEnum):
    """What executes the container."""

    WASM = 1
    NATIVE = 2


class Phase(IntEnum):
    """How far a container has come."""

    CREATED = 0
    READY = 1
    RUNNING = 2
    EXITED = 3


class Cause(IntEnum):
    """Why a container ended."""

    NONE = 0
    EXITED = 1
    SIGNAL = 2
    TRAP = 3
    TIMEOUT = 4
    ENGINE = 5
    OUT_OF_MEMORY = 6


class Engine(IntEnum):
    """How the module is executed."""

    NONE = 0
    INTERPRETER = 1
    AOT_SHARED = 2
    AOT_PRIVATE = 3


class LimitHit(IntEnum):
    """Which limit of memory refused something, or had the container killed."""

    NONE = 0
    GUEST_PAGES = 1
    CGROUP = 2


class Confinement(IntEnum):
    """What the runner installed before the guest started: a bit each."""

    USER_NAMESPACE = 1
    NO_NEW_PRIVILEGES = 2
    LANDLOCK = 4
    SECCOMP = 8
    CAPABILITIES_DROPPED = 16
    MOUNT_NAMESPACE = 32


@frozen
class StateFile:
    """One reading. Times in nanoseconds, sizes in bytes; 0 is "not yet" for times, pids and addresses."""

    kind: Kind
    boot_id: bytes
    pid: int
    keeper_pid: int
    start_ticks: int
    keeper_start_ticks: int
    phase: Phase
    status: int
    cause: Cause
    signal: int
    started_nanoseconds: int
    finished_nanoseconds: int
    started_boottime: int
    finished_boottime: int
    linear_base: int
    linear_used_bytes: int
    linear_limit_bytes: int
    code_base: int
    code_bytes: int
    engine: Engine
    confinement: int
    log_bytes: int
    dropped_lines: int
    reason: str
    limit_hit: LimitHit = LimitHit.NONE
    limit_hits: int = 0
    limit_used_bytes: int = 0
    limit_bytes: int = 0
    near_anonymous_bytes: int = 0
    near_file_bytes: int = 0
    near_kernel_bytes: int = 0


def decode(data: bytes, name: str) -> StateFile:
    """Raises StoreError (naming the file) for anything that isn't a whole state file of this version."""
    if len(data) < SIZE_BYTES or data[:8] != MAGIC:
        raise StoreError(f"{name} is not a state file", hint="wpod rm -f removes the container")
    fields = _HEAD.unpack_from(data)
    if fields[1] != VERSION:
        raise StoreError(f"{name} was written by another version of wpod (format {fields[1]})")
    reason = data[_REASON_OFFSET : _REASON_OFFSET + _REASON_BYTES].split(b"\0", 1)[0].decode(errors="replace")
    try:
        return StateFile(
            kind=Kind(fields[2]), boot_id=fields[3], pid=fields[4], keeper_pid=fields[5],
            start_ticks=fields[6], keeper_start_ticks=fields[7], phase=Phase(fields[8]), status=fields[9],
            cause=Cause(fields[10]), signal=fields[11], started_nanoseconds=fields[12],
            finished_nanoseconds=fields[13], started_boottime=fields[14], finished_boottime=fields[15],
            linear_base=fields[16], linear_used_bytes=fields[17], linear_limit_bytes=fields[18],
            code_base=fields[19], code_bytes=fields[20], engine=Engine(fields[21]),
            confinement=fields[22], log_bytes=fields[23], dropped_lines=fields[24], reason=reason,
            limit_hit=LimitHit(fields[25]), limit_hits=fields[26], limit_used_bytes=fields[27], limit_bytes=fields[28],
            near_anonymous_bytes=fields[29], near_file_bytes=fields[30], near_kernel_bytes=fields[31],
        )  # fmt: skip
    except ValueError as error:
        raise StoreError(f"{name} is damaged: {error}", hint="wpod rm -f removes the container") from None


def encode(state: StateFile) -> bytes:
    """The 4096 bytes. Python writes fresh files, and the ends that no keeper could store."""
    head = _HEAD.pack(
        MAGIC, VERSION, state.kind, state.boot_id, state.pid, state.keeper_pid, state.start_ticks,
        state.keeper_start_ticks, state.phase, state.status, state.cause, state.signal,
        state.started_nanoseconds, state.finished_nanoseconds, state.started_boottime,
        state.finished_boottime, state.linear_base, state.linear_used_bytes, state.linear_limit_bytes,
        state.code_base, state.code_bytes, state.engine, state.confinement, state.log_bytes,
        state.dropped_lines, state.limit_hit, state.limit_hits, state.limit_used_bytes, state.limit_bytes,
        state.near_anonymous_bytes, state.near_file_bytes, state.near_kernel_bytes,
    )  # fmt: skip
    reason = state.reason.encode()[: _REASON_BYTES - 1]
    return (head.ljust(_REASON_OFFSET, b"\0") + reason).ljust(SIZE_BYTES, b"\0")


def create(path: str, kind: Kind) -> None:
    """A fresh file in phase `created`, replacing one that is there by rename (fresh inode, so fresh lock).

    A keeper that still runs keeps the old inode: callers make sure first that there is none.
    """
    fresh = StateFile(
        kind, b"\0" * 16, 0, 0, 0, 0, Phase.CREATED, 0, Cause.NONE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        Engine.NONE, 0, 0, 0, "",
    )  # fmt: skip
    write(path, fresh)


def write(path: str, state: StateFile) -> None:
    """A new file in the place of what is there, by rename. Callers make sure first that there is no keeper."""
    temporary = f"{path}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        data = encode(state)
        if os.write(descriptor, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), temporary)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(temporary, path)


def keep_limit_hit(path: str, kept_path: str) -> None:
    """Before the file is replaced: it stays under another name where it tells of a limit of memory that was hit.

    Anything that can't be read or kept is left: it is told to people, and no start fails for it.
    """
    try:
        state, _ = read(path)
        if state.limit_hit is LimitHit.NONE:
            return
        temporary = f"{kept_path}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        os.link(path, temporary)
        os.rename(temporary, kept_path)
    except (OSError, StoreError):
        return


def read(path: str) -> tuple[StateFile, bool]:
    """The state and whether its keeper lives (holds the lock).

    The keeper locks before it stores `ready` and stores `exited` before it lets go. So the lock is
    asked first; a free lock beside a live phase is asked again, for the keeper may have come between.
    Raises StoreError where the file is missing, damaged or not a regular file.
    """
    descriptor = open_for_reading(path)
    try:
        return read_open(descriptor, path)
    finally:
        os.close(descriptor)


def open_for_reading(path: str) -> int:
    """A descriptor that stays this run's: a removal or a next start doesn't change what it reads. Raises StoreError."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror}") from None


def read_open(descriptor: int, path: str) -> tuple[StateFile, bool]:
    """As `read`, of a file that is open; `path` is for messages."""
    try:
        kept = _locked(descriptor)
        state = decode(os.pread(descriptor, SIZE_BYTES, 0), path)
        if not kept and state.phase in (Phase.READY, Phase.RUNNING):
            kept = _locked(descriptor)
            state = decode(os.pread(descriptor, SIZE_BYTES, 0), path)
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror}") from None
    return state, kept


@frozen
class Live:
    """What of a state file changes while the container runs, and the bytes that say so."""

    data: bytes
    phase: int
    linear_used_bytes: int
    linear_limit_bytes: int


def read_live(descriptor: int, before: Live | None = None) -> Live | None:
    """A quick reading of an open file whose head has been checked before; None where it was cut or can't be read.

    `before` is given again where nothing has changed since.
    """
    try:
        data = os.pread(descriptor, _LIVE.size, 0)
    except OSError:
        return None
    if before is not None and data == before.data:
        return before
    return Live(data, *_LIVE.unpack(data)) if len(data) == _LIVE.size else None


def is_kept(path: str) -> bool:
    """Whether a keeper holds the lock of a file, also of a damaged one; False where there is no regular file."""
    try:
        descriptor = open_for_reading(path)
    except StoreError:
        return False
    try:
        return stat.S_ISREG(os.fstat(descriptor).st_mode) and _locked(descriptor)
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Whether somebody holds a write lock; asking takes none (fcntl(2), F_OFD_GETLK)."""
    question = _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
    answer = fcntl.fcntl(descriptor, _F_OFD_GETLK, question)
    return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)
