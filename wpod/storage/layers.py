"""Applies one layer's tar archive to a directory tree (image-spec, layer.md), trusting nothing in it.

Theory of operation. The tree is only ever reached through descriptors: the parent directory of every entry
is opened with openat2 and RESOLVE_IN_ROOT, so symbolic links of the image lead where they would lead inside
the container and never out of the tree; the last component is created with O_EXCL or O_NOFOLLOW relative to
that descriptor. `..` in a name is refused, absolute names count from the tree's root. A file is never
written in place: what is in the way is unlinked first, because the lower layer's files are hard links
shared with other trees. Whiteouts remove what lower layers brought, not what this layer brought itself,
wherever they stand in the archive; no whiteout ever reaches the tree as a file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from dataclasses import dataclass, field

from wpod.errors import InvalidImage, StoreError
from wpod.frozen import frozen
from wpod.kernel import openat2
from wpod.storage.layout import store_error
from wpod.storage.tar import EntryKind, TarEntry, TarReader

MAX_ENTRIES = 2_000_000
MAX_DEPTH = 400  # directories in one another; who copies or removes a tree needs no special measures then
WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
_COPY_BYTES = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW


@frozen
class Ownership:
    """How owners and modes of a layer become those of files.

    `keep_owners` False: all belongs to the caller, who must be able to read it and gets no setuid files.
    `make_devices` as root only.
    """

    keep_owners: bool
    make_devices: bool


@dataclass
class LayerReport:
    """What was left out, for a message."""

    entries: int = 0
    skipped_devices: list[str] = field(default_factory=list)


class LayerApplier:
    """Applies layers to the tree behind `root`, a directory descriptor which the caller closes."""

    def __init__(self, root: int, ownership: Ownership, what: str) -> None:
        self._root = root
        self._ownership = ownership
        self._what = what
        self._created: set[tuple[int, str]] = set()
        self._directory_times: dict[str, int] = {}
        self._parent: tuple[str, int] | None = None
        self._root_depth = _depth(root)
        self.report = LayerReport()

    def apply(self, archive: TarReader) -> None:
        """All entries of one layer. Raises InvalidImage, StoreError (full disk)."""
        self._created.clear()
        self._directory_times.clear()
        try:
            for entry in archive:
                self.report.entries += 1
                if self.report.entries > MAX_ENTRIES:
                    raise InvalidImage(f"{self._what} has more than {MAX_ENTRIES} entries")
                self._entry(entry, archive)
            self._forget_parent()
            self._set_directory_times()
        finally:
            self._forget_parent()

    def _entry(self, entry: TarEntry, archive: TarReader) -> None:
        parts = self._parts(entry.name)
        try:
            if not parts:
                self._root_entry(entry)
            elif parts[-1].startswith(WHITEOUT):
                self._whiteout(parts)
            else:
                self._create(parts, entry, archive)
        except OSError as error:
            raise self._translated(error, entry) from error

    def _translated(self, error: OSError, entry: TarEntry) -> InvalidImage | StoreError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.EMFILE):
            return store_error(error, f"{self._what}: {_shown(entry.name)}", "unpacked")
        if error.errno == errno.EINVAL and self._ownership.keep_owners:
            return StoreError(
                f"{self._what}: {_shown(entry.name)} belongs to {entry.user_id}:{entry.group_id},"
                " which is outside the user's id ranges",
                hint="give the user more ids in /etc/subuid and /etc/subgid",
            )
        return InvalidImage(f"{self._what}: {_shown(entry.name)} can't be unpacked: {error.strerror}")

    def _parts(self, name: str) -> list[str]:
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise InvalidImage(f"{self._what}: the name {name[:200]!r} leads out of the image")
        if any(part.startswith(WHITEOUT) for part in parts[:-1]):
            raise InvalidImage(f"{self._what}: the name {name[:200]!r} has a whiteout as a directory")
        if len(parts) > MAX_DEPTH:
            raise self._too_deep(name)
        return parts

    def _too_deep(self, name: str) -> InvalidImage:
        return InvalidImage(f"{self._what}: {_shown(name[:80])} is nested deeper than {MAX_DEPTH} directories")

    def _root_entry(self, entry: TarEntry) -> None:
        if entry.kind is not EntryKind.DIRECTORY:
            raise InvalidImage(f"{self._what}: its root is not a directory")
        self._set_metadata(self._root, entry)
        self._directory_times["."] = entry.modified_nanoseconds

    def _open_parent(self, parts: list[str], create: bool) -> int:
        """The directory of an entry; a descriptor that stays this object's."""
        path = "/".join(parts[:-1]) or "."
        if self._parent is not None and self._parent[0] == path:
            return self._parent[1]
        self._forget_parent()
        try:
            descriptor = openat2.open_in_root(self._root, path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            if not create:
                raise
            above = os.dup(self._open_parent(parts[:-1], create))
            try:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(parts[-2], 0o755, dir_fd=above)
                    self._created.add((os.fstat(above).st_ino, parts[-2]))
            finally:
                os.close(above)
            self._forget_parent()
            descriptor = openat2.open_in_root(self._root, path, os.O_RDONLY | os.O_DIRECTORY)
        if _depth(descriptor) - self._root_depth >= MAX_DEPTH:  # links on the way can make it more than the name's
            os.close(descriptor)
            raise self._too_deep(path)
        self._parent = (path, descriptor)
        return descriptor

    def _forget_parent(self) -> None:
        if self._parent is not None:
            os.close(self._parent[1])
            self._parent = None

    def _whiteout(self, parts: list[str]) -> None:
        name = parts[-1]
        hidden = name.removeprefix(WHITEOUT)
        if name != OPAQUE and hidden.startswith(WHITEOUT):
            return  # bookkeeping of aufs
        if hidden in ("", ".", ".."):
            raise InvalidImage(f"{self._what}: the whiteout {'/'.join(parts)[:200]!r} hides nothing that has a name")
        try:
            parent = self._open_parent(parts, create=False)
        except (FileNotFoundError, NotADirectoryError):
            return
        if name == OPAQUE:
            self._empty(parent)
        elif (os.fstat(parent).st_ino, hidden) not in self._created:
            remove_entry(parent, hidden)
        self._forget_parent()

    def _empty(self, directory: int) -> None:
        """Remove what lower layers brought into a directory, keep what this layer did."""
        inode = os.fstat(directory).st_ino
        for name in os.listdir(directory):
            if (inode, name) not in self._created:
                remove_entry(directory, name)
            elif stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
                below = os.open(name, _DIRECTORY, dir_fd=directory)
                try:
                    self._empty(below)
                finally:
                    os.close(below)

    def _create(self, parts: list[str], entry: TarEntry, archive: TarReader) -> None:
        parent, name = self._open_parent(parts, create=True), parts[-1]
        if entry.kind is EntryKind.HARD_LINK:
            self._hard_link(parts, entry)
            return
        if entry.kind in (EntryKind.CHARACTER_DEVICE, EntryKind.BLOCK_DEVICE) and not self._wanted_device(entry):
            self.report.skipped_devices.append(entry.name[:200])
            return
        self._clear(parent, name, keep_directory=entry.kind is EntryKind.DIRECTORY)
        self._created.add((os.fstat(parent).st_ino, name))
        if entry.kind is EntryKind.FILE:
            self._file(parent, name, entry, archive)
        elif entry.kind is EntryKind.DIRECTORY:
            self._directory(parent, name, entry)
            self._directory_times["/".join(parts)] = entry.modified_nanoseconds
        elif entry.kind is EntryKind.SYMLINK:
            os.symlink(entry.target, name, dir_fd=parent)
            self._set_link_metadata(parent, name, entry)
            self._forget_parent()
        else:
            self._special(parent, name, entry)

    def _wanted_device(self, entry: TarEntry) -> bool:
        # 0:0 is how overlayfs marks a whiteout: such a node in a lower tree would hide, not be.
        return self._ownership.make_devices and not (
            entry.kind is EntryKind.CHARACTER_DEVICE and entry.device == (0, 0)
        )

    def _clear(self, parent: int, name: str, keep_directory: bool) -> None:
        try:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return
        if keep_directory and stat.S_ISDIR(found.st_mode):
            return
        remove_entry(parent, name)

    def _file(self, parent: int, name: str, entry: TarEntry, archive: TarReader) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o600, dir_fd=parent)
        try:
            while chunk := archive.read(_COPY_BYTES):
                view = memoryview(chunk)
                while view:
                    view = view[os.write(descriptor, view) :]
            self._set_metadata(descriptor, entry)
            os.utime(descriptor, ns=(entry.modified_nanoseconds, entry.modified_nanoseconds))
        finally:
            os.close(descriptor)

    def _directory(self, parent: int, name: str, entry: TarEntry) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent)
        descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
        try:
            self._set_metadata(descriptor, entry)
        finally:
            os.close(descriptor)

    def _hard_link(self, parts: list[str], entry: TarEntry) -> None:
        target = self._parts(entry.target)
        if not target:
            raise InvalidImage(f"{self._what}: {_shown(entry.name)} is a hard link to the root")
        source = -1
        try:
            source = openat2.open_in_root(self._root, "/".join(target[:-1]), os.O_RDONLY | os.O_DIRECTORY)
            found = os.stat(target[-1], dir_fd=source, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                raise InvalidImage(f"{self._what}: {_shown(entry.name)} is a hard link to a directory")
            parent = self._open_parent(parts, create=True)
            if (os.fstat(parent).st_ino, parts[-1]) == (os.fstat(source).st_ino, target[-1]):
                return
            self._clear(parent, parts[-1], keep_directory=False)
            os.link(target[-1], parts[-1], src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
            self._created.add((os.fstat(parent).st_ino, parts[-1]))
        except FileNotFoundError:
            raise InvalidImage(
                f"{self._what}: {_shown(entry.name)} is a hard link to {_shown(entry.target)},"
                " which is not in the image"
            ) from None
        finally:
            if source >= 0:
                os.close(source)

    def _special(self, parent: int, name: str, entry: TarEntry) -> None:
        mode = self._mode(entry)
        if entry.kind is EntryKind.FIFO:
            os.mkfifo(name, 0o600, dir_fd=parent)
        else:
            kind = stat.S_IFCHR if entry.kind is EntryKind.CHARACTER_DEVICE else stat.S_IFBLK
            os.mknod(name, kind | 0o600, os.makedev(*entry.device), dir_fd=parent)
        self._set_link_metadata(parent, name, entry)
        os.chmod(name, mode, dir_fd=parent)  # created here with O_EXCL semantics: it is no link

    def _mode(self, entry: TarEntry) -> int:
        if self._ownership.keep_owners:
            return entry.mode
        return (entry.mode & 0o777) | (0o700 if entry.kind is EntryKind.DIRECTORY else 0o400)

    def _set_metadata(self, descriptor: int, entry: TarEntry) -> None:
        if self._ownership.keep_owners:
            os.fchown(descriptor, entry.user_id, entry.group_id)
        for name, value in entry.xattrs.items():  # after chown, which clears capabilities; before a mode without w
            if _wanted_xattr(name, self._ownership):
                try:
                    os.setxattr(descriptor, name, value)
                except OSError as error:
                    if error.errno not in (errno.ENOTSUP, errno.EPERM):
                        raise
        os.fchmod(descriptor, self._mode(entry))

    def _set_link_metadata(self, parent: int, name: str, entry: TarEntry) -> None:
        if self._ownership.keep_owners:
            os.chown(name, entry.user_id, entry.group_id, dir_fd=parent, follow_symlinks=False)
        times = (entry.modified_nanoseconds, entry.modified_nanoseconds)
        os.utime(name, ns=times, dir_fd=parent, follow_symlinks=False)

    def _set_directory_times(self) -> None:
        for path, nanoseconds in self._directory_times.items():
            with contextlib.suppress(OSError):  # removed again by a later entry
                descriptor = openat2.open_in_root(self._root, path, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    os.utime(descriptor, ns=(nanoseconds, nanoseconds))
                finally:
                    os.close(descriptor)


def _depth(directory: int) -> int:
    return os.readlink(f"/proc/self/fd/{directory}").count("/")


def _shown(name: str) -> str:
    """A name for a message of one line."""
    return name[:200] if name.isprintable() else repr(name[:200])


def _wanted_xattr(name: str, ownership: Ownership) -> bool:
    """File capabilities where owners are kept, and user.*; never what steers an overlay."""
    if name == "security.capability":
        return ownership.keep_owners
    return name.startswith("user.") and not name.startswith("user.overlay.")


def remove_entry(parent: int, name: str) -> None:
    """Remove a file or a whole directory below a directory descriptor, following no link. Raises OSError."""
    import shutil

    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode):
        os.unlink(name, dir_fd=parent)
        return
    try:
        shutil.rmtree(name, dir_fd=parent)
    except RecursionError:
        raise OSError(errno.ENAMETOOLONG, "directories nested too deeply", name) from None
