"""The database of recorded facts: migrations, strangers in its place, writers, damage (wpod.state.database)."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import accounts_available
from wpod.errors import StoreError
from wpod.state import database as module
from wpod.state import migrations
from wpod.state.database import Database

INSERT = "INSERT INTO volume (name, created_nanoseconds, anonymous, labels, options) VALUES (?, 0, 0, '{}', '{}')"
NAMES = "SELECT name FROM volume ORDER BY name"


def add(database: Database, name: str) -> None:
    with database.transaction() as connection:
        connection.execute(INSERT, (name,))


def names(database: Database) -> list[object]:
    return [row[0] for row in database.rows(NAMES)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "wpod.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    made = Database(str(path))
    yield made
    made.close()


def test_reading_makes_nothing(database: Database, path: Path) -> None:
    assert names(database) == []
    assert not path.exists()


def test_what_is_committed_is_there_for_the_next(database: Database, path: Path) -> None:
    add(database, "a")
    database.close()
    assert names(Database(str(path))) == ["a"]
    assert names(database) == ["a"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_exception_rolls_back(database: Database) -> None:
    add(database, "a")
    with pytest.raises(KeyboardInterrupt), database.transaction() as connection:
        connection.execute(INSERT, ("b",))
        raise KeyboardInterrupt
    add(database, "c")
    assert names(database) == ["a", "c"]


def test_a_transaction_that_a_signal_has_left_open_does_not_stand_in_the_way_of_undoing(database: Database) -> None:
    """It came when the transaction had begun and its block had not."""
    add(database, "a")
    left = database.transaction()
    left.__enter__().execute(INSERT, ("half",))
    add(database, "undone")
    assert not left.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert names(database) == ["a", "undone"]


def test_integrity_is_told_from_failure(database: Database) -> None:
    add(database, "a")
    with pytest.raises(sqlite3.IntegrityError):
        add(database, "a")
    with pytest.raises(StoreError, match="no such table"):
        database.rows("SELECT * FROM absent")
    assert names(database) == ["a"]


def test_settings_that_survive_a_power_cut(database: Database, path: Path) -> None:
    add(database, "a")
    with database.transaction() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert Path(f"{path}-wal").exists()


# --- migrations ---------------------------------------------------------------------------------------------------


def test_each_step_brings_an_older_database_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = Database(str(path))
    add(old, "kept")
    old.close()
    more = (
        "CREATE TABLE extra (a TEXT) STRICT; ALTER TABLE volume ADD COLUMN note TEXT",
        "INSERT INTO extra VALUES ('x')",
    )
    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, *more))
    new = Database(str(path))
    assert new.rows("SELECT name, note, a FROM volume, extra") == [("kept", None, "x")]
    assert new.rows("PRAGMA user_version") == [(len(migrations.STEPS),)]
    new.close()


def test_a_step_that_fails_leaves_the_database_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = Database(str(path))
    add(old, "kept")
    old.close()
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "STEPS", (*migrations.STEPS, "CREATE TABLE extra (a TEXT); CREATE NONSENSE"))
        with pytest.raises(StoreError, match="syntax"):
            names(Database(str(path)))
    assert names(Database(str(path))) == ["kept"]
    assert Database(str(path)).rows("SELECT count(*) FROM sqlite_master WHERE name = 'extra'") == [(0,)]


def test_a_newer_version_s_database_is_refused_untouched(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE future (a)")
    connection.execute(f"PRAGMA user_version = {len(migrations.STEPS) + 1}")
    connection.close()
    before = path.read_bytes()
    for use in (names, lambda database: add(database, "x")):
        with pytest.raises(StoreError, match="newer wpod") as error:
            use(Database(str(path)))
        assert error.value.hint is not None
    assert path.read_bytes() == before


def test_an_empty_file_becomes_a_database(path: Path) -> None:
    """What a kill right after the first open leaves."""
    path.touch()
    database = Database(str(path))
    assert names(database) == []
    add(database, "a")
    assert names(database) == ["a"]


# --- strangers and damage -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["link", "dangling link", "directory", "fifo", "socket"])
def test_something_else_in_its_place_is_neither_followed_nor_opened(what: str, path: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    if what == "link":
        other = Database(str(target))
        add(other, "foreign")
        other.close()
        path.symlink_to(target)
    elif what == "dangling link":
        path.symlink_to(target)
    elif what == "directory":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    else:
        import socket

        socket.socket(socket.AF_UNIX).bind(str(path))
    before = target.read_bytes() if target.exists() else None
    for use in (names, lambda database: add(database, "x")):
        with pytest.raises(StoreError, match="not a regular file") as error:
            use(Database(str(path)))
        assert str(path) in error.value.message
    assert (target.read_bytes() if target.exists() else None) == before


@pytest.mark.parametrize(
    "content", [b"not a database at all\n" * 50, b"\0" * 8192, b"SQLite format 3\0" + b"\xff" * 4096]
)
def test_a_damaged_database_is_one_error_and_stays_as_it_is(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    for use in (names, lambda database: add(database, "x")):
        with pytest.raises(StoreError) as error:
            use(Database(str(path)))
        assert str(path) in error.value.message
        assert "\n" not in error.value.message
    assert path.read_bytes() == content


def test_a_page_damaged_in_the_middle_is_one_error(path: Path) -> None:
    database = Database(str(path))
    with database.transaction() as connection:
        connection.executemany(INSERT, [(f"volume-{number:04d}" + "x" * 50,) for number in range(300)])
    database.close()
    data = bytearray(path.read_bytes())
    for offset in range(4096, len(data), 4096):
        data[offset : offset + 64] = b"\xff" * 64
    path.write_bytes(data)
    with pytest.raises(StoreError, match="malformed"):
        names(Database(str(path)))


def test_without_its_log_the_database_is_what_was_checkpointed(path: Path) -> None:
    database = Database(str(path))
    add(database, "a")
    database.close()
    writer = start_writer(path, "w", 100_000)
    assert writer.stdout is not None
    writer.stdout.readline()
    writer.kill()
    writer.communicate()
    for suffix in ("-wal", "-shm"):
        os.unlink(f"{path}{suffix}")
    survivor = Database(str(path))
    assert names(survivor)[0] == "a"
    add(survivor, "b")
    assert "b" in names(survivor)
    survivor.close()


# --- others at work -----------------------------------------------------------------------------------------------


def test_a_locked_database_is_a_clear_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)
    database = Database(str(path))
    add(database, "a")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked") as error:
        add(database, "b")
    assert "another program held it for 0.05 s" in str(error.value.hint)
    assert names(database) == ["a"]  # readers never wait
    other.execute("ROLLBACK")
    add(database, "b")
    assert names(database) == ["a", "b"]
    other.close()


def test_a_writer_waits_for_another(path: Path) -> None:
    add(Database(str(path)), "a")
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    other.execute(INSERT, ("other",))
    timer = threading.Timer(0.2, lambda: other.execute("COMMIT"))
    timer.start()
    add(Database(str(path)), "b")
    timer.join()
    assert names(Database(str(path))) == ["a", "b", "other"]


WRITER = """
import sys
from wpod.state.database import Database
database = Database(sys.argv[1])
for number in range(int(sys.argv[3])):
    with database.transaction() as connection:
        connection.execute(sys.argv[4], (f"{sys.argv[2]}-{number:03d}",))
    print(number, flush=True)
"""


def start_writer(path: Path, name: str, count: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(count), INSERT],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        bufsize=0,  # what `readline` has read ahead would be lost to `communicate`
    )  # fmt: skip


def test_many_processes_create_and_write_at_once(path: Path) -> None:
    writers = [start_writer(path, f"w{number}", 5) for number in range(8)]
    for writer in writers:
        _, complaint = writer.communicate()
        assert writer.returncode == 0, complaint.decode()
    assert names(Database(str(path))) == [f"w{writer}-{number:03d}" for writer in range(8) for number in range(5)]


def test_what_a_killed_writer_said_is_there(path: Path) -> None:
    for count in (1, 4, 9):
        path.unlink(missing_ok=True)
        writer = start_writer(path, "w", 100_000)
        assert writer.stdout is not None
        for _ in range(count):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        said = count + len(writer.communicate()[0].splitlines())
        database = Database(str(path))
        found = names(database)
        assert found[:said] == [f"w-{number:03d}" for number in range(said)]
        assert len(found) <= said + 1
        add(database, "after")
        database.close()


# --- without permission to write ----------------------------------------------------------------------------------


def as_user(action: Callable[[], None]) -> str:
    """Run it in a child as the unprivileged account; returns the StoreError's message, "" where there was none."""
    account = accounts_available()[-1]
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(account.gid)
                os.setuid(account.uid)
            try:
                action()
            except StoreError as error:
                os.write(writer, error.message.encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as file:
        message = file.read()
    assert os.waitpid(child, 0)[1] == 0
    return message


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[Path]:
    """A database in a directory that may be read by all and written by the owner alone (root, or nobody)."""
    directory = tmp_path / "foreign"
    directory.mkdir(mode=0o755)
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.geteuid() and len(parent.parts) > 2:
            parent.chmod(0o755)
    yield directory / "wpod.db"
    directory.chmod(0o755)


def publish(path: Path) -> None:
    for name in path.parent.iterdir():
        name.chmod(0o444)
    path.parent.chmod(0o555)


def expect(expected: list[object], path: Path) -> Callable[[], None]:
    def check() -> None:
        assert names(Database(str(path))) == expected

    return check


def test_a_database_that_may_only_be_read_is_read(foreign: Path) -> None:
    database = Database(str(foreign))
    add(database, "a")
    database.close()
    publish(foreign)
    assert as_user(expect(["a"], foreign)) == ""
    assert "readonly" in as_user(lambda: add(Database(str(foreign)), "b"))


def test_what_a_killed_writer_left_in_the_log_is_read_too(foreign: Path) -> None:
    writer = start_writer(foreign, "w", 100_000)
    assert writer.stdout is not None
    writer.stdout.readline()
    writer.kill()
    writer.communicate()
    assert Path(f"{foreign}-wal").stat().st_size > 0
    publish(foreign)

    def check() -> None:
        assert "w-000" in names(Database(str(foreign)))

    assert as_user(check) == ""


def test_a_newer_database_is_refused_for_readers_too(foreign: Path) -> None:
    connection = sqlite3.connect(foreign)
    connection.execute(f"PRAGMA user_version = {len(migrations.STEPS) + 1}")
    connection.close()
    publish(foreign)
    assert "newer wpod" in as_user(lambda: names(Database(str(foreign))) and None)


def test_an_unreadable_database_is_a_clear_error(foreign: Path) -> None:
    add(Database(str(foreign)), "a")
    for name in foreign.parent.iterdir():
        name.chmod(0o000)
    assert str(foreign) in as_user(lambda: names(Database(str(foreign))) and None)
