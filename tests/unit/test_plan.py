"""The plan of a container: who, what, where and with which environment (wpod.plan)."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.support import records
from wpod.errors import CannotEnforce, NotSupportedYet, UsageError
from wpod.formats.state_file import Kind
from wpod.model.container import MountPlan, RootKind, RootPlan, UserPlan
from wpod.model.image import ImageConfig, Platform
from wpod.model.network import Lease, NameOptions, NetworkMode, NetworkPlan
from wpod.model.request import (
    IdentityOptions,
    LogOptions,
    MountKind,
    MountRequest,
    ProcessOptions,
    RunRequest,
    SecurityOptions,
    StorageOptions,
)
from wpod.plan import arguments, etc_files
from wpod.plan.container import Found, check_request, plan_container
from wpod.plan.users import resolve_user

ID = records.container_id("abc123def456")


def config(**changes: Any) -> ImageConfig:
    return dataclasses.replace(ImageConfig(Platform("linux", "amd64")), **changes)


def planned(request: RunRequest | None = None, image: ImageConfig | None = None, **found: Any) -> Any:
    facts = Found(
        container_id=ID,
        image=records.image(config=image or config()),
        kind=Kind.NATIVE,
        kind_reason="a test",
        entrypoint=("/bin/app",),
        command=("arg",),
        user=UserPlan(home="/root"),
        root=RootPlan(RootKind.OVERLAY, ("/lower",), "identity"),
        mounts=(),
        module=None,
        network=NetworkMode.NONE,
        networking=NetworkPlan(),
    )
    return plan_container(request or RunRequest("app"), dataclasses.replace(facts, **found))


# --- what is executed ---------------------------------------------------------------------------------------------

COMMAND_LINES = {
    # image's entrypoint, image's command, --entrypoint, arguments, fallback -> entrypoint, command
    "both of the image": (("/e",), ("c",), None, (), (), ("/e",), ("c",)),
    "arguments replace the command": (("/e",), ("c",), None, ("x", "y"), (), ("/e",), ("x", "y")),
    "a command alone": ((), ("/c", "d"), None, (), (), (), ("/c", "d")),
    "arguments alone": ((), (), None, ("/x",), (), (), ("/x",)),
    "the user's entrypoint drops the image's command": (("/e",), ("c",), ("/u",), (), (), ("/u",), ()),
    "the user's entrypoint keeps the arguments": (("/e",), ("c",), ("/u",), ("x",), (), ("/u",), ("x",)),
    "a cleared entrypoint": (("/e",), ("c",), (), ("x",), (), (), ("x",)),
    "a module is its image's entrypoint": ((), (), None, (), ("/main.wasm",), ("/main.wasm",), ()),
    "a module with arguments": ((), (), None, ("x",), ("/main.wasm",), ("/main.wasm",), ("x",)),
    "the user's entrypoint beats the module": ((), (), ("/u",), (), ("/main.wasm",), ("/u",), ()),
}


@pytest.mark.parametrize("case", COMMAND_LINES.values(), ids=COMMAND_LINES.keys())
def test_entrypoint_and_command(case: tuple[Any, ...]) -> None:
    entrypoint, command, chosen, given, fallback, *expected = case
    found = arguments.command_line(
        config(entrypoint=entrypoint, command=command), ProcessOptions(entrypoint=chosen), given, fallback
    )
    assert found == tuple(expected)


@pytest.mark.parametrize(
    ("image", "entrypoint", "given"),
    [
        (config(), None, ()),
        (config(entrypoint=("/e",), command=("c",)), (), ()),
        (config(entrypoint=("",)), None, ("x",)),
        (config(command=("", "x")), None, ()),
    ],
)
def test_nothing_to_execute_is_refused(image: ImageConfig, entrypoint: Any, given: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="command"):
        arguments.command_line(image, ProcessOptions(entrypoint=entrypoint), given)


def test_the_user_s_settings_stand_over_the_image_s() -> None:
    merged = arguments.merge_environment(
        ["A=1", "B=2", "broken", "=nothing", "A=3", "URL=a=b", "EMPTY="], [("B", "x"), ("C", ""), ("D", "d=e")]
    )
    assert merged == ("A=3", "B=x", "URL=a=b", "EMPTY=", "C=", "D=d=e")


def test_wasm_gets_nothing_that_nobody_asked_for() -> None:
    request = RunRequest("app", process=ProcessOptions(environment=(("MINE", "1"),), terminal=True))
    assert planned(request, config(environment=("A=1",)), kind=Kind.WASM).environment == ("A=1", "MINE=1")
    assert planned(kind=Kind.WASM).environment == ()


def test_native_gets_what_podman_adds_unless_it_is_set() -> None:
    plain = dict(setting.split("=", 1) for setting in planned().environment)
    assert plain == {"PATH": arguments.DEFAULT_PATH, "container": "wpod", "HOME": "/root", "HOSTNAME": "abc123def456"}
    request = RunRequest(
        "app",
        process=ProcessOptions(environment=(("HOME", "/h"), ("TERM", "vt100")), terminal=True),
        identity=IdentityOptions(hostname="box"),
    )
    own = planned(request, config(environment=("PATH=/x", "HOSTNAME=")))
    assert sorted(own.environment) == ["HOME=/h", "HOSTNAME=", "PATH=/x", "TERM=vt100", "container=wpod"]
    assert "TERM=xterm" in planned(RunRequest("app", process=ProcessOptions(terminal=True))).environment


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"), ("", "/"), ("a", "/a"), ("/a/../..", "/"), ("../..", "/"), ("/a//b/./c/", "/a/b/c"),
        ("//a", "/a"), ("///", "/"), ("/proc/self/fd/7", "/proc/self/fd/7"),
    ],
)  # fmt: skip
def test_working_directories_never_leave_the_root(path: str, expected: str) -> None:
    assert arguments.absolute_directory(path) == expected


@pytest.mark.parametrize(
    ("user", "image", "expected"), [("/u", "/i", "/u"), ("", "/i", "/i"), ("", "", "/"), ("rel/x", "/i", "/rel/x")]
)
def test_the_working_directory(user: str, image: str, expected: str) -> None:
    request = RunRequest("app", process=ProcessOptions(working_directory=user))
    assert planned(request, config(working_directory=image)).working_directory == expected


@pytest.mark.parametrize(
    ("program", "directory", "environment", "expected"),
    [
        ("/bin/x", "/w", (), ("/bin/x",)),
        ("./x", "/w", (), ("/w/x",)),
        ("../../x", "/w", (), ("/x",)),
        ("x", "/w", ("PATH=/a:/b",), ("/a/x", "/b/x", "/w/x", "/x")),
        ("x", "/", ("PATH=relative:/a::/a",), ("/a/x", "/x")),
        ("x", "/", ("MYPATH=/no", "PATH=/a"), ("/a/x", "/x")),
        ("x", "/bin", ("PATH=",), ("/bin/x", "/x")),
    ],
)
def test_where_a_program_is_looked_for(
    program: str, directory: str, environment: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert arguments.program_candidates(program, directory, environment) == expected


def test_without_a_path_the_usual_one_is_searched() -> None:
    assert arguments.program_candidates("x", "/w", ())[0] == "/usr/local/sbin/x"


# --- who it is ----------------------------------------------------------------------------------------------------

PASSWD = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\nnohome:x:7:8:::\n"
GROUP = b"root:x:0:\napp:x:1001:app\nstaff:x:50:app,other\nwheel:x:10:root,app\n"
USERS = {
    # text: uid, gid, supplementary, home
    "": (0, 0, (10,), "/root"),
    "root": (0, 0, (10,), "/root"),
    "0": (0, 0, (10,), "/root"),
    "app": (1000, 1001, (10, 50), "/home/app"),
    "1000": (1000, 1001, (10, 50), "/home/app"),
    "app:staff": (1000, 50, (), "/home/app"),
    "app:77": (1000, 77, (), "/home/app"),
    "5000": (5000, 0, (), "/"),
    "5000:staff": (5000, 50, (), "/"),
    "5000:6000": (5000, 6000, (), "/"),
    "nohome": (7, 8, (), "/"),
    ":50": (0, 50, (), "/root"),
    "4294967294": (4294967294, 0, (), "/"),
}


@pytest.mark.parametrize(("text", "expected"), USERS.items())
def test_users(text: str, expected: tuple[int, int, tuple[int, ...], str]) -> None:
    user = resolve_user(text, PASSWD, GROUP)
    assert (user.user_id, user.group_id, user.supplementary, user.home) == expected
    assert user.text == text


@pytest.mark.parametrize(
    "text", ["nobody", "app:nogroup", "root:0:0", "app:", ":", "4294967295", "99999999999999999999", "-1", "١"]
)
def test_users_that_cannot_be(text: str) -> None:
    with pytest.raises(UsageError) as error:
        resolve_user(text, PASSWD, GROUP)
    assert "\n" not in error.value.message


def test_a_number_is_never_a_name_of_the_image() -> None:
    """CVE-2016-3697: an account called `1000` with the ID 0 would make `--user 1000` root."""
    hostile = b"1000:x:0:0::/root:/bin/sh\n"
    assert resolve_user("1000", hostile, b"").user_id == 1000
    assert resolve_user("5:1000", b"", b"1000:x:0:\n").group_id == 1000


@pytest.mark.parametrize(
    "passwd",
    [
        b"",
        b"\0" * 100,
        b"\xff\xfe\n:::::::::\n",
        b"app\n",
        b"app:x\napp:x:1000\napp:x:1000:1001\n",
        b"app:x:-1:0:::\n",
        b"app:x:4294967295:0:::\n",
        b"app:x:99999999999999999999999:0:::\n",
        b"app:x:0x10:0:::\n",
        b"app:x: 1:0:::\n",
        b"app:x:\xd9\xa1:0:::\n",
        b"app:x:1000:1001:::extra:fields\n",
        b"app:x:1:1\n:::\n" * 1000,
    ],
)
def test_a_hostile_passwd_file_has_no_such_user(passwd: bytes) -> None:
    with pytest.raises(UsageError, match="unable to find user app"):
        resolve_user("app", passwd, b"")


def test_a_hostile_group_file_is_passed_over() -> None:
    hostile = b"\xff:x:5:app\nbad\nx:x:-1:app\nx:x:4294967295:app\nok:x:6:app\nlong:x:7:app:more\n"
    assert resolve_user("app", PASSWD, hostile).supplementary == (5, 6)


def test_the_first_of_two_accounts_counts() -> None:
    twice = b"app:x:1:2::/first:\napp:x:3:4::/second:\n"
    assert resolve_user("app", twice, b"").home == "/first"


# --- the whole plan -----------------------------------------------------------------------------------------------

STOP_SIGNALS = {
    "": 15, "SIGTERM": 15, "term": 15, "SIGKILL": 9, "9": 9, "15": 15, "64": 64, "SIGRTMIN+3": 37, "RTMIN+3": 37,
    "SIGRTMAX-1": 63, "sigint": 2, "SIGRTMIN": 34,
}  # fmt: skip


@pytest.mark.parametrize(("text", "number"), STOP_SIGNALS.items())
def test_stop_signals(text: str, number: int) -> None:
    assert planned(image=config(stop_signal=text)).stop_signal == number
    request = RunRequest("app", process=ProcessOptions(stop_signal=text))
    assert planned(request, config(stop_signal="SIGHUP")).stop_signal == (number if text else 1)


@pytest.mark.parametrize("text", ["0", "65", "-1", "SIGNOTHING", "SIG", "00649999", "9" * 5000, "RTMIN+99", "٩", "1.5"])
def test_stop_signals_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="stop signal"):
        planned(image=config(stop_signal=text))


def test_the_hostname_is_the_short_id_or_what_was_asked_for() -> None:
    assert planned().hostname == "abc123def456"
    assert planned(RunRequest("app", identity=IdentityOptions(hostname="box"))).hostname == "box"
    with pytest.raises(UsageError, match="64"):
        planned(RunRequest("app", identity=IdentityOptions(hostname="h" * 65)))


def test_mounts_are_made_parents_first_and_once() -> None:
    deep, top = MountPlan("bind", "/s", "/a/b"), MountPlan("bind", "/t", "/a")
    assert planned(mounts=(deep, top)).mounts == (top, deep)
    with pytest.raises(UsageError, match="/a/b: duplicate"):
        planned(mounts=(deep, MountPlan("tmpfs", "tmpfs", "/a/b")))


def test_the_request_is_taken_over() -> None:
    request = RunRequest(
        "app",
        process=ProcessOptions(stop_timeout_seconds=3, timeout_seconds=9, interactive=True),
        storage=StorageOptions(read_only=True, no_hosts=True),
        security=SecurityOptions(("NET_ADMIN",), ("CHOWN",), True, "unconfined", False),
        log=LogOptions("none", 5),
    )
    plan = planned(request)
    assert (plan.stop_timeout_seconds, plan.timeout_seconds, plan.interactive) == (3, 9, True)
    assert (plan.read_only, plan.no_hosts, plan.log_driver, plan.log_max_bytes) == (True, True, "none", 5)
    assert (plan.capabilities_added, plan.capabilities_dropped) == (("NET_ADMIN",), ("CHOWN",))
    assert (plan.no_new_privileges, plan.seccomp_profile) == (True, "unconfined")
    assert planned().network is NetworkMode.NONE


@pytest.mark.parametrize("target", ["relative", "", ".", "/", "/..", "/a/.."])
def test_mount_targets_that_make_no_sense(target: str) -> None:
    request = RunRequest("app", storage=StorageOptions((MountRequest(MountKind.TMPFS, "", target),)))
    with pytest.raises(UsageError, match="mount destination"):
        check_request(request, detached=False)


def test_a_request_that_cannot_work_is_refused_before_anything_is_pulled() -> None:
    with pytest.raises(UsageError, match="name '-x'"):
        check_request(RunRequest("app", identity=IdentityOptions(name="-x")), detached=False)
    with pytest.raises(NotSupportedYet, match="--tty"):
        check_request(RunRequest("app", process=ProcessOptions(terminal=True)), detached=True)


def names(mode: NetworkMode = NetworkMode.NETWORKS, **given: Any) -> etc_files.Names:
    return etc_files.Names("box", "web", mode, **given)


def test_hosts() -> None:
    own = etc_files.hosts(names(NetworkMode.NONE), "10.0.0.1 secret\n")
    assert own.splitlines()[0].startswith("127.0.0.1\tlocalhost")
    assert own.splitlines()[-1] == "127.0.0.1\tbox web"
    assert "secret" not in own
    shared = etc_files.hosts(dataclasses.replace(names(NetworkMode.HOST), hostname="web"), "10.0.0.1 known\n")
    assert shared == "10.0.0.1 known\n127.0.0.1\tweb\n"


def test_hosts_on_networks() -> None:
    lease = Lease("n", ID, "eth0", ("10.88.0.2/16", "fd00::2/64"), "02:00:00:00:00:01")
    asked = NameOptions(hosts=(("db cache", "10.0.0.9"),))
    lines = etc_files.hosts(names(leases=(lease,), asked=asked), "").splitlines()
    assert lines[2:] == ["10.0.0.9\tdb cache", "10.88.0.2\tbox web", "fd00::2\tbox web"]


def test_the_host_s_own_address() -> None:
    asked = NameOptions(hosts=(("box", "host-gateway"),))
    assert "10.88.0.1\tbox\n10.88.0.1\thost.containers.internal host.docker.internal\n" in etc_files.hosts(
        names(asked=asked, host_gateway="10.88.0.1"), ""
    )
    with pytest.raises(CannotEnforce, match="host-gateway"):
        etc_files.hosts(names(asked=asked), "")


def test_the_user_may_say_where_the_host_is() -> None:
    asked = NameOptions(hosts=(("host.docker.internal db", "10.0.0.9"),))
    lines = etc_files.hosts(names(asked=asked, host_gateway="10.88.0.1"), "").splitlines()
    assert lines[2:4] == ["10.0.0.9\thost.docker.internal db", "10.88.0.1\thost.containers.internal"]
    assert "internal" not in etc_files.hosts(names(), "")


HOSTS_RESOLVER = "nameserver 127.0.0.53\nnameserver 10.0.0.1 # a remark\nsearch a.example b.example\noptions edns0\n"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (names(NetworkMode.NONE), ""),
        (
            names(NetworkMode.HOST),
            "search a.example b.example\nnameserver 127.0.0.53\nnameserver 10.0.0.1\noptions edns0\n",
        ),
        (names(), "search a.example b.example\nnameserver 10.0.0.1\noptions edns0\n"),
        (
            names(name_servers=("10.89.0.1",)),
            "search dns.podman a.example b.example\nnameserver 10.89.0.1\noptions edns0\n",
        ),
        (
            names(asked=NameOptions(("9.9.9.9",), (".",), ("ndots:2",)), name_servers=("10.89.0.1",)),
            "nameserver 9.9.9.9\noptions ndots:2\n",
        ),
        (
            names(NetworkMode.NONE, asked=NameOptions(("9.9.9.9",), ("c.example",))),
            "search c.example\nnameserver 9.9.9.9\noptions edns0\n",
        ),
    ],
)  # fmt: skip
def test_resolv_conf(given: etc_files.Names, expected: str) -> None:
    assert etc_files.resolv_conf(given, HOSTS_RESOLVER) == expected


def test_a_name_server_on_the_host_s_loopback_is_reached_through_pasta() -> None:
    of_loopback = "nameserver 127.0.0.53\nnameserver ::1\n"
    assert etc_files.resolv_conf(names(forwarded=True), of_loopback) == "nameserver 169.254.1.1\n"
    assert etc_files.resolv_conf(names(), of_loopback) == ""
