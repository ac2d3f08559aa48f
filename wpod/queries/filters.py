"""`--filter` of commands on containers, as podman-ps(1) defines it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from wpod.errors import UsageError
from wpod.model.container import Container, Status
from wpod.queries import containers as queries
from wpod.storage.store import Store

Predicate = Callable[[Container], bool]
KEYS = (
    "ancestor", "before", "exited", "id", "label", "label!", "name", "network", "pod", "since", "status", "until",
    "volume",
)  # fmt: skip
_STATUSES = ("created", "initialized", "running", "paused", "stopped", "exited", "dead", "removing", "unknown")


def container_filter(store: Store, terms: Iterable[tuple[str, str]]) -> Predicate:
    """True for containers that every key accepts; several values of one key are alternatives (labels: all).

    Raises UsageError for an unknown key or a value that can't be.
    """
    grouped: dict[str, list[Predicate]] = {}
    for key, value in terms:
        grouped.setdefault(key, []).append(_predicate(store, key, value))
    groups = [(all if key.startswith("label") else any, tests) for key, tests in grouped.items()]

    def fits(container: Container) -> bool:
        return all(combine(test(container) for test in tests) for combine, tests in groups)

    return fits


def _predicate(store: Store, key: str, value: str) -> Predicate:
    makers: dict[str, Callable[[Store, str], Predicate]] = {
        "ancestor": _ancestor, "before": _before, "exited": _exited, "id": _id, "label": _label, "label!": _no_label,
        "name": _name, "network": _network, "pod": _pod, "since": _since, "status": _status, "until": _until,
        "volume": _volume,
    }  # fmt: skip
    if key not in makers:
        raise UsageError(f"invalid filter {key!r}", hint=f"one of: {', '.join(KEYS)}")
    return makers[key](store, value)


def _id(_store: Store, value: str) -> Predicate:
    return lambda container: container.record.container_id.startswith(value)


def _name(_store: Store, value: str) -> Predicate:
    try:
        pattern = re.compile(value)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"invalid filter name={value!r}: {error}") from None
    return lambda container: pattern.search(container.record.name) is not None


def _status(_store: Store, value: str) -> Predicate:
    if value not in _STATUSES:
        raise UsageError(f"invalid filter status={value!r}", hint=f"one of: {', '.join(_STATUSES)}")
    wanted = "exited" if value == "stopped" else value
    return lambda container: container.observed.status.value == wanted


def _exited(_store: Store, value: str) -> Predicate:
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise UsageError(f"invalid filter exited={value!r}: must be an exit status")
    return lambda container: container.observed.status is Status.EXITED and container.observed.exit_code == int(value)


def _ancestor(store: Store, value: str) -> Predicate:
    def fits(container: Container) -> bool:
        record = container.record
        name = record.image_name
        bare = name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name
        short = name.rpartition("/")[2]
        return (
            record.image_id.startswith(value.removeprefix("sha256:"))
            or value in (name, bare, short, short.partition(":")[0], record.image_digest)
            or name.endswith(f"/{value}")
            or bare.endswith(f"/{value}")
        )

    return fits


def _label(_store: Store, value: str) -> Predicate:
    key, equals, wanted = value.partition("=")

    def fits(container: Container) -> bool:
        labels = container.record.labels
        return key in labels and (not equals or labels[key] == wanted)

    return fits


def _no_label(store: Store, value: str) -> Predicate:
    has = _label(store, value)
    return lambda container: not has(container)


def _volume(_store: Store, value: str) -> Predicate:
    def fits(container: Container) -> bool:
        mounts = container.record.plan.mounts
        return bool(value) and any(value in (mount.volume, mount.target, mount.source) for mount in mounts)

    return fits


def _network(_store: Store, value: str) -> Predicate:
    def fits(container: Container) -> bool:
        plan = container.record.plan
        return value == plan.network.value or value in {one.network for one in plan.networking.attachments}

    return fits


def _pod(_store: Store, _value: str) -> Predicate:
    return lambda _container: False  # no container is in a pod yet


def _before(store: Store, value: str) -> Predicate:
    created = queries.find(store, value).record.created_nanoseconds
    return lambda container: container.record.created_nanoseconds < created


def _since(store: Store, value: str) -> Predicate:
    created = queries.find(store, value).record.created_nanoseconds
    return lambda container: container.record.created_nanoseconds > created


def _until(_store: Store, value: str) -> Predicate:
    from wpod.times import parse_moment

    moment = parse_moment(value)
    return lambda container: container.record.created_nanoseconds < moment
