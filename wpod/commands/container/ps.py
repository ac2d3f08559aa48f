"""wpod ps"""

from __future__ import annotations

from wpod import times
from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode, UsageError
from wpod.model import ids
from wpod.model.container import Container, Status
from wpod.queries import containers as queries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wpod.queries.limit_hit import Hit

_BILLION = 1_000_000_000
_COMMAND_SHOWN = 20
# Columns of the table, and the titles of every field that a template may name.
_COLUMNS = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
_HEADERS = {
    "ID": "CONTAINER ID", "Id": "CONTAINER ID", "Image": "IMAGE", "ImageID": "IMAGE ID", "Command": "COMMAND",
    "Created": "CREATED", "CreatedAt": "CREATED AT", "CreatedHuman": "CREATED", "RunningFor": "CREATED",
    "Status": "STATUS", "State": "STATE", "Ports": "PORTS", "Names": "NAMES", "Size": "SIZE", "Labels": "LABELS",
    "Mounts": "MOUNTS", "Networks": "NETWORKS", "Pid": "PID", "Pod": "POD ID", "PodName": "PODNAME",
    "AutoRemove": "AUTO REMOVE", "Exited": "EXITED", "ExitedAt": "EXITED AT", "ExitCode": "EXIT CODE",
    "StartedAt": "STARTED AT", "IsInfra": "IS INFRA", "Kind": "KIND", "Memory": "MEMORY",
    "MemoryLimitHit": "LIMIT HIT",
}  # fmt: skip


def execute(session: Session, options: Options, _arguments: tuple[str, ...]) -> int:
    """Table, template, JSON or IDs; running containers, oldest first, unless options say otherwise."""
    containers, problems = queries.listing(session.store)
    extras = _Extras(session, options, containers)
    status = _print(session, options, _chosen(session, options, containers, extras), extras)
    for problem in problems:
        session.output.error(problem.message, problem.hint)
    return int(ExitCode.FAILED) if problems else status


class _Extras:
    """What is looked up only where it is asked for: it takes time for each container."""

    def __init__(self, session: Session, options: Options, containers: list[Container]) -> None:
        self._session = session
        self.sized = options.flag("size")
        self.with_memory = options.flag("memory")
        self._totals: dict[str, int | None] | None = None
        named = options.text("format").replace(".MemoryLimitHit", "")
        self._asked = self.with_memory or ".Memory" in named or options.text("sort") == "memory"
        self._asked_for_hit = self.with_memory or named != options.text("format")
        self._running = [one.record.container_id for one in containers if one.observed.status is Status.RUNNING]

    def memory(self, container: Container) -> int | None:
        """Its memory in bytes; None where it can't be told or wasn't asked for, 0 for one that doesn't run."""
        if not self._asked:
            return None
        if self._totals is None:
            from wpod.sampling.once import samples_of

            found = samples_of(self._session.store, self._running)
            self._totals = {container_id: sample.memory.total for container_id, sample in found.items()}
        return self._totals.get(container.record.container_id, 0)

    def memory_text(self, container: Container) -> str:
        """As its column shows it."""
        if not self._asked:
            return ""
        from wpod.output import sizes

        memory = self.memory(container)
        return sizes.decimal(memory, digits=4) if memory is not None else "-"

    def limit_hit(self, container: Container) -> Hit | None:
        """The limit of memory that it has hit, in this run or an earlier one."""
        from wpod.queries.limit_hit import limit_hit

        return limit_hit(self._session.store.paths.container(container.record.container_id), container.observed)

    def limit_hit_text(self, container: Container) -> str:
        """As its column shows it: `cgroup 8MiB (anonymous 4.5MiB, file 3MiB, kernel 300KiB)`."""
        hit = self.limit_hit(container) if self._asked_for_hit else None
        return _hit_text(hit) if hit is not None else ""


def _print(session: Session, options: Options, chosen: list[Container], extras: _Extras) -> int:
    format_ = options.text("format")
    whole = options.flag("no-trunc")
    if format_:
        from wpod.output import template

        if template.wants_json(format_):
            return _print_json(session, chosen, extras)
    if options.flag("quiet") and not format_:
        for container in chosen:
            session.output.line(container.record.container_id if whole else ids.short(container.record.container_id))
        return ExitCode.SUCCESS
    rows = [_fields(session, container, whole, extras) for container in chosen]
    heading = not options.flag("noheading")
    if format_ and format_ != "table":
        session.output.text(template.rows(format_, rows, _HEADERS, heading=heading))
        return ExitCode.SUCCESS
    from wpod.output import tables

    wanted = (
        ("Size", extras.sized), ("Memory", extras.with_memory), ("MemoryLimitHit", extras.with_memory),
    )  # fmt: skip
    columns = (*_COLUMNS, *(column for column, is_wanted in wanted if is_wanted))
    titles = [_HEADERS[column] for column in columns]
    lines = [[str(row[column]) for column in columns] for row in rows]
    session.output.text(tables.table(titles, lines, heading=heading))
    return ExitCode.SUCCESS


def _chosen(session: Session, options: Options, newest_first: list[Container], extras: _Extras) -> list[Container]:
    last, latest = options.number("last"), options.flag("latest")
    if latest and options.given("last"):
        raise UsageError("last and latest are mutually exclusive")
    terms = options.values("filter", tuple)
    if terms:
        from wpod.queries.filters import container_filter

        fits = container_filter(session.store, terms)
        newest_first = [container for container in newest_first if fits(container)]
    everything = options.flag("all") or latest or last > 0 or any(key == "status" for key, _ in terms)
    if not everything:
        newest_first = [one for one in newest_first if one.observed.status is Status.RUNNING]
    if latest or last > 0:
        newest_first = newest_first[: 1 if latest else last]
    return _sorted(session, newest_first[::-1], options.text("sort"), extras)


def _sorted(session: Session, oldest_first: list[Container], column: str, extras: _Extras) -> list[Container]:
    """Stable: ties are in the order of creation."""
    keys = {
        "command": lambda one: " ".join(one.record.plan.arguments),
        "id": lambda one: one.record.container_id,
        "image": lambda one: one.record.image_name,
        "names": lambda one: one.record.name,
        "status": lambda one: one.observed.status.value,
    }
    if column == "size":
        from wpod.queries.sizes import container_size

        return sorted(oldest_first, key=lambda one: container_size(session.store, one.record).root_bytes)
    if column == "memory":
        return sorted(oldest_first, key=lambda one: extras.memory(one) or 0)
    return sorted(oldest_first, key=keys[column]) if column in keys else oldest_first


def _fields(session: Session, container: Container, whole: bool, extras: _Extras) -> dict[str, object]:
    record, state = container.record, container.observed.state
    command = " ".join(record.plan.arguments)
    if not whole and len(command) > _COMMAND_SHOWN:
        command = command[: _COMMAND_SHOWN - 3] + "..."
    status = status_text(container)
    ended = container.observed.status is Status.EXITED
    created = times.created_at(record.created_nanoseconds)
    since = times.since(record.created_nanoseconds)
    return {
        "ID": record.container_id if whole else ids.short(record.container_id), "Id": record.container_id,
        "Image": record.image_name, "ImageID": record.image_id if whole else ids.short(record.image_id),
        "Command": command, "Created": created, "CreatedAt": created, "CreatedHuman": since, "RunningFor": since,
        "Status": status, "State": status, "Ports": _ports(container), "Names": record.name,
        "Size": _size_text(session, container) if extras.sized else "", "Labels": dict(record.labels),
        "Mounts": [mount.target for mount in record.plan.mounts], "Networks": ",".join(_networks(container)),
        "Pid": _pid(container), "Pod": "", "PodName": "", "AutoRemove": record.remove, "Exited": ended,
        "ExitedAt": _seconds(state.finished_nanoseconds if ended and state else 0),
        "ExitCode": container.observed.exit_code, "StartedAt": _seconds(state.started_nanoseconds if state else 0),
        "IsInfra": False, "Kind": record.plan.kind.name.lower(),
        "Memory": extras.memory_text(container), "MemoryLimitHit": extras.limit_hit_text(container),
    }  # fmt: skip


def status_text(container: Container) -> str:
    """`Up 3 minutes ago`, `Exited (1) 2 hours ago`: uptime from the boot clock, which never jumps."""
    observed = container.observed
    if observed.status is Status.CREATED:
        return "Created"
    if observed.status is Status.UNKNOWN or observed.state is None:
        return "Unknown"
    if observed.status is Status.RUNNING:
        up = times.boot_nanoseconds() - observed.state.started_boottime if observed.state.started_boottime else 0
        return f"Up {times.ago(up)} ago"
    finished = observed.state.finished_nanoseconds
    return f"Exited ({observed.exit_code})" + (f" {times.since(finished)}" if finished else "")


def _size_text(session: Session, container: Container) -> str:
    from wpod.output import sizes
    from wpod.queries.sizes import container_size

    size = container_size(session.store, container.record)
    return f"{sizes.decimal(size.written_bytes)} (virtual {sizes.decimal(size.root_bytes)})"


def _print_json(session: Session, chosen: list[Container], extras: _Extras) -> int:
    from wpod.output import json

    documents = [_json(session, container, extras) for container in chosen]
    session.output.line(json.document(documents, json.PS_INDENT))
    return ExitCode.SUCCESS


def _json(session: Session, container: Container, extras: _Extras) -> dict[str, object]:
    from wpod.queries import limit_hit

    record, state = container.record, container.observed.state
    ended = container.observed.status is Status.EXITED
    size: dict[str, int] | None = None
    if extras.sized:
        from wpod.queries.sizes import container_size

        measured = container_size(session.store, record)
        size = {"rootFsSize": measured.root_bytes, "rwSize": measured.written_bytes}
    return {
        "AutoRemove": record.remove,
        "Command": list(record.plan.arguments),
        "CreatedAt": times.since(record.created_nanoseconds),
        "Exited": ended,
        "ExitedAt": _seconds(state.finished_nanoseconds if ended and state else 0),
        "ExitCode": container.observed.exit_code,
        "Id": record.container_id,
        "Image": record.image_name,
        "ImageID": record.image_id,
        "IsInfra": False,
        "Labels": dict(record.labels) or None,
        "Mounts": [mount.target for mount in record.plan.mounts],
        "Names": [record.name],
        "Namespaces": {},
        "Networks": _networks(container),
        "Pid": _pid(container),
        "Pod": "",
        "PodName": "",
        "Ports": _port_documents(container),
        "Size": size,
        "StartedAt": _seconds(state.started_nanoseconds if state else 0),
        "State": container.observed.status.value,
        "Status": status_text(container),
        "Created": record.created_nanoseconds // _BILLION,
        "Wpod": {
            "SchemaVersion": 1,
            "Kind": record.plan.kind.name.lower(),
            "MemoryLimitHit": limit_hit.document(extras.limit_hit(container)),
            **({"MemoryBytes": extras.memory(container)} if extras.with_memory else {}),
        },
    }


def _hit_text(hit: Hit) -> str:
    from wpod.output import sizes

    details = [f"{hit.guest_pages} pages"] if hit.guest_pages is not None else []
    if hit.parts:
        names = ("anonymous", "file", "kernel")
        details += [f"{name} {sizes.binary(part)}" for name, part in zip(names, hit.parts, strict=True)]
    shown = f"{hit.name} {sizes.binary(hit.state.limit_bytes)}" + (f" ({', '.join(details)})" if details else "")
    return shown if hit.this_run else f"earlier run: {shown}"


def _ports(container: Container) -> str:
    """Published ports, and exposed ones that are not; loaded only where there are some."""
    networking = container.record.plan.networking
    if not (networking.ports or networking.exposed):
        return ""
    from wpod.queries.networks import port_texts

    published = {(one.container_port, one.protocol) for one in networking.ports}
    inside = [f"{one.number}/{one.protocol.value}" for one in networking.exposed
              if (one.number, one.protocol) not in published]  # fmt: skip
    return ", ".join([*port_texts(networking.ports), *inside])


def _port_documents(container: Container) -> list[dict[str, object]] | None:
    ports = container.record.plan.networking.ports
    if not ports:
        return None
    from wpod.queries.networks import port_documents

    return port_documents(ports)


def _networks(container: Container) -> list[str]:
    return [one.network for one in container.record.plan.networking.attachments]


def _pid(container: Container) -> int:
    running = container.observed.status is Status.RUNNING and container.observed.state is not None
    return container.observed.state.pid if running and container.observed.state else 0


def _seconds(nanoseconds: int) -> int:
    """Unix seconds; never is Go's zero time, as podman prints it."""
    return nanoseconds // _BILLION if nanoseconds else -62135596800
