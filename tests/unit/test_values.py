"""Words of the command line as values, good and bad (wpod.cli.values, wpod.cli.container_values).

What podman takes is noted from podman 4.3, whose numbers follow Go's rules (strconv, go-units).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wpod.cli import container_values, values
from wpod.errors import NotSupportedYet, UsageError
from wpod.model.image import Platform
from wpod.model.request import AotPolicy, MountKind, MountRequest, PullPolicy, UlimitRequest

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
BIND, VOLUME, TMPFS = MountKind.BIND, MountKind.VOLUME, MountKind.TMPFS

GOOD: list[tuple[Callable[[str], Any], dict[str, Any]]] = [
    (values.boolean, {"1": True, "t": True, "TRUE": True, "True": True, "0": False, "F": False, "False": False}),
    (
        values.size,
        {
            "0": 0, "5": 5, "5b": 5, "5B": 5, "5k": 5 * KIB, "5Kb": 5 * KIB, "5kib": 5 * KIB, "5 k": 5 * KIB,
            "6MB": 6 * MIB, "64m": 64 * MIB, "1.5g": GIB + GIB // 2, "2GiB": 2 * GIB, "1t": 1 << 40, "1p": 1 << 50,
            "0.1k": 102, "9223372036854775807": (1 << 63) - 1, "5ib": 5, "007": 7,
        },
    ),
    (values.swap, {"-1": -1, "5m": 5 * MIB}),
    (values.whole, {"5": 5, "-5": -5, "+5": 5, "0": 0, "-9223372036854775807": -(1 << 63) + 1}),
    (values.count, {"5": 5, "0": 0}),
    (values.seconds, {"5": 5, "4294967295": (1 << 32) - 1}),
    (values.stop_seconds, {"5": 5, "-1": -1, "0": 0}),
    (values.pids, {"5": 5, "0": 0, "-1": 0}),
    (values.cpus, {"1": 100_000, "1.5": 150_000, "0.01": 1000, "0": 0, ".5": 50_000, "0.0": 0}),
    (values.cpu_shares, {"0": 0, "2": 2, "1024": 1024, "262144": 262144}),
    (
        values.duration,
        {"10": 10.0, "1.5": 1.5, "10s": 10.0, "1m30s": 90.0, "2h": 7200.0, "250ms": 0.25, "1h1m1s": 3661.0, "0": 0.0},
    ),
    (values.interval, {"250": 0.25, "250ms": 0.25, "2s": 2.0}),
    (
        values.signal_number,
        {"9": 9, "KILL": 9, "SIGKILL": 9, "sigkill": 9, "RTMIN": 34, "SIGRTMIN+3": 37, "RTMAX-1": 63, "64": 64},
    ),
    (values.signal_text, {"sigterm": "sigterm", "15": "15"}),
    (values.key_value, {"a=b": ("a", "b"), "a=b=c": ("a", "b=c"), "a": ("a", ""), "a=": ("a", "")}),
    (values.assignment, {"a=b": ("a", "b"), "a=": ("a", "")}),
    (values.environment, {"A=b": "A=b", "A": "A", "A*": "A*", "A=": "A=", "a b=c": "a b=c"}),
    (values.filter_term, {"a=b": ("a", "b"), "label=a=b": ("label", "a=b"), "label!=a": ("label!", "a")}),
    (values.absolute, {"/": "/", "/a b": "/a b"}),
    (values.hostname, {"a": "a", "a-b.c_d": "a-b.c_d", "0": "0", "x" * 64: "x" * 64}),
    (values.capability, {"cap_net_admin": "NET_ADMIN", "NET_ADMIN": "NET_ADMIN", "all": "ALL", "CAP_ALL": "ALL"}),
    (values.choice("a", "b"), {"a": "a"}),
    (
        values.comma_fields,
        {"": [""], "a": ["a"], "a,b": ["a", "b"], "a,,": ["a", "", ""], '"a,b",c': ["a,b", "c"], '"a""b"': ['a"b'],
         '"",x': ["", "x"], '"a",': ["a", ""]},
    ),
    (container_values.ulimit, {
        "nofile=5": UlimitRequest("nofile", 5, 5), "nofile=5:9": UlimitRequest("nofile", 5, 9),
        "core=-1": UlimitRequest("core", -1, -1), "nofile=5:-1": UlimitRequest("nofile", 5, -1),
        "RLIMIT_CPU=1": UlimitRequest("cpu", 1, 1),
    }),
    (container_values.platform, {
        "linux/amd64": Platform("linux", "amd64"), "Linux/ARM64/v8": Platform("linux", "arm64", "v8"),
        "wasip1/wasm": Platform("wasip1", "wasm"),
    }),
    (container_values.pull_policy, {
        "always": PullPolicy.ALWAYS, "Missing": PullPolicy.MISSING, "ifnewer": PullPolicy.NEWER,
    }),
    (container_values.aot_policy, {"off": AotPolicy.OFF}),
    (container_values.entrypoint, {
        "": (), "[]": (), "/a": ("/a",), "a b": ("a b",), '["a", "b c"]': ("a", "b c"), "[a": ("[a",), "[1]": ("[1]",),
    }),
    (container_values.security_option, {
        "no-new-privileges": ("no-new-privileges", "True"), "no-new-privileges:false": ("no-new-privileges", "False"),
        "no-new-privileges=1": ("no-new-privileges", "True"), "seccomp=unconfined": ("seccomp", "unconfined"),
        "seccomp=/a/b": ("seccomp", "/a/b"), "label=disable": ("label", "disable"),
        "label:disable": ("label", "disable"), "apparmor=unconfined": ("apparmor", "unconfined"),
    }),
    (container_values.log_option, {"max-size=10m": 10 * MIB, "max-size=0": 0}),
    (container_values.log_driver, {"k8s-file": "k8s-file", "json-file": "k8s-file", "none": "none"}),
    (container_values.volume, {
        "/a:/b": MountRequest(BIND, "/a", "/b"),
        "/a/../c:/b/": MountRequest(BIND, "/c", "/b"),
        "/a:/b:ro": MountRequest(BIND, "/a", "/b", read_only=True),
        "/a:/b:rw,noexec,rshared,z": MountRequest(BIND, "/a", "/b", options=("noexec", "rshared", "z")),
        "data:/b": MountRequest(VOLUME, "data", "/b"),
        "data:/b:nocopy": MountRequest(VOLUME, "data", "/b", options=("nocopy",)),
        "/b": MountRequest(VOLUME, "", "/b"),
        "/a:/b:": MountRequest(BIND, "/a", "/b"),
        "/a://b//c": MountRequest(BIND, "/a", "/b/c"),
    }),
    (container_values.mount, {
        "type=bind,src=/a,dst=/b": MountRequest(BIND, "/a", "/b"),
        "type=bind,source=/a,target=/b,readonly": MountRequest(BIND, "/a", "/b", read_only=True),
        "type=bind,source=/a,destination=/b,ro=false": MountRequest(BIND, "/a", "/b"),
        "type=bind,src=/a,dst=/b,rw=false": MountRequest(BIND, "/a", "/b", read_only=True),
        "type=bind,src=/a,dst=/b,bind-propagation=rslave": MountRequest(BIND, "/a", "/b", options=("rslave",)),
        "type=bind,src=/a,dst=/b,bind-nonrecursive": MountRequest(BIND, "/a", "/b", options=("bind",)),
        'type=bind,"src=/a,b",dst=/b': MountRequest(BIND, "/a,b", "/b"),
        "src=data,dst=/b": MountRequest(VOLUME, "data", "/b"),
        "type=volume,dst=/b": MountRequest(VOLUME, "", "/b"),
        "type=tmpfs,dst=/b,tmpfs-size=1m,tmpfs-mode=1770": MountRequest(TMPFS, "", "/b", size_bytes=MIB, mode=0o1770),
    }),
    (container_values.tmpfs, {
        "/t": MountRequest(TMPFS, "", "/t"),
        "/t:rw,size=64m,mode=755,exec": MountRequest(TMPFS, "", "/t", False, ("exec",), 64 * MIB, 0o755),
        "/t:ro": MountRequest(TMPFS, "", "/t", read_only=True),
    }),
]  # fmt: skip

BAD: list[tuple[Callable[[str], Any], list[str]]] = [
    (values.boolean, ["", "yes", "2", "tRUE", " true"]),
    (values.size, ["", " ", "b", "k", "-1", "5bb", "5bib", "5kk", "5xb", "1e3", "5.5.5k", "٥", "0x10", "9p9", "9" * 20,
                   "9000p", "1,5g", "inf", "nan", "9" * 5000]),
    (values.swap, ["-2", "", "x"]),
    (values.whole, ["", "-", "+", "1.0", "0x1", " 1", "1_000", "٣", "9223372036854775808", "9" * 5000, "--1"]),
    (values.count, ["-1"]),
    (values.seconds, ["-1", "4294967296"]),
    (values.stop_seconds, ["-2"]),
    (values.pids, ["-2", "x"]),
    (values.cpus, ["-1", "", "x", "0.009", "0.0000001", "1e3", "inf", "9" * 30]),
    (values.cpu_shares, ["1", "-1", "262145"]),
    (values.duration, ["", "x", "s", "-1s", "1 s", "1d", "1.2.3s", "1s1", "٣s", "1e3s", "9" * 50 + "s"]),
    (values.signal_number, ["", "0", "65", "-9", "SIG", "SIGSIGKILL", "_DFL", "SIG_IGN", "RTMIN+31", "RTMIN-1",
                            "RTMIN+²", "RTMAX-x", "９", "9" * 5000, "KILL "]),
    (values.signal_text, ["NOTHING"]),
    (values.key_value, ["", "=x", "a=\0"]),
    (values.assignment, ["a", "", "=b"]),
    (values.environment, ["", "=x", "A=\0"]),
    (values.filter_term, ["a", "=a", ""]),
    (values.absolute, ["", "a", "./a", "/a\0"]),
    (values.not_empty, ["", "a\0"]),
    (values.hostname, ["", "-a", "a-", "a..b", ".a", "é", "a b", "x" * 65, "a/b", "a\n"]),
    (values.capability, ["", "CAP_", "NET-ADMIN", "1", "é", "_"]),
    (values.choice("a", "b"), ["", "c", "A"]),
    (values.comma_fields, ['a"b', '"a', '"a"b', 'a,"b', '"a"",b']),
    (container_values.ulimit, ["", "nofile", "nofile=", "bogus=1", "nofile=5:4", "nofile=-1:5", "nofile=-2", "nofile=a",
                               "nofile=1:2:3", "=5"]),
    (container_values.platform, ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/amd 64", "linux/é", "../../x"]),
    (container_values.platform_part, ["", "a/b", "é"]),
    (container_values.pull_policy, ["", "sometimes"]),
    (container_values.aot_policy, ["", "AUTO"]),
    (container_values.entrypoint, ["a\0", '["a\\u0000"]']),
    (container_values.security_option, ["", "seccomp", "seccomp=", "bogus", "no-new-privileges=maybe"]),
    (container_values.log_option, ["", "max-size", "max-file=3", "max-size=x"]),
    (container_values.log_driver, ["", "syslog"]),
    (container_values.volume, ["", ":", ":/b", "a:b", "/a:b", "/a:/", "/a:/..", "/a:/b:bogus", "a:/b:c:d",
                               "/a:/b:ro,rw", "/a\0:/b", "/a:/b\0", "a/b:/c", "a b:/c", "-a:/c", "n" * 256 + ":/c",
                               "/a:/b:size=1"]),
    (container_values.mount, ["", "type=bind,dst=/b", "type=bind,src=/a", "type=bogus,dst=/b",
                              "type=tmpfs,src=a,dst=/b", "src=a,src=b,dst=/b", "type=bind,src=/a,source=/b,dst=/c",
                              "type=bind,src=/a,dst=/b,bogus",
                              "type=tmpfs,dst=/b,tmpfs-mode=888", "type=tmpfs,dst=/b,tmpfs-size=x", "dst=b", "dst=/",
                              "type=bind,src=/a,dst=/b,ro=maybe", "type=bind,src=/a,dst=/b,tmpfs-size=1",
                              "type=bind,src=/a,dst=/b,bind-propagation=sideways",
                              'type=bind,"src=/a', "src=../x,dst=/b"]),
    (container_values.tmpfs, ["", "t", "/", "/t:size=x", "/t:mode=9", "/t:mode=777777", "/t:bogus", "/t:uid=5"]),
]  # fmt: skip

LATER: list[tuple[Callable[[str], Any], list[str]]] = [
    (container_values.ulimit, ["host"]),
    (container_values.mount, ["type=image,src=a,dst=/b", "type=bind,src=/a,dst=/b,U=true"]),
    (container_values.volume, ["/a:/b:U", "/a:/b:O", "/a:/b:idmap"]),
    (container_values.security_option, ["label=type:x", "apparmor=x", "unmask=ALL"]),
    (container_values.log_option, ["path=/x", "tag=x"]),
    (container_values.log_driver, ["journald", "passthrough"]),
]


def _named(table: list[tuple[Callable[[str], Any], Any]]) -> list[Any]:
    return [
        pytest.param(parse, entry, id=f"{parse.__qualname__.split('.')[0]}-{number}")
        for parse, entries in table
        for number, entry in enumerate(entries.items() if isinstance(entries, dict) else entries)
    ]


@pytest.mark.parametrize(("parse", "pair"), _named(GOOD))
def test_good_values(parse: Callable[[str], Any], pair: tuple[str, Any]) -> None:
    text, expected = pair
    found = parse(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(("parse", "text"), _named(BAD))
def test_bad_values(parse: Callable[[str], Any], text: str) -> None:
    with pytest.raises((ValueError, UsageError)) as error:
        parse(text)
    assert not isinstance(error.value, (NotSupportedYet, UnicodeError))
    reason = str(error.value)
    assert reason
    assert "\n" not in reason
    assert len(reason) < 600


@pytest.mark.parametrize(("parse", "text"), _named(LATER))
def test_what_podman_has_and_wpod_not_yet(parse: Callable[[str], Any], text: str) -> None:
    with pytest.raises(NotSupportedYet):
        parse(text)


def test_a_relative_source_is_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert container_values.volume("./x:/y").source == f"{tmp_path}/x"
    assert container_values.mount("type=bind,src=x,dst=/y").source == f"{tmp_path}/x"
    assert container_values.security_option("seccomp=x.json") == ("seccomp", f"{tmp_path}/x.json")


def test_a_relative_source_without_a_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    os.rmdir(gone)
    with pytest.raises(ValueError, match="working directory"):
        container_values.volume("./x:/y")
    assert container_values.volume("/x:/y").source == "/x"
