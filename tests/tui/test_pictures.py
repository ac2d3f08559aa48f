"""Each state looks as it did: what changed on purpose is written anew by `make pictures` and read in the diff."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tui.pictures import DOCUMENTS, MACHINE, OF_DOCUMENTS, SNAPSHOTS, STATES, Picture, drawn, made_up


def _compare(picture: Picture, file: str, directory: Path) -> None:
    expected = (directory / f"{picture.name}.svg").read_text()
    if drawn(picture, file) != expected:
        pytest.fail(f"{picture.name} looks different: `make pictures`, then look at it", pytrace=False)


@pytest.mark.parametrize("picture", STATES, ids=[one.name for one in STATES])
def test_states(picture: Picture, tmp_path: Path) -> None:
    _compare(picture, made_up(tmp_path, picture.scene), SNAPSHOTS)


@pytest.mark.parametrize("picture", OF_DOCUMENTS, ids=[one.name for one in OF_DOCUMENTS])
def test_pictures_of_the_documents(picture: Picture) -> None:
    _compare(picture, str(MACHINE), DOCUMENTS)


def test_no_picture_is_left_over() -> None:
    for directory, pictures in ((DOCUMENTS, OF_DOCUMENTS), (SNAPSHOTS, STATES)):
        assert {path.stem for path in directory.glob("*.svg")} == {one.name for one in pictures}
