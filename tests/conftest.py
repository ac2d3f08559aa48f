"""Fixtures of every test that runs the command: accounts, stores, images; and what a session must not do.

The command under test is an installed copy, made once per session with packaging/install.sh, for a
checkout need not be readable by other users. `WPOD_TESTS_COMMAND` names another one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import accounts_available, compiled, guests, images, leftovers, own_network
from tests.support.account import Account
from tests.support.command import Wpod, eventually

_TOP = Path(__file__).parents[1]
# A skip that isn't for one of these reasons fails the session where WPOD_TESTS_FORBID_SKIPS is set (CI).
_ALLOWED_SKIPS = ("Go 1.21 or newer is not installed", "only root can mount a file system",
                  "only root has interfaces of the host")  # fmt: skip
_unexpected_skips: list[str] = []
# Writes the archive of an image.
Archives = Callable[[images.ImageSource], Path]


def pytest_configure(config: pytest.Config) -> None:
    """One directory per session, handed to the workers by the environment and removed by the controller."""
    if hasattr(config, "workerinput"):
        return
    session = tempfile.mkdtemp(prefix="wpod-tests-")
    os.chmod(session, 0o755)  # noqa: PTH101 - a string from mkdtemp
    os.environ["WPOD_TESTS_SESSION"] = session


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    session = Path(os.environ["WPOD_TESTS_SESSION"])
    leftovers.end(session)
    shutil.rmtree(session, ignore_errors=True)


def pytest_collection_finish(session: pytest.Session) -> None:
    """As root, whoever runs tests leaves the machine's network first; only what makes virtual machines needs it."""
    if os.geteuid() == 0 and any("/tests/vm/" not in str(item.path) for item in session.items):
        own_network.enter()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(allowed in reason for allowed in _ALLOWED_SKIPS):
            _unexpected_skips.append(f"{report.nodeid}: {reason}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _unexpected_skips and os.environ.get("WPOD_TESTS_FORBID_SKIPS") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _unexpected_skips and os.environ.get("WPOD_TESTS_FORBID_SKIPS"):
        terminalreporter.section("skips that no list allows")
        for line in _unexpected_skips:
            terminalreporter.line(line)


def session_directory() -> Path:
    return Path(os.environ["WPOD_TESTS_SESSION"])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`account` stands for every user that can be tested here: root and the test user, or the own one."""
    if "account" in metafunc.fixturenames:
        found = accounts_available()
        metafunc.parametrize("account", found, ids=[account.label for account in found], scope="session")


@pytest.fixture(scope="session")
def root_account() -> Account:
    """For what is the same for every user: the account that the tests run as."""
    return accounts_available()[0]


@pytest.fixture(scope="session")
def command() -> tuple[str, ...]:
    """The installed command; the first worker installs it."""
    named = os.environ.get("WPOD_TESTS_COMMAND")
    if named:
        return tuple(named.split())
    prefix = session_directory() / "installed"
    with (session_directory() / "installing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (prefix / "complete").exists():
            script = [str(_TOP / "packaging" / "install.sh"), str(prefix), str(prefix)]
            done = subprocess.run(own_network.outside(script), capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            (prefix / "complete").touch()
    return (str(prefix / "bin" / "wpod"),)


@dataclass(frozen=True)
class Places:
    """Makes stores: each in a directory of its own that the account can enter."""

    program: tuple[str, ...]

    def new(self, account: Account) -> Wpod:
        scratch = Path(tempfile.mkdtemp(prefix=f"{account.label}-", dir=session_directory()))
        scratch.chmod(0o755)
        account.own(scratch)
        for name in ("home", "runtime", "tmp"):
            account.directory(scratch / name)
        return Wpod(self.program, account, scratch / "store", scratch)


@pytest.fixture(scope="session")
def places(command: tuple[str, ...]) -> Places:
    return Places(command)


def close(wpod: Wpod) -> None:
    """Remove what a test made, with wpod itself, then fail for whatever is still there."""
    try:
        if leftovers.containers_of(wpod.store):
            wpod("rm", "--force", "--all", "--time", "0").ok()
        # Mostly nothing, and each look reads all of the machine's processes.
        if leftovers.find(wpod.store, wpod.scratch, wpod.seen):
            # A compiler that works on the side ends by itself, but at the lowest priority.
            eventually(lambda: not leftovers.compilers_of(wpod.store), patience_seconds=180)
            eventually(lambda: not leftovers.find(wpod.store, wpod.scratch, wpod.seen), patience_seconds=5)
    except AssertionError as error:
        left = leftovers.find(wpod.store, wpod.scratch, wpod.seen)
        leftovers.end(wpod.store)
        pytest.fail(f"left behind: {left}\n{error}", pytrace=False)
    finally:
        wpod.seen.clear()


def _end(wpod: Wpod) -> None:
    """Close a store and remove it."""
    close(wpod)
    wpod.account.remove_tree(wpod.scratch)
    if wpod.account.uid == 0:
        own_network.clear()


def load(wpod: Wpod, archives: Archives, *sources: images.ImageSource) -> None:
    """Load images; their modules are compiled already, for a compiler takes seconds of a processor for each store."""
    for source in sources:
        if "WPOD_TESTS_COMMAND" not in os.environ:  # another engine than the compiler's here
            compiled.give(wpod, source, session_directory())
        wpod("load", "--quiet", "--input", archives(source)).ok()


@contextlib.contextmanager
def filled(wpod: Wpod, archives: Archives, source: images.ImageSource) -> Iterator[Wpod]:
    """A new store with an image in it; closed and removed afterwards."""
    load(wpod, archives, source)
    yield wpod
    _end(wpod)


@pytest.fixture
def fresh(account: Account, places: Places) -> Iterator[Wpod]:
    """wpod on an empty store of its own, for each account."""
    wpod = places.new(account)
    yield wpod
    _end(wpod)


@pytest.fixture
def fresh_one(root_account: Account, places: Places) -> Iterator[Wpod]:
    """As `fresh`, for one account: where the user makes no difference."""
    wpod = places.new(root_account)
    yield wpod
    _end(wpod)


@pytest.fixture(scope="session")
def archives() -> Archives:
    """Writes image archives, each once per session and readable by all."""
    directory = session_directory() / "archives"
    directory.mkdir(exist_ok=True)

    def written(source: images.ImageSource) -> Path:
        target = directory / f"{source.name.rpartition('/')[2].replace(':', '_')}-{os.getpid()}.tar"
        return target if target.exists() else images.write_archive(source, target)

    return written


@pytest.fixture(scope="session")
def probe_sources() -> dict[str, images.ImageSource]:
    """The probe as a wasm and as a native image."""
    return _of_both_kinds("probe")


@pytest.fixture(scope="session")
def load_sources() -> dict[str, images.ImageSource]:
    """The guest with known allocations as a wasm and as a native image."""
    return _of_both_kinds("load")


def _of_both_kinds(guest: str) -> dict[str, images.ImageSource]:
    source = guests.SOURCES / f"{guest}.c"
    return {
        "wasm": images.with_program(f"localhost/{guest}-wasm:latest", guests.wasm_from_c(source), wasm=True),
        "native": images.with_program(f"localhost/{guest}-native:latest", guests.native_from_c(source), wasm=False),
    }
