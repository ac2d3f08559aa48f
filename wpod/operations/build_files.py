"""One COPY or ADD of a build: sources looked up, archives opened, owners found, a layer written."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import FileIO

from wpod.build.stages import CopyStep
from wpod.errors import InvalidImage, UsageError
from wpod.operations.build_context import Context, InContext, Match, Source, TreeSource
from wpod.operations.build_copy import CopyJob, LayerJob, Selected
from wpod.operations.build_stage import MissingDirectory
from wpod.plan.users import READ_LIMIT_BYTES, resolve_user
from wpod.storage.file_tree import FileTree, InLayer, LayerFile, Spool, directory_entry
from wpod.storage.layer_writer import WrittenLayer
from wpod.storage.layout import store_error
from wpod.storage.streams import LayerStream
from wpod.storage.tar import EntryKind, TarReader

_COPY_BYTES = 1 << 20


@dataclass(frozen=True)
class Place:
    """Where and when a build works: its staging directory and its context. `timestamp_seconds` as --timestamp."""

    directory: str
    context: Context
    now_nanoseconds: int
    timestamp_seconds: int | None
    warn: Callable[[str], None]
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def new_path(self, purpose: str) -> str:
        """The path of a file that isn't there yet."""
        return f"{self.directory}/{purpose}-{next(self._numbers)}"


@dataclass(frozen=True)
class FileJob:
    """One step for one stage's files; `missing` directories are made on the way."""

    tree: FileTree
    step: CopyStep
    source: Source
    missing: tuple[MissingDirectory, ...]


@dataclass(frozen=True)
class AddedFiles:
    """The layer, and in podman's words what was copied: `file`, `dir` or `multi`."""

    layer: WrittenLayer
    kind: str


def add_files(job: FileJob, place: Place, what: str) -> AddedFiles:
    """Change the tree and write what is new as a layer, which errors call `what`.

    Raises ValueError with the reason, UsageError for an unknown owner, InvalidImage, StoreError.
    """
    job.tree.layer += 1
    with spool(place) as taken:
        for missing in job.missing:
            _make_directory(job.tree, taken, missing, place)
        owner = _owner(job.tree, taken, job.step.chown) if job.step.chown else None
        selected = _select(job, place)
        CopyJob(job.tree, job.step, owner, place.now_nanoseconds).run(selected)
        layer = LayerJob(job.tree, place.context, taken, place.timestamp_seconds).run(place.new_path("layer"), what)
    kind = "multi" if len(selected) > 1 else ("dir" if selected[0].is_directory else "file")
    return AddedFiles(layer, kind)


@contextlib.contextmanager
def spool(place: Place) -> Iterator[Spool]:
    """A spool that is removed at the end."""
    made = Spool(place.new_path("spool"))
    try:
        yield made
    finally:
        made.close()


def _make_directory(tree: FileTree, taken: Spool, missing: MissingDirectory, place: Place) -> None:
    """A directory that WORKDIR promised; it belongs to USER, as in podman."""
    owner = (0, 0)
    if missing.user:
        with contextlib.suppress(UsageError):  # USER may name whom a later layer brings
            owner = _owner(tree, taken, missing.user)
    try:
        parts = tree.resolve(missing.path).parts
        tree.make_directories(parts, directory_entry(0o755, owner, place.now_nanoseconds))
    except ValueError as error:
        raise ValueError(f"the directory of WORKDIR in line {missing.instruction.line}: {error}") from None


def _owner(tree: FileTree, taken: Spool, text: str) -> tuple[int, int]:
    """--chown in the image's own passwd and group files; a number alone is the group as well, as in podman.

    Raises UsageError.
    """
    if text.isascii() and text.isdecimal():
        found = resolve_user(f"{text}:{text}", b"", b"")
    else:
        passwd, group = (read_file(tree, taken, path, READ_LIMIT_BYTES) for path in ("etc/passwd", "etc/group"))
        found = resolve_user(text, passwd, group)
    return found.user_id, found.group_id


def read_file(tree: FileTree, taken: Spool, path: str, limit_bytes: int) -> bytes:
    """A file of a tree, its first megabyte at most; b"" where there is none or it is larger than the limit."""
    try:
        node = tree.resolve(path).node
    except ValueError:
        return b""
    if node is None or node.kind is not EntryKind.FILE or node.entry.size > limit_bytes:
        return b""
    if not isinstance(node.content, InLayer):
        return b""
    taken.fetch([node.content])
    return taken.open(node.content).read(_COPY_BYTES)


def _select(job: FileJob, place: Place) -> list[Selected]:
    """What the sources fit, in their order; ADD's archives as what is in them. Raises ValueError."""
    selected = []
    for pattern in job.step.sources:
        for match in job.source.select(pattern):
            archive = _archive(match, place) if job.step.unpacks and not match.is_directory else None
            selected.append(archive or Selected(job.source, match))
    for name, data in job.step.files:
        selected.append(Selected(None, Match(name, "", False), data=data))
    return selected


def _archive(match: Match, place: Place) -> Selected | None:
    """What is in a file of the context that is a tar archive, compressed or not; None for any other file."""
    with place.context.open(InContext(match.path)) as file:
        if not _is_archive(file, match.name):
            return None
        file.seek(0)
        path = place.new_path("archive")
        _copy(file, path)  # the context may change until the layer is written
    tree = FileTree()
    tree.add_layer(LayerFile(path, match.name))
    top = tree.root.entry if tree.root.layer else None
    return Selected(TreeSource(tree, match.name, place.warn), Match("/", "/", True), unpacked=True, top=top)


def _is_archive(file: FileIO, what: str) -> bool:
    try:
        return next(iter(TarReader(LayerStream(file, what), what)), None) is not None
    except InvalidImage:
        return False


def _copy(source: FileIO, path: str) -> None:
    try:
        with open(path, "xb") as target:
            while chunk := source.read(_COPY_BYTES):
                target.write(chunk)
    except OSError as error:
        raise store_error(error, path) from error
