"""What the commands that are used most import of the standard library: each module is time of every call."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract.conftest import Subject

# Each costs 1 to 10 ms, with what it imports itself.
_NEVER = {"argparse", "dataclasses", "datetime", "inspect", "logging", "subprocess", "tempfile", "typer", "typing"}
_NOT_FOR_LISTINGS = _NEVER | {"ctypes", "enum", "hashlib", "importlib", "json", "re", "resource", "signal", "socket"}


def imported(subject: Subject, *words: str) -> set[str]:
    """The modules that the installed command imports for this, as the interpreter tells."""
    (script,) = subject.wpod.program
    with Path(script).open() as file:
        interpreter = file.readline().removeprefix("#!").split()
    timed = replace(subject.wpod, program=(*interpreter, "-X", "importtime", script))
    lines = timed(*words).ok().err.splitlines()
    return {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}


@pytest.mark.own
def test_the_usual_commands(subject: Subject) -> None:
    name = subject.detached((), "idle")
    assert "wpod.sampling.sampler" in imported(subject, "stats", "--no-stream", name)
    for words in (("ps",), ("ps", "--all", "--quiet")):
        assert not imported(subject, *words) & _NOT_FOR_LISTINGS, words
    # With more containers than here wpod-meter reads their memory; this command does it with regular expressions.
    assert not imported(subject, "stats", "--no-stream") & _NOT_FOR_LISTINGS - {"re", "enum"}
    for words in (
        ("inspect", name),
        ("logs", name),
        ("stop", "--time", "0", name),
        ("start", name),
        ("rm", "-f", name),
    ):
        found = imported(subject, *words)
        assert "wpod.commands.session" in found
        assert not found & _NEVER, words
