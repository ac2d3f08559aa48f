"""The recorded facts about networks: what they are, and which running container has which place on them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from wpod.errors import AmbiguousName, InUse, NameTaken, NotThere, StoreError
from wpod.model import ids
from wpod.model.network import Lease, Network
from wpod.state import sqlite
from wpod.state.database import Database
from wpod.state.encoding import from_json, to_json

TYPE_CHECKING = False  # not typing's: importing that takes 2 ms
if TYPE_CHECKING:
    from typing import Any

_LEASE = "network, container_id, interface, address4, address6, mac, aliases"

# Makes a network of the number it gets and of all that there are.
ChooseNetwork = Callable[[int, Sequence[Network]], Network]
# Makes a container's leases; asked for a network and the addresses (without prefix length) that are taken on it.
Lookup = Callable[[str], tuple[Network, frozenset[str]]]
ChooseLeases = Callable[[Lookup], Sequence[Lease]]


class NetworkTable:
    """Reads and writes network records and leases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(self, choose: ChooseNetwork) -> Network:
        """Record a network. `choose` is called inside the transaction: two commands never take the same subnet.

        Raises NameTaken and what `choose` raises.
        """
        with self._database.transaction() as connection:
            row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'network'").fetchone()
            number = (row[0] if row else 0) + 1
            present = [_network(row) for row in connection.execute("SELECT name, record FROM network")]
            network = choose(number, present)
            if any(one.name == network.name for one in present):
                raise NameTaken(f"network name {network.name} already used")
            connection.execute(
                "INSERT INTO network (number, name, network_id, record) VALUES (?, ?, ?, ?)",
                (number, network.name, network.network_id, to_json(network)),
            )
        return network

    def update(self, name: str, change: Callable[[Network], Network]) -> Network:
        """Replace a network's record by what `change` makes of it, inside the transaction. Raises NotThere."""
        with self._database.transaction() as connection:
            network = change(_found(connection, name))
            connection.execute("UPDATE network SET record = ? WHERE name = ?", (to_json(network), name))
        return network

    def all(self) -> list[Network]:
        """Sorted by name. Raises StoreError where one can't be read."""
        return [_network(row) for row in self._database.rows("SELECT name, record FROM network ORDER BY name")]

    def are_used(self) -> bool:
        """Whether a container was ever on a network: nothing needs to be tended otherwise."""
        return bool(self._database.rows("SELECT 1 FROM network LIMIT 1"))

    def readable(self) -> tuple[list[Network], list[StoreError]]:
        """As `all`, going on past records that can't be read, each of which gives an error."""
        found: list[Network] = []
        problems: list[StoreError] = []
        for row in self._database.rows("SELECT name, record FROM network ORDER BY name"):
            try:
                found.append(_network(row))
            except StoreError as error:
                problems.append(error)
        return found, problems

    def names(self) -> list[str]:
        """Of all networks, also of those whose records can't be read."""
        return [str(row[0]) for row in self._database.rows("SELECT name FROM network ORDER BY name")]

    def find(self, name_or_id: str) -> Network:
        """By name, ID or unique ID prefix. Raises NotThere, AmbiguousName."""
        found = self._database.rows("SELECT name, record FROM network WHERE name = ?", (name_or_id,))
        if not found and ids.is_id_prefix(name_or_id):
            found = self._database.rows(
                "SELECT name, record FROM network WHERE network_id >= ? AND network_id < ?",
                (name_or_id, name_or_id + "g"),  # above every hex digit
            )
        if not found:
            raise NotThere(f"network not found: {name_or_id}", hint="wpod network ls lists them")
        if len(found) > 1:
            raise AmbiguousName(f"{name_or_id!r} fits more than one network")
        return _network(found[0])

    def delete(self, name: str) -> None:
        """Forget a network; one that isn't there is done already. Raises InUse, naming who is on it."""
        try:
            with self._database.transaction(removing=True) as connection:
                connection.execute("DELETE FROM network WHERE name = ?", (name,))
        except sqlite.IntegrityError:
            users = ", ".join(sorted(ids.short(one.container_id) for one in self.leases() if one.network == name))
            raise InUse(f"network {name} is being used by the following container(s): {users}") from None

    def leases(self, container_id: str = "") -> list[Lease]:
        """One container's, or everybody's, sorted by interface and network."""
        where, values = ("WHERE container_id = ?", (container_id,)) if container_id else ("", ())
        rows = self._database.rows(f"SELECT {_LEASE} FROM lease {where} ORDER BY interface, network", values)
        return [_lease(row) for row in rows]

    def lease(self, container_id: str, choose: ChooseLeases, *, anew: bool) -> list[Lease]:
        """Record places on networks for a container; `anew`: what it had before is given back first.

        `choose` is called inside the transaction: an address is never given out twice. Raises NameTaken (already on
        such a network), NotThere (no such network), and what `choose` raises.
        """
        with self._database.transaction() as connection:
            if anew:
                connection.execute("DELETE FROM lease WHERE container_id = ?", (container_id,))
            chosen = list(choose(lambda name: _with_taken(connection, name)))
            for one in chosen:
                _insert(connection, one)
        return chosen

    def release(self, container_ids: Collection[str], network: str = "") -> None:
        """Give back the places of these containers, on one network or on all. What isn't there is done already."""
        only, name = (" AND network = ?", (network,)) if network else ("", ())
        with self._database.transaction(removing=True) as connection:
            connection.executemany(
                f"DELETE FROM lease WHERE container_id = ?{only}", [(one, *name) for one in container_ids]
            )


def _with_taken(connection: sqlite.Connection, name: str) -> tuple[Network, frozenset[str]]:
    network = _found(connection, name)
    pairs = connection.execute("SELECT address4, address6 FROM lease WHERE network = ?", (name,))
    taken = frozenset(str(address).partition("/")[0] for pair in pairs for address in pair if address)
    return network, taken


def _found(connection: sqlite.Connection, name: str) -> Network:
    row = connection.execute("SELECT name, record FROM network WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise NotThere(f"network not found: {name}", hint="wpod network ls lists them")
    return _network(row)


def _insert(connection: sqlite.Connection, lease: Lease) -> None:
    four = next((one for one in lease.addresses if ":" not in one), None)
    six = next((one for one in lease.addresses if ":" in one), None)
    row = (lease.network, lease.container_id, lease.interface, four, six, lease.mac, to_json(lease.aliases))
    try:
        connection.execute(f"INSERT INTO lease ({_LEASE}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    except sqlite.IntegrityError as error:
        if "lease.container_id" in str(error):
            container = ids.short(lease.container_id)
            raise NameTaken(f"container {container} is already connected to network {lease.network}") from None
        raise StoreError(f"a place on network {lease.network} can't be recorded: {error}") from error


def _network(row: Sequence[Any]) -> Network:
    try:
        return from_json(row[1], Network)
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(
            f"the record of network {row[0]} can't be read: {error}",
            hint="wpod system check --repair --force removes what can't be mended",
        ) from error


def _lease(row: Sequence[Any]) -> Lease:
    network, container_id, interface, four, six, mac, aliases = row
    addresses = tuple(one for one in (four, six) if one)
    return Lease(network, container_id, interface, addresses, mac, tuple(from_json(aliases, list)))
