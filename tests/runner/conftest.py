"""What the runner's tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.runner import launching
from tests.runner.launching import Container, Launch

Start = Callable[[Launch], Container]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    launching.prepare(tmp_path)
    return tmp_path


@pytest.fixture
def start(directory: Path) -> Iterator[Start]:
    """Starts containers in the test's directory; they are gone when the test ends."""
    with ExitStack() as stack:
        yield lambda launch: stack.enter_context(launching.started(launch, directory))
