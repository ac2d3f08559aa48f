"""Check the store, and mend it (podman-system-check(1)).

Two kinds of findings: damage, and leftovers of killed commands, which the next writing command removes by itself.
Every finding knows how it is mended, if it can be; one with `force` loses something (an image's containers, a
container) and waits for --force. What is mended is mended for good: a second run finds nothing more to do.

While looking, the lease keeps sweeps away; mending wants the store for itself. A directory of the store that
is a symbolic link is never entered.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator

from wpod.errors import InUse, NotThere, StoreError, WpodError
from wpod.frozen import frozen
from wpod.state import salvage
from wpod.storage.store import Store

_PATIENCE_SECONDS = 2.0
TYPE_CHECKING = False
if TYPE_CHECKING:
    from wpod.model.container import ContainerRecord
    from wpod.model.image import Image

    Mend = Callable[[], str]


@frozen
class CheckOptions:
    """`quick`: sizes instead of digests. `force` with `repair`: also what loses something."""

    quick: bool = False
    repair: bool = False
    force: bool = False


@frozen
class Finding:
    """One thing that is wrong, in words. `mend` says what it did; None where nothing can be done."""

    text: str
    mend: Mend | None = None
    force: bool = False
    leftover: bool = False


@frozen
class Report:
    """One line per finding, and whether damage stays behind."""

    lines: tuple[str, ...]
    damaged: bool


def check(store: Store, options: CheckOptions) -> Report:
    """Look at everything; repair where asked. Raises InUse where the store can't be had alone for a repair."""
    if not os.path.isdir(store.paths.root):
        return Report((), False)
    lines: list[str] = []
    damaged = False
    with _held(store, options):
        for look in _LOOKS:
            for finding in look(store, options):
                line, whole = _handle(finding, options)
                lines.append(line)
                damaged = damaged or not (whole or finding.leftover)
            if look is _database and damaged and options.repair and salvage.problems(store.database):
                # Nothing is removed for want of a record while the records can't be trusted.
                options = CheckOptions(quick=options.quick)
    return Report(tuple(lines), damaged)


@contextlib.contextmanager
def _held(store: Store, options: CheckOptions) -> Iterator[None]:
    if options.repair:
        with store.layout.sole_lease(_PATIENCE_SECONDS) as alone:
            if not alone:
                raise InUse("the store is in use by another command", hint="repair it when that has ended", code=125)
            yield
    elif os.access(store.paths.root, os.W_OK) and os.path.exists(store.layout.lock_file):
        with store.lease():
            yield
    else:
        yield  # a store that can't be written isn't swept either


def _handle(finding: Finding, options: CheckOptions) -> tuple[str, bool]:
    """The line, and whether the damage is gone."""
    if not options.repair or finding.mend is None:
        return finding.text, False
    if finding.force and not options.force:
        return f"{finding.text}: left as it is without --force", False
    try:
        return f"{finding.text}: {finding.mend()}", True
    except WpodError as error:
        return f"{finding.text}: repair failed: {error.message}", False
    except OSError as error:
        return f"{finding.text}: repair failed: {error.strerror}", False


def _directories(store: Store, _options: CheckOptions) -> Iterator[Finding]:
    """The store's own directories: the later looks enter only those that are real ones."""
    paths = store.paths
    for path in (paths.content, f"{paths.content}/blobs", store.layout.blobs, paths.unpacked, paths.aot,
                 paths.containers, paths.volumes, paths.temporary):  # fmt: skip
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            if os.path.lexists(f"{paths.content}/index.json"):
                yield Finding(f"{path} is missing", _making(path))
        else:
            if not stat.S_ISDIR(mode):
                yield Finding(f"{path} is not a directory of the store: not looked into")


def _making(path: str) -> Mend:
    def make() -> str:
        os.mkdir(path, 0o700)
        return "made"

    return make


def enterable(path: str) -> bool:
    """Whether a directory of the store is there and really is one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _database(store: Store, options: CheckOptions) -> Iterator[Finding]:
    found = salvage.problems(store.database)
    if not found:
        return

    def mend() -> str:
        if salvage.mend(store.database):
            return "indexes made anew"
        if not options.force:
            raise WpodError("its indexes made anew don't help; --force replaces it by what can be read of it")
        from wpod.operations.check_containers import recover_containers, recover_volumes
        from wpod.operations.check_content import recover_images

        kept = salvage.salvage(store.database)
        images, volumes, lost = recover_images(store), recover_volumes(store), recover_containers(store)
        return (
            f"replaced by what could be read of it (found again without a record: images {images}, volumes {volumes};"
            f" lost containers {lost}, whose files are in {store.paths.root}/lost); {kept} is the old one"
        )

    yield Finding(f"{store.database.path} is damaged: {'; '.join(found)}", mend)


def _records(store: Store, _options: CheckOptions) -> Iterator[Finding]:
    """Rows that can't be understood make every listing fail."""
    for digest in _known(store.images.digests):
        try:
            store.images.get(digest)
        except StoreError as error:
            yield Finding(error.message, _rewriting(store, digest))
    for container_id in sorted(_known(store.containers.ids)):
        try:
            store.containers.find(container_id)
        except StoreError as error:
            yield Finding(error.message, _forgetting(store, container_id), force=True)
    for name in _known(store.networks.names):
        try:
            store.networks.find(name)
        except StoreError as error:
            yield Finding(error.message, _forgetting_network(store, name), force=True)


def _known(listed: Callable[[], Iterable[str]]) -> Iterable[str]:
    try:
        return listed()
    except StoreError:
        return ()  # the database itself was found damaged


def _rewriting(store: Store, digest: str) -> Mend:
    def mend() -> str:
        from wpod.operations.check_content import recover_image

        if recover_image(store, digest):
            return "made anew from the image's manifest"
        store.images.discard(digest)
        return "the record was removed; pull the image again"

    return mend


def _forgetting(store: Store, container_id: str) -> Mend:
    def mend() -> str:
        store.containers.delete(container_id)
        return "the container was removed"

    return mend


def _forgetting_network(store: Store, name: str) -> Mend:
    def mend() -> str:
        users = {lease.container_id for lease in store.networks.leases() if lease.network == name}
        store.networks.release(users, name)
        store.networks.delete(name)
        return "the network was removed"

    return mend


def readable_images(store: Store) -> list[Image]:
    """The images whose records can be read."""
    found = []
    for digest in _known(store.images.digests):
        with contextlib.suppress(StoreError, NotThere):
            found.append(store.images.get(digest))
    return found


def readable_containers(store: Store) -> list[ContainerRecord]:
    """The containers whose records can be read, by ID."""
    found = []
    for container_id in sorted(_known(store.containers.ids)):
        with contextlib.suppress(StoreError, NotThere):
            found.append(store.containers.find(container_id))
    return found


def _content(store: Store, options: CheckOptions) -> Iterator[Finding]:
    from wpod.operations import check_content

    yield from check_content.findings(store, options)


def _containers(store: Store, options: CheckOptions) -> Iterator[Finding]:
    from wpod.operations import check_containers

    yield from check_containers.findings(store, options)


_LOOKS: tuple[Callable[[Store, CheckOptions], Iterator[Finding]], ...] = (
    _directories, _database, _records, _content, _containers,
)  # fmt: skip
