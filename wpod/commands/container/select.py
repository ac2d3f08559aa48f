"""Which containers a command means: arguments, --all, --latest, --cidfile, --filter."""

from __future__ import annotations

from collections.abc import Callable

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import StoreError, WpodError
from wpod.frozen import frozen
from wpod.model.container import Container
from wpod.queries import containers as queries

_CIDFILE_LIMIT_BYTES = 4096


@frozen
class Selector:
    """Which of the selecting options a command has, and what --all means for it."""

    cidfile: bool = False
    filter: bool = False
    all_name: str = "all"
    everything: Callable[[Container], bool] = lambda _container: True


def selected(session: Session, options: Options, arguments: tuple[str, ...], selector: Selector) -> tuple[str, ...]:
    """Names or IDs as the user typed them, else full IDs. Raises WpodError for --latest of nothing."""
    chosen = list(arguments)
    if options.flag("latest"):
        chosen.append(queries.latest(session.store).record.container_id)
    if selector.cidfile:
        chosen += [_read_cidfile(path) for path in options.texts("cidfile")]
    terms = options.values("filter", tuple) if selector.filter else ()
    if (selector.all_name and options.flag(selector.all_name)) or (terms and not chosen):
        from wpod.queries.filters import container_filter

        fits = container_filter(session.store, terms)
        chosen += [
            container.record.container_id
            for container in queries.all_containers(session.store)
            if selector.everything(container) and fits(container)
        ]
    return tuple(chosen)


def _read_cidfile(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(_CIDFILE_LIMIT_BYTES).decode("ascii").strip()
    except OSError as error:
        raise StoreError(f"container id file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WpodError(f"container id file {path} holds no container ID") from None
