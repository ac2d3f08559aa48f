"""The database of recorded facts: SQLite in WAL mode, short transactions, a finite wait.

Theory of operation. Only what was asked for is recorded (names, plans, references); what is true now
(alive, memory, exit) comes from the kernel and the state files. Writers take `BEGIN IMMEDIATE`, so two
of them never deadlock on an upgrade, and hold it for statements only: never across a process start, a
download or a question. `synchronous=FULL`: what was reported as done survives a power cut. Readers in
WAL mode never wait for writers.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

from wpod.errors import StoreError
from wpod.state import migrations, sqlite

BUSY_SECONDS = 20.0


class Database:
    """A connection to the store's database, opened at first use.

    Reading a database that isn't there yet gives no rows; writing creates it. Every exception of SQLite
    leaves this module as StoreError, but IntegrityError, which the modules of `state/` and `storage/`
    turn into their own ("name in use"). On a full disk reading works, writing doesn't.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._connection: sqlite.Connection | None = None

    def rows(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """All rows of one SELECT, in its order. No rows where there is no database yet."""
        if self._connection is None and not os.path.lexists(self.path):
            return []
        with self._translated():
            try:
                return self._connect().execute(statement, values).fetchall()
            except UnicodeEncodeError:
                return []  # a word of the command line that isn't UTF-8 is the name of nothing
            except sqlite.OperationalError as error:
                if not _needs_room(error):
                    raise
                with contextlib.closing(self._open_read_only()) as connection:
                    there = self._version(connection) > 0  # there was no room for the tables either
                    return connection.execute(statement, values).fetchall() if there else []

    def change_mark(self) -> tuple[int, int]:
        """Another value than before where anything was committed since, by anybody (SQLite, PRAGMA data_version)."""
        if self._connection is None and not os.path.lexists(self.path):
            return 0, 0
        with self._translated():
            connection = self._connect()
            (version,) = connection.execute("PRAGMA data_version").fetchone()
            return int(version), connection.total_changes

    @contextlib.contextmanager
    def transaction(self, *, removing: bool = False) -> Iterator[sqlite.Connection]:
        """One write transaction; commits at the end, rolls back on any exception.

        `removing`: it only forgets, which must also be possible where the disk is full. One inside another is not
        possible: an open one is what a signal has left that came between its beginning and its block. It is taken
        back, for who undoes things after that signal needs transactions of his own.
        """
        with self._translated():
            connection = self._connect()
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            connection.execute("BEGIN IMMEDIATE")
        try:
            with self._translated():
                yield connection
                connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> sqlite.Connection:
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _open(self) -> sqlite.Connection:
        writable = os.access(self.path if os.path.lexists(self.path) else os.path.dirname(self.path), os.W_OK)
        if os.path.islink(self.path) or (os.path.lexists(self.path) and not os.path.isfile(self.path)):
            raise StoreError(f"{self.path} is not a regular file", hint="move it away: wpod made no such thing")
        if not writable:
            return self._open_read_only()
        connection = sqlite.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, cached_statements=32)
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = FULL")
            self._migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _open_read_only(self) -> sqlite.Connection:
        quoted = self.path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        # A log that a killed writer left holds what was committed last; it is read with that writer's -shm file.
        # Without one, `immutable`: the -shm file that WAL needs can't be made without permission or room.
        log = f"{self.path}-wal"
        mode = "ro" if os.path.exists(log) and os.path.getsize(log) else "ro&immutable=1"
        connection = sqlite.connect(f"file:{quoted}?mode={mode}", uri=True, isolation_level=None)
        try:
            self._version(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _version(self, connection: sqlite.Connection) -> int:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        newest = len(migrations.STEPS)
        if version > newest:
            raise StoreError(
                f"{self.path} was written by a newer wpod (schema {version}, this one knows {newest})",
                hint="use that version, or another store with --root",
            )
        return int(version)

    def _migrate(self, connection: sqlite.Connection) -> None:
        if self._version(connection) == len(migrations.STEPS):
            return
        # One at a time: SQLite's own lock doesn't make those wait who switch to WAL at once.
        directory = os.open(os.path.dirname(self.path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            self._bring_up_to_date(connection)
        finally:
            os.close(directory)

    def _bring_up_to_date(self, connection: sqlite.Connection) -> None:
        newest = len(migrations.STEPS)
        if self._version(connection) == 0:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()  # another process may have done it
        for number in range(version + 1, newest + 1):
            for statement in migrations.STEPS[number - 1].split(";"):
                if statement.strip():
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
        os.chmod(self.path, 0o600)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite.IntegrityError:
            raise
        except sqlite.OperationalError as error:
            hint = None
            if "locked" in str(error):
                hint = f"another program held it for {BUSY_SECONDS:g} s"
            elif _needs_room(error):
                hint = "the disk is full: free some space"
            raise StoreError(f"{self.path}: {error}", hint=hint) from error
        except sqlite.Error as error:
            raise StoreError(f"{self.path}: {error}", hint="wpod system check tells what can be saved") from error


def _needs_room(error: sqlite.OperationalError) -> bool:
    """Whether SQLite had no room for what it writes: the database, its log, or the log's shared memory."""
    name = getattr(error, "sqlite_errorname", "")
    return name == "SQLITE_FULL" or name.startswith("SQLITE_IOERR_SHM") or name == "SQLITE_IOERR_WRITE"
