"""`system check`: every kind of damage is found, told, mended where it can be, and found no more."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.storage import archive_building as building
from tests.storage.conftest import small_image, stored_blobs, stored_images
from tests.support import content, guests
from tests.support.command import Result, Wpod
from tests.support.content import Content
from tests.support.images import File, ImageSource, layer_tar

IMAGE = content.image([layer_tar({"one": File(b"one\n", 0o644)}), layer_tar({"two": File(b"two\n", 0o644)})])
LAYER = json.loads(IMAGE.manifests[IMAGE.top][1])["layers"][0]["digest"]
PAUSE = """
(module (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "\\01") (data (i32.const 24) "\\00\\00\\00\\00\\00\\00\\00\\40")
  (func (export "_start") (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))
"""


def wasm_image(module: bytes) -> Content:
    files = {"main.wasm": File(module)}
    return content.image([layer_tar(files)], {"Entrypoint": ["/main.wasm"]}, platform="wasip1/wasm")


def load(wpod: Wpod, image: Content, name: str) -> None:
    wpod("load", "-q", input=building.tar_of(building.oci_members(image, name))).ok()


def check(wpod: Wpod, *options: str) -> Result:
    return wpod("system", "check", *options)


def clean(wpod: Wpod) -> None:
    assert check(wpod).ok().out == ""
    assert check(wpod, "--quick").ok().out == ""


def found(wpod: Wpod, *words: str, status: int = 1) -> None:
    """A check names these, each on a line of its own."""
    result = check(wpod).exits(status)
    lines = result.out.splitlines()
    assert len(lines) == len(words), result.explain()
    for word, line in zip(words, lines, strict=True):
        assert word in line, result.explain()


def mended(wpod: Wpod, *options: str) -> str:
    """A repair mends everything, and leaves nothing to a second one."""
    out = check(wpod, "--repair", *options).ok().out
    assert check(wpod, "--repair", *options).ok().out == ""
    clean(wpod)
    return out


@pytest.fixture
def filled(fresh: Wpod) -> Wpod:
    """A store with an image, two containers of it and a volume."""
    return fill(fresh)


@pytest.fixture
def filled_one(fresh_one: Wpod) -> Wpod:
    """As `filled`, for one account."""
    return fill(fresh_one)


def fill(wpod: Wpod) -> Wpod:
    load(wpod, IMAGE, "image")
    wpod("create", "--name", "first", "image", "/one").ok()
    wpod("create", "--name", "second", "--read-only", "image", "/two").ok()
    wpod("volume", "create", "kept").ok()
    return wpod


def container(wpod: Wpod, name: str = "first") -> Path:
    return wpod.store / "containers" / wpod("inspect", "--format", "{{.Id}}", name).ok().line


def blob(wpod: Wpod, digest: str) -> Path:
    return wpod.store / "oci/blobs/sha256" / digest[7:]


def tree(wpod: Wpod) -> Path:
    (only,) = wpod.store.glob("unpacked/*/*")
    return only


def flip(path: Path, at: int = 0) -> None:
    mode = path.stat().st_mode
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    path.chmod(mode & 0o777)


def names(wpod: Wpod) -> set[str]:
    return set(wpod("ps", "-a", "--format", "{{.Names}}").ok().out.split())


def test_a_store_that_is_not_there_or_well_is_clean(filled: Wpod) -> None:
    clean(filled)
    assert check(filled, "--repair", "--force").ok().out == ""
    elsewhere = {"WPOD_ROOT": str(filled.scratch / "nowhere")}
    assert filled("system", "check", environment=elsewhere).ok().out == ""
    assert not (filled.scratch / "nowhere").exists()
    filled("system", "check", "--force").fails(125, "--force needs --repair")


# -- content -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["layer", "config", "manifest"])
def test_a_damaged_blob_takes_its_image_along(fresh_one: Wpod, part: str) -> None:
    load(fresh_one, IMAGE, "image")
    load(fresh_one, small_image(), "other")
    digest = {"layer": LAYER, "config": IMAGE.config_digest, "manifest": IMAGE.top}[part]
    flip(blob(fresh_one, digest))
    assert check(fresh_one, "--quick").ok().out == ""  # the size is right
    found(fresh_one, f"{digest[7:]} is damaged", f"image localhost/image:latest has lost {digest}")
    mended(fresh_one)
    assert len(stored_images(fresh_one)) == 1
    assert digest not in stored_blobs(fresh_one)
    load(fresh_one, IMAGE, "image")
    clean(fresh_one)


def test_the_quick_check_sees_what_is_cut_or_gone(fresh_one: Wpod) -> None:
    load(fresh_one, IMAGE, "image")
    path = blob(fresh_one, LAYER)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])
    assert "is not a file of" in check(fresh_one, "--quick").exits(1).out
    path.unlink()
    found(fresh_one, f"has lost {LAYER}")
    assert f"has lost {LAYER}" in check(fresh_one, "--quick").exits(1).out
    mended(fresh_one)


@pytest.mark.parametrize("what", ["link", "directory", "fifo"])
def test_something_else_in_the_place_of_a_blob(fresh_one: Wpod, what: str) -> None:
    load(fresh_one, IMAGE, "image")
    path = blob(fresh_one, LAYER)
    outside = fresh_one.scratch / "outside"
    outside.write_bytes(path.read_bytes())
    path.unlink()
    {"link": lambda: path.symlink_to(outside), "directory": path.mkdir, "fifo": lambda: os.mkfifo(path)}[what]()
    found(fresh_one, LAYER[7:], "has lost")
    mended(fresh_one)
    assert outside.exists()


def test_an_image_in_use_goes_only_by_force(filled: Wpod) -> None:
    flip(blob(filled, LAYER))
    found(filled, LAYER[7:], "image localhost/image:latest (used by ")
    for _ in range(2):
        check(filled, "--repair").exits(1)
        assert names(filled) == {"first", "second"}
    assert "removed with its containers" in mended(filled, "--force")
    assert names(filled) == set()
    assert stored_images(filled) == []


def _no_marker(directory: Path) -> None:
    (directory / "complete").unlink()


def _rubbish_marker(directory: Path) -> None:
    (directory / "complete").write_text("{")


def _new_file(directory: Path) -> None:
    (directory / "fs/new").write_text("")


def _lost_file(directory: Path) -> None:
    (directory / "fs/one").unlink()


def _cut_file(directory: Path) -> None:
    (directory / "fs/one").write_text("")


def _gone(directory: Path) -> None:
    shutil.rmtree(directory)


@pytest.mark.parametrize("damage", [_no_marker, _rubbish_marker, _new_file, _lost_file, _cut_file, _gone])
def test_a_damaged_tree_is_unpacked_again(filled_one: Wpod, damage: Callable[[Path], None]) -> None:
    directory = tree(filled_one)
    damage(directory)
    found(filled_one, str(directory))
    assert "unpacked again" in mended(filled_one)
    assert (directory / "fs/one").read_bytes() == b"one\n"
    assert names(filled_one) == {"first", "second"}


PRIVATE = content.image(
    [layer_tar({"own": File(mode=0o700, uid=42, gid=42), "own/file": File(b"secret", 0o600, uid=42, gid=42)})]
)


def test_what_only_its_owner_may_enter_is_unpacked_measured_and_removed(fresh: Wpod) -> None:
    load(fresh, PRIVATE, "private")
    fresh("create", "--name", "c", "private", "/own/file").ok()
    clean(fresh)
    _no_marker(tree(fresh))
    assert "unpacked again" in mended(fresh)
    fresh("rm", "c").ok()
    fresh("rmi", "private").ok()
    assert list(fresh.store.glob("unpacked/*/*")) == list(fresh.store.glob("tmp/*")) == []


def test_files_of_other_ids_go_with_container_and_volume(
    fresh: Wpod, archives: Callable[[ImageSource], Path], probe_sources: dict[str, ImageSource]
) -> None:
    source = probe_sources["native"]
    fresh("load", "-qi", archives(source)).ok()
    for directory in ("/tmp/own", "/data/own"):  # noqa: S108 - inside the container
        guest = ("mkdir", directory, "+", "write", f"{directory}/file", "x")
        fresh("run", "--name", "c", "-u", "1000", "-v", "data:/data", source.name, *guest).ok()
        clean(fresh)
        fresh("rm", "c").ok()
        fresh("volume", "rm", "data").ok()
        assert list(fresh.store.glob("tmp/*")) == list(fresh.store.glob("containers/*")) == []


def test_a_tree_that_cannot_be_unpacked_again(filled_one: Wpod) -> None:
    filled_one("rmi", "--force", "image").exits(0)
    assert names(filled_one) == set()
    fill_again = small_image("again")
    load(filled_one, fill_again, "again")
    filled_one("create", "--name", "third", "again", "/file").ok()
    directory = tree(filled_one)
    (directory / "complete").unlink()
    flip(blob(filled_one, json.loads(fill_again.manifests[fill_again.top][1])["layers"][0]["digest"]))
    check(filled_one, "--repair").exits(1)
    assert names(filled_one) == {"third"}
    mended(filled_one, "--force")
    assert names(filled_one) == set()


def test_nothing_is_taken_from_under_a_running_container(fresh: Wpod) -> None:
    module = guests.wasm_from_text(PAUSE, "--no-check").read_bytes()
    image = content.image(
        [layer_tar({"main.wasm": File(module)})], {"Entrypoint": ["/main.wasm"]}, platform="wasi/wasm"
    )
    load(fresh, image, "pause")
    fresh("run", "-d", "--name", "running", "pause").ok()
    fresh.until_running("running")
    clean(fresh)
    directory = next(path for path in fresh.store.glob("unpacked/*/*"))
    (directory / "complete").unlink()
    state = container(fresh, "running") / "state"
    check(fresh, "--repair").exits(1)
    assert "running runs on it: stop it first" in check(fresh, "--repair", "--force").exits(1).out
    assert (directory / "fs/main.wasm").exists()
    fresh.until_running("running")
    fresh("stop", "--time", "0", "running").ok()
    mended(fresh)
    assert state.exists()


def test_a_changed_module_is_seen(fresh: Wpod) -> None:
    module = guests.wasm_from_text(PAUSE, "--no-check").read_bytes()
    artifact = Content()
    config = artifact.blob("application/vnd.wasm.config.v0+json", b"{}")
    artifact.manifest(content.manifest_of(config, [artifact.blob("application/wasm", module)]))
    load(fresh, artifact, "module")
    fresh("create", "--name", "c", "module").ok()
    flip(tree(fresh) / "fs/main.wasm", 20)
    found(fresh, "has a damaged module: main.wasm")
    mended(fresh)
    assert (tree(fresh) / "fs/main.wasm").read_bytes() == module


def test_compiled_code_is_checked_to_its_last_byte(fresh: Wpod) -> None:
    module = guests.wasm_from_text(PAUSE, "--no-check").read_bytes()
    image = content.image(
        [layer_tar({"main.wasm": File(module)})], {"Entrypoint": ["/main.wasm"]}, platform="wasi/wasm"
    )
    load(fresh, image, "module")
    fresh("create", "--name", "c", "--wasm-aot=require", "module").ok()
    fresh("start", "c").ok()
    fresh("stop", "--time", "0", "c").ok()
    (compiled,) = fresh.store.glob("aot/*.waot")
    clean(fresh)
    flip(compiled, compiled.stat().st_size - 1)
    assert check(fresh, "--quick").ok().out == ""
    found(fresh, f"{compiled} is damaged")
    mended(fresh)
    assert not compiled.exists()
    compiled.write_bytes(b"short")
    assert "is truncated" in check(fresh, "--quick").exits(1).out
    compiled.unlink()
    os.mkfifo(compiled)
    assert "is not a regular file" in check(fresh).exits(1).out
    mended(fresh)


# -- containers, volumes, staging ----------------------------------------------------------------------------------


STATES: dict[str, Callable[[Path], None]] = {
    "empty": lambda path: path.write_bytes(b"") and None,
    "cut": lambda path: path.write_bytes(b"WPODSTAT" + bytes(100)) and None,
    "noise": lambda path: path.write_bytes(bytes(range(256)) * 16) and None,
    "a newer version": lambda path: path.write_bytes((b"WPODSTAT\x63" + bytes(4096))[:4096]) and None,
    "a directory": lambda path: path.mkdir(),
    "a fifo": os.mkfifo,
}


@pytest.mark.parametrize("damage", STATES)
def test_a_damaged_state_file_is_reset(filled_one: Wpod, damage: str) -> None:
    state = container(filled_one) / "state"
    state.unlink(missing_ok=True)
    STATES[damage](state)
    assert names(filled_one) == {"first", "second"}
    found(filled_one, f"container first: {state}")
    assert "reset to created" in mended(filled_one)
    assert filled_one("inspect", "--format", "{{.State.Status}}", "first").ok().line == "created"
    filled_one("rm", "first").ok()


def test_a_state_file_that_is_a_link_leads_nowhere(filled_one: Wpod) -> None:
    state, outside = container(filled_one) / "state", filled_one.scratch / "outside"
    outside.write_bytes(b"precious")
    for path in (state, state.with_name("state.new")):
        path.unlink(missing_ok=True)
        path.symlink_to(outside)
    found(filled_one, f"container first: {state}")
    mended(filled_one)
    assert outside.read_bytes() == b"precious"
    assert not state.is_symlink()


def test_what_a_container_lost_is_made_anew(filled: Wpod) -> None:
    own = container(filled)
    (own / "lock").unlink()
    shutil.rmtree(own / "logs")
    found(filled, f"container first has lost {own}/lock", f"container first has lost {own}/logs")
    mended(filled)
    filled("rm", "first").ok()


def test_a_container_without_its_directory_goes(filled: Wpod) -> None:
    own = container(filled)
    shutil.rmtree(own)
    found(filled, "container first has lost its directory")
    mended(filled)
    assert names(filled) == {"second"}


def test_leftovers_are_no_damage(filled: Wpod) -> None:
    orphan = filled.account.directory(filled.store / "containers" / ("a" * 64))
    held = filled.account.directory(filled.store / "containers" / ("b" * 64))
    filled.account.own(_written(held / "lock"))
    staged = filled.account.directory(filled.store / "tmp" / "unpack-1")
    busy = filled.account.directory(filled.store / "tmp" / "unpack-2")
    partial = filled.account.own(_written(filled.store / "tmp" / ("partial-" + "0" * 64)))
    with (held / "lock").open() as first:
        second = os.open(busy, os.O_RDONLY)
        fcntl.flock(first, fcntl.LOCK_EX)
        fcntl.flock(second, fcntl.LOCK_EX)
        found(filled, f"leftover: {orphan}", f"leftover: {staged}", status=0)
        check(filled, "--repair").ok()
        assert not orphan.exists()
        assert not staged.exists()
        assert held.exists()
        assert busy.exists()
        os.close(second)
    found(filled, f"leftover: {held}", f"leftover: {busy}", status=0)
    assert partial.exists()
    mended(filled)
    partial.unlink()


def _written(path: Path, data: bytes = b"") -> Path:
    path.write_bytes(data)
    return path


def test_a_volume_without_files_and_files_without_a_volume(filled: Wpod) -> None:
    shutil.rmtree(filled.store / "volumes/kept")
    stray = filled.account.directory(filled.store / "volumes/stray")
    found(filled, "volume kept: ", f"leftover: {stray} belongs to no volume")
    check(filled, "--repair").ok()
    assert (filled.store / "volumes/kept/_data").is_dir()
    assert stray.is_dir()
    mended(filled, "--force")
    assert not stray.exists()


def test_links_out_of_the_store_are_not_followed(filled_one: Wpod) -> None:
    outside = filled_one.scratch / "outside"
    (outside / "_data").mkdir(parents=True)
    (outside / "precious").write_text("")
    volume, key = filled_one.store / "volumes/kept", next((filled_one.store / "unpacked").iterdir())
    shutil.rmtree(volume)
    shutil.rmtree(key)
    for path in (volume, key, filled_one.store / "tmp/link", filled_one.store / "containers" / ("c" * 64)):
        path.symlink_to(outside)
    own = container(filled_one)
    shutil.rmtree(own)
    own.symlink_to(outside)
    check(filled_one).exits(1)
    check(filled_one, "--repair").exits(1)  # the volume is left
    mended(filled_one, "--force")
    assert sorted(path.name for path in outside.iterdir()) == ["_data", "precious"]
    assert volume.is_dir()
    assert not volume.is_symlink()


def test_a_directory_of_the_store_that_is_a_link_is_not_entered(filled_one: Wpod) -> None:
    elsewhere = filled_one.scratch / "elsewhere"
    (filled_one.store / "containers").rename(elsewhere)
    (filled_one.store / "containers").symlink_to(elsewhere)
    (elsewhere / ("d" * 64)).mkdir()
    os.utime(elsewhere / ("d" * 64), (0, 0))
    found(filled_one, f"{filled_one.store}/containers is not a directory of the store")
    check(filled_one, "--repair", "--force").exits(1)
    assert (elsewhere / ("d" * 64)).is_dir()
    (elsewhere / ("d" * 64)).rmdir()
    (filled_one.store / "containers").unlink()
    elsewhere.rename(filled_one.store / "containers")
    shutil.rmtree(filled_one.store / "tmp")
    found(filled_one, f"{filled_one.store}/tmp is missing")
    mended(filled_one)


# -- records -------------------------------------------------------------------------------------------------------


def change(wpod: Wpod, *statements: str) -> None:
    """Change the database behind wpod's back; everything is in the one file afterwards."""
    connection = sqlite3.connect(wpod.store / "wpod.db")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    for name in ("wpod.db", "wpod.db-wal", "wpod.db-shm"):
        if (wpod.store / name).exists():
            wpod.account.own(wpod.store / name)


def test_records_that_cannot_be_read(filled: Wpod) -> None:
    change(
        filled, "UPDATE image SET record = '{\"digest\": 5}'", "UPDATE container SET plan = '[]' WHERE name = 'first'"
    )
    filled("images").fails(125, "the record of image")
    filled("ps", "-a").fails(125, "the record of container")
    found(filled, "the record of image", "the record of container")
    assert "made anew from the image's manifest" in check(filled, "--repair").exits(1).out
    mended(filled, "--force")
    assert stored_images(filled) == [f"sha256:{IMAGE.image_id}"]
    assert filled("images", "--format", "{{.Repository}}").ok().line == "localhost/image"
    assert names(filled) == {"second"}


def test_a_record_whose_image_is_gone(fresh_one: Wpod) -> None:
    load(fresh_one, IMAGE, "image")
    change(fresh_one, "UPDATE image SET record = 'rubbish'")
    blob(fresh_one, IMAGE.config_digest).unlink()
    assert "pull the image again" in mended(fresh_one)
    assert stored_images(fresh_one) == []


def test_references_to_nothing_are_dropped(filled_one: Wpod) -> None:
    change(filled_one, "PRAGMA foreign_keys = OFF", "INSERT INTO image_name VALUES ('localhost/ghost:1', 'sha256:0')")
    found(filled_one, "table image_name refers to what isn't in table image")
    assert "indexes made anew" in mended(filled_one)


def pages(wpod: Wpod) -> int:
    change(wpod)
    return (wpod.store / "wpod.db").stat().st_size // 4096


def test_a_damaged_page_of_the_database_costs_little(filled_one: Wpod) -> None:
    change(filled_one)
    database = filled_one.store / "wpod.db"
    good = database.read_bytes()
    for page in range(1, len(good) // 4096):
        database.write_bytes(good[: page * 4096] + b"\xa5" * 500 + good[page * 4096 + 500 :])
        if check(filled_one).status == 0:
            continue  # a page that holds nothing
        out = check(filled_one, "--repair", "--force").ok().out
        assert "wpod.db.damaged is the old one" in out or "indexes made anew" in out
        clean(filled_one)
        assert stored_images(filled_one) == [f"sha256:{IMAGE.image_id}"]
        assert filled_one("volume", "ls", "-q").ok().out == "kept\n"
        for lost in (filled_one.store / "lost").glob("*"):
            lost.rename(filled_one.store / "containers" / lost.name)


def test_a_database_of_rubbish_is_replaced_only_by_force(filled: Wpod) -> None:
    change(filled)
    own = container(filled)
    database = filled.store / "wpod.db"
    database.write_bytes(b"no database at all " * 500)
    filled("images").fails(125, "wpod.db", "system check")
    found(filled, "wpod.db is damaged: file is not a database")
    out = check(filled, "--repair").exits(1).out
    assert "--force" in out
    assert own.is_dir()
    assert "wpod.db.damaged is the old one" in check(filled, "--repair", "--force").ok().out
    clean(filled)
    assert stored_images(filled) == [f"sha256:{IMAGE.image_id}"]
    assert filled("volume", "ls", "-q").ok().out == "kept\n"
    assert names(filled) == set()
    assert (filled.store / "lost" / own.name).is_dir()
    assert (filled.store / "wpod.db.damaged").read_bytes().startswith(b"no database")


def test_a_repair_wants_the_store_for_itself(filled_one: Wpod) -> None:
    with (filled_one.store / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        clean(filled_one)
        check(filled_one, "--repair").fails(125, "in use by another command")
    assert check(filled_one, "--repair").ok().out == ""
