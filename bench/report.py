"""Writes what was measured: latest.json (everything), latest.md (the tables), pictures, and the README's own section.

    .venv/bin/python -m bench.report [DIRECTORY]     pictures and the README again, from DIRECTORY/latest.json

What can be drawn is drawn by plots.py, under an interpreter that has matplotlib (Debian's python3-matplotlib belongs to
the system's own).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import figures
from bench.figures import Section, markdown_rows, number
from bench.workplace import TOP

RESULTS = TOP / "bench" / "results"
_README = TOP / "README.md"
_BEGIN = "<!-- written by make bench: -->"
_END = "<!-- end of what make bench writes -->"
_PICTURES = {
    "summary": "Memory and start-up of each contestant",
    "memory": "Memory per container over the number of containers",
    "start": "Start-up per container",
    "flat": "Memory per wasm container from 10 to 2000",
}
# What two runs on one machine may tell differently of it.
_MAY_DIFFER = ("load_average", "versions")
_NO_PICTURES = "pictures: matplotlib is not installed (python3-matplotlib)"
_OWN_VERSIONS = ("wpod", "engine")


def write(directory: Path, document: dict[str, Any], sections: list[Section]) -> list[str]:
    """Write data, pictures and tables; what could not be written and why."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "latest.json").write_text(as_json(document))
    drawn, complaint = draw(directory)
    (directory / "latest.md").write_text(_markdown(document, sections, drawn))
    return [complaint] if complaint else []


class NotRecordable(Exception):
    """Figures that can't stand beside the recorded ones."""


def check_recordable(told: dict[str, Any]) -> None:
    """Raises NotRecordable where machine or peers are others than in the last whole run, or pictures can't be drawn."""
    if not _interpreter():
        raise NotRecordable(_NO_PICTURES)
    try:
        before = json.loads((RESULTS / "latest.json").read_text())["machine"]
    except (OSError, ValueError, KeyError) as error:
        raise NotRecordable(f"there is no whole run to record beside: {error}") from None
    differing = [name for name in told if name not in _MAY_DIFFER and told[name] != before.get(name)]
    peers = {**before["versions"], **told["versions"]}
    differing += [
        f"{name} {before['versions'].get(name)} then and {told['versions'].get(name)} now"
        for name in peers
        if name not in _OWN_VERSIONS and before["versions"].get(name) != told["versions"].get(name)
    ]
    if differing:
        raise NotRecordable(f"the last whole run was taken elsewhere: {', '.join(differing)}")


def record(document: dict[str, Any], sections: Sequence[Section]) -> list[str]:
    """Put these sections in the place of what is recorded of them; what could not be written and why."""
    recorded = json.loads((RESULTS / "latest.json").read_text())
    text = (RESULTS / "latest.md").read_text()
    for section in sections:
        recorded["sections"][section.name] = {"taken": document["taken"], **document["sections"][section.name]}
        recorded["failures"].pop(section.name, None)
        text = with_block(text, section, document["taken"])
    (RESULTS / "latest.json").write_text(as_json(recorded))
    (RESULTS / "latest.md").write_text(text)
    _, complaint = draw(RESULTS)
    write_readme(recorded)
    return [complaint] if complaint else []


def with_block(text: str, section: Section, taken: str) -> str:
    """The tables of latest.md with this section in the place of the one with its title, or at the end."""
    heading, _, rest = figures.as_markdown(section).partition("\n")
    block = f"{heading}\n\nTaken {taken}, after the others.\n{rest}"
    parts = [part.rstrip() for part in re.split(r"(?m)^(?=## )", text)]
    places = [place for place, part in enumerate(parts) if part.partition("\n")[0] == heading]
    place = places[0] if places else len(parts)
    parts[place : place + 1] = [block.rstrip()]
    return "\n\n".join(parts) + "\n"


def as_json(document: dict[str, Any]) -> str:
    """JSON with a line for each value, but rows of numbers on one line: there are thousands."""
    text = json.dumps(document, indent=1, ensure_ascii=False)
    return re.sub(r"\[\s+(-?[\d.][^\[\]{}\"]*?)\s+\]", lambda row: f"[{' '.join(row[1].split())}]", text) + "\n"


def draw(directory: Path) -> tuple[list[str], str]:
    """Draw DIRECTORY/latest.json. The names of the pictures, and why there are none."""
    for name in _PICTURES:
        for ending in ("png", "svg"):
            (directory / f"{name}.{ending}").unlink(missing_ok=True)
    interpreter = _interpreter()
    if not interpreter:
        return [], _NO_PICTURES
    command = [interpreter, str(TOP / "bench" / "plots.py"), str(directory / "latest.json"), str(directory)]
    with tempfile.TemporaryDirectory() as scratch:  # for its cache of fonts
        environment = {"PATH": "/usr/bin:/bin", "MPLCONFIGDIR": scratch}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return [], f"pictures: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}"
    return done.stdout.split(), ""


def _interpreter() -> str:
    for candidate in dict.fromkeys(("/usr/bin/python3", sys.executable, shutil.which("python3") or "")):
        if (
            candidate
            and subprocess.run([candidate, "-c", "import matplotlib"], capture_output=True, check=False).returncode == 0
        ):
            return candidate
    return ""


def _markdown(document: dict[str, Any], sections: list[Section], drawn: list[str]) -> str:
    told = document["machine"]
    quick = "\n**Small numbers (`--quick`): the figures mean nothing.**\n" if document["scale"] == "quick" else ""
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    head = (
        f"# Figures of {document['taken']}\n{quick}\n"
        f"{_machine(told)}, load average {told['load_average']} at the start.\n\n"
        f"{versions}.\n\nkB are 1024 bytes. How each figure is taken: [README](../README.md).\n"
    )
    failed = "".join(f"\n**{name} failed to run**: {reason}\n" for name, reason in document["failures"].items())
    pictures = "".join(f"\n![{words}]({name}.svg)\n" for name, words in _PICTURES.items() if f"{name}.svg" in drawn)
    return head + failed + pictures + "\n" + "\n".join(figures.as_markdown(section) for section in sections)


def _machine(told: dict[str, Any]) -> str:
    return (
        f"{told['processor']}, {told['cores']} cores, {told['memory_kB'] >> 10} MiB, {told['distribution']}, "
        f"Linux {told['kernel']}, cgroups: {told['cgroups']}"
    )


class _Found:
    """Figures of a document by section and name; what isn't there is an empty text, so that its row is left out."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._by_name = {
            (section, figure["name"]): figure
            for section, content in document["sections"].items()
            for figure in content["figures"]
        }

    def value(self, section: str, name: str) -> float | None:
        figure = self._by_name.get((section, name))
        return None if figure is None else float(figure["value"])

    def text(self, section: str, name: str, words: str = "{}") -> str:
        """The value and its spread with its unit, put into `words`."""
        figure = self._by_name.get((section, name))
        if figure is None:
            return ""
        unit = "" if figure["unit"] == "x" else f" {figure['unit']}"
        low, high = figure["low"], figure["high"]
        spread = "" if low is None or number(low) == number(high) else f" ({number(low)} to {number(high)})"
        return words.replace("{}", f"{number(figure['value'])}{unit}{spread}")


def readme_section(document: dict[str, Any]) -> str:
    """What README.md shows: a picture, a small table, where and when."""
    told, versions = document["machine"], document["machine"]["versions"]
    found = _Found(document)
    peers = ", ".join(
        f"{name} {versions[name]}" for name in ("podman", "crun", "runc", "containerd") if name in versions
    )
    later = {content.get("taken", "")[:10] for content in document["sections"].values()} - {"", document["taken"][:10]}
    days = ", ".join([document["taken"][:10], *sorted(later)])
    where = f"On {days}, on {_machine(told)}; {peers} ([all figures](bench/results/latest.md)):"
    rows = [row for row in _rows(found) if row[1]]
    table = markdown_rows([("what", "wpod", "beside it"), *rows])
    picture = "![Memory and start-up of containers by manager](bench/results/summary.png)"
    has_picture = (RESULTS / "summary.png").exists()
    return "\n".join([where, "", *([picture, ""] if has_picture else []), *table])


def _rows(found: _Found) -> list[tuple[str, str, str]]:
    def others(what: str, labels: Sequence[tuple[str, str]]) -> str:
        texts = (found.text("comparison", f"{label}, 400: {what}", f"{{}} {words}") for label, words in labels)
        return "; ".join(text for text in texts if text)

    peers = (("crun native", "native by bare crun"), ("podman native", "native by podman"))
    heavy = (("containerd native", "native by containerd"), ("podman Python", "Python on Debian by podman"))
    podman_start = found.value("comparison", "podman native, 400: line in the log")
    podman_all = f"{podman_start * 400 / 1000:.0f} s by podman, one by one" if podman_start else ""
    return [
        (
            "OS memory of an idle detached wasm container, everything included, among 400",
            found.text("memory", "wpod wasm, 400"),
            others("memory", (*peers, *heavy)),
        ),
        (
            "the same as an unprivileged user",
            found.text("memory", "wpod wasm as a user, 400"),
            "",
        ),
        ("all started by one command", found.text("memory", "wpod wasm by one command, 400"), ""),
        ("among 2000, as a multiple of among 100", found.text("scale2000", "wpod wasm: among 2000 to among 100"), ""),
        (
            "OS memory of a native busybox container, among 400",
            found.text("comparison", "wpod native, 400: memory"),
            "",
        ),
        (
            "`run -d` of wasm, time",
            found.text("start", "run -d, wpod wasm", "{} of podman's"),
            "podman with a native container",
        ),
        ("`run -d` of a native image, time", found.text("start", "run -d, wpod native", "{} of podman's"), ""),
        (
            "400 wasm containers by one command, until the line of each is in its log",
            found.text("many", "start of 400 wasm by one command"),
            podman_all,
        ),
        ("`ps` with 400, time", found.text("many", "ps with 400", "{} of podman's"), "podman with as many"),
        ("`rm -f -a` of 400", found.text("many", "rm -f -a of 400 wasm"), ""),
        (
            "OS memory of a user's native container with a published port, helpers included, among 50",
            found.text("networks", "wpod native with a port, 50"),
            found.text("networks", "podman with slirp4netns, 50", "{} by podman"),
        ),
        ("the same of a wasm container, among 100", found.text("networks", "wpod wasm with a port, 100"), ""),
        (
            "`run -d -p` of a native image as a user, time",
            found.text("networks", "run -d -p, wpod native with a port to podman with slirp4netns", "{} of podman's"),
            "",
        ),
        (
            "a request through a user's published port, time",
            found.text(
                "network-requests",
                "time per request, 8 connections, wpod native with a port to podman with slirp4netns",
                "{} of podman's",
            ),
            "",
        ),
        (
            "CPU-bound C compiled to wasm, geometric mean of 16 kernels",
            found.text("kernels", "geometric mean to gcc -O2", "{} of gcc -O2"),
            found.text("kernels", "geometric mean to clang -O2", "{} of clang -O2"),
        ),
    ]


def with_section(readme: str, section: str) -> str:
    """The text with everything between the two marks replaced. Raises ValueError where they aren't there."""
    before, begin, rest = readme.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError("README.md has no place for the figures")
    return f"{before}{_BEGIN}\n\n{section}\n\n{_END}{after}"


def write_readme(document: dict[str, Any]) -> None:
    """Write README.md's section anew."""
    _README.write_text(with_section(_README.read_text(), readme_section(document)))


def main() -> int:
    """The command."""
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS
    document = json.loads((directory / "latest.json").read_text())
    drawn, complaint = draw(directory)
    print("\n".join([*drawn, *([f"skipped: {complaint}"] if complaint else [])]))
    if directory == RESULTS:
        write_readme(document)
    return 0


if __name__ == "__main__":
    sys.exit(main())
