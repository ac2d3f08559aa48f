"""Pictures of the screen in all its states: those of the documents and those that tests compare.

    .venv/bin/python -m tests.tui.pictures      writes them anew (`make pictures`)

Those of the documents are of a recording of a real machine, the others of made-up moments with some of everything.
"""

from __future__ import annotations

import enum
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from textual.pilot import Pilot

from tests.top.feed import MEGABYTE, START, moment, village
from tests.tui.stage import play, recording, until
from wpod.frozen import field, frozen, replace
from wpod.model.memory import UNKNOWN
from wpod.model.sample import HelperSample
from wpod.tui.app import TopApp
from wpod.tui.feed import Source
from wpod.tui.terminal import Ability

TOP = Path(__file__).parents[2]
DOCUMENTS = TOP / "docs" / "pictures"
SNAPSHOTS = Path(__file__).with_name("snapshots")
MACHINE = DOCUMENTS / "machine.jsonl"
_SMALL, _LARGE = (80, 24), (200, 60)
_MADE_UP_SECONDS = 12
_FORBIDDEN = "its memory can't be read: it is another user's"
_PLAIN = Ability(letters=True)


class Scene(enum.Enum):
    """What is played before the keys."""

    VILLAGE = "some of everything"
    EMPTY = "no containers"
    GONE = "one has just gone"
    FORBIDDEN = "memory that can't be read"


@frozen
class Picture:
    """One state: which keys lead to it. `no_color` is the environment's NO_COLOR."""

    name: str
    keys: tuple[str, ...] = ()
    size: tuple[int, int] = _SMALL
    ability: Ability = field(default_factory=Ability)
    no_color: bool = False
    scene: Scene = Scene.VILLAGE


def _states() -> Iterator[Picture]:
    """Every state at 80x24, at 200x60, and without colours; then those of which the keys make no difference."""
    states = {
        "first": (), "unfolded": ("j", "right"), "parts": ("v",), "work": ("v", "v"), "identity": ("v", "v", "v"),
        "limit-scale": ("b",), "composition": ("b", "b"), "exact": ("u",), "helper-rows": ("h",),
        "figure": ("v", "tab", "tab"),
        "tagged": ("space", "space"), "grouped": ("o", "o"), "filtered": ("slash", *"db", "enter"),
        "nothing": ("slash", *"nobody", "enter"),
        "killed": ("G",), "memory": ("enter",), "history": ("2",), "limits": ("3",), "network": ("7",),
        "help": ("question_mark",), "sort-menu": ("f6",),
    }  # fmt: skip
    scenes = {"empty": Scene.EMPTY, "gone": Scene.GONE, "forbidden": Scene.FORBIDDEN}
    first = [*((name, keys, Scene.VILLAGE) for name, keys in states.items()),
             *((name, (), scene) for name, scene in scenes.items())]  # fmt: skip
    for name, keys, scene in first:
        yield Picture(name, keys, scene=scene)
        yield Picture(f"{name}-200x60", keys, _LARGE, scene=scene)
        yield Picture(f"{name}-no-color", keys, ability=_PLAIN, no_color=True, scene=scene)
    for name in ("first", "sort-menu"):
        yield Picture(f"{name}-ascii", states[name], ability=Ability(letters=True, ascii_only=True), no_color=True)
    yield Picture("first-light", ability=Ability(light=True))
    yield Picture("first-60x15", size=(60, 15))


STATES = tuple(_states())
OF_DOCUMENTS = (
    Picture("top-80x24"),
    Picture("top-wide", ("j",), (200, 50)),
    Picture("top-history", ("j", "2")),
    Picture("top-no-color", ability=_PLAIN, no_color=True),
    Picture("top-light", ability=Ability(light=True)),
)


def drawn(picture: Picture, file: str) -> str:
    """The picture (SVG) of a recording's end; the same recording gives the same text."""
    found = []

    async def part(app: TopApp, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: app._ended)
        app._message = ""
        await pilot.press(*picture.keys)
        await pilot.pause(0.1)
        app._message = ""
        app.draw()
        await pilot.pause(0.1)
        found.append(app.export_screenshot(title="wpod top"))

    before = dict(os.environ)
    os.environ["TZ"] = "UTC"
    os.environ.pop("NO_COLOR", None)
    if picture.no_color:
        os.environ["NO_COLOR"] = "1"
    time.tzset()
    try:
        play(Source(replay=file), part, picture.size, picture.ability, interval=0.001)
    finally:
        os.environ.clear()
        os.environ.update(before)
        time.tzset()
    # The names inside would be a hash of the whole picture: one changed cell would change every line of the file.
    text = re.sub(r"terminal-\d+", "wpod-top", found[0])
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def made_up(directory: Path, scene: Scene) -> str:
    """A recording of a scene; of eight minutes where there is something to see."""
    if scene is Scene.EMPTY:
        return recording(directory / "empty.jsonl", [moment([])])
    helpers = [HelperSample("pasta", 9, (village()[40].container_id,), MEGABYTE, 0.1, START)]
    if scene is Scene.FORBIDDEN:
        others = [replace(one, memory=UNKNOWN, memory_age=None, problem=_FORBIDDEN) if one.facts.pid else one
                  for one in village()]  # fmt: skip
        return recording(directory / "forbidden.jsonl", [moment(others, 0, helpers)])
    moments = [moment(village(second), second, helpers) for second in range(0, 480, _MADE_UP_SECONDS)]
    moments = [replace(one, interval=_MADE_UP_SECONDS) for one in moments]
    if scene is Scene.GONE:
        left = [one for one in village() if one.facts.name != "report"]
        moments.append(moment(left, 470, helpers))
    return recording(directory / f"{scene.name.lower()}.jsonl", moments)


def main() -> int:
    """Write all of them."""
    with tempfile.TemporaryDirectory() as name:
        for directory, pictures in ((DOCUMENTS, OF_DOCUMENTS), (SNAPSHOTS, STATES)):
            directory.mkdir(exist_ok=True)
            for picture in pictures:
                file = str(MACHINE) if directory is DOCUMENTS else made_up(Path(name), picture.scene)
                (directory / f"{picture.name}.svg").write_text(drawn(picture, file))
    return 0


if __name__ == "__main__":
    sys.exit(main())
