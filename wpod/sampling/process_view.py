"""The processes of one container as they are seen inside of it, read once through /proc.

Theory of operation. /proc tells numbers of our own namespaces. Of a process it also has the numbers in each namespace
below (NSpid), so that the container's is found by how deep its main process is; users and groups are led back through
the id map of its user namespace and named by the container's own passwd and group files. A directory /proc/PID that is
open belongs to the process that had the number then: what is read below it is never another one's.

A wasm container is one process, its runner, in the process namespace of whoever started it. So its number inside is the
number here, and its parent's too: nothing says 1 where no namespace does. Its command is the guest's, for that of the
runner tells nothing; its name is the runner's.
"""

from __future__ import annotations

import functools
import grp
import os
import pwd
import time
from collections.abc import Callable, Collection, Mapping

from wpod import times
from wpod.formats.state_file import Kind, StateFile
from wpod.frozen import frozen, replace
from wpod.kernel.openat2 import read_inside
from wpod.kernel.pidfd import stat_fields
from wpod.model.container import Container, RootKind
from wpod.model.id_map import IdRange
from wpod.model.memory import UNKNOWN, Breakdown
from wpod.model.process import Identity, Need, ProcessView
from wpod.paths import ContainerPaths
from wpod.plan.users import READ_LIMIT_BYTES
from wpod.sampling.mappings import Region, content
from wpod.sampling.members import Members
from wpod.sampling.process import Descriptors, Process, kernel_stack_bytes

NO_LABEL = "?"
_OVERFLOW_ID = 65534  # what the kernel says for an ID that a user namespace doesn't have (user_namespaces(7))
_TICK_NANOSECONDS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
_PTS, _PTS_MAJORS, _CONSOLE = 136, 8, (5, 1)
_SERIAL_FROM = 64
_KIBIBYTE = 1024


@frozen
class Reading:
    """What /proc says of one process, in its own words: `stat` from the state (field 3) on, `status` by its names."""

    pid: int
    name: str
    stat: tuple[bytes, ...]
    status: Mapping[str, str]
    command: tuple[str, ...]
    label: str

    @property
    def start_ticks(self) -> int:
        return int(self.stat[19])


@frozen
class Ids:
    """Users or groups: `ranges` lead from inside to here (none: they are the same), `names` are those inside."""

    ranges: tuple[IdRange, ...]
    names: Mapping[int, str]
    host_name: Callable[[int], str]

    def identity(self, number: int) -> Identity:
        """That of a number here."""
        inside = inside_id(self.ranges, number)
        return Identity(inside, number, self.names.get(inside, ""), self.host_name(number))


@frozen
class Inside:
    """How the container sees things: how many process namespaces its own is below ours, and its users and groups.

    `boot_nanoseconds` and `wall_nanoseconds` are the time of the look by both clocks.
    """

    depth: int
    users: Ids
    groups: Ids
    boot_nanoseconds: int
    wall_nanoseconds: int


def processes_of(container: Container, own: ContainerPaths, needs: Collection[Need]) -> list[ProcessView]:
    """By their number inside; none where the container doesn't run or ends meanwhile."""
    state = container.observed.state
    if state is None or state.pid <= 0:
        return []
    native = container.record.plan.kind is Kind.NATIVE
    roots = (f"/proc/{state.pid}/root",) if native else _wasm_roots(container, own)
    names = [names_of(_first(roots, file)) for file in ("etc/passwd", "etc/group")]
    main = read(state.pid)
    if main is None or main.start_ticks != state.start_ticks:
        return []
    if not native:
        main = replace(main, command=container.record.plan.arguments)
    host_names = (_host_user, _host_group) if Need.HOST_NAMES in needs else (_nameless, _nameless)
    inside = Inside(
        depth=len(_numbers(main, "NSpid", main.pid)) - 1,
        users=Ids(_ranges(main.pid, "uid_map"), names[0], host_names[0]),
        groups=Ids(_ranges(main.pid, "gid_map"), names[1], host_names[1]),
        boot_nanoseconds=times.boot_nanoseconds(),
        wall_nanoseconds=time.time_ns(),
    )
    readings = [main, *(_others(main.pid) if native else ())]
    pids = {one.pid: inside_pid(one, inside.depth) for one in readings}
    found = [view(one, inside, pids) for one in readings]
    if Need.MEMORY in needs:
        descriptors = Descriptors()
        found = [
            replace(shown, memory=_memory(one, _region(state) if one is main else None, descriptors))
            for shown, one in zip(found, readings, strict=True)
        ]
    return sorted(found, key=lambda one: (one.pid, one.host_pid))


def read(pid: int) -> Reading | None:
    """None where the process has gone."""
    try:
        directory = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        place = f"/proc/self/fd/{directory}"
        texts = [content(f"{place}/{name}") for name in ("stat", "status", "cmdline")]
        return parse(pid, texts[0], texts[1], texts[2], _label(f"{place}/attr/current"))
    except OSError:
        return None
    finally:
        os.close(directory)


def parse(pid: int, stat: bytes, status: bytes, cmdline: bytes, label: str) -> Reading:
    """Out of the texts of /proc/PID/stat, status and cmdline."""
    lines = (line.partition(":") for line in _text(status).splitlines())
    words = cmdline.rstrip(b"\0")  # who has written over its arguments leaves the rest empty
    return Reading(
        pid=pid,
        name=_text(stat[stat.find(b"(") + 1 : stat.rfind(b")")]),
        stat=tuple(stat_fields(stat)),
        status={name: value.strip() for name, _, value in lines},
        command=tuple(_text(words).split("\0")) if words else (),
        label=label,
    )


def view(one: Reading, inside: Inside, pids: Mapping[int, int]) -> ProcessView:
    """The process as the container sees it; `pids` lead from numbers here to those inside, for its parent's."""
    users, groups = (_numbers(one, name, 0) for name in ("Uid", "Gid"))
    parent = int(one.stat[1])
    elapsed = max(0, inside.boot_nanoseconds - one.start_ticks * _TICK_NANOSECONDS)
    return ProcessView(
        pid=inside_pid(one, inside.depth),
        host_pid=one.pid,
        parent=pids.get(parent, 0) if inside.depth else parent,
        group_leader=_at(_numbers(one, "NSpgid", int(one.stat[2])), inside.depth),
        user=inside.users.identity(_at(users, 1)),
        real_user=inside.users.identity(users[0]),
        group=inside.groups.identity(_at(groups, 1)),
        real_group=inside.groups.identity(groups[0]),
        groups=tuple(inside.groups.identity(int(number)) for number in one.status.get("Groups", "").split()),
        name=one.name,
        command=one.command,
        state=_text(one.stat[0]),
        nice=int(one.stat[16]),
        terminal=terminal_name(int(one.stat[4])),
        started_nanoseconds=inside.wall_nanoseconds - elapsed,
        elapsed_nanoseconds=elapsed,
        cpu_nanoseconds=(int(one.stat[11]) + int(one.stat[12])) * _TICK_NANOSECONDS,
        virtual=int(one.stat[20]),
        resident=int(one.status.get("VmRSS", "0 kB").split()[0]) * _KIBIBYTE,
        label=one.label,
        seccomp=one.status.get("Seccomp", ""),
        capabilities={name: int(one.status[name], 16) for name in _CAPABILITIES if name in one.status},
    )


def inside_pid(one: Reading, depth: int) -> int:
    """Its number in the namespace that is so many below ours; those of namespaces within it have one there too."""
    return _at(_numbers(one, "NSpid", one.pid), depth)


def inside_id(ranges: tuple[IdRange, ...], number: int) -> int:
    """The number inside of a user namespace of one here; the kernel's number for nobody where it has none."""
    if not ranges:
        return number
    for one in ranges:
        if one.outside <= number < one.outside + one.count:
            return one.inside + number - one.outside
    return _OVERFLOW_ID


def parse_ranges(text: bytes) -> tuple[IdRange, ...]:
    """/proc/PID/uid_map or gid_map."""
    return tuple(IdRange(*(int(number) for number in line.split())) for line in text.splitlines())


def names_of(accounts: bytes) -> dict[int, str]:
    """Names by number, out of a passwd or group file; the first one counts, and malformed lines are passed over."""
    found: dict[int, str] = {}
    for line in _text(accounts).splitlines():
        fields = line.split(":")
        if len(fields) >= 4 and fields[0] and fields[2].isascii() and fields[2].isdigit() and len(fields[2]) < 12:
            found.setdefault(int(fields[2]), fields[0])
    return found


def terminal_name(number: int) -> str:
    """What field 7 of /proc/PID/stat names, as below /dev; "" for no terminal or one of another kind."""
    device = number & 0xFFFFFFFF
    major, minor = os.major(device), os.minor(device)
    if _PTS <= major < _PTS + _PTS_MAJORS:
        return f"pts/{(major - _PTS) * 256 + minor}"
    if (major, minor) == _CONSOLE:
        return "console"
    if major == 4:
        return f"tty{minor}" if minor < _SERIAL_FROM else f"ttyS{minor - _SERIAL_FROM}"
    return ""


def _others(main: int) -> list[Reading]:
    """Beside the main process: those of its namespace, what these have started, and zombies among the latter."""
    members = Members(Descriptors())
    try:
        members.update((main,), {})
        there = {one.process.pid: one.process.start_ticks for one in members.by_main().get(main, ()) if not one.helps}
    finally:
        members.close()
    found = []
    for pid, ticks in there.items():
        one = read(pid)
        if one is not None and one.start_ticks == ticks:
            found.append(one)
    known = {main, *there}
    for pid in sorted({child for one in known for child in _children(one)} - known):
        one = read(pid)
        if one is not None and int(one.stat[1]) in known:
            found.append(one)
    return found


def _children(pid: int) -> set[int]:
    """Those of all its threads, ended ones too; none where it has gone or the kernel doesn't tell."""
    found: set[int] = set()
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            found.update(int(child) for child in content(f"/proc/{pid}/task/{thread}/children").split())
    except OSError:
        return found
    return found


def _memory(one: Reading, linear: Region | None, descriptors: Descriptors) -> Breakdown:
    """The parts that are a process's own; UNKNOWN where it has ended or is another user's."""
    try:
        process = Process(one.pid, descriptors, one.start_ticks)
    except ProcessLookupError:
        return UNKNOWN
    try:
        memory, counters = process.memory(linear), process.counters()
    except PermissionError:
        return UNKNOWN
    finally:
        process.close()
    if memory is None or counters is None:
        return UNKNOWN
    mapped, tables, stack = memory.mapped, memory.page_tables, kernel_stack_bytes()
    return Breakdown(
        own=mapped.own,
        linear=mapped.linear if linear is not None else None,
        kernel=tables + counters.threads * stack if tables is not None and stack is not None else None,
        code=mapped.code,
        shared=mapped.shared,
        swap=mapped.swap,
    )


def _region(state: StateFile) -> Region | None:
    if not state.linear_base:
        return None
    return Region(state.linear_base, max(state.linear_used_bytes, state.linear_limit_bytes))


def _wasm_roots(container: Container, own: ContainerPaths) -> tuple[str, ...]:
    """Where the files of the guest's root are: what it wrote before what the image has, for its overlay is its own."""
    root = container.record.plan.root
    if root.kind is RootKind.COPY:
        return (own.rootfs,)
    return root.lowers if root.kind is RootKind.READ_ONLY else (own.upper, *root.lowers)


def _first(roots: tuple[str, ...], path: str) -> bytes:
    """The file of the first root that has it; nothing where none has."""
    found = (read_inside(root, path, READ_LIMIT_BYTES) for root in roots)
    return next((data for data in found if data is not None), b"")


def _ranges(pid: int, name: str) -> tuple[IdRange, ...]:
    """The id map of its user namespace; none where that is ours, or can't be read."""
    try:
        if os.readlink(f"/proc/{pid}/ns/user") == os.readlink("/proc/self/ns/user"):
            return ()
        return parse_ranges(content(f"/proc/{pid}/{name}"))
    except OSError:
        return ()


def _label(path: str) -> str:
    """As podman: `?` where the kernel has no labels."""
    try:
        return _text(content(path)).strip("\n\0") or NO_LABEL
    except OSError:
        return NO_LABEL


def _numbers(one: Reading, name: str, otherwise: int) -> list[int]:
    """The numbers of a line of its status; a single one where there is no such line."""
    return [int(number) for number in one.status.get(name, "").split()] or [otherwise]


def _at(numbers: list[int], position: int) -> int:
    """The last one where there are fewer."""
    return numbers[min(position, len(numbers) - 1)]


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def _nameless(_: int) -> str:
    return ""


@functools.cache
def _host_user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return ""


@functools.cache
def _host_group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return ""
