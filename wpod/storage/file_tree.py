"""What files an image has, told from its layers' headers alone: nothing is unpacked.

`build` needs to know where a destination really is (an image's `/lib` may be a link to `usr/lib`), who is in
its passwd file, and what COPY --from copies, with the owners that the image gives, whoever runs wpod. A tree
in memory answers that, made as `layers.LayerApplier` would make it on disk; links are resolved in it and can
lead nowhere else. The content of a file stays in its layer and is taken from there when it is wanted.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import FileIO

from wpod.errors import InvalidImage
from wpod.storage.layout import store_error
from wpod.storage.streams import LayerStream, Readable
from wpod.storage.tar import EntryKind, TarEntry, TarReader
from wpod.storage.unpack import check_diff_id, open_blob

WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_MOST_LINKS = 255  # as many as the kernel follows at most, and more
MAX_ENTRIES = 1_000_000  # about 1 GB of memory
_COPY_BYTES = 1 << 20


@dataclass(frozen=True)
class LayerFile:
    """An archive: its file, and how errors call it. `diff_id` is what it must unpack to.

    With "" it is no layer but any archive, in which no name means that another one is hidden. `module`: it is
    no archive at all but one raw file of this name.
    """

    path: str
    what: str
    diff_id: str = ""
    module: str = ""


@dataclass(frozen=True)
class InLayer:
    """Content that lies in an archive, as its entry of this number."""

    layer: LayerFile
    number: int


class Node:
    """One file; hard links are one node under several names. `content` is whatever says where its bytes are.

    `layer` numbers the layer that brought it; metadata as in TarEntry.
    """

    __slots__ = ("children", "content", "entry", "layer")

    def __init__(self, entry: TarEntry, content: object, layer: int) -> None:
        self.entry = entry
        self.content = content
        self.layer = layer
        self.children: dict[str, Node] = {}

    @property
    def kind(self) -> EntryKind:
        return self.entry.kind

    @property
    def is_directory(self) -> bool:
        return self.entry.kind is EntryKind.DIRECTORY


@dataclass(frozen=True)
class Found:
    """Where a path leads: the names from the root with all links resolved, and what is there, if anything is."""

    parts: tuple[str, ...]
    node: Node | None

    @property
    def path(self) -> str:
        return "/" + "/".join(self.parts)


def directory_entry(mode: int, owner: tuple[int, int], modified_nanoseconds: int) -> TarEntry:
    """A directory's metadata; the name is given when it is written."""
    return TarEntry("", EntryKind.DIRECTORY, mode, owner[0], owner[1], 0, modified_nanoseconds)


@dataclass
class FileTree:
    """The files of a stage or an image. `layer` is the number of the layer that changes belong to."""

    root: Node = field(default_factory=lambda: Node(directory_entry(0o755, (0, 0), 0), None, 0))
    layer: int = 0
    entries: int = 0

    def clone(self) -> FileTree:
        """A tree that can be changed without changing this one; hard links stay links."""
        copies: dict[int, Node] = {}

        def copied(node: Node) -> Node:
            found = copies.get(id(node))
            if found is None:
                found = copies[id(node)] = Node(node.entry, node.content, node.layer)
                waiting.append((node, found))
            return found

        waiting: list[tuple[Node, Node]] = []
        root = copied(self.root)
        while waiting:
            old, new = waiting.pop()
            new.children = {name: copied(child) for name, child in old.children.items()}
        return FileTree(root, self.layer, self.entries)

    def resolve(self, path: str, *, follow: bool = True) -> Found:
        """Where a path leads; what doesn't exist is taken as it is written. `..` ends at the root.

        Without `follow` a link in the last place is what is found. Raises ValueError for links in a circle
        and for a file in the place of a directory.
        """
        waiting = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        above: list[tuple[str, Node | None]] = []
        links = 0
        while waiting:
            part = waiting.pop()
            if part == "..":
                del above[-1:]
                continue
            here = above[-1][1] if above else self.root
            node = None
            if here is not None:
                if not here.is_directory:
                    raise ValueError(f"{'/' + '/'.join(name for name, _ in above)} is not a directory")
                node = here.children.get(part)
            if node is not None and node.kind is EntryKind.SYMLINK and (waiting or follow):
                links += 1
                if links > _MOST_LINKS:
                    raise ValueError(f"{path[:200]}: too many levels of symbolic links")
                if node.entry.target.startswith("/"):
                    above = []
                waiting += [one for one in reversed(node.entry.target.split("/")) if one not in ("", ".")]
                continue
            above.append((part, node))
        return Found(tuple(name for name, _ in above), above[-1][1] if above else self.root)

    def make_directories(self, parts: Iterable[str], entry: TarEntry) -> Node:
        """The directory with these real names; what is missing of it gets this metadata.

        Raises ValueError for a file in the way.
        """
        here = self.root
        for part in parts:
            below = here.children.get(part)
            if below is None:
                below = self.place(here, part, Node(entry, None, self.layer))
            elif not below.is_directory:
                raise ValueError(f"{part[:200]} is not a directory")
            here = below
        return here

    def place(self, parent: Node, name: str, node: Node) -> Node:
        """Put a node into a directory; a directory put upon one keeps what is in it. Returns what is there then."""
        if name.startswith(WHITEOUT):
            raise ValueError(f"a file can't be called {name[:100]!r}: in a layer that hides another one")
        self.entries += 1
        if self.entries > MAX_ENTRIES:
            raise ValueError(f"more than {MAX_ENTRIES} files")
        present = parent.children.get(name)
        if present is not None and present.is_directory and node.is_directory:
            present.entry, present.layer = node.entry, node.layer
            return present
        parent.children[name] = node
        return node

    def add_layer(self, layer: LayerFile) -> None:
        """Apply a layer's headers. Raises InvalidImage, DigestMismatch, StoreError."""
        self.layer += 1
        if layer.module:
            try:
                size = os.path.getsize(layer.path)
            except OSError as error:
                raise store_error(error, layer.path, "read") from error
            entry = TarEntry(layer.module, EntryKind.FILE, 0o755, 0, 0, size, 0)
            self.place(self.root, layer.module, Node(entry, InLayer(layer, 0), self.layer))
            return
        with open_blob(layer.path) as blob:
            stream = LayerStream(blob, layer.what)
            for number, entry in enumerate(TarReader(stream, layer.what)):
                try:
                    self._apply(entry, InLayer(layer, number))
                except ValueError as error:
                    raise InvalidImage(f"{layer.what}: {entry.name[:200]}: {error}") from None
            if layer.diff_id:
                check_diff_id(stream, layer.diff_id, layer.what)

    def _apply(self, entry: TarEntry, content: InLayer) -> None:
        parts = [part for part in entry.name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise ValueError("the name leads out of the image")
        if not parts:
            if entry.kind is not EntryKind.DIRECTORY:
                raise ValueError("the root is not a directory")
            self.root.entry, self.root.layer = entry, self.layer
            return
        if parts[-1].startswith(WHITEOUT) and content.layer.diff_id:
            self._whiteout(parts)
            return
        parent = self._parent(parts[:-1])
        if entry.kind is EntryKind.HARD_LINK:
            target = self.resolve(entry.target, follow=False).node
            if target is None or target.is_directory:
                raise ValueError(f"a hard link to {entry.target[:200]}, which is no file of the image")
            self.place(parent, parts[-1], target)
            return
        self.place(parent, parts[-1], Node(entry, content, self.layer))

    def _parent(self, parts: list[str]) -> Node:
        real = self.resolve("/".join(parts)).parts
        return self.make_directories(real, directory_entry(0o755, (0, 0), 0))

    def _whiteout(self, parts: list[str]) -> None:
        parent = self.resolve("/".join(parts[:-1])).node
        hidden = parts[-1].removeprefix(WHITEOUT)
        if parent is None or not parent.is_directory:
            return
        if parts[-1] == _OPAQUE:
            self._empty(parent)
        elif not hidden.startswith(WHITEOUT):
            node = parent.children.get(hidden)
            if node is not None and node.layer != self.layer:
                del parent.children[hidden]

    def _empty(self, directory: Node) -> None:
        """Remove what lower layers brought, keep what this layer did."""
        waiting = [directory]
        while waiting:
            here = waiting.pop()
            here.children = {name: node for name, node in here.children.items() if node.layer == self.layer}
            waiting += [node for node in here.children.values() if node.is_directory]


def walk(top: Node) -> Iterator[tuple[str, Node]]:
    """Everything below a directory, names relative to it and sorted, a directory before what is in it."""
    waiting = [(name, node) for name, node in sorted(top.children.items(), reverse=True)]
    while waiting:
        path, node = waiting.pop()
        yield path, node
        waiting += [(f"{path}/{name}", child) for name, child in sorted(node.children.items(), reverse=True)]


class Spool:
    """Takes files out of their archives, each archive read once, into one file that has no names in it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._places: dict[InLayer, tuple[int, int]] = {}
        self._size = 0
        try:
            self._file = FileIO(path, "x+")
        except OSError as error:
            raise store_error(error, path) from error

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
        os.unlink(self._path)

    def fetch(self, wanted: Iterable[InLayer]) -> None:
        """Take these out. Raises InvalidImage, StoreError."""
        by_layer: dict[LayerFile, set[int]] = {}
        for one in wanted:
            by_layer.setdefault(one.layer, set()).add(one.number)
        for layer, numbers in by_layer.items():
            with open_blob(layer.path) as blob:
                if layer.module:
                    self._take(InLayer(layer, 0), blob)
                    continue
                archive = TarReader(LayerStream(blob, layer.what), layer.what)
                last = max(numbers)
                for number, _ in enumerate(archive):
                    if number in numbers:
                        self._take(InLayer(layer, number), archive)
                    if number == last:
                        break

    def _take(self, what: InLayer, source: Readable) -> None:
        start = self._size
        try:
            while chunk := source.read(_COPY_BYTES):
                view = memoryview(chunk)
                while view:
                    view = view[self._file.write(view) :]
                self._size += len(chunk)
        except OSError as error:
            raise store_error(error, self._path) from error
        self._places[what] = (start, self._size - start)

    def open(self, what: InLayer) -> Readable:
        """The content, to be read before the next one is opened."""
        start, size = self._places[what]
        self._file.seek(start)
        return _Part(self._file, size)


class _Part:
    def __init__(self, file: FileIO, size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int, /) -> bytes:
        data = self._file.read(min(size, self._left)) or b""
        self._left -= len(data)
        return data
