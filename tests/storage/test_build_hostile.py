"""Builds that must not work, or not as their author hoped: mistakes, hostile contexts, full disks, interrupted ones."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from tests.storage.conftest import noise, stored_blobs, stored_images
from tests.storage.contexts import Link, build, saved, write
from tests.support.account import Account
from tests.support.command import Wpod, eventually
from tests.support.images import File, ImageSource

SECRET = "secretly"


def staged(wpod: Wpod) -> list[str]:
    place = wpod.store / "tmp"
    return os.listdir(place) if place.is_dir() else []


def nothing_left(wpod: Wpod) -> None:
    """No image, no blob, nothing in the staging area."""
    assert stored_images(wpod) == []
    assert stored_blobs(wpod) == set()
    assert staged(wpod) == []


@pytest.fixture
def outside(fresh: Wpod) -> Path:
    """A file beside the context that the account can read."""
    place = write(fresh, {"secret": SECRET}, "outside")
    return place / "secret"


# -- mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("FROM scratch\nCOPY f /\n\nCOPY nope /\n", ["File:4: COPY: nope: no such file or directory"]),
        ("FROM scratch\nCOPY f /\nCOPY n*pe /\n", ["File:3: COPY: n*pe: no such file"]),
        ("FROM scratch\nCOPY [ /\n", ["File:2: COPY: syntax error in pattern"]),
        ("FROM scratch\nCOPY f /x\nCOPY d /x\n", ["File:3: COPY: destination /x exists and is not a directory"]),
        ("FROM scratch\nCOPY f /x\nCOPY f f /x\n", ["File:3: COPY: destination /x exists"]),
        ("FROM scratch\nCOPY f /x\nCOPY f /x/y/z\n", ["File:3: COPY: /x is not a directory"]),
        ("FROM scratch\nCOPY f /x\nWORKDIR /x/y\nCOPY f /z\n", ["File:4: COPY: the directory of WORKDIR in line 3"]),
        ("FROM scratch\nCOPY --chown=who f /\n", ["File:2: COPY: unable to find user who"]),
        ("FROM scratch\nCOPY --chown=99999999999 f /\n", ["File:2: COPY", "out of range"]),
        ("FROM scratch AS a\nCOPY --from=a /x /\n", ["File:2: COPY: --from=a is not a stage before this one"]),
        ("FROM scratch\nCOPY --from=localhost/none /x /\n", ["File:2: COPY: localhost/none", "image not known"]),
        ("FROM localhost/none\n", ["File:1: FROM: localhost/none", "image not known"]),
        ("FROM Not/Valid\n", ["File:1: FROM: invalid reference"]),
        ("FROM --platform=wasm scratch\n", ["File:1: FROM: platform 'wasm' is not OS/ARCH"]),
        ("FROM scratch\nCOPY f /\nBOGUS\n", ["File:3: unknown instruction 'BOGUS'"]),
        ("FROM localhost/none\nENV A=1\nRUN make all\n", ["File:3: RUN make all is not supported yet", "hint:"]),
        ("FROM scratch\nADD http://example.invalid/x /\n", ["File:2: ADD http://example.invalid/x is not supported"]),
        ("FROM scratch\nCOPY --parents f /\n", ["File:2: COPY --parents is not supported yet"]),
        ("  \n", ["no contents in"]),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_leaves_nothing(fresh_one: Wpod, text: str, words: list[str]) -> None:
    context = write(fresh_one, {"f": "f", "d/e": "e", "File": text})
    fresh_one("build", "--file", context / "File", context).fails(125, *words)
    nothing_left(fresh_one)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["https://example.invalid/x.git"], ["the context 'https://example.invalid/x.git' is not supported yet"]),
        (["git@example.invalid:x"], ["is not supported yet"]),
        (["-"], ["a context from standard input is not supported yet"]),
        (["nowhere"], ["context must be a directory: '", "nowhere"]),
        (["context/f"], ["context must be a directory: '", "context/f"]),
        (["--file", "http://example.invalid/f", "context"], ["--file 'http://example.invalid/f' is not supported yet"]),
        (["--file", "context/d", "context"], ["context/d is not a regular file"]),
        (["--tag", "Bad", "context"], ["invalid reference 'Bad'"]),
        (["--tag", f"x@sha256:{'0' * 64}", "context"], ["a name with a digest"]),
        (["--target", "none", "context"], ["the target 'none' was not found"]),
        (["--ignorefile", "nope", "context"], ["nope: no such file or directory"]),
        (["--iidfile", "nowhere/id", "context"], ["--iidfile nowhere/id"]),
        (["--pull", "context"], []),
        (["--timestamp", "99999999999999", "context"], ["the timestamp 99999999999999 is out of range"]),
    ],
)
def test_command_lines(fresh_one: Wpod, arguments: list[str], words: list[str]) -> None:
    write(fresh_one, {"f": "f", "d/e": "e", "Containerfile": "FROM scratch\n"})
    result = fresh_one("build", *arguments)
    if words:
        result.fails(125, *words)
    else:
        result.ok()
    assert staged(fresh_one) == []


def test_labels_that_json_cannot_hold(fresh_one: Wpod) -> None:
    context = write(fresh_one, {"Containerfile": "FROM scratch\n"})
    fresh_one("build", b"--label=a=\xff", context).fails(125, "--label", "is not UTF-8")
    fresh_one("build", b"--env=a=\xff", context).fails(125, "is not UTF-8")
    nothing_left(fresh_one)


# -- hostile contexts ----------------------------------------------------------------------------------------------


def test_links_never_lead_out_of_the_context(fresh: Wpod, outside: Path) -> None:
    """A link's target counts from the context's root; a link inside a directory is copied as a link."""
    up = "../" * 20
    context = write(fresh, {
        "absolute": Link(str(outside)), "relative": Link("../outside/secret"), "climbing": Link(up.rstrip("/")),
        "d/absolute": Link(str(outside)), "host": Link("/"), "pseudo": Link("/proc/self/root"), "loop": Link("loop"),
    })  # fmt: skip
    for name in ("absolute", "relative", f"climbing{outside}", f"host{outside}", f"pseudo{outside}", "pseudo",
                 "absolute*"):  # fmt: skip
        result = build(fresh, f"FROM scratch\nCOPY {name} /x\n", context=context)
        result.fails(125, "standard input:2: COPY")
        assert "no such file or directory in the build context" in result.err
    build(fresh, "FROM scratch\nCOPY loop /x\n", context=context).fails(125, "COPY: loop: Too many levels")
    for name in ("../outside/secret", f"climbing/../..{outside}", "d/../../outside/*"):
        build(fresh, f"FROM scratch\nCOPY {name} /x\n", context=context).fails(125, "leads out of the build context")
    nothing_left(fresh)
    build(fresh, "FROM scratch\nCOPY d /d\nCOPY host /h/\n", context=context).ok()
    made = saved(fresh)
    assert made.entry("d/absolute", 0).linkname == str(outside)
    assert made.files == {}


def test_a_context_that_changes_while_it_is_read(fresh: Wpod, outside: Path) -> None:
    """A directory that is a link out half of the time is read inside the context or not at all."""
    context = write(fresh, {"d/secret": "inside", "link": Link(str(outside.parent)), "f": "f"})
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(context / "d", context / "kept")
            os.rename(context / "link", context / "d")
            os.rename(context / "d", context / "link")
            os.rename(context / "kept", context / "d")

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        for line in ("COPY d /d", "COPY . /", "COPY d/secret f /", "COPY d* /d", "ADD d/secret f /") * 2:
            result = build(fresh, f"FROM scratch\n{line}\n", context=context)
            if result.status == 0:
                assert SECRET.encode() not in saved(fresh).files.values()
            else:
                result.fails(125, "standard input:2: ")
    finally:
        stop.set()
        swapping.join()


def test_links_that_lead_out_of_a_stage_or_image(
    fresh: Wpod, outside: Path, archives: Callable[[ImageSource], Path]
) -> None:
    files = {"out": File(link=str(outside)), "up": File(link="../" * 20), "etc": File(link="/proc/self/root/etc"),
             "loop": File(link="loop")}  # fmt: skip
    source = ImageSource("localhost/links:latest", (files,))
    fresh("load", "--quiet", "--input", archives(source)).ok()
    before = stored_blobs(fresh)
    for name in ("out", f"up{outside}", "etc/hostname", "loop"):
        result = build(fresh, f"FROM scratch\nCOPY --from=links /{name} /x\n")
        result.fails(125, "no such file or directory in image links")
    build(fresh, "FROM links\nCOPY <<f /loop/x\nhello\nf\n").fails(125, "too many levels of symbolic links")
    assert stored_blobs(fresh) == before
    # Written where the links lead inside the image: never below the context, never on this machine.
    build(fresh, f"FROM links\nCOPY <<f /up{outside}\nhello\nf\nCOPY <<f /etc/x\nhello\nf\n").ok()
    made = saved(fresh)
    assert made.names(1)[-1] == str(outside).lstrip("/")
    assert made.names(2) == ["proc", "proc/self", "proc/self/root", "proc/self/root/etc", "proc/self/root/etc/x"]
    assert outside.read_text() == SECRET


def test_a_containerfile_that_is_a_link_out(fresh: Wpod, outside: Path) -> None:
    for name in ("Containerfile", "Dockerfile"):
        context = write(fresh, {name: Link(str(outside)), "other": Link(str(outside))})
        result = fresh("build", context)
        result.fails(125, "no Containerfile or Dockerfile in the context")
        assert SECRET not in result.err
    context = write(fresh, {"Containerfile": "FROM scratch\nCOPY . /\n", ".containerignore": Link(str(outside))})
    fresh("build", "--tag", "made", context).ok()
    assert saved(fresh).names() == [".containerignore", "Containerfile"]


@pytest.mark.parametrize("name", ["Containerfile", "Dockerfile", ".containerignore", ".dockerignore"])
@pytest.mark.parametrize("kind", ["fifo", "directory", "socket"])
def test_special_files_in_place_of_the_containerfile_do_not_hang(fresh_one: Wpod, name: str, kind: str) -> None:
    context = write(fresh_one, {} if "file" in name else {"Containerfile": "FROM scratch\n"})
    special = context / name
    if kind == "fifo":
        os.mkfifo(special)
    elif kind == "directory":
        special.mkdir()
    else:
        _socket(special)
    result = fresh_one("build", context, patience_seconds=20)
    result.fails(125, name)
    if name == "Containerfile":
        fresh_one("build", "--file", special, context, patience_seconds=20).fails(125, name)
    nothing_left(fresh_one)


def _socket(path: Path) -> None:
    """A path of a socket may have 107 bytes only, so it is made from its directory."""
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def test_special_files_are_not_copied(fresh: Wpod) -> None:
    context = write(fresh, {"d/file": "f"})
    os.mkfifo(context / "d" / "fifo")
    _socket(context / "d" / "socket")
    if os.geteuid() == 0:
        os.mknod(context / "d" / "device", 0o644 | 0o020000, os.makedev(1, 5))  # zeros without an end
    result = build(fresh, "FROM scratch\nCOPY d /d\n", context=context, patience_seconds=20).ok()
    assert "warning: d/fifo is a FIFO; it is not copied" in result.err
    assert saved(fresh).names() == ["d", "d/file"]
    for name in ("fifo", "socket"):
        build(fresh, f"FROM scratch\nCOPY d/{name} /x\n", context=context).fails(125, f":2: COPY: d/{name} is a")


def test_files_that_would_be_whiteouts(fresh_one: Wpod) -> None:
    """`.wh.x` in a layer removes the base's `x`."""
    for files in ({"d/.wh.x": ""}, {"d/.wh..wh..opq": ""}, {"d/.wh.dir/x": ""}):
        context = write(fresh_one, files)
        build(fresh_one, "FROM scratch\nCOPY d /\n", context=context).fails(125, ":2: COPY", "can't be called '.wh.")
    build(fresh_one, "FROM scratch\nCOPY <<f /.wh.x\nf\n").fails(125, "can't be called '.wh.x'")
    nothing_left(fresh_one)


def _tar(*entries: tuple[str, bytes, str]) -> bytes:
    """Names, type flags and link targets."""
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind, target in entries:
            header = tarfile.TarInfo(name)
            header.type, header.linkname, header.size = kind, target, 4 if kind == tarfile.REGTYPE else 0
            archive.addfile(header, BytesIO(b"evil"[: header.size]))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([("../up", tarfile.REGTYPE, "")], "leads out"),
        ([("a/../../up", tarfile.REGTYPE, "")], "leads out"),
        ([("l", tarfile.LNKTYPE, "/etc/passwd")], "a hard link to /etc/passwd"),
        ([("l", tarfile.LNKTYPE, "../../etc/passwd")], "a hard link to"),
        ([(".wh.x", tarfile.REGTYPE, "")], "can't be called '.wh.x'"),
        ([("f", tarfile.REGTYPE, ""), ("f/x", tarfile.REGTYPE, "")], "not a directory"),
        ([("", tarfile.SYMTYPE, "/")], "the root is not a directory"),
        ([("x", b"S", "")], "a sparse file"),
    ],
)
def test_hostile_archives_are_refused(fresh_one: Wpod, entries: list[tuple[str, bytes, str]], words: str) -> None:
    context = write(fresh_one, {"a.tar": _tar(("ok", tarfile.REGTYPE, ""), *entries)})
    build(fresh_one, "FROM scratch\nADD a.tar /x\n", context=context).fails(125, ":2: ADD: a.tar", words)
    nothing_left(fresh_one)


def test_links_in_an_archive_lead_inside_it(fresh_one: Wpod) -> None:
    """As where it is unpacked in a root of its own."""
    entries = [("etc", tarfile.SYMTYPE, "/real"), ("real", tarfile.DIRTYPE, ""), ("etc/x", tarfile.REGTYPE, ""),
               ("up", tarfile.SYMTYPE, "../../../.."), ("up/y", tarfile.REGTYPE, "")]  # fmt: skip
    context = write(fresh_one, {"a.tar": _tar(*entries)})
    build(fresh_one, "FROM scratch\nADD a.tar /x\n", context=context).ok()
    assert saved(fresh_one).names() == ["x", "x/etc", "x/real", "x/real/x", "x/up", "x/y"]


def test_an_archive_that_is_cut_off(fresh_one: Wpod) -> None:
    context = write(fresh_one, {"a.tar": _tar(("ok", tarfile.REGTYPE, ""), ("two", tarfile.REGTYPE, ""))[:1600]})
    build(fresh_one, "FROM scratch\nADD a.tar /x\n", context=context).fails(125, ":2: ADD: a.tar", "ends early")
    nothing_left(fresh_one)


def test_files_that_cannot_be_read(fresh: Wpod) -> None:
    """Root reads everything; a user is told which file it is."""
    context = write(fresh, {"d/closed": "x"})
    (context / "d" / "closed").chmod(0)
    os.chown(context / "d" / "closed", 0, 0)
    result = build(fresh, "FROM scratch\nCOPY d /d\n", context=context)
    if fresh.account.uid == 0:
        result.ok()
    else:
        result.fails(125, ":2: COPY: d/closed can't be read: Permission denied")
        nothing_left(fresh)


def test_deep_directories(fresh_one: Wpod) -> None:
    """A path that can be opened is copied; a longer one is refused in one line."""
    context = write(fresh_one, {})
    here = os.open(context, os.O_RDONLY)
    for depth in range(1, 25):
        name = str(depth) + "x" * 198
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
        if depth == 15:
            build(fresh_one, "FROM scratch\nCOPY . /\n", context=context).ok()
    os.close(here)
    build(fresh_one, "FROM scratch\nCOPY . /\n", context=context).fails(125, ":2: COPY", "name too long")
    assert staged(fresh_one) == []
    subprocess.run(["rm", "-rf", context], check=True)


# -- faults --------------------------------------------------------------------------------------------------------


def test_a_full_disk(fresh_one: Wpod, small_disk: Path, root_account: Account) -> None:
    context = write(fresh_one, {"big": noise(20 << 20), "small": "x"})
    fresh_one.store = small_disk / "store"
    build(fresh_one, "FROM scratch\nCOPY small /\nCOPY big /\n", context=context).fails(
        125, "No space left on device", "hint: the disk is full"
    )
    nothing_left(fresh_one)
    build(fresh_one, "FROM scratch\nCOPY big /\nFROM scratch\nCOPY --from=0 /big /\n", context=context).fails(
        125, "space"
    )
    nothing_left(fresh_one)
    build(fresh_one, "FROM scratch\nCOPY small /\n", context=context).ok()
    assert saved(fresh_one).names() == ["small"]


def _endless(wpod: Wpod) -> subprocess.Popen[bytes]:
    """A build that is busy with its second layer for a long time; its first one is written."""
    context = write(wpod, {"small": "x", "Containerfile": "FROM scratch\nCOPY small /\nCOPY endless /\n"})
    os.truncate(os.open(context / "endless", os.O_CREAT | os.O_WRONLY), 1 << 42)
    process = wpod.start("build", "--tag", "made", context)
    eventually(lambda: any((wpod.store / "tmp").glob("build-*/layer-*3")) if (wpod.store / "tmp").is_dir() else False)
    return process


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_an_interrupted_build_leaves_nothing(fresh: Wpod, number: signal.Signals, status: int) -> None:
    process = _endless(fresh)
    began = time.monotonic()
    process.send_signal(number)
    result = fresh.finish(process)
    assert time.monotonic() - began < 10
    assert (result.status, result.out) == (status, "")
    nothing_left(fresh)


def test_a_killed_build_leaves_nothing_that_the_next_sweep_does_not_take(fresh_one: Wpod) -> None:
    process = _endless(fresh_one)
    process.kill()
    process.communicate()
    assert stored_images(fresh_one) == []
    assert staged(fresh_one) != []
    build(fresh_one, "FROM scratch\nCOPY <<f /f\nf\n").ok()
    fresh_one("rmi", "made").ok()
    nothing_left(fresh_one)
