"""Resource limits: a cgroup of a container's own, made only where a limit was asked for.

Theory of operation. An empty cgroup costs 55 to 73 kB of kernel memory, so without limits there is none.
With limits it depends on the machine (cgroups(7)):

* systemd runs: the keeper is started in a transient scope (`systemd-run --scope`), as root and as a user;
  the scope goes with its last process. Only systemd may write below its own tree. Its directory is known before it
  is there, for slice and name are chosen here; the keeper joins it once more, which shows that it is the right one.
* pure v2 without systemd, as root: one directory below `wpod/`, joined before the guest is loaded.
* v1 or hybrid, as root: one directory for each controller that a limit needs.
* v1 or hybrid as a user: there is no delegation, the limit is refused and what is missing is named.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import time

from wpod.enumeration import Enum
from wpod.errors import CannotEnforce
from wpod.frozen import frozen
from wpod.model.request import LimitOptions

ROOT = "/sys/fs/cgroup"
_PERIOD_MICROSECONDS = 100_000
_GROUP = "wpod"
_REMOVAL_ATTEMPTS = 20


class Hierarchy(Enum):
    """How this machine mounts its cgroups."""

    V1 = "v1"
    HYBRID = "hybrid"
    V2 = "v2"
    NONE = "none"


@frozen
class Placement:
    """How a keeper gets into the cgroup: a command before its own, with its environment; directories that it joins."""

    prefix: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    directories: tuple[str, ...] = ()


@frozen
class _Setting:
    """One file of a controller and what is written to it."""

    controller: str
    file: str
    value: str


@functools.cache
def hierarchy() -> Hierarchy:
    """What is mounted at /sys/fs/cgroup."""
    kinds = {kind for kind, _, _ in _mounts()}
    if "cgroup" in kinds:
        return Hierarchy.HYBRID if "cgroup2" in kinds else Hierarchy.V1
    return Hierarchy.V2 if "cgroup2" in kinds else Hierarchy.NONE


def hides_unified() -> bool:
    """Whether an OCI runtime must be kept from the unified mount of a hybrid machine."""
    return hierarchy() is Hierarchy.HYBRID and os.path.isdir(f"{ROOT}/unified")


def systemd_runs() -> bool:
    """Whether systemd is this machine's init (sd_booted(3))."""
    return os.path.isdir("/run/systemd/system")


def made_by_systemd() -> bool:
    """Whether systemd makes the cgroups here; otherwise they are made as directories."""
    return hierarchy() is Hierarchy.V2 and systemd_runs()


def controllers() -> tuple[str, ...]:
    """The controllers that hold limits for this user, in the kernel's order on v2, sorted on v1."""
    if hierarchy() is Hierarchy.V2:
        if not systemd_runs() and os.geteuid() != 0:
            return ()
        return tuple(_available_v2())
    return tuple(sorted(_controllers_v1())) if os.geteuid() == 0 else ()


def can_enforce(limits: LimitOptions) -> bool:
    """Whether `place` would hold every one of these limits."""
    return _missing(limits) is None


def check(limits: LimitOptions) -> None:
    """Raises CannotEnforce that names the limit and what is missing."""
    missing = _missing(limits)
    if missing is not None:
        raise CannotEnforce(missing, hint="leave the limit out, or run as root or where cgroup v2 is delegated")


def place(container_id: str, limits: LimitOptions) -> Placement:
    """Make the container's cgroup with its limits. Raises CannotEnforce."""
    if not limits.needs_cgroup:
        return Placement()
    check(limits)
    if made_by_systemd():
        return _scope(container_id, limits)
    if hierarchy() is Hierarchy.V2:
        return Placement(directories=(_make_v2(container_id, limits),))
    return Placement(directories=_make_v1(container_id, limits))


def enter(container_id: str, member: int) -> None:
    """Move this process into the cgroups of a container that has some; `member` is a process in them.

    Raises CannotEnforce. May be called between fork and exec.
    """
    if hierarchy() is not Hierarchy.V2:
        targets = [directory for directory in directories(container_id) if os.path.isdir(directory)]
    else:
        targets = [ROOT + _cgroup_of(member)]
    try:
        for directory in targets:
            _write(f"{directory}/cgroup.procs", "0")
    except OSError as error:
        # From a login session a user may not: the kernel wants the right to write to what is above both cgroups.
        if not (made_by_systemd() and os.geteuid() != 0 and error.errno in (errno.EACCES, errno.EPERM)):
            raise CannotEnforce(f"{error.filename} can't be joined: {error.strerror}") from None
        _attach(os.path.basename(targets[0]))


def remove(container_id: str) -> None:
    """Remove the container's cgroups. What isn't there, or still has processes after a moment, is left."""
    for directory in directories(container_id):
        for _ in range(_REMOVAL_ATTEMPTS):
            try:
                os.rmdir(directory)
                break
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.01)  # the kernel empties a cgroup a moment after its last process has ended


def directories(container_id: str) -> tuple[str, ...]:
    """Where cgroups of this container are or would be, one for each controller on v1."""
    if hierarchy() is Hierarchy.V2:
        return (f"{ROOT}/{_GROUP}/{container_id}",)
    return tuple(f"{mount}/{_GROUP}/{container_id}" for mount in sorted(set(_controllers_v1().values())))


def path_of(pid: int) -> str:
    """The path of a process's cgroup on v2 (cgroups(7)), as this process's cgroup namespace shows it; "" for none."""
    for line in _read(f"/proc/{pid}/cgroup").splitlines():
        if line.startswith("0::/"):
            return line[len("0::") :]
    return ""


def _missing(limits: LimitOptions) -> str | None:
    if not limits.needs_cgroup:
        return None
    found = hierarchy()
    if found is Hierarchy.NONE:
        return f"{_names(limits)}: no cgroups are mounted at {ROOT}"
    if found is Hierarchy.V2:
        return _missing_v2(limits)
    if os.geteuid() != 0:
        return f"{_names(limits)}: cgroup v1 can't be delegated to a user"
    for setting in _settings_v1(limits):
        directory = _controllers_v1().get(setting.controller)
        if directory is None:
            return f"{_names(limits)}: the cgroup controller {setting.controller} is not mounted"
        if setting.file.startswith("memory.memsw") and not os.path.exists(f"{directory}/{setting.file}"):
            return "--memory-swap: the kernel doesn't count swap (swapaccount=1)"
    return None


def _missing_v2(limits: LimitOptions) -> str | None:
    reason = _no_manager()
    if reason is not None:
        return f"{_names(limits)}: {reason}"
    available = _available_v2()
    for setting in _settings_v2(limits):
        if setting.controller not in available:
            return f"{_names(limits)}: the cgroup controller {setting.controller} is not delegated to this user"
    return None


def _no_manager() -> str | None:
    """Why nobody would make a cgroup for this user, None where somebody does."""
    uid = os.geteuid()
    if uid == 0:
        return None
    if not systemd_runs():
        return "no systemd that would delegate a cgroup to this user"
    if not os.path.isdir(_user_service()):
        return f"systemd runs no manager for user {uid} (loginctl enable-linger starts one)"
    if not os.path.exists(f"{_user_runtime()}/bus"):
        return f"user {uid} has no D-Bus session bus (apt-get install dbus-user-session)"
    return None


def _available_v2() -> list[str]:
    base = ROOT if os.geteuid() == 0 else _user_service()
    return _read(f"{base}/cgroup.controllers").split()


def _names(limits: LimitOptions) -> str:
    asked = (
        (limits.memory_bytes, "--memory"),
        (limits.memory_swap_bytes, "--memory-swap"),
        (limits.cpu_quota_microseconds, "--cpus"),
        (limits.cpu_shares, "--cpu-shares"),
        (limits.pids, "--pids-limit"),
    )
    return ", ".join(name for value, name in asked if value) + " can't be enforced"


def _settings_v1(limits: LimitOptions) -> list[_Setting]:
    settings = []
    if limits.memory_bytes:
        settings.append(_Setting("memory", "memory.limit_in_bytes", str(limits.memory_bytes)))
    if limits.memory_swap_bytes:
        settings.append(_Setting("memory", "memory.memsw.limit_in_bytes", str(limits.memory_swap_bytes)))
    if limits.cpu_quota_microseconds:
        settings.append(_Setting("cpu", "cpu.cfs_period_us", str(_PERIOD_MICROSECONDS)))
        settings.append(_Setting("cpu", "cpu.cfs_quota_us", str(limits.cpu_quota_microseconds)))
    if limits.cpu_shares:
        settings.append(_Setting("cpu", "cpu.shares", str(limits.cpu_shares)))
    if limits.pids:
        settings.append(_Setting("pids", "pids.max", "max" if limits.pids < 0 else str(limits.pids)))
    return settings


def _settings_v2(limits: LimitOptions) -> list[_Setting]:
    settings = []
    if limits.memory_bytes:
        settings.append(_Setting("memory", "memory.max", str(limits.memory_bytes)))
    if limits.memory_swap_bytes:
        settings.append(_Setting("memory", "memory.swap.max", _swap_alone(limits)))
    if limits.cpu_quota_microseconds:
        settings.append(_Setting("cpu", "cpu.max", f"{limits.cpu_quota_microseconds} {_PERIOD_MICROSECONDS}"))
    if limits.cpu_shares:
        settings.append(_Setting("cpu", "cpu.weight", str(_weight(limits.cpu_shares))))
    if limits.pids:
        settings.append(_Setting("pids", "pids.max", "max" if limits.pids < 0 else str(limits.pids)))
    return settings


def _swap_alone(limits: LimitOptions) -> str:
    """--memory-swap counts memory and swap together, v2 swap alone; -1 is unlimited."""
    return "max" if limits.memory_swap_bytes < 0 else str(max(0, limits.memory_swap_bytes - limits.memory_bytes))


def _weight(shares: int) -> int:
    """Shares (2 to 262144) as a weight (1 to 10000), linear as the OCI runtimes convert it."""
    return 1 + (min(max(shares, 2), 262144) - 2) * 9999 // 262142


def _scope(container_id: str, limits: LimitOptions) -> Placement:
    properties = ["Delegate=yes"]
    if limits.memory_bytes:
        properties.append(f"MemoryMax={limits.memory_bytes}")
    if limits.memory_swap_bytes:
        properties.append(f"MemorySwapMax={_swap_alone(limits).replace('max', 'infinity')}")
    if limits.cpu_quota_microseconds:
        properties.append(f"CPUQuota={limits.cpu_quota_microseconds / _PERIOD_MICROSECONDS:.2%}")
    if limits.cpu_shares:
        properties.append(f"CPUWeight={_weight(limits.cpu_shares)}")
    if limits.pids:
        properties.append(f"TasksMax={'infinity' if limits.pids < 0 else limits.pids}")
    if os.geteuid() == 0:
        manager, parent, slice_ = "--system", ROOT, "system.slice"
    else:
        manager, parent, slice_ = "--user", _user_service(), "app.slice"
    unit = f"wpod-{container_id}-{time.monotonic_ns():x}.scope"  # the last one's may not have been forgotten yet
    options = [word for item in properties for word in ("--property", item)]
    command = ("systemd-run", manager, "--scope", "--quiet", "--collect", f"--slice={slice_}", f"--unit={unit}")
    return Placement((*command, *options, "--"), _bus(), (f"{parent}/{slice_}/{unit}",))


def _bus() -> tuple[tuple[str, str], ...]:
    """How the user's systemd is reached, whatever the environment says of it: units have none, others another one."""
    if os.geteuid() == 0:
        return ()
    runtime = _user_runtime()
    return (("XDG_RUNTIME_DIR", runtime), ("DBUS_SESSION_BUS_ADDRESS", f"unix:path={runtime}/bus"))


def _attach(unit: str) -> None:
    """Have the user's systemd move this process into one of its delegated units (org.freedesktop.systemd1(5))."""
    from wpod import programs

    manager = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
    call = ("busctl", "--user", "call", *manager, "AttachProcessesToUnit", "ssau", unit, "", "1", str(os.getpid()))
    done = programs.run(call, environment=dict(_bus()))
    if done.status != 0:
        raise CannotEnforce(f"the cgroup of {unit} can't be joined: {done.complaint}")


def _make_v2(container_id: str, limits: LimitOptions) -> str:
    settings = _settings_v2(limits)
    needed = " ".join(sorted({f"+{setting.controller}" for setting in settings}))
    directory = directories(container_id)[0]
    try:
        os.makedirs(os.path.dirname(directory), exist_ok=True)
        for parent in (ROOT, os.path.dirname(directory)):
            _write(f"{parent}/cgroup.subtree_control", needed)
        _make(directory)
        for setting in settings:
            _write(f"{directory}/{setting.file}", setting.value)
    except OSError as error:
        remove(container_id)
        raise _failed(limits, error) from None
    return directory


def _make_v1(container_id: str, limits: LimitOptions) -> tuple[str, ...]:
    made: list[str] = []
    try:
        for setting in _settings_v1(limits):
            directory = f"{_controllers_v1()[setting.controller]}/{_GROUP}/{container_id}"
            if directory not in made:
                os.makedirs(os.path.dirname(directory), exist_ok=True)
                _make(directory)
                made.append(directory)
            _write(f"{directory}/{setting.file}", setting.value)
    except OSError as error:
        remove(container_id)
        raise _failed(limits, error) from None
    return tuple(made)


def _make(directory: str) -> None:
    """A fresh directory: counters of an earlier run (out of memory) must not be read as this one's."""
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(directory)
    os.mkdir(directory)


def _failed(limits: LimitOptions, error: OSError) -> CannotEnforce:
    return CannotEnforce(f"{_names(limits)}: {error.filename or ROOT}: {error.strerror}")


def _write(path: str, value: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(value)
    except OSError as error:
        error.filename = path  # an error of the write itself, when the file is closed, has no name
        raise


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def _user_service() -> str:
    uid = os.geteuid()
    return f"{ROOT}/user.slice/user-{uid}.slice/user@{uid}.service"


def _user_runtime() -> str:
    return f"/run/user/{os.geteuid()}"


def _cgroup_of(pid: int) -> str:
    found = path_of(pid)
    if not found:
        raise CannotEnforce(f"process {pid} is in no cgroup")
    return found


@functools.cache
def _mounts() -> tuple[tuple[str, str, frozenset[str]], ...]:
    """Kind, mount point and options of every cgroup file system."""
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as file:
            rows = [line.split() for line in file]
    except OSError:
        return ()
    return tuple((row[2], row[1], frozenset(row[3].split(","))) for row in rows if row[2] in ("cgroup", "cgroup2"))


@functools.cache
def _controllers_v1() -> dict[str, str]:
    """Mount point by controller."""
    known = ("memory", "cpu", "pids", "devices")
    return {name: point for kind, point, options in _mounts() if kind == "cgroup" for name in known if name in options}
