"""COPY and ADD: from sources to the files of a stage, and from what changed there to one layer.

A layer's entries have the real paths of their files: where the base image has a link in place of a directory
(`/lib` to `usr/lib`), the files go where it leads, and the link stays. Directories above new files are written
into the layer with the owner and mode that they have, for readers that make missing ones anew.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from wpod.build.stages import CopyStep
from wpod.operations.build_context import Context, InContext, Item, Match, Source
from wpod.storage.file_tree import FileTree, InLayer, LayerFile, Node, Spool, directory_entry, walk
from wpod.storage.layer_writer import LayerWriter, WrittenLayer
from wpod.storage.streams import Readable
from wpod.storage.tar import EntryKind, TarEntry

_HEREDOC_MODE = 0o644


@dataclass(frozen=True)
class Literal:
    """Content that stood in the Containerfile."""

    data: bytes


@dataclass(frozen=True)
class Selected:
    """One thing to copy: a file or directory of a source, or without one a here-document.

    `unpacked`: an archive, whose owners and modes stay; `top` is what it says of its own root.
    """

    source: Source | None
    match: Match
    unpacked: bool = False
    top: TarEntry | None = None
    data: bytes = b""

    @property
    def is_directory(self) -> bool:
        return self.match.is_directory

    @property
    def name(self) -> str:
        """What the copy of a file is called in a directory."""
        return posixpath.basename(self.match.name)

    def items(self, now_nanoseconds: int) -> Iterator[Item]:
        """What has to be placed."""
        if self.source is not None:
            yield from self.source.items(self.match)
            return
        entry = TarEntry("", EntryKind.FILE, _HEREDOC_MODE, 0, 0, len(self.data), now_nanoseconds)
        yield Item("", entry, Literal(self.data))


@dataclass(frozen=True)
class CopyJob:
    """One step on one stage's files. `owner` None: what the source says (0:0 for the context)."""

    tree: FileTree
    step: CopyStep
    owner: tuple[int, int] | None
    now_nanoseconds: int

    def run(self, selected: list[Selected]) -> None:
        """Place everything. Raises ValueError with the reason."""
        into_directory = (
            self.step.destination.endswith("/") or len(selected) > 1 or any(one.is_directory for one in selected)
        )
        found = self.tree.resolve(self.step.destination)
        if found.node is not None and found.node.is_directory:
            into_directory = True
        elif found.node is not None and into_directory:
            raise ValueError(f"destination {found.path} exists and is not a directory")
        if into_directory:
            parts = found.parts
            directory = self._directory(parts)
            for one in selected:
                if one.top is not None:
                    directory.entry, directory.layer = one.top, self.tree.layer
                self._place(one, parts, "" if one.is_directory else one.name)
            return
        above, _, name = self.step.destination.rpartition("/")
        parts = self.tree.resolve(above).parts
        self._directory(parts)
        self._place(selected[0], parts, name)

    def _directory(self, parts: tuple[str, ...]) -> Node:
        return self.tree.make_directories(parts, directory_entry(0o755, self.owner or (0, 0), self.now_nanoseconds))

    def _place(self, one: Selected, parts: tuple[str, ...], name: str) -> None:
        """Below the directory with these real names; a single file under this name."""
        known: dict[str, tuple[str, ...]] = {"": parts}
        linked: dict[object, Node] = {}
        for item in one.items(self.now_nanoseconds):
            above, _, last = (item.path or name).rpartition("/")
            real = known.get(above)
            if real is None:
                real = known[above] = self.tree.resolve("/".join((*parts, above))).parts
            directory = self._directory(real)
            node = linked.get(item.identity) if item.identity is not None else None
            if node is None:
                node = Node(self._adjusted(item.entry, one.unpacked), item.content, self.tree.layer)
            if item.identity is not None:
                linked[item.identity] = node
            if node.is_directory:
                known[item.path] = self._merge(directory, (*real, last), node)
            else:
                self.tree.place(directory, last, node)

    def _merge(self, directory: Node, parts: tuple[str, ...], node: Node) -> tuple[str, ...]:
        """Put a directory there, or into the directory that a link there leads to; returns its real names."""
        present = directory.children.get(parts[-1])
        if present is not None and present.kind is EntryKind.SYMLINK:
            found = self.tree.resolve("/".join(parts))
            if found.node is not None and found.node.is_directory:
                return found.parts
        self.tree.place(directory, parts[-1], node)
        return parts

    def _adjusted(self, entry: TarEntry, unpacked: bool) -> TarEntry:
        mode, owner = entry.mode, (entry.user_id, entry.group_id)
        if not unpacked:
            owner = self.owner or owner
            if self.step.mode is not None and entry.kind is not EntryKind.SYMLINK:
                mode = self.step.mode
        return TarEntry(
            "", entry.kind, mode, *owner, entry.size, entry.modified_nanoseconds, entry.target, (0, 0), entry.xattrs
        )


@dataclass(frozen=True)
class LayerJob:
    """Writes what has changed in a tree. `timestamp_seconds` None keeps the files' times."""

    tree: FileTree
    context: Context
    spool: Spool
    timestamp_seconds: int | None

    def run(self, path: str, what: str) -> WrittenLayer:
        """The layer, as a new file; the tree's new files have their content in it then.

        Raises ValueError for a file that can't be read any more, InvalidImage, StoreError.
        """
        changed = self._changed()
        self.spool.fetch(node.content for _, node in changed if isinstance(node.content, InLayer) and self._new(node))
        writer = LayerWriter(path)
        written: dict[int, tuple[str, int]] = {}
        try:
            if self._new(self.tree.root):
                writer.add(self._entry(self.tree.root.entry, "./"))
            for name, node in changed:
                first = written.get(id(node))
                if first is not None:
                    writer.add(_hard_link(self._entry(node.entry, name), first[0]))
                    continue
                if node.kind is EntryKind.FILE:
                    written[id(node)] = (name, writer.entries)
                self._write(writer, name, node)
            layer = writer.finish()
        finally:
            writer.close()
        file = LayerFile(path, what, layer.diff_id)
        for _, node in changed:
            if id(node) in written:
                node.content = InLayer(file, written[id(node)][1])
        return layer

    def _new(self, node: Node) -> bool:
        return node.layer == self.tree.layer

    def _changed(self) -> list[tuple[str, Node]]:
        """What is new, and the directories above it, in the order of their names."""
        everything = list(walk(self.tree.root))
        wanted: set[str] = set()
        for new in (path for path, node in everything if self._new(node)):
            path = new
            while path and path not in wanted:
                wanted.add(path)
                path = path.rpartition("/")[0]
        return [(path, node) for path, node in everything if path in wanted]

    def _entry(self, entry: TarEntry, name: str) -> TarEntry:
        stamp = self.timestamp_seconds
        modified = entry.modified_nanoseconds if stamp is None else stamp * 1_000_000_000
        return TarEntry(
            name, entry.kind, entry.mode, entry.user_id, entry.group_id, entry.size, modified, entry.target, (0, 0),
            entry.xattrs,
        )  # fmt: skip

    def _write(self, writer: LayerWriter, name: str, node: Node) -> None:
        entry = self._entry(node.entry, f"{name}/" if node.is_directory else name)
        if node.kind is not EntryKind.FILE:
            writer.add(entry)
        elif isinstance(node.content, InContext):
            with self.context.open(node.content) as stream:
                try:
                    writer.add(entry, stream)
                except OSError as error:
                    raise ValueError(f"{node.content.path[:200]} can't be read: {error.strerror}") from None
        else:
            writer.add(entry, self._archived(node.content))

    def _archived(self, content: object) -> Readable:
        from io import BytesIO

        if isinstance(content, Literal):
            return BytesIO(content.data)
        if not isinstance(content, InLayer):
            raise ValueError("its content is nowhere")
        return self.spool.open(content)


def _hard_link(entry: TarEntry, target: str) -> TarEntry:
    return TarEntry(
        entry.name, EntryKind.HARD_LINK, entry.mode, entry.user_id, entry.group_id, 0, entry.modified_nanoseconds,
        target,
    )  # fmt: skip
