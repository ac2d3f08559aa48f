"""wpod completion, and the names that complete a command line."""

from __future__ import annotations

import signal

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode, UsageError, WpodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from wpod.storage.store import Store

SHELLS = ("bash", "fish", "zsh")
_LEAST_ID_PREFIX = 2


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """Print a shell's script, or write it to the --file."""
    from wpod.commands import completion_scripts

    if arguments[0] not in SHELLS:
        raise UsageError(f"unknown shell {arguments[0]!r}: must be bash, fish or zsh")
    script = completion_scripts.SCRIPTS[arguments[0]]
    path = options.text("file")
    if not path:
        session.output.text(script)
        return ExitCode.SUCCESS
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(script)
    except OSError as error:
        raise WpodError(f"{path} can't be written: {error.strerror}") from None
    return ExitCode.SUCCESS


def names(kind: str, typed: str, root: str = "") -> list[tuple[str, str]]:
    """Names of this kind (`wpod.cli.table.Completes`) with a few words about each; none for another kind.

    A store that can't be read has no names: a word at the prompt is no place for an error.
    """
    from wpod.storage.store import open_store

    if kind == "signals":
        return [(name, "") for name in _signals(typed)]
    fixed = [(mode, "") for mode in ("none", "host", "bridge")] if kind == "network-modes" else []
    try:
        store = open_store(root or None)
        try:
            return fixed + list(_of_store(store, kind, typed))
        finally:
            store.database.close()
    except (WpodError, OSError):
        return fixed


def _of_store(store: Store, kind: str, typed: str) -> Iterator[tuple[str, str]]:
    if kind in ("containers", "running-containers", "objects"):
        yield from _containers(store, typed, running=kind.startswith("running"))
    if kind in ("images", "objects"):
        yield from _images(store, typed)
    if kind in ("networks", "network-modes", "objects"):
        from wpod.queries.networks import selected

        yield from ((network.name, "network") for network in selected(store, ())[0])
    if kind in ("volumes", "objects"):
        yield from ((volume.name, "volume") for volume in store.volumes.all())
    if kind == "sources":
        yield from ((f"{volume.name}:", "volume") for volume in store.volumes.all())


def _containers(store: Store, typed: str, *, running: bool) -> Iterator[tuple[str, str]]:
    """Names; IDs only where the beginning of one was typed, for nobody chooses among IDs."""
    from wpod.model import ids
    from wpod.model.container import Status
    from wpod.queries import containers as queries

    for container in queries.all_containers(store):
        if running and container.observed.status is not Status.RUNNING:
            continue
        about = f"{container.observed.status.value}, {container.record.image_name}"
        yield container.record.name, about
        if len(typed) >= _LEAST_ID_PREFIX and container.record.container_id.startswith(typed):
            short = ids.short(container.record.container_id)
            yield (short if len(typed) <= len(short) else container.record.container_id), about


def _images(store: Store, typed: str) -> Iterator[tuple[str, str]]:
    """Full names, and the ends of them that `run` takes too where such an end is being typed."""
    from wpod.model import ids

    for image in store.images.all():
        about = f"image {ids.short(image.image_id)}"
        for name in image.names:
            yield name, about
            rest = name
            while typed and "/" in rest and not name.startswith(typed):
                rest = rest.partition("/")[2]
                yield rest, about
        if len(typed) >= _LEAST_ID_PREFIX and image.image_id.startswith(typed):
            yield ids.short(image.image_id), " ".join(image.names)


def _signals(typed: str) -> list[str]:
    """As typed: with or without SIG."""
    found = [one.name for one in sorted(signal.valid_signals()) if isinstance(one, signal.Signals)]
    with_prefix = typed == "SI" or typed.startswith("SIG")
    return found if with_prefix else [name.removeprefix("SIG") for name in found]
