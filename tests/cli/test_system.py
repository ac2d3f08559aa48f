"""`info` and `version`: podman's keys, the own ones, and that they work where nothing else does."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Wpod
from tests.support.images import ImageSource
from wpod import __version__

# What `podman info` and `podman version` of podman 4.3.1 have as JSON.
_PODMAN_INFO = frozenset(
    """
    host host.arch host.buildahVersion host.cgroupControllers host.cgroupManager host.cgroupVersion host.conmon
    host.cpuUtilization host.cpuUtilization.idlePercent host.cpuUtilization.systemPercent
    host.cpuUtilization.userPercent host.cpus host.distribution host.distribution.codename
    host.distribution.distribution host.distribution.version host.eventLogger host.hostname host.idMappings
    host.idMappings.gidmap host.idMappings.uidmap host.kernel host.linkmode host.logDriver host.memFree
    host.memTotal host.networkBackend host.ociRuntime host.ociRuntime.name host.ociRuntime.package
    host.ociRuntime.path host.ociRuntime.version host.os host.remoteSocket host.security
    host.security.apparmorEnabled host.security.capabilities host.security.rootless host.security.seccompEnabled
    host.security.seccompProfilePath host.security.selinuxEnabled host.serviceIsRemote host.slirp4netns
    host.swapFree host.swapTotal host.uptime plugins plugins.authorization plugins.log plugins.network
    plugins.volume registries store store.configFile store.containerStore store.containerStore.number
    store.containerStore.paused store.containerStore.running store.containerStore.stopped store.graphDriverName
    store.graphOptions store.graphRoot store.graphRootAllocated store.graphRootUsed store.graphStatus
    store.imageCopyTmpDir store.imageStore store.imageStore.number store.runRoot store.volumePath version
    version.APIVersion version.Built version.BuiltTime version.GitCommit version.GoVersion version.Os
    version.OsArch version.Version
    """.split()
)
# Of these there is nothing to say.
_LEFT_OUT = frozenset(
    """
    host.buildahVersion host.conmon host.linkmode host.remoteSocket host.slirp4netns plugins.authorization
    store.configFile store.imageCopyTmpDir version.GitCommit version.GoVersion
    """.split()
)
_MAPS = ("graphOptions", "graphStatus", "registries")
_PARTS = ("wpod-runner", "wpod-monitor", "wpod-aot-compiler", "wpod-meter")


def _paths(value: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """`host.security.rootless` and the like."""
    for key, one in value.items():
        yield before + key
        if isinstance(one, Mapping) and key not in _MAPS:
            yield from _paths(one, f"{before}{key}.")


def _info(wpod: Wpod, *options: str, environment: Mapping[str, str | None] | None = None) -> Any:
    return wpod(*options, "info", "--format", "json", environment=environment).ok().json


def _missing(info: Any) -> dict[str, dict[str, str]]:
    return {one["What"]: one for one in info["Wpod"]["Missing"]}


def test_info_has_the_keys_of_podman(fresh: Wpod) -> None:
    info = _info(fresh)
    own = info.pop("Wpod")
    assert set(_paths(info)) == _PODMAN_INFO - _LEFT_OUT - ({"host.distribution.codename"} - set(_paths(info)))
    assert own["SchemaVersion"] == 1


def test_info_tells_the_truth(fresh: Wpod) -> None:
    info = _info(fresh)
    assert info["host"]["security"]["rootless"] is (fresh.account.uid != 0)
    assert info["host"]["kernel"] == platform.release()
    assert info["host"]["cpus"] == os.cpu_count()
    assert info["host"]["hostname"] == platform.node()
    assert info["store"]["graphRoot"] == str(fresh.store)
    assert info["store"]["containerStore"] == {"number": 0, "paused": 0, "running": 0, "stopped": 0}
    assert info["version"]["Version"] == __version__
    engine = info["Wpod"]["Engine"]
    assert all(os.access(engine[name], os.X_OK) for name in ("Runner", "Monitor", "AotCompiler", "Meter"))
    assert len(engine["Build"]) == 64
    runtime = info["Wpod"]["OciRuntimes"][0]
    assert info["host"]["ociRuntime"]["path"] == runtime["Path"]
    assert runtime["Version"] in info["host"]["ociRuntime"]["version"]
    assert not set(_missing(info)) & {*_PARTS, "pywamr", "LLVM", "crun", "store"}


def test_info_counts_what_is_in_the_store(
    fresh: Wpod, archives: Callable[[ImageSource], Path], probe_sources: dict[str, ImageSource]
) -> None:
    source = probe_sources["native"]
    fresh("load", "--quiet", "--input", archives(source)).ok()
    fresh("create", source.name, "exit", "0").ok()
    container = fresh("run", "-d", source.name, "idle").ok().line
    store = _info(fresh)["store"]
    assert store["imageStore"]["number"] == 1
    assert store["containerStore"] == {"number": 2, "paused": 0, "running": 1, "stopped": 1}
    fresh("rm", "--force", "--time", "0", container).ok()


def test_what_holds_limits(fresh: Wpod) -> None:
    """What info says of limits is what `create` does."""
    found = _info(fresh)["Wpod"]
    limits, missing = found["Cgroups"]["Limits"], {flag for one in found["Missing"] for flag in one["What"].split(", ")}
    assert set(limits) == {"memory", "memory-swap", "cpus", "cpu-shares", "pids-limit"}
    assert {flag for flag, held in limits.items() if not held} == {
        flag.removeprefix("--") for flag in missing if flag.startswith("--")
    }
    if fresh.account.uid == 0:
        assert limits["memory"] and limits["cpus"] and limits["pids-limit"]


def test_templates_have_the_field_names_of_podman(fresh_one: Wpod) -> None:
    fields = (
        ".Host.Arch", ".Host.CPUs", ".Host.CgroupManager", ".Host.CgroupsVersion", ".Host.Distribution.Distribution",
        ".Host.Hostname", ".Host.IDMappings.UIDMap", ".Host.Kernel", ".Host.LogDriver", ".Host.MemTotal",
        ".Host.OCIRuntime.Name", ".Host.OCIRuntime.Path", ".Host.OS", ".Host.Security.AppArmorEnabled",
        ".Host.Security.DefaultCapabilities", ".Host.Security.Rootless", ".Host.Security.SECCOMPEnabled",
        ".Host.Security.SELinuxEnabled", ".Host.Uptime", ".Plugins.Volume", ".Store.ContainerStore.Number",
        ".Store.GraphDriverName", ".Store.GraphRoot", ".Store.ImageStore.Number", ".Store.RunRoot",
        ".Store.VolumePath", ".Version.Version", ".Wpod.Cgroups.Mode",
    )  # fmt: skip
    lines = fresh_one("info", "--format", "\\n".join(f"{{{{{field}}}}}" for field in fields)).ok().out.splitlines()
    shown = dict(zip(fields, lines, strict=True))
    info = _info(fresh_one)
    assert shown[".Host.CgroupsVersion"] == info["host"]["cgroupVersion"]
    assert shown[".Host.CPUs"] == str(info["host"]["cpus"])
    assert shown[".Host.Security.Rootless"] == str(info["host"]["security"]["rootless"]).lower()
    assert shown[".Store.GraphRoot"] == str(fresh_one.store)
    assert shown[".Plugins.Volume"] == "[local]"


def test_parts_of_info_as_json_keep_their_keys(fresh_one: Wpod) -> None:
    part = json.loads(fresh_one("info", "--format", "{{json .Host.Security}}").ok().out)
    assert part == _info(fresh_one)["host"]["security"]
    assert fresh_one("info", "--format", "{{json .}}").ok().json.keys() == _info(fresh_one).keys()


def test_what_is_missing_comes_with_a_way_to_get_it(fresh: Wpod) -> None:
    empty = fresh.account.directory(fresh.scratch / "tmp" / "empty")
    info = _info(fresh, "--runtime", "nonsense", environment={"WPOD_LIBEXEC_DIR": str(empty)})
    empty.rmdir()
    missing = _missing(info)
    assert {*_PARTS, "nonsense"} <= set(missing)
    assert all(one["Why"] and one["Hint"] for one in missing.values())
    assert info["Wpod"]["Engine"]["Runner"] == info["host"]["ociRuntime"]["path"] == ""
    assert info["host"]["ociRuntime"]["name"] == "nonsense"


@pytest.mark.parametrize("root", ["/dev/null", "/dev/null/store", "/proc/1/store"])
def test_a_store_that_can_not_be(fresh: Wpod, root: str) -> None:
    info = _info(fresh, "--root", root)
    assert info["store"]["graphRoot"] == root
    assert info["store"]["imageStore"]["number"] == 0
    if root != "/proc/1/store" or fresh.account.uid != 0:  # root may write anywhere, as far as one can tell before
        assert "store" in _missing(info)


def test_a_damaged_store_is_told_and_everything_else_too(fresh: Wpod) -> None:
    fresh("volume", "create", "data").ok()
    (fresh.store / "wpod.db").write_bytes(b"not a database, but as long as the header of one would be" * 20)
    info = _info(fresh)
    assert "wpod.db" in _missing(info)["store"]["Why"]
    assert info["host"]["kernel"] == platform.release()


def test_info_is_yaml_for_people(fresh_one: Wpod) -> None:
    lines = fresh_one("info").ok().out.splitlines()
    top = [line.partition(":")[0] for line in lines if not line.startswith((" ", "-"))]
    assert top == ["host", "store", "registries", "plugins", "version", "Wpod"]
    assert f"  graphRoot: {fresh_one.store}" in lines
    assert "    Mode: " in "\n".join(lines)


def test_version(fresh: Wpod) -> None:
    document = fresh("version", "--format", "json").ok().json
    assert set(document) == {"Client", "Wpod"}
    assert set(document["Client"]) == {"APIVersion", "Version", "BuiltTime", "Built", "OsArch", "Os"}
    assert document["Client"]["Version"] == __version__
    assert document["Wpod"]["SchemaVersion"] == 1
    assert document["Wpod"]["Engine"]["Version"]
    text = fresh("version").ok().out
    assert f"Version:      {__version__}\n" in text
    assert fresh("--version").ok().out == f"wpod version {__version__}\n"


@pytest.mark.parametrize("template", ["{{.Client.Version}}", "{{.Version}}", "{{.Server.Version}}"])
def test_version_templates_as_podman_takes_them(fresh_one: Wpod, template: str) -> None:
    assert fresh_one("version", "--format", template).ok().out == f"{__version__}\n"
