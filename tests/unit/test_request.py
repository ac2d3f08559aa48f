"""From a whole command line of `run` to the request: files, precedence, contradictions (wpod.commands.request)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wpod.cli import quick
from wpod.commands.request import run_request
from wpod.errors import UsageError
from wpod.model.image import Platform
from wpod.model.network import NetworkMode
from wpod.model.request import AotPolicy, MountKind, PullPolicy, RunRequest


def request(*words: str, guest: tuple[str, ...] = ()) -> RunRequest:
    invocation = quick.parse(["run", *words, "app", *guest])
    return run_request(invocation.options, invocation.arguments)


def refused(*words: str) -> str:
    with pytest.raises(UsageError) as error:
        request(*words)
    assert "\n" not in error.value.message
    return error.value.message


def variables(*words: str) -> dict[str, str]:
    return dict(request(*words).process.environment)


def written(path: Path, content: str | bytes) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_nothing_asked_for_is_every_default() -> None:
    assert request() == RunRequest("app")


def test_everything_after_the_image_is_the_guest_s() -> None:
    made = request("--rm", guest=("ls", "-l", "--rm=false", "--", "-e", "A=1"))
    assert (made.image, made.remove) == ("app", True)
    assert made.arguments == ("ls", "-l", "--rm=false", "--", "-e", "A=1")
    assert made.process.environment == ()


def test_options_reach_their_groups() -> None:
    made = request(
        "--name", "n", "--replace", "--hostname", "h", "--cidfile", "/c", "--annotation", "k=v", "-w", "/w",
        "-u", "5:6", "--stop-signal", "SIGINT", "--stop-timeout", "3", "--timeout", "9", "-it", "--read-only",
        "--no-hosts",
        "-m", "64m", "--cpus", "1.5", "--cpu-shares", "2", "--pids-limit", "7", "--ulimit", "nofile=5",
        "--cap-add", "NET_ADMIN,cap_kill", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
        "--security-opt", "seccomp=unconfined", "--network", "host", "--log-driver", "none", "--wasm-aot", "off",
        "--kind", "wasm", "--pull", "never", "--tls-verify=false", "--entrypoint", '["/e", "x"]',
    )  # fmt: skip
    identity, process = made.identity, made.process
    assert (identity.name, identity.replace, identity.hostname, identity.cidfile) == ("n", True, "h", "/c")
    assert identity.annotations == (("k", "v"),)
    assert (process.working_directory, process.user, process.stop_signal) == ("/w", "5:6", "SIGINT")
    assert (process.stop_timeout_seconds, process.timeout_seconds) == (3, 9)
    assert (process.interactive, process.terminal, process.entrypoint) == (True, True, ("/e", "x"))
    assert (made.storage.read_only, made.storage.no_hosts) == (True, True)
    limits = made.limits
    assert (limits.memory_bytes, limits.cpu_quota_microseconds, limits.cpu_shares, limits.pids) == (
        64 << 20,
        150_000,
        2,
        7,
    )
    assert [one.name for one in limits.ulimits] == ["nofile"]
    security = made.security
    assert (security.capabilities_added, security.capabilities_dropped) == (("NET_ADMIN", "KILL"), ("ALL",))
    assert (security.no_new_privileges, security.seccomp_profile) == (True, "unconfined")
    assert (made.network.mode, made.log.driver) == (NetworkMode.HOST, "none")
    assert (made.engine.aot, made.engine.kind) == (AotPolicy.OFF, "wasm")
    assert (made.image_options.pull, made.image_options.tls_verify) == (PullPolicy.NEVER, False)


def test_the_last_of_a_repeated_option_counts() -> None:
    assert request("--name", "a", "--name", "b").identity.name == "b"
    assert request("--entrypoint", "/a", "--entrypoint", "").process.entrypoint == ()
    assert request("--log-opt", "max-size=1", "--log-opt", "max-size=2").log.max_bytes == 2
    assert request("--security-opt", "no-new-privileges", "--security-opt", "no-new-privileges=false").security == (
        request().security
    )


# --- environment --------------------------------------------------------------------------------------------------


def test_the_environment_s_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WPOD_TEST_HERE", "from the shell")
    monkeypatch.delenv("WPOD_TEST_GONE", raising=False)
    assert variables("-e", "A=1", "-e", "B=a=b", "-e", "C=", "-e", "A=2") == {"A": "2", "B": "a=b", "C": ""}
    assert variables("-e", "WPOD_TEST_HERE", "-e", "WPOD_TEST_GONE") == {"WPOD_TEST_HERE": "from the shell"}
    assert variables("-e", "WPOD_TEST_H*") == {"WPOD_TEST_HERE": "from the shell"}
    first = written(tmp_path / "first", "A=file\nB=file\nWPOD_TEST_HERE\n")
    second = written(tmp_path / "second", "B=second\n")
    found = variables("-e", "A=line", "--env-file", first, "--env-file", second)
    assert found == {"A": "line", "B": "second", "WPOD_TEST_HERE": "from the shell"}


ENV_FILES = {
    # as podman 4.3 reads them
    b"": {},
    b"A=1": {"A": "1"},
    b"# no\n   # neither\n\n \t\nA=1\n": {"A": "1"},
    b"A=1 # part of it\n": {"A": "1 # part of it"},
    b"  A=1\n": {"A": "1"},
    b"A= 1 \n": {"A": " 1 "},
    b'A="quoted"\n': {"A": '"quoted"'},
    b"A=1\r\nB=2\r\n": {"A": "1", "B": "2"},
    b"\xef\xbb\xbfA=1\n": {"A": "1"},
    b"A=a\\nb\n": {"A": "a\\nb"},
    b"WPOD_TEST_GONE\nA=\n": {"A": ""},
    b"export A=1\n": {"export A": "1"},
    b"A=\xff\n": {"A": "\udcff"},
}


@pytest.mark.parametrize(("content", "expected"), ENV_FILES.items())
def test_env_files(content: bytes, expected: dict[str, str], tmp_path: Path) -> None:
    assert variables("--env-file", written(tmp_path / "env", content)) == expected


@pytest.mark.parametrize("content", [b"=x\n", b"A=1\n=\n", b"A=\0\n", b"\0\n"])
def test_env_files_that_make_no_sense(content: bytes, tmp_path: Path) -> None:
    path = written(tmp_path / "env", content)
    assert path in refused("--env-file", path)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    for option in ("--env-file", "--label-file"):
        assert f"{option} {tmp_path}/none" in refused(option, f"{tmp_path}/none")
        assert str(tmp_path) in refused(option, str(tmp_path))
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(1 << 30)
    assert "MiB" in refused("--env-file", str(large))


def test_an_endless_file_is_refused_in_bounded_memory() -> None:
    assert "MiB" in refused("--env-file", "/dev/zero")


# --- labels -------------------------------------------------------------------------------------------------------


def test_labels_of_files_and_of_the_line(tmp_path: Path) -> None:
    path = written(tmp_path / "labels", "a=file\nb=x=y\n# no\nalone\n")
    made = dict(request("--label-file", path, "-l", "a=line", "--label", "c", "-l", "a.b/c=1").identity.labels)
    assert made == {"a": "line", "b": "x=y", "alone": "", "c": "", "a.b/c": "1"}


@pytest.mark.parametrize("content", ["=x\n", "two words=1\n", "a =1\n"])
def test_label_files_that_make_no_sense(content: str, tmp_path: Path) -> None:
    path = written(tmp_path / "labels", content)
    assert path in refused("--label-file", path)


# --- contradictions -----------------------------------------------------------------------------------------------

CONTRADICTIONS = {
    "--replace needs --name": ("--replace",),
    "--memory-swap needs --memory": ("--memory-swap", "64m"),
    "--memory-swap must not be below --memory": ("--memory", "64m", "--memory-swap", "32m"),
    "--ulimit gives nofile twice": ("--ulimit", "nofile=1", "--ulimit", "nofile=2"),
    "/b: duplicate mount destination": ("-v", "/tmp:/b", "--tmpfs", "/b/"),
    "/c: duplicate mount destination": ("-v", "x:/c", "--mount", "type=tmpfs,dst=//c"),
    "--platform can't be used with": ("--platform", "linux/amd64", "--arch", "arm64"),
}


@pytest.mark.parametrize(("message", "words"), CONTRADICTIONS.items(), ids=CONTRADICTIONS.keys())
def test_contradictions(message: str, words: tuple[str, ...]) -> None:
    assert message in refused(*words)


def test_what_looks_like_a_contradiction_and_is_none() -> None:
    made = request("--memory", "64m", "--memory-swap", "-1")
    assert (made.limits.memory_bytes, made.limits.memory_swap_bytes) == (64 << 20, -1)
    assert request("--memory-swap", "-1").limits.memory_swap_bytes == -1
    assert request("--memory", "64m", "--memory-swap", "64m").limits.memory_swap_bytes == 64 << 20
    assert request("--replace", "--name", "x").identity.replace


# --- platform, mounts ---------------------------------------------------------------------------------------------


def test_the_platform_wanted() -> None:
    assert request().image_options.platform is None
    assert request("--platform", "wasip1/wasm").image_options.platform == Platform("wasip1", "wasm")
    assert request("--arch", "arm64", "--variant", "v8").image_options.platform == Platform("linux", "arm64", "v8")
    own = request("--os", "wasi").image_options.platform
    assert own is not None
    assert own.architecture == {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def test_mounts_of_all_three_options() -> None:
    made = request("-v", "/tmp:/a:ro", "-v", "/b", "--mount", "type=bind,src=/tmp,dst=/c", "--tmpfs", "/d:size=1k")
    kinds = {mount.target: mount.kind for mount in made.storage.mounts}
    assert kinds == {"/a": MountKind.BIND, "/b": MountKind.VOLUME, "/c": MountKind.BIND, "/d": MountKind.TMPFS}
