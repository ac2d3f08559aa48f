"""What `run` and `create` were asked for: frozen groups, one per theme, filled from the option table.

Values are parsed (sizes in bytes, times in seconds) but nothing is looked up yet: no image, no file, no
user name.
"""

from __future__ import annotations

from wpod.enumeration import Enum
from wpod.frozen import field, frozen
from wpod.model.image import Platform
from wpod.model.network import NetworkOptions


class PullPolicy(Enum):
    """podman-run(1), --pull."""

    ALWAYS = "always"
    MISSING = "missing"
    NEVER = "never"
    NEWER = "newer"


class AotPolicy(Enum):
    """--wasm-aot: compiled code when it is there (auto), never (off), or nothing else (require)."""

    AUTO = "auto"
    OFF = "off"
    REQUIRE = "require"


class MountKind(Enum):
    """--mount type=…"""

    BIND = "bind"
    VOLUME = "volume"
    TMPFS = "tmpfs"


@frozen
class MountRequest:
    """One -v, --mount or --tmpfs. An empty `source` with VOLUME is an anonymous volume.

    `size_bytes` and `mode` are tmpfs's; 0 and None are the kernel's defaults.
    """

    kind: MountKind
    source: str
    target: str
    read_only: bool = False
    options: tuple[str, ...] = ()
    size_bytes: int = 0
    mode: int | None = None
    create_source: bool = False


@frozen
class UlimitRequest:
    """--ulimit NAME=SOFT:HARD; -1 is unlimited."""

    name: str
    soft: int
    hard: int


@frozen
class IdentityOptions:
    """What the container is called and described by."""

    name: str = ""
    replace: bool = False
    hostname: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    cidfile: str = ""


@frozen
class ProcessOptions:
    """`entrypoint` None: the image's; (): cleared. `environment`: NAME=VALUE, files already read in.

    `stop_timeout_seconds` as podman's default. `timeout_seconds` 0: none.
    """

    entrypoint: tuple[str, ...] | None = None
    environment: tuple[tuple[str, str], ...] = ()
    working_directory: str = ""
    user: str = ""
    stop_signal: str = ""
    stop_timeout_seconds: int = 10
    timeout_seconds: int = 0
    interactive: bool = False
    terminal: bool = False


@frozen
class StorageOptions:
    """What is mounted, and whether the root can be written."""

    mounts: tuple[MountRequest, ...] = ()
    read_only: bool = False
    no_hosts: bool = False


@frozen
class LimitOptions:
    """0 is "not asked for" everywhere. `cpu_quota_microseconds` is per 100 000 us period (--cpus times 1e5)."""

    memory_bytes: int = 0
    memory_swap_bytes: int = 0
    cpu_quota_microseconds: int = 0
    cpu_shares: int = 0
    pids: int = 0
    ulimits: tuple[UlimitRequest, ...] = ()

    @property
    def needs_cgroup(self) -> bool:
        return bool(self.memory_bytes or self.memory_swap_bytes or self.cpu_quota_microseconds
                    or self.cpu_shares or self.pids)  # fmt: skip


@frozen
class SecurityOptions:
    """`capabilities_added` and `_dropped` in upper case without CAP_, or ALL."""

    capabilities_added: tuple[str, ...] = ()
    capabilities_dropped: tuple[str, ...] = ()
    no_new_privileges: bool = False
    seccomp_profile: str = ""
    privileged: bool = False


@frozen
class ImageOptions:
    """Which image is meant and how it is fetched. `tls_verify` None leaves it to registries.conf."""

    pull: PullPolicy = PullPolicy.MISSING
    platform: Platform | None = None
    tls_verify: bool | None = None
    authfile: str = ""
    quiet: bool = False


@frozen
class EngineOptions:
    """`kind` is the user's own choice of wasm or native ("" leaves it to the image); `runtime` an OCI runtime."""

    aot: AotPolicy = AotPolicy.AUTO
    kind: str = ""
    runtime: str = ""


@frozen
class LogOptions:
    """`driver` k8s-file or none; `max_bytes` 0 never rotates."""

    driver: str = "k8s-file"
    max_bytes: int = 10 * 1024 * 1024


@frozen
class RunRequest:
    """Everything about one container that the user said; `create` and `run` share it."""

    image: str
    arguments: tuple[str, ...] = ()
    remove: bool = False
    identity: IdentityOptions = field(default_factory=IdentityOptions)
    process: ProcessOptions = field(default_factory=ProcessOptions)
    storage: StorageOptions = field(default_factory=StorageOptions)
    limits: LimitOptions = field(default_factory=LimitOptions)
    security: SecurityOptions = field(default_factory=SecurityOptions)
    image_options: ImageOptions = field(default_factory=ImageOptions)
    engine: EngineOptions = field(default_factory=EngineOptions)
    log: LogOptions = field(default_factory=LogOptions)
    network: NetworkOptions = field(default_factory=NetworkOptions)
