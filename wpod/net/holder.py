"""The holder: the one helper of all containers of a user that have networks (rust/network, docs/formats.md).

Theory of operation. The user and network namespace that a user's networks are in live as long as the holder, and as
any native container that is on one of them. The holder relays published ports and ends by itself, with pasta and the
name server, when the last container that it was told of has ended. It can't end while a command holds a connection to
it. Where it was killed, the namespaces are found again through a container's monitor, which holds the network open.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
from collections.abc import Iterator, Sequence

from wpod import paths, programs
from wpod.errors import NoNetworks, WpodError
from wpod.formats import launch_plan
from wpod.frozen import frozen
from wpod.kernel import pidfd, user_namespace
from wpod.net import host_routes
from wpod.net.namespace import NetworkNamespace
from wpod.plan import etc_files

_ANSWER_BYTES = 65536
_READY_BYTES = 4096
_BACKLOG = 64
_PATIENCE_SECONDS = 10.0
# Of the shared namespace towards pasta: link-local (RFC 3927), where no network of the host or of wpod is.
_OWN_ADDRESS = "169.254.1.2"
_NETMASK = "255.255.255.252"


@frozen
class Remains:
    """Where the namespaces of a killed holder are found: paths of /proc, of a container that is still there."""

    user_path: str
    network_path: str


class Connection:
    """A connection to a running holder; as long as it is open, the holder stays. `fresh`: it was started just now."""

    def __init__(self, link: socket.socket, *, fresh: bool) -> None:
        """Raises WpodError where the holder ends at this moment. Its number is asked of itself: the kernel's
        credentials name whoever has called listen(2).
        """
        self._link = link
        self.fresh = fresh
        self.namespace = NetworkNamespace(int(self._ask(["list"], [])[0]))

    def use(self, container_id: str, keeper: int) -> None:
        """Name the process (a pidfd) whose end is the end of this container. Raises WpodError."""
        self._ask(["use", container_id], [keeper])

    def publish(self, container_id: str, words: Sequence[str], listener: int) -> None:
        """Have a socket of the host relayed: `words` are protocol, target and source (docs/formats.md)."""
        self._ask(["publish", container_id, *words], [listener])

    def forget(self, container_id: str) -> None:
        """Close a container's sockets; one that isn't known is done already."""
        self._ask(["forget", container_id], [])

    def helper(self, name: str, process: int) -> None:
        """Name a process (a pidfd) that shall end with the holder."""
        self._ask(["helper", name], [process])

    def containers(self) -> set[str]:
        """The IDs of those that it was told of and that haven't ended."""
        return set(self._ask(["list"], [])[1:])

    def close(self) -> None:
        """From here on it may end."""
        self._link.close()

    def _ask(self, words: Sequence[str], descriptors: Sequence[int]) -> list[str]:
        try:
            socket.send_fds(self._link, ["\0".join(words).encode()], list(descriptors))
            answer = self._link.recv(_ANSWER_BYTES).decode(errors="replace").split("\0")
        except OSError as error:
            raise WpodError(f"the network helper doesn't answer: {error.strerror or error}") from error
        if answer[0] != "ok":
            raise WpodError(f"the network helper refuses: {' '.join(answer).removeprefix('error ') or 'it has ended'}")
        return answer[1:]


def directory(run: str) -> str:
    """Where the helpers of a store have their files, below its runtime directory; made where missing."""
    path = f"{run}/network"
    os.makedirs(path, mode=0o700, exist_ok=True)
    return path


def connect(run: str, *, fresh: bool = False) -> Connection | None:
    """The holder that runs, None where none does. Raises WpodError where it doesn't answer."""
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    link.settimeout(_PATIENCE_SECONDS)
    try:
        link.connect(_control_path(run))
        return Connection(link, fresh=fresh)
    except (FileNotFoundError, ConnectionRefusedError):
        link.close()
        return None
    except OSError as error:
        link.close()
        raise WpodError(f"the network helper doesn't answer: {error.strerror or error}") from error
    except WpodError:  # it ended at this moment
        link.close()
        return None


def start(run: str, remains: Remains | None) -> Connection:
    """Start the holder, or take the one that another command has started meanwhile.

    Raises MissingProgram, NoNetworks, WpodError. In namespaces of its own, or in those that `remains` of a killed one.
    """
    programs.require("pasta")
    programs.require("nsenter")
    with _starting(run):
        running = connect(run)
        if running is not None:
            return running
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_control_path(run))
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)) as control:
            control.bind(_control_path(run))
            control.listen(_BACKLOG)
            _launch(control.fileno(), remains)
        started = connect(run, fresh=True)
        if started is None:
            raise WpodError("the network helper ended as soon as it was started")
        try:
            _give_pasta(run, started, _running_pasta(run, still_of_use=remains is not None))
        except BaseException:
            started.close()
            raise
    return started


def connect_with_world(run: str, running: Connection) -> None:
    """Start pasta where it was killed, or where the host had no way out before. Raises as `start`."""
    process = _running_pasta(run, still_of_use=True)
    if process is not None:
        os.close(process)
        return
    with _starting(run):
        _give_pasta(run, running, _running_pasta(run, still_of_use=True))


def _give_pasta(run: str, running: Connection, process: int | None) -> None:
    """Have pasta, the one of this pidfd or a new one, end with the holder.

    It takes the host's addresses and routes as they are when it starts, and refuses to start where there are none: a
    host without a network has containers that reach each other, and pasta when it has one again.
    """
    if process is None:
        if not host_routes.has_way_out():
            return
        process = _start_pasta(run, running.namespace)
    try:
        running.helper("pasta", process)
    finally:
        os.close(process)


def end_orphans(run: str) -> None:
    """Where the holder was killed and nobody is on a network any more, pasta is left: it would stay for ever."""
    if connect(run) is None:
        _running_pasta(run, still_of_use=False)


def _control_path(run: str) -> str:
    return f"{directory(run)}/control"


@contextlib.contextmanager
def _starting(run: str) -> Iterator[None]:
    """One at a time starts it."""
    lock = os.open(f"{directory(run)}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _launch(control: int, remains: Remains | None) -> None:
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        pairs = [("control-fd", str(control)), ("ready-fd", str(writer))]
        if remains is not None:
            pairs += [("user-namespace", remains.user_path), ("network-namespace", remains.network_path)]
        else:
            ids = user_namespace.id_map()
            pairs += [("uid-map", str(item)) for item in ids.users]
            pairs += [("gid-map", str(item)) for item in ids.groups]
        plan = launch_plan.to_descriptor(tuple(pairs))
        try:
            child = programs.start_detached(
                [paths.part("wpod-network"), "hold", str(plan)],
                environment={"PATH": programs.SEARCH_PATH},
                keep_descriptors=(control, writer, plan),
            )
        finally:
            os.close(plan)
            os.close(writer)
        told = os.read(reader, _READY_BYTES).decode(errors="replace")
        os.waitpid(child, 0)
    finally:
        os.close(reader)
    if not told.startswith("R"):
        reason = told.partition("\n")[2].strip() or "it ended before it was ready"
        raise NoNetworks(f"the network helper can't be started: {reason}")


def forwards_names() -> bool:
    """Whether the host asks a name server of its own loopback: pasta leads an address to it then.

    Not elsewhere: answers of the host's name servers would come from that address, whomever a container has asked.
    """
    try:
        with open("/etc/resolv.conf", encoding="utf-8", errors="replace") as file:
            return not etc_files.reachable(file.read(1 << 20))
    except OSError:
        return True


def _name_server_options() -> list[str]:
    return ["--dns-forward", etc_files.FORWARDED_NAME_SERVER] if forwards_names() else []


def _address_options() -> list[str]:
    """Without an IPv4 route of the host there is no IPv4, which an address would contradict."""
    if not host_routes.outward_address():
        return []
    return ["--address", _OWN_ADDRESS, "--netmask", _NETMASK, "--gateway", etc_files.FORWARDED_NAME_SERVER]


def _running_pasta(run: str, *, still_of_use: bool) -> int | None:
    """A pidfd of the pasta of the holder before this one, which outlives it where that was killed.

    Not `still_of_use`: it serves a namespace that nobody will use again, and is ended.
    """
    process = pidfd.open_noted(_pasta_file(run), _pasta_file(run))
    if process is None or still_of_use:
        return process
    pidfd.send(process, signal.SIGTERM)
    os.close(process)
    return None


def _pasta_file(run: str) -> str:
    return f"{directory(run)}/pasta.pid"


def _made_small() -> dict[str, str]:
    """What has pasta give back the 23 MB that its start fills with zeroes (rust/pasta-pages).

    ld.so separates libraries by these characters, and knows no way to write them.
    """
    library = paths.part("wpod-pasta-pages.so")
    return {} if set(library) & set(" :") else {"LD_PRELOAD": library}


def _start_pasta(run: str, namespace: NetworkNamespace) -> int:
    """One pasta connects the shared namespace with the world: no port of it, nothing of the host's loopback.

    The namespace has an address of its own, not the host's, as pasta would give it: so containers reach the host by its
    address, as any machine beside it does. Gives a pidfd.
    """
    pid_file = _pasta_file(run)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(pid_file)
    done = programs.run_to_background(
        ["pasta", "--quiet", "--config-net", "--no-map-gw", *_name_server_options(), *_address_options(),
         "-t", "none", "-u", "none", "-T", "none", "-U", "none",
         "--userns", namespace.user_path, "--netns", namespace.network_path, "--pid", pid_file],
        environment={"PATH": programs.SEARCH_PATH, **_made_small()},
    )  # fmt: skip
    if done.status != 0:
        hint = "is /dev/net/tun there and open to this user?" if "tun" in done.stderr.decode(errors="replace") else None
        raise NoNetworks(f"pasta can't be started: {done.complaint}", hint=hint)
    with open(pid_file, encoding="utf-8") as file:
        return os.pidfd_open(int(file.read()))
