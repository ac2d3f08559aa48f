"""Drives the native backend without the command line, as the account that it is started by.

    driver.py BASE COMMAND JSON

`make` prepares a container (JSON: `arguments` and fields of ContainerPlan, `limits` among them); `foreground`
becomes its monitor by exec, with BASE/report as the readiness pipe; `detached` starts the monitor and prints
its report; `state`, `kill`, `release` and `exec` are the backend's own. The package is found by PYTHONPATH.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from typing import Any

from wpod import programs
from wpod.formats import launch_plan, state_file
from wpod.formats.state_file import Kind
from wpod.model.container import (
    ContainerPlan,
    ContainerRecord,
    MountPlan,
    Observation,
    RootKind,
    RootPlan,
    Status,
    UserPlan,
)
from wpod.model.network import NetworkMode
from wpod.model.request import LimitOptions, UlimitRequest
from wpod.paths import ContainerPaths, StorePaths
from wpod.plan.oci_spec import ExecRequest
from wpod.runtime.backend import Exec, Launch
from wpod.runtime.oci import control
from wpod.runtime.oci.launch import NativeBackend

BACKEND = NativeBackend()


def plan_of(base: str, wanted: dict[str, Any]) -> ContainerPlan:
    plan = ContainerPlan(
        kind=Kind.NATIVE, kind_reason="test", arguments=tuple(wanted.pop("arguments")), entrypoint=(), command=(),
        environment=("PATH=/bin", "TERM=xterm"), working_directory="/", user=UserPlan(), hostname="box",
        root=RootPlan(RootKind[wanted.pop("root", "OVERLAY")], (f"{base}/lower",), "test"), mounts=(),
        limits=LimitOptions(), network=NetworkMode.NONE, stop_signal=15, stop_timeout_seconds=10, timeout_seconds=0,
        interactive=False, terminal=False, read_only=False, log_driver="k8s-file", log_max_bytes=1 << 20,
    )  # fmt: skip
    limits = wanted.pop("limits", {})
    ulimits = tuple(UlimitRequest(*item) for item in limits.pop("ulimits", ()))
    mounts = tuple(MountPlan(**item) for item in wanted.pop("mounts", ()))
    user = UserPlan(**wanted.pop("user", {}))
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in wanted.items()}
    limits_plan = LimitOptions(**limits, ulimits=ulimits)
    return dataclasses.replace(plan, limits=limits_plan, mounts=mounts, user=user, **fields)


def launch_of(base: str, *, foreground: bool) -> Launch:
    with open(f"{base}/plan.json", encoding="utf-8") as file:
        wanted = json.load(file)
    identifier = wanted.pop("id")
    record = ContainerRecord(
        identifier, "test", "", "", "", 0, plan_of(base, wanted), remove=False, labels={}, annotations={},
        create_command=(),
    )  # fmt: skip
    return Launch(record, ContainerPaths(f"{base}/{identifier}"), StorePaths(base), foreground)


def make(base: str) -> None:
    launch = launch_of(base, foreground=False)
    own = launch.paths
    for directory in (own.directory, own.logs, own.rootfs, own.upper, own.work):
        os.mkdir(directory)
    if launch.record.plan.root.kind is RootKind.COPY:
        os.rmdir(own.rootfs)
        import shutil

        shutil.copytree(f"{base}/lower", own.rootfs, symlinks=True)
    BACKEND.check(launch)
    BACKEND.prepare(launch)


def foreground(base: str) -> None:
    launch = launch_of(base, foreground=True)
    state_file.create(launch.paths.state, Kind.NATIVE)
    command = BACKEND.command(launch)
    report = os.open(f"{base}/report", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    plan = launch_plan.to_descriptor((*command.pairs, ("ready-fd", str(report))))
    arguments = [*command.prefix, command.program, str(plan)]
    programs.become(arguments, environment=command.environment, keep_descriptors=(report, plan))


def detached(base: str, *, fresh_state: bool = True) -> None:
    launch = launch_of(base, foreground=False)
    if fresh_state:
        state_file.create(launch.paths.state, Kind.NATIVE)
    command = BACKEND.command(launch)
    reader, writer = os.pipe()
    plan = launch_plan.to_descriptor((*command.pairs, ("ready-fd", str(writer))))
    arguments = [*command.prefix, command.program, str(plan)]
    programs.start_detached(arguments, environment=command.environment, keep_descriptors=(writer, plan))
    os.close(writer)
    with os.fdopen(reader) as report:
        print(report.read())


def observation(launch: Launch) -> Observation:
    return Observation(Status.RUNNING, state=state_file.read(launch.paths.state)[0])


def main() -> None:
    base, command, text = sys.argv[1:]
    if command in ("make", "foreground", "detached"):
        {"make": make, "foreground": foreground, "detached": detached}[command](base)
        return
    launch = launch_of(base, foreground=False)
    wanted = json.loads(text)
    if command == "detached-again":
        detached(base, fresh_state=False)
    elif command == "state":
        state, kept = state_file.read(launch.paths.state)
        print(json.dumps({**dataclasses.asdict(state), "boot_id": "", "kept": kept}))
    elif command == "kill":
        print(BACKEND.send_signal(launch, observation(launch), wanted["signal"]))
    elif command == "release":
        BACKEND.release(launch)
    else:
        request = ExecRequest(tuple(wanted["arguments"]), tuple(wanted.get("environment", ())),
                              wanted.get("directory", ""), wanted.get("terminal", False), privileged=False)  # fmt: skip
        user = UserPlan(**wanted.get("user", {}))
        sys.exit(control.execute(launch, observation(launch), Exec(request, user, interactive=True)))


if __name__ == "__main__":
    from wpod.errors import WpodError

    try:
        main()
    except WpodError as error:
        print(f"error: {error.message}", file=sys.stderr)
        sys.exit(int(error.code))
