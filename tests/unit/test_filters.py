"""--filter of commands on containers (wpod.queries.filters)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import records
from tests.support.records import container_id, record
from wpod.errors import AmbiguousName, NotThere, UsageError
from wpod.formats import state_file
from wpod.formats.state_file import Phase
from wpod.frozen import replace
from wpod.model.container import Container, MountPlan
from wpod.model.network import NetworkMode
from wpod.queries import containers as queries
from wpod.queries.filters import KEYS, container_filter
from wpod.storage.store import Store, open_store

BILLION = 10**9
VOLUMES = (MountPlan("volume", "/v/data/_data", "/data", volume="data"), MountPlan("bind", "/srv", "/in"))


def add(store: Store, identifier: str, state: Any = None, **changes: Any) -> None:
    store.containers.insert(record(identifier, **changes))
    directory = Path(store.paths.container(container_id(identifier)).directory)
    directory.mkdir(parents=True)
    if state is not None:
        (directory / "state").write_bytes(state_file.encode(state))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Four containers: a is the oldest, d the newest."""
    made = open_store(str(tmp_path / "store"))
    now = time.time_ns()
    for number, (identifier, state, changes) in enumerate(
        (
            ("a1", None, {"name": "web", "labels": {"app": "web", "tier": "front"}}),
            ("a2", records.state(phase=Phase.EXITED, status=0), {
                "name": "web-2", "labels": {"app": "web", "empty": ""}, "image_name": "localhost/other:v1.2",
                "image_id": "2" * 64, "plan": records.plan(mounts=VOLUMES, network=NetworkMode.HOST)}),
            ("b3", records.state(phase=Phase.EXITED, status=42), {
                "name": "db", "image_name": "registry.test:5000/team/db:latest", "image_id": "3" * 64}),
            ("c4", records.state(phase=Phase.RUNNING, boot_id=b"x" * 16), {"name": "killed"}),
        )
    ):  # fmt: skip
        add(made, identifier, state, **{"created_nanoseconds": now - (4 - number) * 3600 * BILLION, **changes})
    yield made
    made.database.close()


def fitting(store: Store, *terms: str) -> str:
    fits = container_filter(store, [(term.partition("=")[0], term.partition("=")[2]) for term in terms])
    return "".join(sorted(one.record.container_id[0:2] for one in queries.all_containers(store) if fits(one)))


FILTERS = {
    (): "a1a2b3c4",
    ("id=a",): "a1a2", ("id=a1",): "a1", ("id=",): "a1a2b3c4", ("id=1",): "", ("id=a1", "id=b3"): "a1b3",
    ("name=web",): "a1a2", ("name=^web$",): "a1", ("name=b",): "a1a2b3", ("name=web", "name=db"): "a1a2b3",
    ("status=created",): "a1", ("status=exited",): "a2b3c4", ("status=stopped",): "a2b3c4", ("status=running",): "",
    ("status=paused",): "", ("status=created", "status=exited"): "a1a2b3c4",
    ("exited=42",): "b3", ("exited=0",): "a2", ("exited=137",): "c4", ("exited=0", "exited=42"): "a2b3",
    ("label=app",): "a1a2", ("label=app=web",): "a1a2", ("label=app=web", "label=tier"): "a1", ("label=app=x",): "",
    ("label=empty=",): "a2", ("label=empty",): "a2", ("label=tier=",): "", ("label!=app",): "b3c4",
    ("label!=tier=front",): "a2b3c4", ("label!=tier", "label!=empty"): "b3c4",
    ("ancestor=app",): "a1c4", ("ancestor=localhost/app",): "a1c4", ("ancestor=localhost/app:latest",): "a1c4",
    ("ancestor=other",): "a2", ("ancestor=other:v1.2",): "a2", ("ancestor=other:latest",): "", ("ancestor=oth",): "",
    ("ancestor=2222",): "a2", (f"ancestor=sha256:{'2' * 64}",): "a2", ("ancestor=db",): "b3",
    ("ancestor=team/db",): "b3",
    ("ancestor=registry.test:5000/team/db",): "b3", ("ancestor=app", "ancestor=db"): "a1b3c4",
    ("ancestor=",): "a1a2b3c4",
    ("volume=data",): "a2", ("volume=/data",): "a2", ("volume=/srv",): "a2", ("volume=/in",): "a2", ("volume=dat",): "",
    ("volume=",): "",
    ("network=host",): "a2", ("network=none",): "a1b3c4", ("network=bridge",): "", ("pod=x",): "",
    ("before=b3",): "a1a2", ("before=web",): "", ("since=a2",): "b3c4", ("since=killed",): "",
    ("until=150m",): "a1a2", ("until=10h",): "", ("until=1s",): "a1a2b3c4",
    ("name=web", "status=exited"): "a2", ("id=a", "exited=42"): "",
}  # fmt: skip


@pytest.mark.parametrize(("terms", "expected"), FILTERS.items(), ids=[" ".join(terms) or "none" for terms in FILTERS])
def test_filters(terms: tuple[str, ...], expected: str, store: Store) -> None:
    assert fitting(store, *terms) == expected


@pytest.mark.parametrize(
    ("term", "error"),
    [
        ("bogus=1", UsageError), ("Name=web", UsageError), ("status=bogus", UsageError), ("status=", UsageError),
        ("exited=x", UsageError), ("exited=", UsageError), ("exited=-1", UsageError), ("exited=²", UsageError),
        (f"exited={'9' * 5000}", UsageError), ("name=(", UsageError), ("name=[z-a]", UsageError),
        ("until=x", UsageError),
        ("until=", UsageError), ("before=nothing", NotThere), ("since=a", AmbiguousName),
        (f"name={'(' * 5000 + ')' * 5000}", UsageError),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_any_container(term: str, error: type[Exception], store: Store) -> None:
    with pytest.raises(error) as found:
        fitting(store, term)
    assert "\n" not in str(found.value)


def test_an_unknown_key_names_the_known_ones(store: Store) -> None:
    with pytest.raises(UsageError) as error:
        fitting(store, "bogus=1")
    assert error.value.hint == f"one of: {', '.join(KEYS)}"


def test_every_key_is_known(store: Store) -> None:
    values = {"status": "exited", "exited": "1", "until": "1h", "before": "web", "since": "web"}
    for key in KEYS:
        fitting(store, f"{key}={values.get(key, 'x')}")


def test_a_long_name_pattern_does_not_hang(store: Store) -> None:
    """The pattern is the user's own, but the names are short: no catastrophe."""
    assert fitting(store, "name=(a+)+$") == ""


def test_the_filter_judges_what_it_is_given(store: Store) -> None:
    fits = container_filter(store, [("label", "x=y")])
    assert fits(Container(replace(record("f"), labels={"x": "y"})))
    assert not fits(Container(replace(record("f"), labels={"x": "z"})))
    assert os.path.exists(store.paths.database)
