"""wpod port"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode, NotThere, UsageError
from wpod.model import ids
from wpod.model.container import Container, Status
from wpod.model.network import PublishedPort
from wpod.queries.networks import lost_clients, published_at


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """`PORT/PROTOCOL -> ADDRESS:PORT` lines; of one port only where it leads from (podman-port(1))."""
    from wpod.queries import containers as queries

    if options.flag("all"):
        if arguments:
            raise UsageError("--all takes no container")
        running = [one for one in queries.all_containers(session.store) if one.observed.status is Status.RUNNING]
        for container in running:
            for port in container.record.plan.networking.ports:
                session.output.line(f"{ids.short(container.record.container_id)}\t{_line(port)}")
            _tell_of_clients(session, container)
        return ExitCode.SUCCESS
    if options.flag("latest"):
        container, wanted = queries.latest(session.store), arguments
    else:
        container, wanted = queries.find(session.store, arguments[0]), arguments[1:]
    if len(wanted) > 1:
        raise UsageError("one port at most can be asked for")
    ports = container.record.plan.networking.ports
    if not wanted:
        for port in ports:
            session.output.line(_line(port))
        _tell_of_clients(session, container)
        return ExitCode.SUCCESS
    for port in _matching(container, wanted[0]):
        session.output.line(published_at(port))
    _tell_of_clients(session, container)
    return ExitCode.SUCCESS


def _tell_of_clients(session: Session, container: Container) -> None:
    """Beside the data: whose addresses the container doesn't see."""
    if container.record.plan.networking.ports and (words := lost_clients(session.store, container.record)):
        session.output.talk(f"note: {words}")


def _matching(container: Container, text: str) -> list[PublishedPort]:
    number, _, protocol = text.partition("/")
    if not (number.isascii() and number.isdigit()) or protocol not in ("", "tcp", "udp"):
        raise UsageError(f"{text!r:.80} is not PORT or PORT/PROTOCOL")
    found = [
        port
        for port in container.record.plan.networking.ports
        if (port.container_port, port.protocol.value) == (int(number), protocol or "tcp")
    ]
    if not found:
        raise NotThere(f"failed to find published port {text!r}", code=ExitCode.FAILED)
    return found


def _line(port: PublishedPort) -> str:
    return f"{port.container_port}/{port.protocol.value} -> {published_at(port)}"
