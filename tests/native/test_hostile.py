"""Hostile images and guests: what a native container must not reach."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import stat
from pathlib import Path

import pytest

from tests.native.conftest import Box, until


def test_the_runtime_and_our_programs_are_not_writable_from_inside(box: Box) -> None:
    """CVE-2019-5736: the entrypoint is /proc/self/exe, which would be the runtime itself."""
    crun = Path(shutil.which("crun") or "")
    before = hashlib.sha256(crun.read_bytes()).hexdigest()
    (box.base / "lower" / "bin" / "evil").symlink_to("/proc/self/exe")
    box.start("evil", "--version")
    until(lambda: not box.is_kept(), "it has ended")
    assert hashlib.sha256(crun.read_bytes()).hexdigest() == before


@pytest.mark.parametrize("number", range(3, 12))
def test_a_working_directory_through_a_descriptor(box: Box, number: int) -> None:
    """CVE-2024-21626: no descriptor of the host is open when the working directory is entered."""
    box.make("sh", "-c", "cat ../../../../../../../etc/hostname ../../../../../../../../../../etc/shadow",
             working_directory=f"/proc/self/fd/{number}")  # fmt: skip
    _, out, _ = box.call("foreground")
    assert b"root:" not in out
    assert Path("/etc/hostname").read_bytes() not in out.replace(b"box\n", b"") or not out


def test_only_the_three_streams_are_open(box: Box) -> None:
    status, out, _ = box.run("sh", "-c", "ls /proc/self/fd", interactive=True)
    # The fourth is the directory that ls reads.
    assert (status, out.split()) == (0, [b"0", b"1", b"2", b"3"])


@pytest.mark.parametrize("target", ["/dev/null", "/dev", "/proc", "/sys", "/etc/hosts", "/etc"])
def test_links_in_the_place_of_mount_points(box: Box, target: str, tmp_path: Path) -> None:
    """CVE-2025-31133, -52565, CVE-2026-41579: mount points of the image are links to the host."""
    victim = tmp_path / "victim"
    victim.mkdir()
    tmp_path.chmod(0o755)
    place = box.base / "lower" / target.strip("/")
    if place.is_dir():
        place.rmdir()
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(victim)
    null = os.stat("/dev/null")
    box.make("sh", "-c", "echo written >/dev/null; echo 1 >/etc/new; ls /dev/")
    box.call("foreground")
    assert list(victim.iterdir()) == []
    after = os.stat("/dev/null")
    assert (stat.S_ISCHR(after.st_mode), after.st_rdev) == (True, null.st_rdev)


def test_device_files_of_the_image_do_not_open(box: Box) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a device file")
    os.mknod(box.base / "lower" / "mydisk", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    status, out, err = box.run("sh", "-c", "dd if=/mydisk bs=1 count=1")
    assert (status != 0, out) == (True, b""), err


def test_no_new_device_can_be_made(box: Box) -> None:
    status, _, _ = box.run("mknod", "/dev/mem2", "c", "1", "1")
    assert status != 0


def test_capabilities_that_open_devices_are_refused(box: Box) -> None:
    if box.account.uid == 0:
        status, err = box.refused("sh", capabilities_added=["MKNOD"])
        assert (status, b"--cap-add=MKNOD" in err) == (125, True), err
    else:
        assert box.run("mknod", "/dev/mem2", "c", "1", "1", capabilities_added=["MKNOD"])[0] != 0


def test_inheritable_capabilities_are_empty(box: Box) -> None:
    """CVE-2022-27649, -29162."""
    status, out, _ = box.run("sh", "-c", "cat /proc/self/status")
    lines = dict(line.split(":", 1) for line in out.decode().splitlines())
    assert (status, int(lines["CapInh"], 16), int(lines["CapAmb"], 16)) == (0, 0, 0)
    assert int(lines["CapBnd"], 16) == int(lines["CapEff"], 16) == 0x800405FB


def test_the_kernel_s_settings_are_read_only(box: Box) -> None:
    """CVE-2022-0811: neither core_pattern nor sysrq-trigger nor sysfs can be written."""
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper"):
        again = Box(box.base, box.account, box.command, box.package)
        status, _, _ = again.run("sh", "-c", f"echo h >{path}")
        assert status != 0, path
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before


def test_a_volume_whose_target_is_a_link_stays_inside(box: Box, tmp_path: Path) -> None:
    """CVE-2021-30465: the target of a mount is resolved inside the root."""
    volume = box.account.directory(box.base / "volume", 0o755)
    (box.base / "lower" / "data").symlink_to("/../../../../../../tmp")
    box.account.directory(box.base / "lower" / "tmp", 0o755)
    mounts = [{"kind": "bind", "source": str(volume), "target": "/data/inner"}]
    before = set(os.listdir("/tmp"))
    status, out, err = box.run("sh", "-c", "touch /data/inner/made; ls /tmp/inner", mounts=mounts)
    assert (status, out) == (0, b"made\n"), err
    assert (volume / "made").exists()
    assert "inner" not in set(os.listdir("/tmp")) - before


def test_a_read_only_root_and_volume(box: Box) -> None:
    volume = box.account.directory(box.base / "volume", 0o755)
    mounts = [{"kind": "bind", "source": str(volume), "target": "/data", "read_only": True}]
    script = "touch /x; touch /data/x; touch /dev/shm/x && echo shm"
    status, out, _ = box.run("sh", "-c", script, mounts=mounts, read_only=True)
    assert (status, out, list(volume.iterdir())) == (0, b"shm\n", [])


def test_a_guest_that_ignores_term_and_leaves_orphans(box: Box) -> None:
    script = "trap '' TERM INT HUP; (sh -c 'sleep 1000 & sleep 1000 &' &) ; while :; do sleep 0.1; done"
    assert box.start("sh", "-c", script) == "R"
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
        assert box.call("kill", {"signal": int(number)})[1] == b"True\n"
    assert box.wait_end()["status"] == 137


def test_a_user_of_the_image(box: Box) -> None:
    status, out, _ = box.run("sh", "-c", "id; touch /x", user={"user_id": 33, "group_id": 44, "supplementary": [7]})
    assert (status != 0, out) == (True, b"uid=33 gid=44 groups=7\n")


def test_a_user_that_is_not_mapped(box: Box) -> None:
    if box.account.uid == 0:
        assert box.run("id", user={"user_id": 3_000_000_000})[:2] == (0, b"uid=3000000000 gid=0\n")
        return
    status, err = box.refused("id", user={"user_id": 3_000_000_000})
    assert (status, b"user 3000000000 does not exist" in err) == (125, True), err
