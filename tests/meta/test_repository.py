"""The repository's files: nothing of one machine in them, scripts that parse, targets that exist."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.meta.sources import TOP, text_of, tracked

_README_TARGETS = (
    "help", "demo", "test", "unit", "contract", "bench", "lint", "snapshots", "docs", "shell", "build", "install",
    "uninstall", "vm", "clean",
)  # fmt: skip
# Written in two pieces, so that this file isn't one of those that it looks for.
_HOSTS = (
    "docker" + ".io",
    "quay" + ".io",
    "ghcr" + ".io",
    "gcr" + ".io",
    "registry.k8s" + ".io",
    "mcr.microsoft" + ".com",
)
_REMINDER = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b(?!: \S+ \S+)")
_HOME = re.compile(r"(?<![\w.$}])/(?:home|Users)/(?!wpod|user|USER|app|NAME|\W)[a-z][\w-]*/")


def _lines(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for path in tracked():
        for number, line in enumerate(text_of(path).splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path.relative_to(TOP)}:{number}: {line.strip()[:100]}")
    return found


def _scripts() -> Iterator[tuple[Path, str]]:
    """Every script for sh or bash with its shell; zsh and fish read theirs in tests/cli/test_completion.py."""
    for path in tracked():
        found = re.match(r"#!\s*/\S*?(?:env )?\b(sh|bash)\b", text_of(path).partition("\n")[0])
        if found or path.suffix == ".sh":
            yield path, found.group(1) if found else "sh"
        elif path.suffix == ".bash":
            yield path, "bash"


def test_no_path_of_this_machine() -> None:
    assert not _lines(re.compile(re.escape(f"{TOP}/")))
    assert not _lines(_HOME)


def test_no_registry_of_the_internet() -> None:
    """Nothing here is fetched from one, and no example should send anybody there."""
    assert not _lines(re.compile(r"(?<![\w-])(?:" + "|".join(re.escape(host) for host in _HOSTS) + r")\b"))


def test_no_reminder_without_a_reason() -> None:
    assert not _lines(_REMINDER)


@pytest.mark.parametrize(("path", "shell"), list(_scripts()), ids=lambda value: getattr(value, "name", value))
def test_scripts_parse(path: Path, shell: str) -> None:
    done = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_shellcheck_finds_nothing() -> None:
    """Where it is installed; the scripts are parsed above in any case."""
    scripts = [str(path) for path, _ in _scripts()]
    shellcheck = shutil.which("shellcheck")
    if shellcheck is not None:
        done = subprocess.run([shellcheck, "--severity=warning", *scripts], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
    assert scripts


def test_what_has_an_interpreter_can_be_executed() -> None:
    for path in tracked():
        is_script = text_of(path).startswith("#!")
        assert is_script == os.access(path, os.X_OK), path


def test_python_files_parse_without_tabs_and_carriage_returns() -> None:
    for path in tracked():
        if path.suffix in (".py", ".pyi", ".rs", ".md", ".sh", ".toml"):
            assert b"\r" not in path.read_bytes(), path
        if path.suffix in (".py", ".pyi", ".rs"):
            assert b"\t" not in path.read_bytes(), path


def _targets() -> dict[str, str]:
    """The Makefile's targets that `make help` lists, with their words."""
    text = (TOP / "Makefile").read_text()
    return dict(re.findall(r"^([a-z-]+):.*## (.+)$", text, re.MULTILINE))


def test_make_has_the_targets_that_are_promised() -> None:
    makefile = (TOP / "Makefile").read_text()
    known = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert set(_README_TARGETS) <= known
    assert set(_README_TARGETS) - {"uninstall"} <= set(_targets())
    phony = re.findall(r"^\.PHONY: ((?:.*\\\n)*.*)", makefile, re.MULTILINE)
    assert set(_README_TARGETS) <= set(" ".join(phony).replace("\\", " ").split())


def test_the_documents_name_targets_that_exist() -> None:
    known = set(re.findall(r"^([a-z-]+):", (TOP / "Makefile").read_text(), re.MULTILINE))
    for path in (path for path in tracked() if path.suffix == ".md"):
        named = set(re.findall(r"(?:`|^\s*\$? ?)make ([a-z-]+)", text_of(path), re.MULTILINE))
        assert named <= known, path


def test_make_help_lists_every_target() -> None:
    # Without what an outer make hands on: it would announce directories.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(["make", "help"], cwd=TOP, env=environment, capture_output=True, text=True, check=True)
    assert {line.split()[1] for line in done.stdout.splitlines()} == set(_targets())


def test_links_in_documents_lead_somewhere() -> None:
    for path in (path for path in tracked() if path.suffix == ".md"):
        text = text_of(path)
        anchors = {_anchor(title) for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            file, _, anchor = target.partition("#")
            if "://" in target:
                continue
            assert not file or (path.parent / file).exists(), f"{path}: {target}"
            assert file or anchor in anchors, f"{path}: {target}"


def _anchor(title: str) -> str:
    """As renderers of Markdown make it of a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower().replace("`", "")).replace(" ", "-")
