"""One virtual machine for all of these tests, with wpod installed below /usr/local and the probe's images loaded."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.images import ImageSource
from tests.vm.machine import TOP, Machine
from tests.vm.scripts import AS_VISITOR, KINDS


@pytest.fixture(scope="session")
def content(
    tmp_path_factory: pytest.TempPathFactory,
    archives: Callable[[ImageSource], Path],
    probe_sources: dict[str, ImageSource],
    load_sources: dict[str, ImageSource],
) -> Path:
    """What the machine is given: `local`, an installed tree, and archives for each kind of guest."""
    directory = tmp_path_factory.mktemp("content")
    # The machine's Debian is this one's, so its Python is the one that the libraries were built for.
    environment = {**os.environ, "PYTHON": "/usr/bin/python3"}
    script = TOP / "packaging" / "install.sh"
    subprocess.run([script, directory / "local", "/usr/local"], env=environment, check=True)
    for kind in KINDS:
        (directory / f"{kind}.tar").write_bytes(archives(probe_sources[kind]).read_bytes())
        (directory / f"load-{kind}.tar").write_bytes(archives(load_sources[kind]).read_bytes())
    return directory


@pytest.fixture(scope="session")
def machine(content: Path) -> Iterator[Machine]:
    """Every user has the images localhost/probe-wasm and localhost/probe-native; tests leave no containers."""
    with Machine(content) as started:
        for user, command in (("root", "wpod"), ("tester", "wpod"), ("root", f"cd /; {AS_VISITOR} wpod")):
            for kind in KINDS:
                started.shell(user, f"{command} load --quiet --input /mnt/{kind}.tar").ok()
        yield started
