"""The recorded facts about named volumes."""

from __future__ import annotations

from collections.abc import Callable

from wpod.errors import InUse, NameTaken, NotThere, StoreError
from wpod.model import ids
from wpod.model.volume import Volume
from wpod.state import sqlite
from wpod.state.database import Database
from wpod.state.encoding import from_json, to_json

Step = Callable[[], None]

INSERT = "INSERT INTO volume (name, created_nanoseconds, anonymous, labels, options) VALUES (?, ?, ?, ?, ?)"

TYPE_CHECKING = False  # not typing's: importing that takes 2 ms
if TYPE_CHECKING:
    from typing import Any


def nothing() -> None:
    """Where there are no files."""


def row_of(volume: Volume) -> tuple[object, ...]:
    """The values of INSERT."""
    return (volume.name, volume.created_nanoseconds, int(volume.anonymous),
            to_json(dict(volume.labels)), to_json(dict(volume.options)))  # fmt: skip


class VolumeTable:
    """Reads and writes volume records; `directory` is where the volumes' files are."""

    def __init__(self, database: Database, directory: str) -> None:
        self._database = database
        self._directory = directory

    def mountpoint(self, name: str) -> str:
        """Where a volume of this name has its files."""
        return f"{self._directory}/{name}/_data"

    def insert(self, volume: Volume, before_commit: Step = nothing) -> None:
        """Record a volume; `before_commit` puts its files in place, and what it raises undoes the record.

        Raises NameTaken.
        """
        try:
            with self._database.transaction() as connection:
                connection.execute(INSERT, row_of(volume))
                before_commit()
        except sqlite.IntegrityError:
            raise NameTaken(f"volume with name {volume.name} already exists") from None

    def all(self) -> list[Volume]:
        """Sorted by name."""
        return self._select("ORDER BY name", ())

    def get(self, name: str) -> Volume:
        """By exact name. Raises NotThere."""
        found = self._select("WHERE name = ?", (name,))
        if not found:
            raise NotThere(f"no such volume: {name}")
        return found[0]

    def names(self) -> set[str]:
        """All volume names."""
        return {str(row[0]) for row in self._database.rows("SELECT name FROM volume")}

    def delete(self, name: str, before_commit: Step = nothing) -> None:
        """Forget a volume; one that isn't there is done already. `before_commit` as with `insert`. Raises InUse."""
        try:
            with self._database.transaction(removing=True) as connection:
                connection.execute("DELETE FROM volume WHERE name = ?", (name,))
                before_commit()
        except sqlite.IntegrityError:
            rows = self._database.rows("SELECT container_id FROM volume_use WHERE volume = ? ORDER BY 1", (name,))
            users = ", ".join(ids.short(str(row[0])) for row in rows)
            raise InUse(f"volume {name} is being used by the following container(s): {users}") from None

    def settle(self, name: str, step: Callable[[bool], None]) -> None:
        """Call `step` with whether the volume is recorded, while nobody can change that."""
        with self._database.transaction() as connection:
            step(connection.execute("SELECT 1 FROM volume WHERE name = ?", (name,)).fetchone() is not None)

    def _select(self, clause: str, values: tuple[object, ...]) -> list[Volume]:
        statement = f"SELECT name, created_nanoseconds, anonymous, labels, options FROM volume {clause}"
        return [self._volume(row) for row in self._database.rows(statement, values)]

    def _volume(self, row: tuple[Any, ...]) -> Volume:
        name, created, anonymous, labels, options = row
        try:
            return Volume(
                name=name, mountpoint=self.mountpoint(name), created_nanoseconds=created,
                labels=from_json(labels, dict), options=from_json(options, dict), anonymous=bool(anonymous),
            )  # fmt: skip
        except (ValueError, TypeError) as error:
            raise StoreError(f"the record of volume {name} can't be read: {error}") from error
