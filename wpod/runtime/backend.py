"""What the operations need of a backend; wasm and native each have one, chosen in `for_kind` only."""

from __future__ import annotations

import os
from collections.abc import Mapping

from wpod.formats.launch_plan import Pair
from wpod.formats.state_file import Kind
from wpod.frozen import frozen
from wpod.model.container import ContainerRecord, Observation, RootKind, UserPlan
from wpod.model.id_map import IDENTITY, SINGLE, IdMap
from wpod.model.network import Lease
from wpod.paths import ContainerPaths, StorePaths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from wpod.plan.oci_spec import ExecRequest
else:
    Protocol = object  # importing typing takes 2 ms


@frozen
class Joined:
    """What a container's networks are at this start.

    `listeners` are open descriptors of listening sockets, one for each published port of a wasm container. The
    namespaces are paths (of /proc/PID/ns): the user and network namespace in which links are made, and `shared`, the
    network namespace that the container joins instead of one of its own. `inner` is the open namespace that a network's
    wasm containers share, -1 for none. `messages` make the links (docs/formats.md).
    `host_gateway` is an address that leads to the host itself, where there is one. `internal`: its networks lead
    nowhere else.
    """

    listeners: tuple[int, ...] = ()
    user_namespace: str = ""
    network_namespace: str = ""
    shared: str = ""
    inner: int = -1
    messages: str = ""
    leases: tuple[Lease, ...] = ()
    name_servers: tuple[str, ...] = ()
    host_gateway: str = ""
    internal: bool = False


NOT_JOINED = Joined()


@frozen
class Launch:
    """One start of one container. `foreground`: the keeper takes over this process and its streams."""

    record: ContainerRecord
    paths: ContainerPaths
    store: StorePaths
    foreground: bool
    joined: Joined = NOT_JOINED


@frozen
class TreeSize:
    """An unpacked image: bytes of its files and number of its entries."""

    size_bytes: int
    entries: int


@frozen
class Command:
    """How the keeper is started: its program, its environment, and the launch plan without `ready-fd`.

    `prefix` stands before the program where something must wrap it (systemd-run for a cgroup). `descriptors` are
    left open in it, under their numbers; whoever asked for the command closes them.
    """

    program: str
    pairs: tuple[Pair, ...]
    environment: Mapping[str, str]
    prefix: tuple[str, ...] = ()
    descriptors: tuple[int, ...] = ()


@frozen
class Exec:
    """One `exec`; `user` is who it runs as, `interactive` whether it reads this process's stdin."""

    request: ExecRequest
    user: UserPlan
    interactive: bool


class Backend(Protocol):
    """A way to execute containers. Every method raises WpodError subclasses only.

    `largest_batch`: how many containers of one image and one request a single keeper can start.
    """

    @property
    def largest_batch(self) -> int: ...

    def root_kind(self, tree: TreeSize, read_only: bool) -> RootKind:
        """How a container of an image of this size gets its root here, by what the machine can do."""

    def check(self, launch: Launch) -> None:
        """Refuse what this machine can't give (CannotEnforce, MissingProgram), before anything is made."""

    def prepare(self, launch: Launch) -> None:
        """Make the backend's own files of a new container (generated etc files, the bundle's directory).

        Called once; the directories of the root (rootfs, upper, work) are there. Undone as a whole.
        """

    def command(self, launch: Launch, leader: Command | None = None) -> Command:
        """Everything for one start; may make what a start needs (cgroups). Called for each start.

        `leader` is the command of a container of the same request whose keeper shall start this one too: what is
        decided once for both is taken from it.
        """

    def send_signal(self, launch: Launch, observed: Observation, number: int) -> bool:
        """Send a signal to the container's main process; False where it has ended."""

    def execute(self, launch: Launch, observed: Observation, wanted: Exec) -> int:
        """Run another program in a running container, with this process's streams; returns its exit status.

        Raises ProgramNotFound (127), CannotInvoke (126), WpodError where this kind has no programs.
        """

    def release(self, launch: Launch) -> None:
        """Give back what outlives the processes (runtime state, cgroups). What is gone already is done."""


def id_map(kind: Kind) -> IdMap:
    """The IDs for which this user's images of a kind must be unpacked."""
    if os.geteuid() == 0:
        return IDENTITY
    if kind is Kind.WASM:
        return SINGLE
    from wpod.kernel import user_namespace

    return user_namespace.id_map()


def for_kind(kind: Kind) -> Backend:
    """The one place that knows which backend executes which kind."""
    if kind is Kind.WASM:
        from wpod.runtime.wasm.launch import WasmBackend

        return WasmBackend()
    from wpod.runtime.oci.launch import NativeBackend

    return NativeBackend()


def common_pairs(launch: Launch) -> list[Pair]:
    """The launch plan's keys that the runner and the monitor share (docs/formats.md), but `ready-fd`."""
    plan = launch.record.plan
    pairs: list[Pair] = [
        ("id", launch.record.container_id),
        ("state", launch.paths.state),
        ("terminal", "1" if launch.foreground else "0"),
        ("stdin", "1" if launch.foreground and plan.interactive else "0"),
    ]
    if plan.log_driver != "none":
        pairs.append(("log-directory", launch.paths.logs))
        pairs.append(("log-max-bytes", str(plan.log_max_bytes)))
    if plan.timeout_seconds:
        pairs.append(("timeout-seconds", str(plan.timeout_seconds)))
    return pairs
