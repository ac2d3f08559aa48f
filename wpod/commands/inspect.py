"""wpod inspect, wpod container inspect, and what every inspect shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from wpod.commands.options import Options
from wpod.commands.session import Session, exit_code
from wpod.errors import ExitCode, NotThere, UsageError, WpodError
from wpod.output import json

Finder = Callable[[str], dict[str, object]]


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """A container, else an image, a volume or a network of that name; --type looks only among its own."""
    kind = options.text("type")
    if options.flag("latest") and kind not in ("all", "container"):
        raise UsageError("--latest means the container created last: --type must be container or all")
    if options.flag("size") and kind not in ("all", "container"):
        raise UsageError("--size is only there for containers")
    names = _with_latest(session, options, arguments)
    finders: dict[str, Finder] = {
        "container": _container_finder(session, options),
        "image": lambda name: image_document(session, name),
        "volume": lambda name: volume_document(session, name),
        "network": lambda name: network_document(session, name),
    }

    def find(name: str) -> dict[str, object]:
        for chosen in finders if kind == "all" else (kind,):
            try:
                return finders[chosen](name)
            except NotThere:
                if kind != "all":
                    raise
        raise NotThere(f'no such object: "{name}"')

    return print_found(session, options.text("format"), names, find)


def execute_container(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """Containers only."""
    names = _with_latest(session, options, arguments)
    return print_found(session, options.text("format"), names, _container_finder(session, options))


def print_found(session: Session, format_: str, names: Iterable[str], find: Finder) -> int:
    """An array (or a line each by a template) of what was found; then one error for each that wasn't."""
    found: list[dict[str, object]] = []
    failures: list[WpodError] = []
    for name in names:
        try:
            found.append(find(name))
        except WpodError as error:
            failures.append(error)
    if format_.strip() in ("", "json"):
        session.output.line(json.document(found, json.INSPECT_INDENT) if found else "[]")
    else:
        from wpod.output import template

        session.output.text(template.each(format_, found))
    for failure in failures:
        session.output.error(failure.message, failure.hint)
    return max((exit_code(failure) for failure in failures), default=int(ExitCode.SUCCESS))


def image_document(session: Session, name: str) -> dict[str, object]:
    """The object of `image inspect`; wpod's own part is what is known of the module."""
    from wpod.operations.precompile import describe_module
    from wpod.queries import images

    image = session.store.images.find(name)
    own = {
        "SchemaVersion": 1,
        "Platform": str(image.config.platform),
        "Module": describe_module(session.store, image),
    }
    return {**images.inspect(session.store, image), "Wpod": own}


def volume_document(session: Session, name: str) -> dict[str, object]:
    """The object of `volume inspect`."""
    from wpod.queries import volumes

    return volumes.document(session.store.volumes.get(name))


def network_document(session: Session, name: str) -> dict[str, object]:
    """The object of `network inspect`."""
    from wpod.queries import networks

    return networks.document(networks.find(session.store, name))


def _with_latest(session: Session, options: Options, arguments: tuple[str, ...]) -> list[str]:
    from wpod.queries import containers

    if not options.flag("latest"):
        return list(arguments)
    return [*arguments, containers.latest(session.store).record.container_id]


def _container_finder(session: Session, options: Options) -> Finder:
    def find(name: str) -> dict[str, object]:
        from wpod.queries import containers, inspect

        container = containers.find(session.store, name)
        found = inspect.container_document(session.store, container)
        if options.flag("size"):
            from wpod.queries.sizes import container_size

            size = container_size(session.store, container.record)
            found.update(SizeRw=size.written_bytes, SizeRootFs=size.root_bytes)
        return found

    return find
