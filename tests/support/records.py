"""Plans, records and images with ordinary values, for tests that look at one field of them."""

from __future__ import annotations

import dataclasses
from typing import Any

from wpod.formats.state_file import Cause, Engine, Kind, Phase, StateFile
from wpod.model.container import (
    Container,
    ContainerPlan,
    ContainerRecord,
    Observation,
    RootKind,
    RootPlan,
    Status,
    UserPlan,
)
from wpod.model.image import Descriptor, Image, ImageConfig, Platform
from wpod.model.network import NetworkMode
from wpod.model.request import LimitOptions

DIGEST = f"sha256:{'d' * 64}"


def container_id(text: str) -> str:
    """A container ID that begins with these hex digits."""
    return text.ljust(64, "0")


def plan(**changes: Any) -> ContainerPlan:
    made = ContainerPlan(
        kind=Kind.NATIVE,
        kind_reason="a test",
        arguments=("/bin/true",),
        entrypoint=("/bin/true",),
        command=(),
        environment=("PATH=/bin",),
        working_directory="/",
        user=UserPlan(),
        hostname="host",
        root=RootPlan(RootKind.OVERLAY, ("/lower",), "identity"),
        mounts=(),
        limits=LimitOptions(),
        network=NetworkMode.NONE,
        stop_signal=15,
        stop_timeout_seconds=10,
        timeout_seconds=0,
        interactive=False,
        terminal=False,
        read_only=False,
        log_driver="k8s-file",
        log_max_bytes=1024,
    )
    return dataclasses.replace(made, **changes)


def record(identifier: str = "a", name: str = "", **changes: Any) -> ContainerRecord:
    made = ContainerRecord(
        container_id=container_id(identifier),
        name=name or f"name-{identifier}",
        image_id="1" * 64,
        image_digest=DIGEST,
        image_name="localhost/app:latest",
        created_nanoseconds=1_700_000_000_000_000_000,
        plan=plan(),
        remove=False,
        labels={},
        annotations={},
        create_command=("wpod", "create", "app"),
    )
    return dataclasses.replace(made, **changes)


def container(observed: Observation | None = None, **changes: Any) -> Container:
    return Container(record(**changes), observed or Observation(Status.CREATED))


def image(*names: str, identifier: str = "1" * 64, digest: str = DIGEST, **changes: Any) -> Image:
    made = Image(
        image_id=identifier,
        digest=digest,
        manifest_media_type="application/vnd.oci.image.manifest.v1+json",
        config_descriptor=Descriptor("application/vnd.oci.image.config.v1+json", f"sha256:{identifier}", 2),
        config=ImageConfig(Platform("linux", "amd64")),
        layers=(),
        diff_ids=(),
        annotations={},
        names=names,
        created_nanoseconds=1_700_000_000_000_000_000,
        size_bytes=1000,
    )
    return dataclasses.replace(made, **changes)


def state(**changes: Any) -> StateFile:
    made = StateFile(
        kind=Kind.WASM, boot_id=b"\0" * 16, pid=0, keeper_pid=0, start_ticks=0, keeper_start_ticks=0,
        phase=Phase.CREATED, status=0, cause=Cause.NONE, signal=0, started_nanoseconds=0, finished_nanoseconds=0,
        started_boottime=0, finished_boottime=0, linear_base=0, linear_used_bytes=0, linear_limit_bytes=0,
        code_base=0, code_bytes=0, engine=Engine.NONE, confinement=0, log_bytes=0, dropped_lines=0,
        reason="",
    )  # fmt: skip
    return dataclasses.replace(made, **changes)
