"""One look of the sampler as OpenMetrics text (openmetrics.io, version 1.0.0): for scraping by Prometheus and its kin.

What can't be told has no sample. Labels are the container's; a container that doesn't run has its info alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from wpod.frozen import frozen
from wpod.model.memory import DEFINITIONS, Part
from wpod.model.sample import ContainerSample, HelperSample, HostSample, Snapshot

_BILLION = 1_000_000_000
_TRAFFIC = (
    ("storage_read", "read", "Bytes read from storage"), ("storage_written", "written", "Bytes written to storage"),
    ("network_received", "received", "Bytes received by its links"),
    ("network_sent", "sent", "Bytes sent by its links"),
)  # fmt: skip
_HOST_PARTS = ("free", "containers", "helpers", "others", "cache", "unattributed")


@frozen
class _Family:
    """One metric family; `samples` are labels and value."""

    name: str
    kind: str
    unit: str
    help: str
    samples: tuple[tuple[Mapping[str, str], float], ...]


def text(samples: Sequence[ContainerSample], snapshot: Snapshot, *, whole: bool) -> str:
    """`whole`: all containers were looked at, so that the helpers' and the machine's figures mean something."""
    families = [*_of_containers(samples)]
    if whole:
        families += [_helpers(snapshot.helpers), *_host(snapshot.host)]
    return "".join(line for family in families for line in _lines(family)) + "# EOF\n"


def _of_containers(samples: Sequence[ContainerSample]) -> Iterator[_Family]:
    labels = [{"id": one.container_id, "name": one.name} for one in samples]
    both = list(zip(labels, samples, strict=True))
    parts = tuple(
        ({**label, "part": part.value}, float(amount))
        for label, one in both for part in Part if (amount := one.memory.part(part)) is not None
    )  # fmt: skip
    meanings = "; ".join(f"{part.value}: {DEFINITIONS[part].meaning}" for part in Part)
    about = tuple(
        ({**label, "image": one.container.record.image_name, "kind": one.container.record.plan.kind.name.lower(),
          "status": one.container.observed.status.value}, 1.0)
        for label, one in both
    )  # fmt: skip
    limits = [(label, limit) for label, one in both for limit in one.limits]
    yield _Family("wpod_container", "info", "", "What the container is", about)
    yield _Family("wpod_container_memory_bytes", "gauge", "bytes", f"Memory by part. {meanings}", parts)
    yield _gauge("wpod_container_swap_bytes", "Swapped out", ((label, one.memory.swap) for label, one in both))
    yield _gauge("wpod_container_linear_memory_bytes", "Linear memory as the guest sees it, touched or not",
                 ((label, one.memory.linear_size) for label, one in both))  # fmt: skip
    yield _gauge("wpod_container_limit_bytes", "What a limit of memory allows",
                 (({**label, "kind": limit.kind.value}, limit.allowed) for label, limit in limits))  # fmt: skip
    yield _gauge("wpod_container_limit_used_bytes", "What of a limit of memory is used, as it counts",
                 (({**label, "kind": limit.kind.value}, limit.used) for label, limit in limits))  # fmt: skip
    yield _Family("wpod_container_tasks", "gauge", "", "Processes and their threads",
                  _known((label, one.processes) for label, one in both))  # fmt: skip
    yield _Family(
        "wpod_container_cpu_seconds", "counter", "seconds", "Processor time",
        tuple((label, one.cpu_nanoseconds / _BILLION) for label, one in both if one.cpu_nanoseconds is not None),
    )  # fmt: skip
    for name, field, meaning in _TRAFFIC:
        amounts = _known((label, one.traffic.__dict__[field]) for label, one in both)
        yield _Family(f"wpod_container_{name}_bytes", "counter", "bytes", meaning, amounts)


def _helpers(helpers: Sequence[HelperSample]) -> _Family:
    rows = (({"name": one.name, "pid": str(one.pid)}, one.memory) for one in helpers)
    return _gauge("wpod_helper_memory_bytes", "Memory of a process that serves containers", rows)


def _host(sample: HostSample) -> Iterator[_Family]:
    rows = (({"part": part}, getattr(sample, part)) for part in _HOST_PARTS)
    yield _gauge("wpod_host_memory_bytes", "The machine's memory; all parts together are all that it has", rows)


def _gauge(name: str, meaning: str, rows: Iterable[tuple[Mapping[str, str], int | None]]) -> _Family:
    return _Family(name, "gauge", "bytes", meaning, _known(rows))


def _known(rows: Iterable[tuple[Mapping[str, str], int | None]]) -> tuple[tuple[Mapping[str, str], float], ...]:
    return tuple((labels, float(value)) for labels, value in rows if value is not None)


def _lines(family: _Family) -> Iterator[str]:
    yield f"# TYPE {family.name} {family.kind}\n"
    if family.unit:
        yield f"# UNIT {family.name} {family.unit}\n"
    yield f"# HELP {family.name} {_escaped(family.help)}\n"
    name = family.name + {"counter": "_total", "info": "_info"}.get(family.kind, "")
    for labels, value in family.samples:
        inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"{name}{{{inner}}} {int(value) if value == int(value) else value}\n"


def _escaped(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    return escaped.encode("utf-8", "replace").decode("utf-8")
