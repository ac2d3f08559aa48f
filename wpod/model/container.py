"""Containers: what is recorded about one, and what is observed."""

from __future__ import annotations

from collections.abc import Mapping

from wpod.enumeration import Enum
from wpod.formats.state_file import Cause, Kind, StateFile
from wpod.frozen import field, frozen
from wpod.model.network import NetworkMode, NetworkPlan
from wpod.model.request import AotPolicy, LimitOptions


class Status(Enum):
    """podman's words for a container's state."""

    CREATED = "created"
    INITIALIZED = "initialized"
    RUNNING = "running"
    EXITED = "exited"
    REMOVING = "removing"
    UNKNOWN = "unknown"


class RootKind(Enum):
    """How the container's root file system comes about (docs/architecture.md, "Root file systems")."""

    COPY = "copy"
    READ_ONLY = "read-only"
    OVERLAY = "overlay"
    FUSE_OVERLAY = "fuse-overlay"


@frozen
class MountPlan:
    """One mount with its source looked up. `volume` is the volume's name or empty.

    `kind` is `bind`, `volume` or `tmpfs`; a bind of a single file has `directory` False.
    """

    kind: str
    source: str
    target: str
    read_only: bool = False
    directory: bool = True
    volume: str = ""
    size_bytes: int = 0
    mode: int | None = None
    options: tuple[str, ...] = ()


@frozen
class UserPlan:
    """Who the guest is, as numbers. `text` is what the user or image said."""

    user_id: int = 0
    group_id: int = 0
    supplementary: tuple[int, ...] = ()
    text: str = ""
    home: str = "/"


@frozen
class RootPlan:
    """`lowers` are unpacked layers (topmost first); `id_map_key` names the id map that can read them."""

    kind: RootKind
    lowers: tuple[str, ...]
    id_map_key: str


@frozen
class ModulePlan:
    """The wasm module: its path on the host, the digest of its bytes, and whether compiled code may be used."""

    path: str
    digest: str
    aot: AotPolicy


@frozen
class ContainerPlan:
    """Everything that executing a container needs; pure data, stored as JSON, shown by `run --dry-run`.

    Paths of the container's own directory are not here: they follow from its ID. `kind_reason` says
    why wasm or native was chosen. `environment` is image + user, nothing added for wasm; PATH, TERM,
    HOME, HOSTNAME and `container` as podman for native.
    """

    kind: Kind
    kind_reason: str
    arguments: tuple[str, ...]
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    environment: tuple[str, ...]
    working_directory: str
    user: UserPlan
    hostname: str
    root: RootPlan
    mounts: tuple[MountPlan, ...]
    limits: LimitOptions
    network: NetworkMode
    stop_signal: int
    stop_timeout_seconds: int
    timeout_seconds: int
    interactive: bool
    terminal: bool
    read_only: bool
    log_driver: str
    log_max_bytes: int
    module: ModulePlan | None = None
    runtime: str = ""
    no_hosts: bool = False
    no_new_privileges: bool = False
    seccomp_profile: str = ""
    privileged: bool = False
    capabilities_added: tuple[str, ...] = ()
    capabilities_dropped: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    networking: NetworkPlan = field(default_factory=NetworkPlan)


@frozen
class ContainerRecord:
    """The recorded facts, as in the database. Nothing here says whether the container runs."""

    container_id: str
    name: str
    image_id: str
    image_digest: str
    image_name: str
    created_nanoseconds: int
    plan: ContainerPlan
    remove: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    create_command: tuple[str, ...]
    start_count: int = 0


@frozen
class Observation:
    """What the kernel and the state file say now. `state` is None before the first start.

    `exit_code` is meaningful when the status is EXITED. `monitored` is False for a native container
    that outlived its monitor. `problem` names a damaged state file.
    """

    status: Status
    exit_code: int = 0
    cause: Cause = Cause.NONE
    state: StateFile | None = None
    monitored: bool = True
    problem: str = ""


@frozen
class Container:
    """Recorded and observed, joined by `queries/` and nowhere else."""

    record: ContainerRecord
    observed: Observation = field(default_factory=lambda: Observation(Status.CREATED))
