"""Where COPY and ADD take files from: the build context, or the files of a stage or image.

The context is somebody else's directory, perhaps changing while it is read. It is only reached through
openat2 with its root as the root: links lead inside it or nowhere. Nothing but regular files is ever opened for
reading, so that a FIFO doesn't hang and a device isn't touched.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import FileIO
from typing import Protocol

from wpod.build.glob import Dialect, Glob, has_wildcard
from wpod.build.ignorefile import IgnoreRules
from wpod.errors import UsageError
from wpod.kernel import openat2
from wpod.storage.file_tree import FileTree, Found, walk
from wpod.storage.tar import EntryKind, TarEntry

_KEPT_MODE = 0o1777  # set-user-ID and set-group-ID of a context's files are dropped, as podman does
_SPECIAL = {
    EntryKind.FIFO: "a FIFO", EntryKind.CHARACTER_DEVICE: "a device", EntryKind.BLOCK_DEVICE: "a device",
}  # fmt: skip


@dataclass(frozen=True)
class InContext:
    """Content of a regular file of the context; `path` has no links in it."""

    path: str


@dataclass(frozen=True)
class Match:
    """What a source pattern fits: its name as it was asked for, and where it really is."""

    name: str
    path: str
    is_directory: bool


@dataclass(frozen=True)
class Item:
    """One file to copy: its path relative to the match, "" for the match itself; `identity` tells hard links."""

    path: str
    entry: TarEntry
    content: object
    identity: object = None


class Source(Protocol):
    """What the context and the trees of stages and images have in common."""

    def select(self, pattern: str) -> list[Match]:
        """What fits, sorted. Raises ValueError where nothing does, with the reason."""

    def items(self, match: Match) -> Iterator[Item]:
        """The file, or what is below the directory, a directory before its content. Raises ValueError."""


def _patterns(pattern: str) -> list[str]:
    """The components of a source pattern, none for the root. Raises ValueError for one that leads out."""
    cleaned = posixpath.normpath(pattern)
    parts = [part for part in cleaned.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError(f"{pattern[:200]} leads out of the build context")
    return parts


def _expand(parts: list[str], names: Callable[[str], list[str]]) -> list[str]:
    """The paths that fit, as they would be if all of them existed; `names` lists a directory."""
    found = [""]
    for part in parts:
        glob = Glob(part, Dialect.NAME) if has_wildcard(part) else None
        if glob is None or glob.literal is not None:
            plain = part if glob is None else glob.literal
            found = [f"{path}/{plain}" for path in found]
        else:
            found = [f"{path}/{name}" for path in found for name in sorted(names(path)) if glob.matches(name)]
    return [path.removeprefix("/") for path in found]


class Context:
    """The build context. `excluded_by` is the ignore file's name, for errors."""

    def __init__(self, directory: str, rules: IgnoreRules, excluded_by: str, warn: Callable[[str], None]) -> None:
        """Raises UsageError where it is no directory."""
        self._rules = rules
        self._excluded_by = excluded_by
        self._warn = warn
        self._root = open_context(directory)
        self._real_root = os.readlink(f"/proc/self/fd/{self._root}")

    def close(self) -> None:
        os.close(self._root)

    def select(self, pattern: str) -> list[Match]:
        """As Source says; what the ignore file excludes doesn't fit."""
        parts = _patterns(pattern)
        try:
            found = [match for path in _expand(parts, self._names) if (match := self._match(path)) is not None]
        except OSError as error:
            raise ValueError(f"{pattern[:200]}: {error.strerror}") from None
        if not found:
            raise ValueError(f"{pattern[:200]}: no such file or directory in the build context")
        wanted = [match for match in found if self._is_wanted(match)]
        if not wanted:
            raise ValueError(f"{pattern[:200]}: excluded by {self._excluded_by}")
        return wanted

    def _is_wanted(self, match: Match) -> bool:
        if not match.path:
            return True
        excluded = self._rules.excludes(match.path) or self._rules.excludes(match.name)
        return not excluded or (match.is_directory and self._rules.takes_back)

    def _names(self, path: str) -> list[str]:
        try:
            descriptor = openat2.open_in_root(self._root, path.lstrip("/"), os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return []
        try:
            return os.listdir(descriptor)
        finally:
            os.close(descriptor)

    def _match(self, path: str) -> Match | None:
        """Follows links, inside the context. Raises OSError, ValueError for what can't be copied."""
        try:
            descriptor = openat2.open_in_root(self._root, path, os.O_PATH)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            found = os.fstat(descriptor)
            real = os.readlink(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)
        kind = _kind(found.st_mode)
        if kind not in (EntryKind.FILE, EntryKind.DIRECTORY):
            raise ValueError(f"{path[:200]} is {_SPECIAL.get(kind, 'a socket') if kind else 'a socket'}")
        return Match(path, real.removeprefix(self._real_root).lstrip("/"), kind is EntryKind.DIRECTORY)

    def items(self, match: Match) -> Iterator[Item]:
        """As Source says."""
        try:
            if match.is_directory:
                yield from self._below(match.path)
            else:
                above, _, name = match.path.rpartition("/")
                descriptor = self._open(above)
                try:
                    item = self._item(descriptor, name, match.path, "")
                finally:
                    os.close(descriptor)
                if item is not None:
                    yield item
        except OSError as error:
            raise ValueError(
                f"{match.name[:200] or '.'}: {error.strerror}: {str(error.filename or '')[:200]}"
            ) from None

    def _open(self, path: str) -> int:
        flags = os.O_RDONLY | os.O_DIRECTORY
        return openat2.open_in_root(self._root, path, flags, openat2.RESOLVE_NO_SYMLINKS)

    def _below(self, top: str) -> Iterator[Item]:
        waiting = [""]
        while waiting:
            relative = waiting.pop()
            descriptor = self._open("/".join(part for part in (top, relative) if part))
            directories: list[str] = []
            try:
                for name in sorted(os.listdir(descriptor)):
                    path = f"{relative}/{name}" if relative else name
                    item = self._item(descriptor, name, f"{top}/{path}" if top else path, path)
                    if item is not None and item.entry.kind is EntryKind.DIRECTORY:
                        directories.append(path)
                    if item is not None and item.content is not _EXCLUDED:
                        yield item
            finally:
                os.close(descriptor)
            waiting += reversed(directories)

    def _item(self, directory: int, name: str, path: str, relative: str) -> Item | None:
        """None for what is not copied; an excluded directory below which something may be wanted is marked."""
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        kind = _kind(found.st_mode)
        excluded = self._rules.excludes(path)
        if excluded and not (kind is EntryKind.DIRECTORY and self._rules.takes_back):
            return None
        if kind is None or kind in _SPECIAL:
            self._warn(f"{path[:200]} is {_SPECIAL[kind] if kind else 'a socket'}; it is not copied")
            return None
        target = os.readlink(name, dir_fd=directory) if kind is EntryKind.SYMLINK else ""
        mode = 0o777 if kind is EntryKind.SYMLINK else found.st_mode & _KEPT_MODE
        size = found.st_size if kind is EntryKind.FILE else 0
        entry = TarEntry("", kind, mode, 0, 0, size, found.st_mtime_ns, target)
        if excluded:
            return Item(relative, entry, _EXCLUDED)
        linked = (found.st_dev, found.st_ino) if found.st_nlink > 1 and kind is EntryKind.FILE else None
        return Item(relative, entry, InContext(path), linked)

    def open(self, content: InContext) -> FileIO:
        """A regular file's content. Raises ValueError."""
        try:
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
            descriptor = openat2.open_in_root(self._root, content.path, flags, openat2.RESOLVE_NO_SYMLINKS)
        except OSError as error:
            raise ValueError(f"{content.path[:200]} can't be read: {error.strerror}") from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise ValueError(f"{content.path[:200]} is no longer a regular file")
        return FileIO(descriptor, "rb")


_EXCLUDED = object()


def open_context(directory: str) -> int:
    """A descriptor of the context's root. Raises UsageError."""
    try:
        return os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        reason = "" if isinstance(error, NotADirectoryError) else f": {error.strerror}"
        raise UsageError(f"context must be a directory: {directory!r:.200}{reason}") from None


def _kind(mode: int) -> EntryKind | None:
    """None for a socket."""
    kinds = {
        stat.S_IFREG: EntryKind.FILE, stat.S_IFDIR: EntryKind.DIRECTORY, stat.S_IFLNK: EntryKind.SYMLINK,
        stat.S_IFIFO: EntryKind.FIFO, stat.S_IFCHR: EntryKind.CHARACTER_DEVICE, stat.S_IFBLK: EntryKind.BLOCK_DEVICE,
    }  # fmt: skip
    return kinds.get(stat.S_IFMT(mode))


class TreeSource:
    """The files of a stage, an image or an archive; `what` is how errors call it."""

    def __init__(self, tree: FileTree, what: str, warn: Callable[[str], None]) -> None:
        self._tree = tree
        self._what = what
        self._warn = warn

    def select(self, pattern: str) -> list[Match]:
        """As Source says."""
        parts = [part for part in posixpath.normpath("/" + pattern).split("/") if part not in ("", ".")]
        found = []
        for path in _expand(parts, self._names):
            place = self._find(path)
            if place is not None and place.node is not None:
                if place.node.kind in _SPECIAL:
                    raise ValueError(f"{path[:200]} is {_SPECIAL[place.node.kind]}")
                found.append(Match(path, place.path, place.node.is_directory))
        if not found:
            raise ValueError(f"{pattern[:200]}: no such file or directory in {self._what}")
        return found

    def _find(self, path: str) -> Found | None:
        try:
            return self._tree.resolve(path)
        except ValueError:
            return None

    def _names(self, path: str) -> list[str]:
        found = self._find(path)
        return list(found.node.children) if found is not None and found.node is not None else []

    def items(self, match: Match) -> Iterator[Item]:
        """As Source says."""
        top = self._tree.resolve(match.path).node
        if top is None:
            return
        if not match.is_directory:
            yield Item("", top.entry, top.content, id(top))
            return
        for path, node in walk(top):
            if node.kind in _SPECIAL:
                self._warn(f"{path[:200]} of {self._what} is {_SPECIAL[node.kind]}; it is not copied")
            else:
                yield Item(path, node.entry, node.content, id(node) if node.kind is EntryKind.FILE else None)
