"""The guest's file system: its own upper layer, volumes, tmpfs, read-only roots."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.conftest import Subject
from tests.support import leftovers
from tests.support.command import Result

Run = Callable[..., Result]
_REFUSED = {"EROFS", "EACCES", "EPERM", "ENOTCAPABLE", "EBADF"}


@pytest.fixture
def shared(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory on the host that belongs to the subject's user, with one file in it."""
    directory = subject.wpod.scratch / "home" / tmp_path_factory.mktemp("volume").name
    subject.wpod.account.directory(directory, 0o777)
    file = directory / "given"
    file.write_text("from the host\n")
    file.chmod(0o666)
    subject.wpod.account.own(file)
    return directory


def test_files_of_the_image_are_there(run: Run) -> None:
    assert run((), "read", "/data/given", "+", "stat", "/data").ok().out.splitlines()[0] == "from the image"


def test_the_guest_can_write_and_change_files(run: Run) -> None:
    words = ("write", "/tmp/new", "abc", "+", "append", "/data/given", "more", "+", "read", "/data/given")
    assert run((), *words, "+", "stat", "/tmp/new").ok().out == "ok\nok\nfrom the image\nmorefile 3\n"


def test_directories_links_and_renames_work(run: Run) -> None:
    words = (
        "mkdir", "/data/d", "+", "write", "/data/d/a", "1", "+", "rename", "/data/d/a", "/data/d/b",
        "+", "link", "/data/d/b", "/data/d/c", "+", "symlink", "b", "/data/d/s", "+", "read", "/data/d/s",
        "+", "line", "", "+", "list", "/data/d", "+", "remove", "/data/given", "+", "list", "/data",
    )  # fmt: skip
    assert run((), *words).ok().out == "ok\nok\nok\nok\nok\n1\nb\nc\ns\nok\nd\n"


def test_a_second_container_sees_nothing_of_the_first(run: Run) -> None:
    run((), "write", "/data/given", "changed", "+", "remove", "/etc/group").ok()
    assert run((), "read", "/data/given", "+", "stat", "/etc/group").ok().out.splitlines()[0] == "from the image"


@pytest.mark.own
def test_nothing_is_written_into_the_image(subject: Subject) -> None:
    subject.wpod("run", "--rm", subject.image, "line", "unpacked").ok()
    before = leftovers.tree(subject.wpod.store / "unpacked")
    words = (
        "write",
        "/data/given",
        "x",
        "+",
        "write",
        "/new",
        "x",
        "+",
        "mkdir",
        "/etc/d",
        "+",
        "remove",
        "/etc/group",
    )
    assert subject.wpod("run", "--rm", subject.image, *words).ok().out == "ok\nok\nok\nok\n"
    assert before and leftovers.tree(subject.wpod.store / "unpacked") == before


def test_what_was_written_survives_a_restart(subject: Subject) -> None:
    container = subject.wpod("create", subject.image, "append", "/data/given", "again\n", "+", "read", "/data/given")
    name = container.ok().line
    assert subject.wpod("start", "-a", name).ok().out == "ok\nfrom the image\nagain\n"
    assert subject.wpod("start", "-a", name).ok().out == "ok\nfrom the image\nagain\nagain\n"


def test_a_volume_is_read_and_written(run: Run, shared: Path) -> None:
    words = ("read", "/v/given", "+", "write", "/v/new", "made inside")
    assert run(("-v", f"{shared}:/v"), *words).ok().out == "from the host\nok\n"
    assert (shared / "new").read_text() == "made inside"


def test_a_file_can_be_a_volume(run: Run, shared: Path) -> None:
    words = ("read", "/etc/one", "+", "append", "/etc/one", "x")
    assert run(("-v", f"{shared}/given:/etc/one"), *words).ok().out == "from the host\nok\n"
    assert (shared / "given").read_text() == "from the host\nx"


@pytest.mark.parametrize("form", ["-v", "--mount"])
def test_a_read_only_volume_refuses_every_way_of_writing(subject: Subject, shared: Path, form: str) -> None:
    option = f"{shared}:/v:ro" if form == "-v" else f"type=bind,src={shared},dst=/v,ro"
    words = (
        "write", "/v/new", "x", "+", "overwrite", "/v/given", "x", "+", "append", "/v/given", "x",
        "+", "truncate", "/v/given", "+", "mkdir", "/v/d", "+", "remove", "/v/given", "+", "rename", "/v/given", "/v/g",
        "+", "link", "/v/given", "/v/g", "+", "symlink", "given", "/v/s", "+", "touch", "/v/given",
    )  # fmt: skip
    answers = subject.wpod("run", "--rm", form, option, subject.image, *words, "+", "read", "/v/given").ok()
    *refused, text = answers.out.splitlines()
    assert text == "from the host"
    assert len(refused) == 10
    assert set(refused) <= _REFUSED, refused
    assert os.listdir(shared) == ["given"]
    assert (shared / "given").read_text() == "from the host\n"


def test_two_volumes_and_one_within_the_other(subject: Subject, shared: Path) -> None:
    inner = subject.wpod.account.directory(shared.parent / f"{shared.name}-inner", 0o777)
    (inner / "deep").write_text("inner\n")
    options = ("-v", f"{shared}:/v", "-v", f"{inner}:/v/in:ro")
    out = subject.wpod("run", "--rm", *options, subject.image, "read", "/v/given", "+", "read", "/v/in/deep").ok().out
    assert out == "from the host\ninner\n"


def test_a_volume_source_that_is_missing_is_named(subject: Subject) -> None:
    result = subject.wpod("run", "--rm", "-v", "/not/there:/v", subject.image, "line", "ran")
    assert result.status in (125, 126)
    result.fails(result.status, "/not/there")
    assert result.out == ""


def test_symlinks_dont_lead_out_of_a_volume(subject: Subject, shared: Path) -> None:
    (shared / "out").symlink_to("/etc/passwd")
    (shared / "up").symlink_to("../../../../../../../../etc/passwd")
    words = ("read", "/v/out", "+", "read", "/v/up", "+", "write", "/v/up", "x")
    host = Path("/etc/passwd").read_text()
    out = subject.wpod("run", "--rm", "-v", f"{shared}:/v", subject.image, *words).ok().out
    assert "wpod-tester" not in out
    assert Path("/etc/passwd").read_text() == host


def test_a_named_volume_keeps_its_content(subject: Subject) -> None:
    subject.wpod("volume", "create", "kept").ok()
    subject.wpod("run", "--rm", "-v", "kept:/v", subject.image, "write", "/v/a", "1").ok()
    assert subject.wpod("run", "--rm", "-v", "kept:/v", subject.image, "read", "/v/a").ok().out == "1"
    container = subject.wpod("create", "-v", "kept:/v", subject.image, "idle").ok().line
    subject.wpod("volume", "rm", "kept").fails(2, "kept")
    subject.wpod("rm", container).ok()
    assert subject.wpod("volume", "rm", "kept").ok().line == "kept"
    subject.wpod("volume", "rm", "kept").fails(1, "kept")


def test_tmpfs_is_empty_writable_and_gone_afterwards(subject: Subject) -> None:
    words = ("list", "/tmp", "+", "write", "/tmp/x", "1", "+", "list", "/tmp")
    container = subject.wpod("create", "--tmpfs", "/tmp", subject.image, *words).ok().line
    assert subject.wpod("start", "-a", container).ok().out == "ok\nx\n"
    assert subject.wpod("start", "-a", container).ok().out == "ok\nx\n"


def test_a_tmpfs_size_holds(subject: Subject) -> None:
    words = ("write", "/small/x", "y" * 100000)
    out = subject.wpod("run", "--rm", "--tmpfs", "/small:size=64k", subject.image, *words).ok().out
    assert out == "ENOSPC\n"


def test_a_read_only_root_refuses_writes_but_not_to_volumes(subject: Subject, shared: Path) -> None:
    words = (
        "write", "/data/new", "x", "+", "append", "/data/given", "x", "+", "remove", "/data/given",
        "+", "mkdir", "/d", "+", "write", "/v/new", "x", "+", "read", "/data/given",
    )  # fmt: skip
    out = subject.wpod("run", "--rm", "--read-only", "-v", f"{shared}:/v", subject.image, *words).ok().out
    *refused, volume, text = out.splitlines()
    assert set(refused) <= _REFUSED, refused
    assert (volume, text) == ("ok", "from the image")


def test_read_only_with_tmpfs(subject: Subject) -> None:
    options = ("--read-only", "--tmpfs", "/tmp")
    assert subject.wpod("run", "--rm", *options, subject.image, "write", "/tmp/x", "1").ok().out == "ok\n"


@pytest.mark.own
def test_an_absolute_symlink_in_the_image_works(subject: Subject) -> None:
    words = ("symlink", "/data/given", "/tmp/l", "+", "read", "/tmp/l")
    assert subject.wpod("run", "--rm", subject.image, *words).ok().out == "ok\nfrom the image\n"


@pytest.mark.wasm
def test_dotdot_does_not_leave_the_root(subject: Subject) -> None:
    words = ("read", "/../../../../etc/passwd", "+", "read", "../../../../../../etc/passwd")
    out = subject.wpod("run", "--rm", subject.image, *words).ok().out
    assert "wpod-tester" not in out
    assert "daemon" not in out
