"""The subjects of the contract: wpod with a wasm and a native guest, as each user, and podman as the reference.

A case is written once. podman runs the native half of it, which shows that the case asks for podman's
behaviour and not for wpod's habits.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache

import pytest

from tests import conftest as base
from tests.support import accounts_available, leftovers, peer
from tests.support.account import Account
from tests.support.command import Result, Wpod
from tests.support.images import ImageSource


class Mode(enum.Enum):
    FOREGROUND = "foreground"
    DETACHED = "detached"


@dataclass
class Subject:
    """One manager with one kind of guest, run by one user."""

    label: str
    kind: str
    wpod: Wpod
    image: str

    @property
    def is_reference(self) -> bool:
        return self.label == "podman"

    @property
    def is_wasm(self) -> bool:
        return self.kind == "wasm"

    @property
    def is_root(self) -> bool:
        return self.wpod.account.uid == 0

    def run(self, mode: Mode, options: tuple[str, ...], *guest: str, image: str = "") -> Result:
        """Run the guest to its end; in both modes the result is its status and its two streams."""
        if mode is Mode.FOREGROUND:
            return self.wpod("run", "--rm", *options, image or self.image, *guest)
        container = self.wpod("run", "-d", *options, image or self.image, *guest).ok().line
        status = int(self.wpod("wait", container).ok().line)
        logs = self.wpod("logs", container).ok()
        self.wpod("rm", container).ok()
        return Result(logs.arguments, status, logs.stdout, logs.stderr)

    def detached(self, options: tuple[str, ...], *guest: str) -> str:
        """Start a guest in the background; returns the ID."""
        return self.wpod("run", "-d", *options, self.image, *guest).ok().line


@cache
def _labels() -> tuple[str, ...]:
    found = [f"{kind}-{account.label}" for account in accounts_available() for kind in ("wasm", "native")]
    if os.geteuid() == 0 and peer.is_there():
        found.append("podman")
    return tuple(found)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Markers narrow the subjects: `own` leaves the reference out, `wasm` and `native` name the kind."""
    marked = metafunc.definition.get_closest_marker
    if "subject" in metafunc.fixturenames:
        wanted = [
            label
            for label in _labels()
            if not (label == "podman" and (marked("own") or marked("wasm")))
            and not (marked("wasm") and not label.startswith("wasm"))
            and not (marked("native") and label.startswith("wasm"))
        ]
        metafunc.parametrize("subject", wanted, ids=wanted, indirect=True)
    if "mode" in metafunc.fixturenames:
        metafunc.parametrize("mode", list(Mode), ids=[mode.value for mode in Mode])


def pytest_report_header() -> str:
    missing = "" if "podman" in _labels() else " (podman is not usable here: the suite isn't proven against it)"
    return f"contract subjects: {', '.join(_labels())}{missing}"


@pytest.fixture(scope="session")
def _stores(places: base.Places) -> Iterator[dict[str, Wpod]]:
    made: dict[str, Wpod] = {}
    yield made
    for wpod in made.values():
        leftovers.end(wpod.scratch)
        wpod.account.remove_tree(wpod.scratch)


@pytest.fixture(scope="session")
def _peers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="session")
def _subjects(
    places: base.Places,
    _stores: dict[str, Wpod],
    _peers: ExitStack,
    archives: base.Archives,
    probe_sources: dict[str, ImageSource],
) -> Callable[[str], Subject]:
    """Makes subjects; kinds of one account share a store, filled once."""

    def store_of(account: Account, label: str) -> Wpod:
        if label not in _stores:
            wpod = places.new(account)
            if label == "podman":
                wpod = _peers.enter_context(peer.podman(account, wpod.scratch))
                wpod("load", "--quiet", "--input", archives(probe_sources["native"])).ok()
            else:
                base.load(wpod, archives, *probe_sources.values())
            _stores[label] = wpod
        return _stores[label]

    def subject(label: str) -> Subject:
        if label == "podman":
            return Subject(label, "native", store_of(accounts_available()[0], label), probe_sources["native"].name)
        kind, _, who = label.partition("-")
        account = next(account for account in accounts_available() if account.label == who)
        wpod = store_of(account, who)
        if kind == "native":
            wpod = replace(wpod, of_new=("--network", "none"))
        return Subject(label, kind, wpod, probe_sources[kind].name)

    return subject


@pytest.fixture
def subject(request: pytest.FixtureRequest, _subjects: Callable[[str], Subject]) -> Iterator[Subject]:
    """The subject of a test; afterwards its store holds no container, and nothing else is left."""
    found = _subjects(request.param)
    yield found
    if found.is_reference:
        found.wpod("rm", "--force", "--all", "--time", "0").ok()
        found.wpod("volume", "prune", "--force").ok()
    else:
        base.close(found.wpod)


@pytest.fixture
def run(subject: Subject, mode: Mode) -> Callable[..., Result]:
    """`run(options, *guest)` in the test's mode."""

    def running(options: tuple[str, ...], *guest: str, image: str = "") -> Result:
        return subject.run(mode, options, *guest, image=image)

    return running
