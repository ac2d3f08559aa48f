"""The recorded facts about containers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wpod.errors import AmbiguousName, NameTaken, NotThere, StoreError
from wpod.frozen import frozen, replace
from wpod.model import ids
from wpod.model.container import ContainerPlan, ContainerRecord
from wpod.model.volume import Volume
from wpod.state import sqlite
from wpod.state.database import Database
from wpod.state.encoding import from_json, to_json
from wpod.state.volumes import INSERT as INSERT_VOLUME
from wpod.state.volumes import Step, nothing, row_of

TYPE_CHECKING = False  # not typing's: importing that takes 2 ms
if TYPE_CHECKING:
    from typing import Any

_COLUMNS = (
    "container_id, name, image_id, image_digest, image_name, created_nanoseconds, remove, plan, labels,"
    " annotations, create_command, start_count"
)

_ANONYMOUS_OF = """
    SELECT name FROM volume JOIN volume_use ON volume = name WHERE anonymous = 1 AND container_id = ?1
    AND NOT EXISTS (SELECT 1 FROM volume_use AS other WHERE other.volume = name AND other.container_id != ?1)
    ORDER BY name
"""


@frozen
class VolumeUse:
    """What volumes a new container uses: recorded ones by name, and anonymous ones that are made with it."""

    names: tuple[str, ...] = ()
    made: tuple[Volume, ...] = ()


NO_VOLUMES = VolumeUse()


@frozen
class Forgotten:
    """What a transaction took away: containers that were recorded until then, and anonymous volumes by name."""

    container_ids: frozenset[str] = frozenset()
    volumes: tuple[str, ...] = ()


class ContainerTable:
    """Reads and writes container records. All methods raise StoreError where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(self, record: ContainerRecord, volumes: VolumeUse = NO_VOLUMES, before_commit: Step = nothing) -> None:
        """Record a new container, its anonymous volumes and its use of volumes, in one transaction.

        `before_commit` puts the files in place; what it raises undoes the records. Raises NameTaken,
        NotThere for a volume that isn't recorded (any more).
        """
        row = (
            record.container_id, record.name, record.image_id, record.image_digest, record.image_name,
            record.created_nanoseconds, int(record.remove), to_json(record.plan), to_json(dict(record.labels)),
            to_json(dict(record.annotations)), to_json(record.create_command), record.start_count,
        )  # fmt: skip
        uses = [(name, record.container_id) for name in (*volumes.names, *(one.name for one in volumes.made))]
        try:
            with self._database.transaction() as connection:
                connection.execute(f"INSERT INTO container ({_COLUMNS}) VALUES ({', '.join('?' * 12)})", row)
                connection.executemany(INSERT_VOLUME, [row_of(volume) for volume in volumes.made])
                connection.executemany("INSERT OR IGNORE INTO volume_use (volume, container_id) VALUES (?, ?)", uses)
                before_commit()
        except sqlite.IntegrityError as error:
            if "container.name" in str(error):
                raise self.name_taken(record.name) from None
            for name in volumes.names:
                if not self._database.rows("SELECT 1 FROM volume WHERE name = ?", (name,)):
                    raise NotThere(f"volume {name} was removed meanwhile", hint="try again") from None
            raise StoreError(f"container {record.name} can't be recorded: {error}") from error

    def name_taken(self, name: str) -> NameTaken:
        """The error that names the container which has this name."""
        rows = self._database.rows("SELECT container_id FROM container WHERE name = ?", (name,))
        holder = f" by container {ids.short(str(rows[0][0]))}" if rows else ""
        return NameTaken(
            f"the container name {name!r} is already in use{holder}",
            hint="remove that container, choose another name, or use --replace",
        )

    def all(self) -> list[ContainerRecord]:
        """Newest first, ties by ID. Raises StoreError where one can't be read."""
        return self._select("ORDER BY created_nanoseconds DESC, container_id", ())

    def readable(self) -> tuple[list[ContainerRecord], list[StoreError]]:
        """As `all`, going on past records that can't be read, each of which gives an error."""
        rows = self._database.rows(f"SELECT {_COLUMNS} FROM container ORDER BY created_nanoseconds DESC, container_id")
        return _readable(rows)

    def removable(self) -> list[str]:
        """IDs of those recorded with --rm, oldest first; every writing command asks, so the records aren't read."""
        clause = "WHERE remove = 1 ORDER BY created_nanoseconds, container_id"
        return [str(row[0]) for row in self._database.rows(f"SELECT container_id FROM container {clause}")]

    def counts_by_image(self) -> dict[str, int]:
        """How many containers each image has, by image ID."""
        rows = self._database.rows("SELECT image_id, count(*) FROM container GROUP BY image_id")
        return {str(image_id): int(str(count)) for image_id, count in rows}

    def ids(self) -> set[str]:
        """All container IDs."""
        return {str(row[0]) for row in self._database.rows("SELECT container_id FROM container")}

    def using_image(self, digest: str) -> list[ContainerRecord]:
        """Containers of the image with this manifest digest."""
        return self._select("WHERE image_digest = ? ORDER BY created_nanoseconds, container_id", (digest,))

    def using_volume(self, volume: str) -> list[str]:
        """IDs of the containers that use a named volume, sorted."""
        statement = "SELECT container_id FROM volume_use WHERE volume = ? ORDER BY container_id"
        return [str(row[0]) for row in self._database.rows(statement, (volume,))]

    def find(self, name_or_id: str) -> ContainerRecord:
        """By full name, full ID or unique ID prefix; a name wins. Raises NotThere, AmbiguousName."""
        found = self._select("WHERE name = ?", (name_or_id,))
        if not found and ids.is_id_prefix(name_or_id):
            upper = name_or_id + "g"  # above every hex digit
            found = self._select("WHERE container_id >= ? AND container_id < ?", (name_or_id, upper))
        if not found:
            raise NotThere(f"no container with name or ID {name_or_id!r} found: no such container")
        if len(found) > 1:
            listed = ", ".join(sorted(ids.short(record.container_id) for record in found))
            raise AmbiguousName(f"{name_or_id!r} fits more than one container: {listed}")
        return found[0]

    def count_start(self, *container_ids: str) -> None:
        """Note that the starts of these succeeded."""
        with self._database.transaction() as connection:
            connection.executemany(
                "UPDATE container SET start_count = start_count + 1 WHERE container_id = ?",
                [(container_id,) for container_id in container_ids],
            )

    def change_plan(self, container_id: str, plan: ContainerPlan) -> None:
        """Record another plan for a container, which its caller has locked. One that isn't there is done already."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE container SET plan = ? WHERE container_id = ?", (to_json(plan), container_id))

    def delete(self, container_id: str, *, with_volumes: bool = False) -> list[str]:
        """Forget one container as `forget` does; what isn't there is done already. Returns the volumes' names."""
        return list(self.forget({container_id: with_volumes}).volumes)

    def forget(self, doomed: Mapping[str, bool]) -> Forgotten:
        """Forget containers, by ID, and their volume uses, all in one transaction.

        Those whose value is true: with the anonymous volumes that nobody else uses (any more), whose files are the
        caller's to delete.
        """
        there: list[str] = []
        volumes: list[str] = []
        with self._database.transaction(removing=True) as connection:
            for container_id, with_volumes in doomed.items():
                own = connection.execute(_ANONYMOUS_OF, (container_id,)).fetchall() if with_volumes else []
                if connection.execute("DELETE FROM container WHERE container_id = ?", (container_id,)).rowcount:
                    there.append(container_id)
                connection.executemany("DELETE FROM volume WHERE name = ?", own)
                volumes += [str(row[0]) for row in own]
        return Forgotten(frozenset(there), tuple(volumes))

    def _select(self, clause: str, values: tuple[object, ...]) -> list[ContainerRecord]:
        rows = self._database.rows(f"SELECT {_COLUMNS} FROM container {clause}", values)
        plans = _Plans()
        return [_record(row, plans) for row in rows]


class _Plans:
    """Reads plans. Those that differ in their host name alone, as of containers of one image, are parsed once.

    Parsing takes a third of the time of a listing. The usual host name is the container's short ID, which stands in the
    text as such, and in the environment of native containers. Where it stands nowhere else, two texts that are the same
    but for it are plans that are the same but for it.
    """

    def __init__(self) -> None:
        self._known: dict[str, ContainerPlan] = {}

    def read(self, text: str, container_id: str) -> ContainerPlan:
        """Raises ValueError, TypeError as `from_json`."""
        name = ids.short(container_id)
        shape = text.replace(name, "\0")  # which no JSON text has in it
        known = self._known.get(shape)
        if known is not None:
            own, other = f"HOSTNAME={name}", f"HOSTNAME={known.hostname}"
            environment = tuple([own if one == other else one for one in known.environment])
            return replace(known, hostname=name, environment=environment)
        plan = from_json(text, ContainerPlan)
        if plan.hostname == name and text.count(name) == 1 + plan.environment.count(f"HOSTNAME={name}"):
            self._known[shape] = plan
        return plan


def _readable(rows: Sequence[tuple[Any, ...]]) -> tuple[list[ContainerRecord], list[StoreError]]:
    records: list[ContainerRecord] = []
    problems: list[StoreError] = []
    plans = _Plans()
    for row in rows:
        try:
            records.append(_record(row, plans))
        except StoreError as error:
            problems.append(error)
    return records, problems


def _record(row: tuple[Any, ...], plans: _Plans) -> ContainerRecord:
    try:
        return ContainerRecord(
            container_id=row[0], name=row[1], image_id=row[2], image_digest=row[3], image_name=row[4],
            created_nanoseconds=row[5], remove=bool(row[6]), plan=plans.read(row[7], row[0]),
            labels=from_json(row[8], dict), annotations=from_json(row[9], dict),
            create_command=tuple(from_json(row[10], list)), start_count=row[11],
        )  # fmt: skip
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(
            f"the record of container {ids.short(row[0])} can't be read: {error}",
            hint="wpod system check --repair --force removes what can't be mended",
        ) from error
