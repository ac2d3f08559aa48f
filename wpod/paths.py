"""Where things are: the store, the runtime directory and wpod's own parts.

The only module that looks at HOME, XDG_* and WPOD_*. Nothing is found by the path of a checkout or
of a virtual environment, so that one file can be made of the package later.
"""

from __future__ import annotations

import os
import pwd
import stat

from wpod.errors import StoreError
from wpod.frozen import frozen

_SYSTEM_STORE = "/var/lib/wpod"
_SYSTEM_RUN = "/run/wpod"
_LIBEXEC = ("/usr/local/libexec/wpod", "/usr/libexec/wpod")


@frozen
class StorePaths:
    """The layout below the store's root (docs/architecture.md, "The store"). Nothing here is created."""

    root: str

    @property
    def run(self) -> str:
        """The store's runtime directory, made and checked when somebody asks. Raises StoreError."""
        return runtime_root(self.root)

    @property
    def database(self) -> str:
        return f"{self.root}/wpod.db"

    @property
    def content(self) -> str:
        """OCI image layout directory: blobs/sha256/HEX."""
        return f"{self.root}/oci"

    @property
    def unpacked(self) -> str:
        """Unpacked layers, by id map: unpacked/MAP/CHAIN_ID/."""
        return f"{self.root}/unpacked"

    @property
    def aot(self) -> str:
        return f"{self.root}/aot"

    @property
    def containers(self) -> str:
        return f"{self.root}/containers"

    @property
    def volumes(self) -> str:
        return f"{self.root}/volumes"

    @property
    def temporary(self) -> str:
        """Staging on the store's own file system, so that a rename finishes the work."""
        return f"{self.root}/tmp"

    def container(self, container_id: str) -> ContainerPaths:
        return ContainerPaths(f"{self.containers}/{container_id}")


@frozen
class ContainerPaths:
    """The files of one container."""

    directory: str

    @property
    def state(self) -> str:
        return f"{self.directory}/state"

    @property
    def limit_state(self) -> str:
        """The state file of the last earlier run that hit a limit of memory, where there was one."""
        return f"{self.directory}/state.limit"

    @property
    def lock(self) -> str:
        """Held (flock) by a command while it changes this container."""
        return f"{self.directory}/lock"

    @property
    def logs(self) -> str:
        return f"{self.directory}/logs"

    @property
    def log_file(self) -> str:
        return f"{self.logs}/container.log"

    @property
    def upper(self) -> str:
        """What the guest wrote, where the root is an overlay."""
        return f"{self.directory}/upper"

    @property
    def work(self) -> str:
        return f"{self.directory}/work"

    @property
    def rootfs(self) -> str:
        """The private copy, or the mount point of the overlay."""
        return f"{self.directory}/rootfs"

    @property
    def bundle(self) -> str:
        """OCI bundle of a native container (config.json)."""
        return f"{self.directory}/bundle"

    @property
    def etc(self) -> str:
        """Generated hosts, hostname, resolv.conf."""
        return f"{self.directory}/etc"

    def new_volume(self, name: str) -> str:
        """An anonymous volume's directory until the container is recorded."""
        return f"{self.directory}/volume-{name}"


def effective_home() -> str:
    """HOME, or the password database's where it is unset (systemd units) or relative."""
    home = os.environ.get("HOME", "")
    if home.startswith("/"):
        return home
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        raise StoreError(
            f"HOME is unset and user {os.geteuid()} is not in the password database", hint="set HOME"
        ) from None


def absolute(path: str) -> str:
    """os.path.abspath. Raises StoreError for a relative path where the working directory has been removed."""
    try:
        return os.path.abspath(path)
    except FileNotFoundError:
        raise StoreError(f"{path} is a relative path, and the working directory is gone") from None


def data_root() -> str:
    """The default store: /var/lib/wpod as root, $XDG_DATA_HOME/wpod or ~/.local/share/wpod otherwise."""
    override = os.environ.get("WPOD_ROOT", "")
    if override:
        return absolute(override)
    return _default_store()


def _default_store() -> str:
    if os.geteuid() == 0:
        return _SYSTEM_STORE
    base = os.environ.get("XDG_DATA_HOME", "")
    return f"{base}/wpod" if base.startswith("/") else f"{effective_home()}/.local/share/wpod"


def _real_default_store() -> str:
    try:
        return os.path.realpath(_default_store())
    except StoreError:
        return ""  # no home: then this store was named


def runtime_root(store_root: str) -> str:
    """The directory for what a reboot forgets, made where missing; own to each store, however that was named.

    /run/wpod as root; $XDG_RUNTIME_DIR/wpod, else /run/user/UID/wpod, else /tmp/wpod-UID otherwise.
    Raises StoreError where it can't be made, belongs to somebody else or can be written by others.
    """
    directories = _runtime_directories(store_root)
    for directory in directories:  # one by one: makedirs' mode is for the last directory alone
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
        except FileExistsError:
            pass  # something else is there: told below
        except OSError as error:
            raise StoreError(
                f"{directory} can't be made: {error.strerror}",
                hint="set XDG_RUNTIME_DIR to a directory that can be written",
            ) from None
        _check_is_own(directory)
    return directories[-1]


def runtime_path(store_root: str) -> str:
    """As `runtime_root`, but nothing is made: what is there is checked. Raises StoreError."""
    directories = _runtime_directories(store_root)
    for directory in directories:
        if os.path.lexists(directory):
            _check_is_own(directory)
    return directories[-1]


def _runtime_directories(store_root: str) -> tuple[str, ...]:
    """The user's directory and the store's own in it, which is the same one for the default store."""
    uid = os.geteuid()
    base = _SYSTEM_RUN if uid == 0 else _user_runtime_base(uid)
    real = os.path.realpath(store_root)
    return (base,) if real == _real_default_store() else (base, _keyed(base, real))


def _check_is_own(directory: str) -> None:
    uid, found = os.geteuid(), os.lstat(directory)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o022:
        raise StoreError(
            f"{directory} is not a directory that only this user can write to",
            hint=f"remove it, or set XDG_RUNTIME_DIR to a directory of user {uid}",
        )


def _user_runtime_base(uid: int) -> str:
    candidates = (os.environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{uid}")
    for candidate in candidates:
        if candidate.startswith("/") and os.path.isdir(candidate) and os.stat(candidate).st_uid == uid:
            return f"{candidate}/wpod"
    return f"/tmp/wpod-{uid}"  # noqa: S108 - checked for owner and mode by runtime_root


def _keyed(base: str, store_root: str) -> str:
    try:  # hashlib loads OpenSSL: 5 to 8 ms. Its own fallback is the interpreter's, as `random` uses it.
        from _sha256 import sha256  # type: ignore[import-not-found]
    except ImportError:  # an interpreter that has it elsewhere, or not
        from hashlib import sha256

    return f"{base}/{sha256(os.fsencode(store_root)).hexdigest()[:12]}"


def store_paths(root: str | None = None) -> StorePaths:
    """The store named by `root` or the default one. Raises StoreError."""
    chosen = absolute(root) if root else data_root()
    return StorePaths(chosen)


def containers_configuration(name: str) -> list[str]:
    """Where a file of the containers tools' configuration may be, the most important first.

    $CONTAINERS_REGISTRIES_CONF (for registries.conf alone), the user's, /etc/containers, /usr/share/containers.
    """
    override = os.environ.get("CONTAINERS_REGISTRIES_CONF", "") if name == "registries.conf" else ""
    if override:
        return [override]
    return [f"{_configuration_base()}/containers/{name}", f"/etc/containers/{name}", f"/usr/share/containers/{name}"]


def registry_certificates(registry: str) -> list[str]:
    """The directories where a registry's certificates may be (containers-certs.d(5)); all of them count."""
    return [
        f"{place}/certs.d/{registry}"
        for place in (f"{_configuration_base()}/containers", "/etc/containers", "/etc/docker")
    ]


def credential_files() -> list[str]:
    """Where registry passwords may be, as podman looks (containers-auth.json(5)); the first one is written by login."""
    override = os.environ.get("REGISTRY_AUTH_FILE", "")
    if override:
        return [override]
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    first = f"{runtime}/containers" if runtime.startswith("/") else f"/run/containers/{os.geteuid()}"
    docker = os.environ.get("DOCKER_CONFIG", "") or f"{effective_home()}/.docker"
    return [f"{first}/auth.json", f"{_configuration_base()}/containers/auth.json", f"{docker}/config.json"]


def _configuration_base() -> str:
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return base if base.startswith("/") else f"{effective_home()}/.config"


def part(name: str) -> str:
    """Absolute path of one of wpod's own executables: wpod-runner, wpod-monitor and so on.

    Looked for in $WPOD_LIBEXEC_DIR, beside the package (`libexec/`) and in the system's libexec
    directories. Raises StoreError where it isn't.
    """
    override = os.environ.get("WPOD_LIBEXEC_DIR", "")
    places = [override] if override else [f"{os.path.dirname(os.path.abspath(__file__))}/libexec", *_LIBEXEC]
    for place in places:
        candidate = os.path.join(place, name)
        if os.access(candidate, os.X_OK):
            return candidate
    raise StoreError(f"{name} is not installed (looked in {', '.join(places)})", hint="run: make build")
