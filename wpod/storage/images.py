"""The images of the store: records and names, in the database.

An image is recorded after all its blobs are in place, in one transaction with its name; so what is
listed is complete. Two manifests with the same config (the same image compressed otherwise) are one
image, as in podman: the later manifest replaces the earlier and inherits its names.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from wpod.errors import AmbiguousName, InUse, NotThere, StoreError
from wpod.frozen import replace
from wpod.model import ids
from wpod.model.image import Image
from wpod.state import sqlite
from wpod.state.database import Database
from wpod.state.encoding import from_json, to_json
from wpod.storage.blobs import BlobStore
from wpod.storage.digests import is_digest

TYPE_CHECKING = False  # not typing's: importing that takes 2 ms
if TYPE_CHECKING:
    from typing import Any

_SELECT = "SELECT image.digest, image.record FROM image"


class ImageTable:
    """Reads and writes image records. All methods raise StoreError where the database fails."""

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database = database
        self.blobs = blobs

    def all(self) -> list[Image]:
        """Newest first by the image's own creation time, ties by ID."""
        rows = self._database.rows(f"{_SELECT} ORDER BY image.created_nanoseconds DESC, image_id")
        return self._with_names(rows)

    def digests(self) -> list[str]:
        """The manifest digests of all records, also of those that can't be read, sorted."""
        return [str(row[0]) for row in self._database.rows("SELECT digest FROM image ORDER BY digest")]

    def discard(self, digest: str) -> None:
        """Forget an image and its names whatever refers to it (`system check`)."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM image_name WHERE digest = ?", (digest,))
            connection.execute("DELETE FROM image WHERE digest = ?", (digest,))

    def find(self, name: str) -> Image:
        """By name, digest, or unique ID prefix; names win. Raises NotThere, AmbiguousName.

        A name without a tag means `latest`; without a registry it fits `localhost/NAME` first, then any
        stored name that ends with it at a `/`.
        """
        digest = self._digest_by_name(name)
        rows = self._database.rows(f"{_SELECT} WHERE image.digest = ?", (digest,)) if digest else []
        if not rows:
            rows = self._by_id(name.removeprefix("sha256:"), name)
        if not rows:
            raise NotThere(f"{name}: image not known")
        return self._with_names(rows)[0]

    def _digest_by_name(self, name: str) -> str | None:
        repository, _, digest = name.partition("@")
        if digest:
            return self._by_digest_reference(repository, digest)
        if ":" not in name.rpartition("/")[2]:
            name += ":latest"
        exact = f"localhost/{name}"
        rows = self._database.rows(
            "SELECT reference, digest FROM image_name WHERE reference = ? OR reference = ?"
            " OR substr(reference, -length(?)) = ? ORDER BY reference",
            (name, exact, f"/{name}", f"/{name}"),
        )
        found = {str(reference): str(digest) for reference, digest in rows}
        for reference in (name, exact):
            if reference in found:
                return found[reference]
        if len(set(found.values())) > 1:
            raise AmbiguousName(f"{name!r} fits more than one image: {', '.join(found)}")
        return next(iter(found.values()), None)

    def _by_digest_reference(self, repository: str, digest: str) -> str | None:
        exact = self._database.rows("SELECT digest FROM image_name WHERE reference = ?", (f"{repository}@{digest}",))
        if exact:
            return str(exact[0][0])
        if not is_digest(digest):
            return None
        repository = _without_tag(repository)
        rows = self._database.rows("SELECT reference FROM image_name WHERE digest = ?", (digest,))
        for (reference,) in rows:
            stored = _without_tag(str(reference).partition("@")[0])
            if stored == repository or stored.endswith(f"/{repository}"):
                return digest
        return None

    def _by_id(self, prefix: str, typed: str) -> list[tuple[object, ...]]:
        if not ids.is_id_prefix(prefix):
            return []
        rows = self._database.rows(
            f"{_SELECT} WHERE (image_id >= ? AND image_id < ?) OR image.digest = ? ORDER BY image_id",
            (prefix, prefix + "g", f"sha256:{prefix}"),
        )
        if len(rows) > 1:
            listed = ", ".join(sorted(ids.short(self._decode(row[0], row[1], ()).image_id) for row in rows))
            raise AmbiguousName(f"{typed!r} fits more than one image: {listed}")
        return rows

    def record(self, image: Image, names: Iterable[str] = ()) -> Image:
        """Store an image whose blobs are in place and give it names; returns it with all its names.

        A name that another image had moves to this one. Raises StoreError.
        """
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO image (digest, image_id, created_nanoseconds, size_bytes, record) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (digest) DO UPDATE SET record = excluded.record",
                (image.digest, image.image_id, image.created_nanoseconds, image.size_bytes, _encode(image)),
            )
            twins = connection.execute(
                "SELECT digest FROM image WHERE image_id = ? AND digest != ?", (image.image_id, image.digest)
            ).fetchall()
            for (twin,) in twins:
                connection.execute(
                    "UPDATE image_name SET digest = ? WHERE digest = ? AND instr(reference, '@') = 0",
                    (image.digest, twin),
                )
                connection.execute("DELETE FROM image_name WHERE digest = ?", (twin,))
                connection.execute("DELETE FROM image WHERE digest = ?", (twin,))
            for name in names:
                _set_name(connection, name, image.digest)
        return self.get(image.digest)

    def get(self, digest: str) -> Image:
        """By exact manifest digest. Raises NotThere."""
        rows = self._database.rows(f"{_SELECT} WHERE image.digest = ?", (digest,))
        if not rows:
            raise NotThere(f"{digest}: image not known")
        return self._with_names(rows)[0]

    def tag(self, image: Image, name: str) -> None:
        """Give an image a full name (`REGISTRY/REPO:TAG`); it leaves the image that had it. Raises NotThere."""
        try:
            with self._database.transaction() as connection:
                _set_name(connection, name, image.digest)
        except sqlite.IntegrityError:
            raise NotThere(f"{image.display_name}: image not known") from None

    def untag(self, name: str) -> None:
        """Take a full name away. Raises NotThere."""
        with self._database.transaction(removing=True) as connection:
            done = connection.execute("DELETE FROM image_name WHERE reference = ?", (name,)).rowcount
        if not done:
            raise NotThere(f"{name}: tag not known")

    def delete(self, image: Image) -> None:
        """Forget an image and its names; the content goes with the next sweep.

        Raises InUse, which names the containers, where some were made from it, checked in the same
        transaction. What isn't there is done already.
        """
        with self._database.transaction(removing=True) as connection:
            users = connection.execute(
                "SELECT container_id FROM container WHERE image_id = ? ORDER BY created_nanoseconds", (image.image_id,)
            ).fetchall()
            if users:
                listed = ", ".join(ids.short(str(row[0])) for row in users)
                raise InUse(
                    f"image {image.display_name} is in use by container {listed}",
                    hint="remove the container first, or use --force to remove both",
                )
            connection.execute("DELETE FROM image_name WHERE digest = ?", (image.digest,))
            connection.execute("DELETE FROM image WHERE digest = ?", (image.digest,))

    def _with_names(self, rows: list[tuple[object, ...]]) -> list[Image]:
        if not rows:
            return []
        names: dict[str, list[str]] = {}
        for reference, digest in self._database.rows("SELECT reference, digest FROM image_name ORDER BY reference"):
            names.setdefault(str(digest), []).append(str(reference))
        return [self._decode(digest, record, tuple(names.get(str(digest), ()))) for digest, record in rows]

    @staticmethod
    def _decode(digest: Any, record: Any, names: tuple[str, ...]) -> Image:
        try:
            return replace(from_json(record, Image), names=names)
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(f"the record of image {digest} can't be read: {error}") from error


def _encode(image: Image) -> str:
    return to_json(replace(image, names=()))


def _set_name(connection: sqlite.Connection, name: str, digest: str) -> None:
    connection.execute(
        "INSERT INTO image_name (reference, digest) VALUES (?, ?)"
        " ON CONFLICT (reference) DO UPDATE SET digest = excluded.digest",
        (name, digest),
    )


def _without_tag(repository: str) -> str:
    path, slash, last = repository.rpartition("/")
    return f"{path}{slash}{last.partition(':')[0]}"


def now_nanoseconds() -> int:
    """The wall clock, for images that don't say when they were made."""
    return time.time_ns()
