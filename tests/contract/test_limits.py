"""Limits: what was asked for holds, by the engine or by a cgroup, or is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.conftest import Subject
from tests.support import leftovers
from tests.support.command import eventually


def _cgroup_files(container: str, name: str) -> list[str]:
    """The content of a controller's file in every cgroup of this container."""
    found = [Path(directory) / name for directory in leftovers.cgroups_of([container])]
    return [path.read_text().strip() for path in found if path.exists()]


def _refused(subject: Subject, option: str, value: str) -> bool:
    """A user without a delegated cgroup v2 gets one error that names the limit, and no container."""
    if subject.is_root or Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return False
    subject.wpod("run", "--rm", option, value, subject.image, "line", "ran").fails(125, option, "can't be enforced")
    assert subject.wpod("ps", "-aq").ok().out == ""
    return True


@pytest.mark.wasm
def test_memory_of_a_wasm_guest_ends_at_the_limit(subject: Subject) -> None:
    """The engine holds it, for every user: memory.grow fails in the guest, which goes on."""
    out = subject.wpod("run", "--rm", "--memory", "8m", subject.image, "memory", "64", "+", "line", "alive").ok().out
    taken, alive = out.splitlines()
    assert alive == "alive"
    assert taken.startswith("refused after ")
    assert 0 < int(taken.split()[2]) < 8


@pytest.mark.wasm
def test_a_module_that_needs_more_than_the_limit_is_refused(subject: Subject) -> None:
    subject.wpod("run", "--rm", "--memory", "1100k", subject.image, "line", "ran").fails(126, "memory", "131072")
    assert subject.wpod("ps", "-aq").ok().out == ""


@pytest.mark.own
@pytest.mark.native
def test_memory_of_a_native_guest_ends_at_the_limit(subject: Subject) -> None:
    if _refused(subject, "--memory", "16m"):
        return
    options = ("--name", "hog", "--memory", "16m", "--memory-swap", "16m")
    subject.wpod("run", *options, subject.image, "memory", "64").exits(137)
    assert subject.wpod.field("hog", "{{.State.OOMKilled}} {{.State.ExitCode}}") == "true 137"
    assert subject.wpod.field("hog", "{{.HostConfig.Memory}}") == str(16 << 20)


@pytest.mark.own
def test_cpus_are_a_quota_of_the_cgroup(subject: Subject) -> None:
    if _refused(subject, "--cpus", "0.5"):
        return
    container = subject.detached(("--cpus", "0.5"), "line", "up", "+", "idle")
    eventually(lambda: subject.wpod("logs", container).stdout == b"up\n")
    quotas = _cgroup_files(container, "cpu.cfs_quota_us") + _cgroup_files(container, "cpu.max")
    assert quotas in (["50000"], ["50000 100000"])
    assert subject.wpod.field(container, "{{.HostConfig.NanoCpus}}") == "500000000"
    main = subject.wpod.field(container, "{{.State.Pid}}")
    assert container in Path(f"/proc/{main}/cgroup").read_text()
    subject.wpod("rm", "-f", "-t", "0", container).ok()
    assert leftovers.cgroups_of([container]) == []


@pytest.mark.own
@pytest.mark.native
def test_the_number_of_processes_ends_at_the_limit(subject: Subject) -> None:
    if _refused(subject, "--pids-limit", "7"):
        return
    container = subject.detached(("--pids-limit", "7"), "line", "up", "+", "idle")
    eventually(lambda: subject.wpod("logs", container).stdout == b"up\n")
    assert _cgroup_files(container, "pids.max") == ["7"]


@pytest.mark.own
def test_without_limits_there_is_no_cgroup(subject: Subject) -> None:
    container = subject.detached((), "line", "up", "+", "idle")
    eventually(lambda: subject.wpod("logs", container).stdout == b"up\n")
    assert leftovers.cgroups_of([container]) == []


@pytest.mark.wasm
def test_an_rlimit_of_a_wasm_container_is_set(subject: Subject) -> None:
    container = subject.detached(("--ulimit", "nofile=77:88"), "line", "up", "+", "idle")
    eventually(lambda: subject.wpod("logs", container).stdout == b"up\n")
    main = subject.wpod.field(container, "{{.State.Pid}}")
    (line,) = [one for one in Path(f"/proc/{main}/limits").read_text().splitlines() if one.startswith("Max open files")]
    assert line.split()[3:5] == ["77", "88"]


@pytest.mark.own
@pytest.mark.parametrize(
    ("option", "value"),
    [("--memory", "lots"), ("--memory", "-1"), ("--cpus", "many"), ("--pids-limit", "-2"), ("--ulimit", "nofile"),
     ("--ulimit", "nofile=9:8"), ("--ulimit", "nothing=1")],
)  # fmt: skip
def test_a_limit_that_makes_no_sense_is_refused(subject: Subject, option: str, value: str) -> None:
    subject.wpod("run", "--rm", option, value, subject.image, "line", "ran").fails(125, option)
    assert subject.wpod("ps", "-aq").ok().out == ""


@pytest.mark.wasm
@pytest.mark.parametrize("option", ["--privileged", "--cap-add=NET_ADMIN"])
def test_what_has_no_meaning_for_wasm_is_refused(subject: Subject, option: str) -> None:
    subject.wpod("run", "--rm", option, subject.image, "line", "ran").fails(125, "wasm")


@pytest.mark.native
def test_capabilities_of_the_container(subject: Subject) -> None:
    """Empty inheritable set, and CAP_SYS_ADMIN only where it was asked for (capabilities(7))."""

    def sets(*options: str) -> dict[str, int]:
        text = subject.wpod("run", "--rm", *options, subject.image, "read", "/proc/self/status").ok().out
        lines = [line for line in text.splitlines() if line.startswith("Cap")]
        return {line.split(":")[0]: int(line.split()[1], 16) for line in lines}

    admin = 1 << 21
    plain = sets()
    assert plain["CapInh"] == 0
    assert plain["CapBnd"] & admin == 0
    assert sets("--cap-add", "SYS_ADMIN")["CapBnd"] & admin
    assert sets("--cap-drop", "ALL")["CapBnd"] == 0
