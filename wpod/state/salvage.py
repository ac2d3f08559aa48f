"""What is wrong with the database, and what can be saved of it (`system check`)."""

from __future__ import annotations

import contextlib
import os

from wpod.errors import StoreError
from wpod.state import sqlite
from wpod.state.database import Database

_TABLES = ("image", "image_name", "container", "volume", "volume_use", "network", "lease")
_DANGLING = (
    "DELETE FROM image_name WHERE digest NOT IN (SELECT digest FROM image)",
    (
        "DELETE FROM volume_use WHERE volume NOT IN (SELECT name FROM volume)"
        " OR container_id NOT IN (SELECT container_id FROM container)"
    ),
    (
        "DELETE FROM lease WHERE network NOT IN (SELECT name FROM network)"
        " OR container_id NOT IN (SELECT container_id FROM container)"
    ),
)
_MOST_PROBLEMS = 5


def problems(database: Database) -> list[str]:
    """What SQLite finds, in its words; [] where all is well or there is no database yet."""
    try:
        found = [str(row[0]) for row in database.rows(f"PRAGMA integrity_check({_MOST_PROBLEMS})")]
        dangling = database.rows("PRAGMA foreign_key_check")
    except StoreError as error:
        return [error.message.removeprefix(f"{database.path}: ")]
    words = [line for text in found if text != "ok" for line in text.splitlines()]
    tables = sorted({f"table {row[0]} refers to what isn't in table {row[2]}" for row in dangling})
    return [*words, *tables]


def mend(database: Database) -> bool:
    """Make the indexes anew and drop references to nothing; whether the database is whole then."""
    try:
        with database.transaction() as connection:
            connection.execute("REINDEX")
            for statement in _DANGLING:
                connection.execute(statement)
    except (StoreError, sqlite.Error):
        return False
    return not problems(database)


def salvage(database: Database) -> str:
    """Replace a damaged database by a new one with every row that can still be read; returns where the old one is.

    Nobody else may be using the store. A kill in between leaves the old one in its place. Raises StoreError.
    """
    path, kept = database.path, f"{database.path}.damaged"
    fresh = Database(f"{path}.salvaged")
    database.close()
    try:
        for name in (fresh.path, kept):
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name + suffix)
        with fresh.transaction() as target:
            for table in _TABLES:
                _copy(path, target, table)
            for statement in _DANGLING:
                target.execute(statement)
        fresh.close()  # which empties its write-ahead log and removes it
        os.link(path, kept)
        for suffix in ("-wal", "-shm"):  # the new database must not find the old one's log beside it
            with contextlib.suppress(FileNotFoundError):
                os.rename(path + suffix, kept + suffix)
        os.rename(fresh.path, path)
    except OSError as error:
        raise StoreError(f"{path} can't be replaced: {error.strerror}") from error
    return kept


def _copy(source: str, target: sqlite.Connection, table: str) -> None:
    """All readable rows of one table, from both ends, for a damaged page stops a scan."""
    columns = ", ".join(str(row[1]) for row in target.execute(f"PRAGMA table_info({table})"))
    marks = ", ".join("?" * (columns.count(",") + 1))
    for order in ("ASC", "DESC"):
        with contextlib.suppress(sqlite.Error), contextlib.closing(sqlite.connect(source)) as connection:
            connection.execute("PRAGMA writable_schema = ON")  # else one broken schema row hides all tables
            for row in connection.execute(f"SELECT {columns} FROM {table} NOT INDEXED ORDER BY rowid {order}"):
                with contextlib.suppress(sqlite.Error):
                    target.execute(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})", row)
