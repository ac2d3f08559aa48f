"""What `volume ls` and `volume inspect` show, with podman's keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from wpod import times
from wpod.errors import UsageError
from wpod.model.volume import Volume
from wpod.storage.store import Store

FILTERS = ("dangling", "driver", "label", "name", "scope")
_DRIVER = "local"


def selected(store: Store, terms: Iterable[tuple[str, str]]) -> list[Volume]:
    """The volumes that fit all filters, by name. Raises UsageError for an unknown filter."""
    volumes = store.volumes.all()
    for key, value in terms:
        test = _filter(store, key, value)
        volumes = [volume for volume in volumes if test(volume)]
    return volumes


def document(volume: Volume) -> dict[str, object]:
    """The object of `volume inspect` and `volume ls --format json`."""
    return {
        "Name": volume.name,
        "Driver": _DRIVER,
        "Mountpoint": volume.mountpoint,
        "CreatedAt": times.rfc3339(volume.created_nanoseconds),
        "Labels": dict(volume.labels),
        "Scope": "local",
        "Options": dict(volume.options),
        **({"Anonymous": True} if volume.anonymous else {}),
        "MountCount": 0,
    }


def _filter(store: Store, key: str, value: str) -> Callable[[Volume], bool]:
    if key == "name":
        try:
            pattern = re.compile(value)
        except re.error as error:
            raise UsageError(f"invalid filter name={value!r}: {error}") from None
        return lambda volume: pattern.search(volume.name) is not None
    if key == "label":
        name, equals, content = value.partition("=")
        return lambda volume: name in volume.labels and (not equals or volume.labels[name] == content)
    if key in ("driver", "scope"):
        return lambda _volume: value == _DRIVER
    if key == "dangling":
        if value not in ("true", "false", "1", "0"):
            raise UsageError(f"invalid filter dangling={value!r}: true or false")
        wanted = value in ("true", "1")
        return lambda volume: (not store.containers.using_volume(volume.name)) == wanted
    raise UsageError(f"{key!r} is an invalid volume filter", hint=f"one of: {', '.join(FILTERS)}")
