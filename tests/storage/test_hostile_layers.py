"""Layers made to write, link or remove outside their tree, to fill memory, or to leave what can't be removed."""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from tests.storage.conftest import open_store, put
from tests.storage.unpacking import Box
from tests.support import content, raw_tar
from tests.support.raw_tar import (
    BLOCK_DEVICE,
    CHARACTER,
    END,
    FIFO,
    Entry,
    Header,
    archive,
    directory,
    extension,
    file,
    hard_link,
    records,
    symlink,
)
from wpod.errors import DigestMismatch, InvalidImage, StoreError, UsageError, WpodError
from wpod.kernel import openat2
from wpod.model.id_map import IDENTITY, SINGLE
from wpod.plan import arguments, users
from wpod.storage import layers, layout, unpack

Layers = tuple[bytes, ...]


def refused(box: Box, *found: bytes, words: str = "") -> WpodError:
    """The layers are refused with one line that names the layer."""
    with pytest.raises(InvalidImage) as caught:
        box.unpack(*found)
    message = caught.value.message
    assert message.startswith("layer sha256:"), message
    assert words in message
    assert "\n" not in message
    return caught.value


# -- names ---------------------------------------------------------------------------------------------------------

CLIMBING = ["../x", "..", "a/../../x", "a/..", "./../x", "/../x", "a/b/../../../x", "x/../x"]


@pytest.mark.parametrize("name", CLIMBING)
def test_a_name_that_climbs_is_refused(box: Box, name: str) -> None:
    refused(box, archive(directory("a"), file(name)), words="leads out of the image")


@pytest.mark.parametrize(
    "member",
    [
        file("short", pax={"path": b"../../x"}),
        extension(b"L", b"../../x\0") + file("short").encode(),
        Header(b"x", prefix=b"../..").encode(),
        directory("../x"),
        symlink("../x", "y"),
        hard_link("x", "../outside/secret"),
        Entry("../x", kind=FIFO),
        extension(b"g", records({"path": b"../../x"})) + file("short").encode(),
    ],
)
def test_a_name_that_climbs_is_refused_wherever_it_stands(box: Box, member: Entry | bytes) -> None:
    refused(box, archive(member), words="leads out of the image")


def test_an_absolute_name_counts_from_the_root(box: Box) -> None:
    inside = f"{box.outside}/pwned".lstrip("/")
    box.unpack(archive(file(f"{box.outside}/pwned"), file("//etc//./cron.d/x"), file("./plain")))
    assert box.text(inside) == b"content"
    assert box.text("etc/cron.d/x") == b"content"
    assert box.text("plain") == b"content"
    assert not Path("/etc/cron.d/x").exists()


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (file("x", pax={"path": b"a\0b"}), "NUL"),
        (file("n" * 5000), "4096 bytes"),
        (file("n" * 300), "can't be unpacked"),
        (symlink("x", "t" * 5000), "4096 bytes"),
        (symlink("x", ""), "can't be unpacked"),
        (file("d/\u0000".replace("\0", "") + "a" * 256 + "/x"), "can't be unpacked"),
    ],
)
def test_a_name_that_no_file_can_have_is_refused(box: Box, member: Entry, words: str) -> None:
    refused(box, archive(member), words=words)


def test_odd_names_are_files_like_others(box: Box) -> None:
    names = ["new\nline", "\x1b[2J", "-rf", "*", "sp ace", "\udcff\udcfe", "CON", ".wh", "é\u202e"]
    box.unpack(archive(*(file(name) for name in names)))
    assert box.names() == sorted(names)


def test_a_message_stays_one_line_whatever_the_name_says(box: Box) -> None:
    refused(box, archive(symlink("d", "nowhere"), file("d/a\nerror: fake\x1b[2J")), words="can't be unpacked")


def test_directories_nested_too_deeply_are_refused(box: Box) -> None:
    """Who removes or copies a tree is to manage without special measures."""
    refused(box, archive(file("d/" * 1500 + "x")), words="nested deeper than")


def test_links_do_not_hide_how_deep_a_directory_is(box: Box) -> None:
    name = "d/" * 400
    refused(box, archive(directory(name), symlink("s", name), directory("s/" + name)), words="nested deeper than")


def test_a_tree_nested_too_deeply_for_recursion_is_removed(tmp_path: Path) -> None:
    """A guest can make one."""
    where = os.open(tmp_path, os.O_PATH)
    for name in ("top", *["d"] * 1500):
        os.mkdir(name, 0o700, dir_fd=where)
        below = os.open(name, os.O_PATH, dir_fd=where)
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, 0o400, dir_fd=below))
        os.chmod(f"/proc/self/fd/{where}", 0o500)
        os.close(where)
        where = below
    tmp_path.chmod(0o700)
    os.close(where)
    layout.remove_tree(str(tmp_path / "top"))
    assert list(tmp_path.iterdir()) == []


# -- symbolic links ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/", "../../../../../../../..", "////..//.."])
@pytest.mark.parametrize("apart", [False, True])
def test_a_link_to_the_root_leads_to_the_trees_root(box: Box, target: str, apart: bool) -> None:
    first, second = symlink("d", target), file("d/tmp/pwned")
    box.unpack(*((archive(first), archive(second)) if apart else (archive(first, second),)))
    assert box.text("tmp/pwned") == b"content"
    assert not Path("/tmp/pwned").exists()
    assert os.readlink(box.tree / "d") == target


@pytest.mark.parametrize("climb", [False, True])
def test_a_link_to_a_directory_of_the_host_is_none(box: Box, climb: bool) -> None:
    """The same path inside the tree isn't there: nothing is made behind a dangling link."""
    target = ("../" * 20 if climb else "/") + str(box.outside).lstrip("/")
    for member in (file("d/pwned"), directory("d/pwned"), symlink("d/pwned", "x"), Entry("d/pwned", kind=FIFO)):
        refused(box, archive(symlink("d", target), member), words="can't be unpacked")
        layout.remove_tree(str(box.tree))


def test_a_link_to_a_directory_of_the_host_leads_to_the_one_in_the_tree(box: Box) -> None:
    inside = str(box.outside).lstrip("/")
    box.unpack(archive(directory(inside), symlink("d", str(box.outside)), file("d/secret", b"of the image")))
    assert box.text(f"{inside}/secret") == b"of the image"


def test_chains_and_loops_of_links(box: Box) -> None:
    box.unpack(archive(symlink("a", "b"), symlink("b", "c/../c"), directory("c"), file("a/x")))
    assert box.text("c/x") == b"content"
    layout.remove_tree(str(box.tree))
    refused(box, archive(symlink("a", "b"), symlink("b", "a"), file("a/x")), words="can't be unpacked")


def test_what_stands_in_the_way_is_replaced_not_followed(box: Box) -> None:
    secret = str(box.outside / "secret")
    members = (file("to", b"of the image"), directory("to"), Entry("to", kind=FIFO), symlink("to", "x"))
    for member in members:
        box.unpack(archive(symlink("to", secret), member))
        assert not stat.S_ISLNK((box.tree / "to").lstat().st_mode) or os.readlink(box.tree / "to") == "x"
        layout.remove_tree(str(box.tree))
    box.unpack(archive(symlink("to", str(box.outside))), archive(directory("to", mode=0o700), file("to/x")))
    assert box.text("to/x") == b"content"


def test_a_directory_turned_into_a_link_is_not_gone_on_with(box: Box) -> None:
    """The unpacker keeps the last directory open."""
    box.unpack(
        archive(directory("d"), file("d/one"), symlink("d", "e"), directory("e"), file("d/two")),
        archive(symlink("e", str(box.outside)), directory("f"), symlink("d", "f"), file("d/three")),
    )
    assert box.text("f/three") == b"content"
    assert box.names() == ["d", "e", "f", "f/three"]


def test_times_and_modes_do_not_pass_through_links(box: Box) -> None:
    box.unpack(
        archive(
            directory("d", mode=0o700), file("f", mode=0o600), symlink("d", str(box.outside)),
            symlink("f", str(box.outside / "secret")),
        )
    )  # fmt: skip
    assert box.names() == ["d", "f"]


@pytest.mark.parametrize("kind", [raw_tar.SYMLINK, raw_tar.HARD_LINK, raw_tar.FILE, FIFO])
@pytest.mark.parametrize("name", [".", "/", "./", "//."])
def test_the_root_is_a_directory_and_stays_one(box: Box, kind: bytes, name: str) -> None:
    """CVE-2021-29136."""
    if kind == raw_tar.FILE and name.endswith("/"):
        kind = raw_tar.SYMLINK  # old archives mark directories so
    member = Entry(name, kind=kind, target=str(box.outside))
    refused(box, archive(member, file("etc/pwned")), words="root")
    assert stat.S_ISDIR(box.tree.lstat().st_mode)


# -- hard links ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["{outside}/secret", "/etc/shadow", "d/secret", "none"])
def test_a_hard_link_out_of_the_tree_is_refused(box: Box, target: str) -> None:
    target = target.format(outside=box.outside)
    refused(box, archive(symlink("d", str(box.outside)), hard_link("x", target)), words="which is not in the image")
    assert not (box.tree / "x").exists()


def test_a_hard_link_to_a_link_is_the_link(box: Box) -> None:
    secret = str(box.outside / "secret")
    box.unpack(archive(symlink("l", secret), hard_link("x", "l"), file("x", b"of the image")))
    assert os.readlink(box.tree / "l") == secret
    assert box.text("x") == b"of the image"


def test_hard_links_within_the_tree(box: Box) -> None:
    box.unpack(archive(file("a", b"one"), hard_link("b", "a"), hard_link("c", "/./a"), hard_link("a", "a")))
    assert len({(box.tree / name).stat().st_ino for name in "abc"}) == 1
    layout.remove_tree(str(box.tree))
    refused(box, archive(directory("d"), hard_link("x", "d")), words="hard link to a directory")
    layout.remove_tree(str(box.tree))
    refused(box, archive(hard_link("x", "/")), words="hard link to the root")


# -- whiteouts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "a/.wh..", "a/.wh...", ".wh.../x", ".wh./etc", ".wh.a/b"])
def test_a_whiteout_without_a_name_is_refused(box: Box, name: str) -> None:
    refused(box, archive(directory("a"), file("a/b")), archive(file(name)), words="whiteout")
    assert (box.tree / "a" / "b").exists()


@pytest.mark.parametrize("name", [".wh.secret", ".wh.below", ".wh..wh..opq", "below/.wh..wh..opq", "below/.wh.kept"])
@pytest.mark.parametrize("climb", [False, True])
def test_a_whiteout_behind_a_link_removes_nothing_of_the_host(box: Box, name: str, climb: bool) -> None:
    target = ("../" * 20 if climb else "/") + str(box.outside).lstrip("/")
    box.unpack(archive(symlink("d", target)), archive(file(f"d/{name}")))
    assert box.names() == ["d"]


def test_a_whiteout_removes_the_link_itself(box: Box) -> None:
    box.unpack(archive(symlink("d", str(box.outside)), symlink("f", str(box.outside / "secret")), file("kept")),
               archive(file(".wh.d"), file(".wh.f"), file(".wh.never")))  # fmt: skip
    assert box.names() == ["kept"]


@pytest.mark.parametrize("at", ["", "d/", "l/"])
def test_an_opaque_whiteout_hides_what_lower_layers_brought(box: Box, at: str) -> None:
    """Wherever it stands in the archive, what its own layer brings stays."""
    below = archive(directory("d"), file("d/old"), directory("d/both"), file("d/both/old"), symlink("l", "d"))
    box.unpack(below, archive(directory("d"), file("d/new"), file(f"{at}.wh..wh..opq"), file("d/both/new")))
    assert "d/old" not in box.names()
    assert "d/both/old" not in box.names()
    assert {"d/new", "d/both/new"} <= set(box.names())
    assert ("l" in box.names()) == (at != "")


def test_whiteouts_are_no_files_and_bookkeeping_is_passed_over(box: Box) -> None:
    box.unpack(archive(file("a"), file("b"), file(".wh.a"), directory(".wh..wh.plnk"), file(".wh..wh.aufs")),
               archive(symlink(".wh.b", "/x")))  # fmt: skip
    assert box.names() == ["a"]


# -- special files -------------------------------------------------------------------------------------------------


def test_devices_are_made_for_root_alone(box: Box) -> None:
    """Where they are made, every container's root is mounted nodev."""
    box.unpack(
        archive(
            Entry("dev/null", kind=CHARACTER, device=(1, 3)), Entry("disk", kind=BLOCK_DEVICE, device=(8, 0)),
            Entry("whiteout", kind=CHARACTER, device=(0, 0)), file("after"),
        )
    )  # fmt: skip
    expected = ["after", "dev", "dev/null", "disk"] if box.id_map == "identity" else ["after", "dev"]
    assert box.names() == expected
    if box.id_map == "identity":
        assert (box.tree / "disk").lstat().st_rdev == os.makedev(8, 0)


def test_a_device_does_not_replace_what_it_is_skipped_for(box: Box) -> None:
    box.unpack(archive(file("x", b"before"), Entry("x", kind=CHARACTER, device=(0, 0))))
    assert box.text("x") == b"before"


def test_setuid_stays_only_where_owners_do(box: Box) -> None:
    box.unpack(archive(file("sudo", mode=0o6755), directory("sticky", mode=0o7777), file("closed", mode=0)))
    assert (box.tree / "sudo").stat().st_mode & 0o7777 == (0o6755 if box.keeps_owners else 0o755)
    assert (box.tree / "sticky").stat().st_mode & 0o7777 == (0o7777 if box.keeps_owners else 0o777)
    assert (box.tree / "closed").stat().st_mode & 0o7777 == (0 if box.keeps_owners else 0o400)


def test_a_fifo_is_made_and_not_opened(box: Box) -> None:
    box.unpack(archive(Entry("pipe", kind=FIFO, mode=0o600), file("pipe2")))
    assert stat.S_ISFIFO((box.tree / "pipe").lstat().st_mode)


def test_owners_out_of_range_are_refused(box: Box) -> None:
    refused(box, archive(file("x", owner=(2**32 - 1, 0))), words="owner out of range")
    layout.remove_tree(str(box.tree))
    if box.id_map == "ranges":
        with pytest.raises(StoreError, match="outside the user's id ranges") as caught:
            box.unpack(archive(file("x", owner=(3_000_000, 0))))
        assert "/etc/subuid" in (caught.value.hint or "")


def test_what_steers_an_overlay_is_dropped(box: Box) -> None:
    steering = {
        f"SCHILY.xattr.{name}": b"y"
        for name in ("trusted.overlay.opaque", "trusted.overlay.redirect", "user.overlay.redirect", "trusted.x",
                     "user.overlay.opaque", "security.selinux", "system.posix_acl_access", "security.ima")
    }  # fmt: skip
    capability = {"SCHILY.xattr.security.capability": struct.pack("<IIIII", 0x02000000, 0x2000, 0, 0, 0)}
    kept = {"SCHILY.xattr.user.mine": b"\xff\0bytes"}
    box.unpack(archive(file("x", pax={**steering, **kept, **capability}), directory("d", pax={**steering, **kept})))
    expected = {"user.mine"} | ({"security.capability"} if box.keeps_owners else set())
    assert set(os.listxattr(box.tree / "x")) == expected
    assert os.getxattr(box.tree / "x", "user.mine") == b"\xff\0bytes"
    assert os.listxattr(box.tree / "d") == ["user.mine"]


# -- archives that are none ----------------------------------------------------------------------------------------

X = file("x").encode()
BROKEN: dict[str, tuple[bytes, str]] = {
    "a wrong checksum": (Header(b"x", checksum=1).encode() + END, "checksum"),
    "half a header": (X + X[:100], "ends early"),
    "half a file": (Header(b"x", size=10_000).encode() + bytes(100), "ends early"),
    "noise": (hashlib.shake_128(b"seed").digest(4096), "malformed number"),
    "a size that is no number": (Header(b"x", size_field=b"99999999999").encode() + END, "malformed number"),
    "a negative size": (Header(b"x", size_field=b"\xff" * 12).encode() + END, "impossible size"),
    "a size beyond all disks": (Header(b"x", size_field=b"\x80" + b"\x7f" * 11).encode() + END, "out of range"),
    "a size of 1 EiB": (Header(b"x", size_field=b"\x80" + (1 << 60).to_bytes(11, "big")).encode() + END, "ends early"),
    "a sparse file": (Header(b"x", b"S").encode() + END, "sparse"),
    "a sparse file by pax": (archive(file("x", pax={"GNU.sparse.major": b"1"})), "sparse"),
    "a multi-volume file": (Header(b"x", b"M").encode() + END, "type"),
    "an extended header of 2 MiB": (archive(extension(b"x", bytes(2 << 20)), file("x")), "extended header"),
    "an extended header of 8 EiB": (Header(b"x", b"x", size_field=b"\x80" + b"\x0f" * 11).encode(), "out of range"),
    "an extended header that is cut": (Header(b"x", b"x", 1000).encode() + b"12 path=", "ends early"),
    "a record without a length": (archive(extension(b"x", b"path=x\n"), X), "malformed extended header"),
    "a record of length 0": (archive(extension(b"x", b"0 path=x\n"), X), "malformed extended header"),
    "a record that is too long": (archive(extension(b"x", b"99999999999 path=x\n"), X), "malformed extended header"),
    "a record without a value": (archive(extension(b"x", b"8 path\n\n"), X), "malformed extended header"),
    "a size in letters": (archive(file("x", pax={"size": b"many"})), "malformed number"),
    "a size in other digits": (archive(file("x", pax={"size": "٣".encode()})), "malformed number"),
    "a negative size by pax": (archive(file("x", pax={"size": b"-1"})), "impossible size"),
    "a negative owner by pax": (archive(file("x", pax={"uid": b"-1"})), "owner out of range"),
    "a long time": (archive(file("x", pax={"mtime": b"9" * 100})), "malformed number"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_no_archive_is_refused(one_box: Box, what: str) -> None:
    data, words = BROKEN[what]
    refused(one_box, data, words=words)


def test_times_beyond_all_clocks_are_bounded(one_box: Box) -> None:
    one_box.unpack(
        archive(file("far", pax={"mtime": b"99999999999999"}), file("past", pax={"mtime": b"-9999999999999"}))
    )
    assert one_box.names() == ["far", "past"]


def test_headers_for_all_entries_hold_for_all(one_box: Box) -> None:
    one_box.unpack(
        archive(extension(b"g", records({"mtime": b"1"})), file("a"), file("b"), file("c", pax={"mtime": b"2"}))
    )
    assert [(one_box.tree / name).stat().st_mtime for name in "abc"] == [1, 1, 2]


def test_entries_are_counted(one_box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "MAX_ENTRIES", 10)
    refused(one_box, archive(*(file(f"{number}") for number in range(11))), words="more than 10 entries")


# -- compressed streams --------------------------------------------------------------------------------------------

TAR = archive(file("x", b"content" * 1000))
ZSTD = zstandard.ZstdCompressor().compress(TAR)
DAMAGED: dict[str, tuple[bytes, str]] = {
    "gzip that is cut": (gzip.compress(TAR)[:-20], "ends early"),
    "gzip that is cut in its trailer": (gzip.compress(TAR)[:-4], "ends early"),
    "gzip with a wrong checksum": (gzip.compress(TAR)[:-8] + bytes(8), "damaged"),
    "gzip with rubbish behind it": (gzip.compress(TAR) + b"rubbish", "rubbish behind"),
    "gzip with half a member behind it": (gzip.compress(TAR) + gzip.compress(TAR)[:9], "ends early"),
    "gzip with a flipped bit": (bytes(b ^ (i == 30) for i, b in enumerate(gzip.compress(TAR))), "damaged"),
    "a gzip header alone": (b"\x1f\x8b\x08", "ends early"),
    "zstd with a flipped bit": (bytes(b ^ (i == 30) for i, b in enumerate(ZSTD)), ""),
    "zstd that is cut": (ZSTD[:-5], ""),
    "zstd with rubbish behind it": (ZSTD + b"rubbish", ""),
    "zstd with a window of 2 GiB": (b"\x28\xb5\x2f\xfd\x00\xa8" + b"\x03\x00\x10" + b"a", "memory"),
    "zstd in one segment of 4 GiB": (b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 4 << 30) + bytes(20), ""),
    "nothing": (b"", ""),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_damaged_compression_is_refused(one_box: Box, what: str) -> None:
    data, words = DAMAGED[what]
    diff_id = f"sha256:{hashlib.sha256(TAR).hexdigest()}"
    with pytest.raises(InvalidImage) as caught:
        one_box.unpack(data, diff_ids=(diff_id,))
    assert words in caught.value.message
    assert caught.value.message.startswith("layer sha256:")


@pytest.mark.parametrize(
    "compress",
    [
        lambda tar: tar,
        gzip.compress,
        lambda tar: gzip.compress(tar[:700]) + gzip.compress(tar[700:]) + gzip.compress(b""),
        zstandard.ZstdCompressor().compress,
        lambda tar: zstandard.ZstdCompressor().compress(tar[:700]) + zstandard.ZstdCompressor().compress(tar[700:]),
        lambda tar: b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip" + zstandard.ZstdCompressor().compress(tar),
    ],
)
def test_compression_is_told_by_the_bytes(one_box: Box, compress: Callable[[bytes], bytes]) -> None:
    one_box.unpack(compress(TAR), diff_ids=(f"sha256:{hashlib.sha256(TAR).hexdigest()}",))
    assert one_box.text("x") == b"content" * 1000


@pytest.mark.parametrize("behind", [b"", bytes(10_000), b"rubbish behind the end"])
def test_the_diff_id_counts_what_lies_behind_the_end(one_box: Box, behind: bytes) -> None:
    one_box.unpack(TAR + behind)
    layout.remove_tree(str(one_box.tree))
    with pytest.raises(DigestMismatch, match="but the image's config says"):
        one_box.unpack(TAR + behind, diff_ids=("sha256:" + "0" * 64,))


def zeros_in_gzip(total: int) -> bytes:
    """So many zeros, behind the header of a file that is to hold them; 1/1000 of their size."""
    piece = 64 << 20
    header = Header(b"bomb", size_field=b"\x80" + total.to_bytes(11, "big")).encode()
    return gzip.compress(header) + gzip.compress(bytes(piece), 1) * (total // piece)


def zeros_in_zstd(total: int) -> bytes:
    """The same in blocks of one repeated byte: 4 bytes for 128 KiB."""
    header = Header(b"bomb", size_field=b"\x80" + total.to_bytes(11, "big")).encode()
    block = struct.pack("<I", (128 << 10) << 3 | 1 << 1)[:3] + b"\0"
    frame = b"\x28\xb5\x2f\xfd\x00\x38" + block * (total >> 17) + b"\x01\x00\x00"
    return zstandard.ZstdCompressor().compress(header) + frame


LIMIT = 96 << 20
BOMBS = {
    "gzip": zeros_in_gzip,
    "zstd": zeros_in_zstd,
    "gzip in gzip": lambda total: gzip.compress(zeros_in_gzip(total)),
}


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_bomb_stops_at_the_limit(one_box: Box, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv("WPOD_MAX_LAYER_BYTES", str(LIMIT))
    bomb = BOMBS[kind](10 << 30)
    assert len(bomb) < 60 << 20
    error = refused(one_box, bomb, words=f"unpacks to more than {LIMIT} bytes")
    assert "WPOD_MAX_LAYER_BYTES" in (error.hint or "")


def test_a_bomb_stops_in_a_users_namespace(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WPOD_MAX_LAYER_BYTES", str(1 << 20))
    refused(box, zeros_in_gzip(1 << 30), words="unpacks to more than")


_MEASURED = """
import json, sys
from wpod.errors import InvalidImage
from wpod.storage import unpack
try:
    unpack.execute(unpack.decode(sys.stdin.buffer.read()))
except InvalidImage as error:
    print(error.message)
with open("/proc/self/status") as file:
    print(next(line for line in file if line.startswith("VmHWM:")).split()[1])
"""


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_takes_no_memory(one_box: Box, kind: str) -> None:
    """Another process, so that its memory can be told from that of the tests (ru_maxrss begins with theirs)."""
    job = one_box.job(BOMBS[kind](256 << 20))
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED],
        input=unpack.encode(job),
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "WPOD_MAX_LAYER_BYTES": str(200 << 20)},
        check=True,
    )
    *said, peak_kib = done.stdout.decode().splitlines()
    assert ("unpacks to more than" in "".join(said)) == (kind != "gzip in gzip"), said
    assert int(peak_kib) < 256 << 10


# -- what the store keeps of it ------------------------------------------------------------------------------------


def test_a_refused_image_leaves_no_tree_and_no_staged_file(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    good = archive(file("a"), directory("d", mode=0))
    for bad in (archive(file("b"), file("../x")), TAR[:700], archive(symlink(".", "/"))):
        image = put(store, content.image([good, bad]))
        with store.lease(), pytest.raises(InvalidImage, match="layer sha256:"):
            unpack.unpack(store, image, SINGLE)
        assert os.listdir(store.paths.temporary) == []
        assert list(Path(store.paths.unpacked).rglob("*/complete")) == []


def test_a_layer_that_is_not_what_the_config_says_is_refused(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    made = content.Content()
    config = made.blob(content.OCI_CONFIG, content.encode(content.config_of([TAR + END])))
    made.manifest(content.manifest_of(config, [made.blob(content.OCI_LAYER, TAR)]))
    with store.lease(), pytest.raises(DigestMismatch, match="but the image's config says"):
        unpack.unpack(store, put(store, made), SINGLE)
    assert os.listdir(store.paths.temporary) == []


def test_a_layer_changes_nothing_in_the_tree_below(tmp_path: Path) -> None:
    """Trees share their files by hard links."""
    store = open_store(tmp_path)
    lower = archive(
        file("f", b"below"), file("g", b"below"), file("h", b"below"), directory("d", mode=0o755), symlink("l", "f"),
        file("d/kept"),
    )  # fmt: skip
    upper = archive(
        file("f", b"above"), directory("d", mode=0o700), file("l", b"above"), hard_link("g2", "g"), file(".wh.h"),
        file("g2", b"above"), file("g", b"above", mode=0o600, pax={"SCHILY.xattr.user.x": b"y"}), file("d/.wh.kept"),
    )  # fmt: skip
    with store.lease():
        below = Path(unpack.unpack(store, put(store, content.image([lower])), SINGLE).path)
        before = {path: (path.lstat(), os.listxattr(path, follow_symlinks=False)) for path in below.rglob("*")}
        above = Path(unpack.unpack(store, put(store, content.image([lower, upper])), SINGLE).path)
    assert sorted(path.name for path in above.rglob("*")) == ["d", "f", "g", "g2", "l"]
    assert {(above / name).read_bytes() for name in ("f", "g", "g2", "l")} == {b"above"}
    for path, (status, attributes) in before.items():
        now = path.lstat()
        assert (now.st_mode, now.st_size, now.st_mtime_ns) == (status.st_mode, status.st_size, status.st_mtime_ns)
        assert os.listxattr(path, follow_symlinks=False) == attributes
    assert {(below / name).read_bytes() for name in ("f", "g", "h", "l")} == {b"below"}


@pytest.mark.parametrize("what", ["bytes", "inodes"])
def test_what_fills_the_disk_is_removed(small_disk: Path, what: str) -> None:
    store = open_store(small_disk)
    many = archive(*(file(f"{number}", b"") for number in range(3000)))
    image = put(store, content.image([many if what == "inodes" else archive(file("zeros", bytes(32 << 20)))]))
    with store.lease():
        used = os.statvfs(small_disk)
        with pytest.raises(StoreError, match="No space left on device") as caught:
            unpack.unpack(store, image, IDENTITY)
    assert "disk is full" in (caught.value.hint or "")
    assert os.listdir(store.paths.temporary) == []
    now = os.statvfs(small_disk)
    assert (now.f_bfree, now.f_ffree) == (used.f_bfree, used.f_ffree)


# -- who the guest is ----------------------------------------------------------------------------------------------

PASSWD = b"""root:x:0:0:root:/root:/bin/sh
app:x:1000:1001::/home/app:
:x:7:7:::
short:x:5
many:x:6:6:a:b:c:d
huge:x:4294967296:1:::
last:x:4294967295:1:::
negative:x:-1:1:::
words:x:one:1:::
zero:x:00:0::/zero:
\xff\xfe:x:8:8::/odd:
"""
GROUP = b"root:x:0:\nstaff:x:50:app,root\nbig:x:99999999999:app\nnone\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("root:0:0", "expected USER or USER:GROUP"),
        ("root:", "expected USER or USER:GROUP"),
        ("99999999999", "out of range"),
        ("4294967295", "out of range"),
        ("0:4294967295", "out of range"),
        ("9" * 5000, "out of range"),
        ("-1", "unable to find user -1"),
        ("\u0661", "unable to find user"),
        ("short", "unable to find user short"),
        ("huge", "unable to find user huge"),
        ("last", "unable to find user last"),
        ("words", "unable to find user words"),
        ("app:nobody", "unable to find group nobody"),
        ("app:big", "unable to find group big"),
        ("../../etc/shadow", "unable to find user"),
        ("a\nb", "unable to find user"),
    ],
)
def test_a_user_that_is_none_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        users.resolve_user(text, PASSWD, GROUP)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", (0, 0, (50,), "/root")),
        ("app", (1000, 1001, (50,), "/home/app")),
        ("1000", (1000, 1001, (50,), "/home/app")),
        ("app:staff", (1000, 50, (), "/home/app")),
        (":50", (0, 50, (), "/root")),
        ("5:6", (5, 6, (), "/")),
        ("4294967294", (4294967294, 0, (), "/")),
        ("zero", (0, 0, (), "/zero")),
        ("\udcff\udcfe", (8, 8, (), "/odd")),
    ],
)
def test_a_user_is_looked_up_as_the_c_library_does(text: str, found: tuple[object, ...]) -> None:
    user = users.resolve_user(text, PASSWD, GROUP)
    assert (user.user_id, user.group_id, user.supplementary, user.home) == found


def test_the_passwd_file_is_read_inside_the_image_and_bounded(one_box: Box) -> None:
    members = (
        Entry("etc/passwd", kind=FIFO), symlink("etc/passwd", "/etc/passwd"), symlink("etc/passwd", "passwd"),
        symlink("etc/passwd", "../" * 30 + "etc/passwd"), symlink("etc/passwd", "/proc/self/environ"),
        symlink("etc/passwd", str(one_box.outside / "secret")), directory("etc/passwd"), symlink("etc", "/etc"),
    )  # fmt: skip
    for member in members:
        tree = one_box.unpack(archive(member))
        assert openat2.read_inside(str(tree), "etc/passwd", 1000) is None
        layout.remove_tree(str(tree))
    tree = one_box.unpack(archive(symlink("etc/passwd", "../x"), file("x")))
    assert openat2.read_inside(str(tree), "etc/passwd", 1000) == b"content"
    with (tree / "x").open("wb") as sparse:
        sparse.truncate(1 << 30)
    assert len(openat2.read_inside(str(tree), "etc/passwd", users.READ_LIMIT_BYTES) or b"") == users.READ_LIMIT_BYTES


@pytest.mark.parametrize(
    ("path", "found"),
    [("../..", "/"), ("/../../etc", "/etc"), ("a/./b//c", "/a/b/c"), ("//x", "/x"), ("", "/"), ("/a/..", "/")],
)
def test_a_working_directory_never_leaves_the_root(path: str, found: str) -> None:
    assert arguments.absolute_directory(path) == found


def test_settings_without_a_name_or_a_value_are_passed_over() -> None:
    assert arguments.merge_environment(("A=1", "B", "=2", "", "C=", "A=3=4"), (("D", "5"),)) == ("A=3=4", "C=", "D=5")
