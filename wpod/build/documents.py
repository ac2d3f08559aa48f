"""The config of a built image, in podman's order of keys (image-spec, config.md).

OnBuild, Healthcheck and Shell are docker's additions to the config, which other readers pass over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wpod.build.image_settings import ImageSettings
from wpod.errors import InvalidImage, UsageError
from wpod.storage import documents, strict_json
from wpod.storage.strict_json import Fields

_CREATED_BY = "/bin/sh -c #(nop) "


@dataclass(frozen=True)
class Base:
    """What a base image hands on: its settings, and its history as it stands in its config."""

    settings: ImageSettings
    history: tuple[Mapping[str, object], ...]


def base(config: bytes) -> Base:
    """From the config of an image. Raises InvalidImage."""
    document = documents.parse_config(config)
    whole = Fields(strict_json.parse(config, "image config"), "image config")
    process = whole.object("config")
    found = document.config
    settings = ImageSettings(
        platform=found.platform,
        user=found.user,
        ports=set(found.exposed_ports),
        environment=dict(one.split("=", 1) for one in found.environment if "=" in one),
        entrypoint=found.entrypoint,
        command=found.command,
        volumes=set(found.volumes),
        working_directory=found.working_directory,
        labels=dict(found.labels),
        stop_signal=found.stop_signal,
        healthcheck=process.object("Healthcheck").raw or None,
        triggers=process.texts("OnBuild"),
        shell=process.texts("Shell"),
        author=found.author,
    )
    return Base(settings, _history(whole, len(document.diff_ids)))


def _history(whole: Fields, layers: int) -> tuple[Mapping[str, object], ...]:
    """The entries, if they are as many as there are layers; else one without a word for each layer."""
    raw = whole.raw.get("history")
    entries = [one for one in raw if isinstance(one, dict)] if isinstance(raw, list) else []
    if sum(one.get("empty_layer") is not True for one in entries) != layers:
        return tuple({"created_by": ""} for _ in range(layers))
    return tuple(entries)


@dataclass(frozen=True)
class HistoryEntry:
    """One instruction: what history shows of it; `empty`: it brought no layer."""

    words: str
    author: str
    comment: str
    empty: bool

    def document(self, created: str) -> dict[str, object]:
        """As it stands in the config."""
        found: dict[str, object] = {"created": created, "created_by": _CREATED_BY + self.words}
        if self.author:
            found["author"] = self.author
        if self.comment:
            found["comment"] = self.comment
        if self.empty:
            found["empty_layer"] = True
        return found


def config(
    settings: ImageSettings, diff_ids: Sequence[str], history: Sequence[Mapping[str, object]], created: str
) -> bytes:
    """The image's config. Raises UsageError for text that JSON can't hold."""
    document: dict[str, Any] = {"created": created}
    if settings.author:
        document["author"] = settings.author
    document["architecture"] = settings.platform.architecture
    document["os"] = settings.platform.os
    if settings.platform.variant:
        document["variant"] = settings.platform.variant
    document["config"] = _process(settings)
    document["rootfs"] = {"type": "layers", "diff_ids": list(diff_ids)}
    document["history"] = list(history)
    return _encoded(document)


def _process(settings: ImageSettings) -> dict[str, object]:
    everything: dict[str, object] = {
        "User": settings.user,
        "ExposedPorts": {port: {} for port in sorted(settings.ports)},
        "Env": [f"{name}={value}" for name, value in settings.environment.items()],
        "Entrypoint": list(settings.entrypoint),
        "Cmd": list(settings.command),
        "Volumes": {path: {} for path in sorted(settings.volumes)},
        "WorkingDir": settings.working_directory,
        "Labels": dict(sorted(settings.labels.items())),
        "StopSignal": settings.stop_signal,
        "Healthcheck": settings.healthcheck,
        "OnBuild": list(settings.triggers),
        "Shell": list(settings.shell),
    }
    return {key: value for key, value in everything.items() if value}


def _encoded(document: Mapping[str, object]) -> bytes:
    try:
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(f"{error.object[error.start - 20 : error.end]!r:.100} is not UTF-8") from None
    except RecursionError:
        raise InvalidImage("the base image's config is nested too deeply") from None
