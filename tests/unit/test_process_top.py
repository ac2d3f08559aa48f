"""The list of a container's processes: the kernel's texts as the container sees them, and podman's descriptors."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.support.command import eventually
from wpod.errors import NotSupportedYet, UsageError
from wpod.frozen import replace
from wpod.model.id_map import IdRange
from wpod.model.memory import Breakdown
from wpod.model.process import Need, ProcessView
from wpod.output import process_columns
from wpod.sampling import process_view
from wpod.sampling.process_view import Ids, Inside, Reading

_TICKS = os.sysconf("SC_CLK_TCK")
_SECOND = 1_000_000_000
_BOOT, _WALL = 100_000 * _SECOND, 2_000_000_000 * _SECOND
_STATUS = """Name:\tsh
State:\tS (sleeping)
Tgid:\t4711
Pid:\t4711
PPid:\t4700
Uid:\t100999\t101000\t101000\t101000
Gid:\t100000\t100050\t100050\t100050
Groups:\t100027 200000 \n\
NSpid:\t4711\t23\t2
NSpgid:\t4700\t17\t1
VmSize:\t    3060 kB
VmRSS:\t    1600 kB
CapInh:\t0000000000000000
CapPrm:\t000001ffffffffff
CapEff:\t00000000a0000001
CapBnd:\t000001ffffffffff
CapAmb:\t0000000000000000
Seccomp:\t2
"""
_RANGES = (IdRange(0, 1000, 1), IdRange(1, 100001, 65535))


def _stat(name: str = "sh", parent: int = 4700, terminal: int = 0x8803) -> bytes:
    """utime 150 and stime 50 ticks, nice 5, started 30.5 s before the look, 3 MiB of addresses."""
    started = (_BOOT - 30 * _SECOND - _SECOND // 2) * _TICKS // _SECOND
    numbers = f"{parent} 4690 4600 {terminal} -1 4194560 1 2 3 4 {150 * _TICKS // 100} {50 * _TICKS // 100} 9 9 25 5"
    return f"4711 ({name}) S {numbers} 1 0 {started} 3145728 400 1 0 0\n".encode()


def _reading(status: str = _STATUS, cmdline: bytes = b"/bin/sh\0-c\0a b\0", stat: bytes = b"") -> Reading:
    return process_view.parse(4711, stat or _stat(), status.encode(), cmdline, "unconfined")


def _inside(depth: int = 1, ranges: tuple[IdRange, ...] = _RANGES) -> Inside:
    users = Ids(ranges, {0: "root", 1000: "app"}, lambda number: f"here{number}")
    groups = Ids(ranges, {50: "staff", 27: "sudo"}, lambda number: "")
    return Inside(depth, users, groups, _BOOT, _WALL)


def _view(
    one: Reading | None = None, inside: Inside | None = None, pids: Mapping[int, int] = MappingProxyType({4700: 17})
) -> ProcessView:
    return process_view.view(one or _reading(), inside or _inside(), pids)


def _shown(words: str, one: ProcessView | None = None) -> list[str]:
    (row,) = process_columns.rows(process_columns.choose(words.split()), [one or _view()])
    return row


def test_numbers_are_those_of_the_containers_namespace_at_its_depth() -> None:
    assert _shown("pid hpid ppid pgid") == ["23", "4711", "17", "17"]
    assert _shown("pid hpid", _view(inside=_inside(depth=0))) == ["4711", "4711"]
    assert _shown("pid", _view(inside=_inside(depth=2))) == ["2"]


def test_a_parent_outside_is_0_and_without_a_namespace_the_parent_is_told_as_it_is() -> None:
    assert _view(pids={}).parent == 0
    assert _view(inside=_inside(depth=0), pids={}).parent == 4700


def test_users_and_groups_are_led_back_and_named_by_the_container() -> None:
    assert _shown("user ruser uid huid huser") == ["app", "999", "1000", "101000", "here101000"]
    assert _shown("group,rgroup hgroup groups") == ["staff", "65534", "100050", "sudo,65534"]


def test_without_a_user_namespace_numbers_are_the_same() -> None:
    found = _view(inside=_inside(ranges=()))
    assert (found.user.inside, found.user.host) == (101000, 101000)


def test_an_id_that_the_namespace_has_not_is_nobodys() -> None:
    assert process_view.inside_id(_RANGES, 1000) == 0
    assert process_view.inside_id(_RANGES, 100001) == 1
    assert process_view.inside_id(_RANGES, 165535) == 65535
    assert process_view.inside_id(_RANGES, 165536) == 65534
    assert process_view.inside_id(_RANGES, 0) == 65534


def test_id_maps_and_accounts_are_read() -> None:
    assert process_view.parse_ranges(b"         0       1000          1\n         1     100001      65535\n") == _RANGES
    accounts = b"root:x:0:0::/:\nbroken\ntoor:x:0:0::/:\n:x:7:7::/:\nbad:x:-1:0::/:\ndaemon:x:1:1::/:\nstaff:x:50:"
    assert process_view.names_of(accounts) == {0: "root", 1: "daemon", 50: "staff"}
    assert process_view.names_of(b"\xff:x:3:3::/:") == {3: "\udcff"}


def test_the_first_root_that_has_the_file_counts(tmp_path: Path) -> None:
    for root, text in (("upper", "new"), ("lower", "old")):
        (tmp_path / root / "etc").mkdir(parents=True)
        (tmp_path / root / "etc" / "passwd").write_text(text)
    (tmp_path / "lower" / "etc" / "group").symlink_to("/etc/passwd")
    roots = (str(tmp_path / "upper"), str(tmp_path / "lower"))
    assert process_view._first(roots, "etc/passwd") == b"new"
    assert process_view._first(roots, "etc/group") == b"old", "links stay inside"
    assert process_view._first(roots, "etc/shadow") == b""


def test_times_and_shares() -> None:
    assert _shown("etime time pcpu") == ["30.5s", "2s", "6.557"]
    young = replace(_view(), elapsed_nanoseconds=0, cpu_nanoseconds=_SECOND * 3 // 2)
    assert _shown("pcpu time", young) == ["0.000", "1s"]


def test_when_it_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    assert _view().started_nanoseconds == _WALL - 30 * _SECOND - _SECOND // 2
    assert _shown("stime")[0].startswith("2033-05-18 03:32:49 ")


def test_what_the_kernel_says_of_it() -> None:
    assert _shown("state nice vsz rss seccomp label tty") == ["S", "5", "3072", "1600", "filter", "unconfined", "pts/3"]
    assert _shown("seccomp", _view(_reading(_STATUS.replace("Seccomp:\t2", "Seccomp:\t7")))) == ["?"]


def test_commands() -> None:
    assert _shown("args comm") == ["/bin/sh -c a b", "sh"]
    assert _shown("args comm", _view(_reading(cmdline=b"", stat=_stat("od) S 1 (d")))) == ["[od) S 1 (d]", "od) S 1 (d"]
    assert _shown("args", _view(_reading(cmdline=b"server: idle\0\0\0\0"))) == ["server: idle"]
    assert _shown("args", _view(_reading(cmdline=b"a\0\0b\0"))) == ["a  b"]


def test_capabilities() -> None:
    assert _shown("capeff capprm capamb capinh") == ["AUDIT_WRITE,CHOWN,SETFCAP", "full", "none", "none"]
    assert process_columns.capability_text(1 << 62 | 1 << 13) == "62,NET_RAW"
    assert _shown("capbnd", _view(_reading("Uid:\t0\t0\nGid:\t0\t0\n"))) == ["?"]


def test_a_zombie_has_numbers_and_no_memory() -> None:
    lines = [line for line in _STATUS.splitlines() if not line.startswith("Vm")]
    found = _view(_reading("\n".join(lines), b""))
    assert _shown("pid rss args own", found) == ["23", "0", "[sh]", "-"]


def test_kernels_without_numbers_of_namespaces_give_what_they_have() -> None:
    lines = [line for line in _STATUS.splitlines() if not line.startswith("NS")]
    assert _shown("pid pgid", _view(_reading("\n".join(lines)))) == ["4711", "4690"]


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0, ""), (0x8800, "pts/0"), (0x8907, "pts/263"), (0x108801, "pts/257"), (0x0501, "console"), (0x0403, "tty3"),
        (0x0440, "ttyS0"), (0xE500, ""), (-1, ""),
    ],
)  # fmt: skip
def test_terminals(number: int, name: str) -> None:
    assert process_view.terminal_name(number) == name


def test_memory_is_in_kibibytes_and_what_is_unknown_is_no_0() -> None:
    known = replace(_view(), memory=Breakdown(own=1025, linear=0, kernel=4096, code=1, shared=2048))
    assert _shown("own,linear,kernel,code,shared,swap", known) == ["2", "0", "4", "1", "2", "-"]
    (column,) = process_columns.choose(["own"])
    assert (column.header, column.need) == ("OWN KiB", Need.MEMORY)


def test_descriptors_are_separated_by_commas_or_words_and_have_codes() -> None:
    names = [column.name for column in process_columns.choose(["pid, user", ",", "%C", "%a,%y"])]
    assert names == ["pid", "user", "pcpu", "args", "tty"]


@pytest.mark.parametrize("words", [[], [","], [""]])
def test_podmans_columns_are_the_default(words: list[str]) -> None:
    headers = [column.header for column in process_columns.choose(words)]
    assert headers == ["USER", "PID", "PPID", "%CPU", "ELAPSED", "TTY", "TIME", "COMMAND"]
    assert all(column.need is None for column in process_columns.choose(words))


def test_unknown_descriptors_are_named_with_those_that_are_known() -> None:
    with pytest.raises(UsageError) as caught:
        process_columns.choose(["pid,nonsense"])
    assert caught.value.message == 'unknown descriptor "nonsense"'
    assert caught.value.hint is not None
    assert "pid, ppid" in caught.value.hint
    with pytest.raises(UsageError, match='unknown descriptor ""'):
        process_columns.choose([" "])


@pytest.mark.parametrize("words", [["-eo", "pid"], ["pid", "-x"], ["--sort=pid"]])
def test_options_of_ps_are_refused(words: list[str]) -> None:
    with pytest.raises(NotSupportedYet, match="ps"):
        process_columns.choose(words)


def test_podmans_descriptors_are_all_there_once() -> None:
    podmans = "args,capamb,capbnd,capeff,capinh,capprm,comm,etime,group,groups,hgroup,hgroups,hpid,huid,huser,label"
    more = "nice,pcpu,pgid,pid,ppid,rgroup,rss,ruser,seccomp,state,stime,time,tty,uid,user,vsz"
    assert set(f"{podmans},{more}".split(",")) <= set(process_columns.NAMES)
    assert len(set(process_columns.NAMES)) == len(process_columns.NAMES)
    codes = [column.code for column in process_columns.COLUMNS if column.code]
    assert len(set(codes)) == len(codes)


def test_this_process_is_read_as_it_is() -> None:
    found = process_view.read(os.getpid())
    assert found is not None
    shown = process_view.view(found, replace(_inside(depth=0), users=Ids((), {}, lambda number: "")), {})
    assert (shown.pid, shown.parent, shown.group_leader) == (os.getpid(), os.getppid(), os.getpgrp())
    assert shown.user.inside == os.geteuid()
    assert shown.resident > 1 << 20


def test_a_process_that_has_gone_is_none() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert process_view.read(pid) is None


def test_children_are_found_when_they_have_ended_too() -> None:
    """A process with one child that nobody has waited for."""
    main = os.fork()
    if main == 0:
        if os.fork() == 0:
            os._exit(0)
        signal.pause()
        os._exit(0)
    try:
        eventually(lambda: [one.stat[0] for one in process_view._others(main)] == [b"Z"])
        (zombie,) = process_view._others(main)
        assert zombie.command == ()
        assert int(zombie.stat[1]) == main
    finally:
        os.kill(main, signal.SIGKILL)
        os.waitpid(main, 0)
