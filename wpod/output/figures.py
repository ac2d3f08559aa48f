"""What the sampler found, as rows: podman's columns and keys of `stats` first, then the parts of the memory.

What can't be told is `-` (`-- / --` in podman's pairs), null in JSON and an empty cell in CSV.
"""

from __future__ import annotations

from collections.abc import Sequence

from wpod import times
from wpod.model import ids
from wpod.model.container import Status
from wpod.model.memory import Breakdown, Part, first_to_bite
from wpod.model.sample import ContainerSample, Snapshot
from wpod.output import sizes

SCHEMA_VERSION = 1
COLUMNS = (
    "ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDS", "UpTime", "AVGCPU",
    "Own", "Linear", "Kernel", "Code", "Shared", "Helpers", "Cache", "Swap", "LimitPerc",
)  # fmt: skip
HEADERS = {
    "ID": "ID", "ContainerID": "CONTAINER ID", "Name": "NAME", "CPUPerc": "CPU %", "CPU": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT", "MemUsageBytes": "MEM USAGE / LIMIT", "MemLimit": "MEM LIMIT",
    "MemPerc": "MEM %", "NetIO": "NET IO", "NetInput": "NET INPUT", "NetOutput": "NET OUTPUT", "BlockIO": "BLOCK IO",
    "BlockInput": "BLOCK INPUT", "BlockOutput": "BLOCK OUTPUT", "PIDS": "PIDS", "UpTime": "CPU TIME",
    "Up": "CPU TIME", "CPUNano": "CPU NANO", "Duration": "DURATION", "AVGCPU": "AVG CPU %", "AvgCPU": "AVG CPU %",
    "Own": "OWN", "Linear": "LINEAR", "LinearSize": "LINEAR SIZE", "LinearLimit": "LINEAR LIMIT", "Kernel": "KERNEL",
    "Code": "CODE", "Shared": "SHARED", "Helpers": "HELPERS", "Cache": "CACHE", "Swap": "SWAP", "Total": "TOTAL",
    "LimitPerc": "LIMIT %", "Kind": "KIND", "Image": "IMAGE", "Status": "STATUS",
}  # fmt: skip
_NONE = "-"
_NO_PAIR = "-- / --"
_BREAKDOWN = (*(part.value for part in Part), "swap", "linear_size", "linear_limit")
_TITLES = {name: name.title().replace("_", "") for name in _BREAKDOWN}
_CSV = (
    "time", "id", "name", "kind", "image", "status", "cpu_nanoseconds", "cpu_percent", "average_cpu_percent", "total",
    *_BREAKDOWN, "limit", "limit_used", "limit_kind", "tasks", "read_bytes", "written_bytes", "received_bytes",
    "sent_bytes", "memory_age_seconds",
)  # fmt: skip


def row(sample: ContainerSample, snapshot: Snapshot, *, whole: bool) -> dict[str, object]:
    """Every field that a template may name, as texts and podman's numbers."""
    record, memory, traffic = sample.container.record, sample.memory, sample.traffic
    allowed = _allowed(sample, snapshot)
    bite = first_to_bite(sample.limits)
    average = sample.cpu_average_percent or 0.0
    percent = sample.cpu_percent if sample.cpu_percent is not None else average
    cpu_time = times.go_duration(sample.cpu_nanoseconds or 0)
    parts = {title: _amount(memory.__dict__[name]) for name, title in _TITLES.items()}
    return {
        "ID": record.container_id if whole else ids.short(record.container_id), "ContainerID": record.container_id,
        "Name": record.name, "CPUPerc": f"{percent:.2f}%", "CPU": round(percent, 6),
        "MemUsage": _usage(sample, allowed, binary=False), "MemUsageBytes": _usage(sample, allowed, binary=True),
        "MemLimit": allowed, "MemPerc": _memory_percent(sample, allowed),
        "NetIO": _pair(sample, traffic.received, traffic.sent), "NetInput": traffic.received or 0,
        "NetOutput": traffic.sent or 0, "BlockIO": _pair(sample, traffic.read, traffic.written),
        "BlockInput": traffic.read or 0, "BlockOutput": traffic.written or 0,
        "PIDS": sample.processes or 0, "UpTime": cpu_time, "Up": cpu_time, "CPUNano": sample.cpu_nanoseconds or 0,
        "Duration": sample.cpu_nanoseconds or 0, "AVGCPU": f"{average:.2f}%", "AvgCPU": round(average, 6),
        **parts, "Total": _amount(memory.total), "LimitPerc": f"{bite.share * 100:.2f}%" if bite else _NONE,
        "Kind": record.plan.kind.name.lower(), "Image": record.image_name,
        "Status": sample.container.observed.status.value,
    }  # fmt: skip


def document(sample: ContainerSample, snapshot: Snapshot) -> dict[str, object]:
    """podman's object, and wpod's own figures as numbers under `wpod`."""
    shown = row(sample, snapshot, whole=False)
    return {
        "id": shown["ID"], "name": shown["Name"], "cpu_time": shown["UpTime"], "cpu_percent": shown["CPUPerc"],
        "avg_cpu": shown["AVGCPU"], "mem_usage": shown["MemUsage"], "mem_percent": shown["MemPerc"],
        "net_io": shown["NetIO"], "block_io": shown["BlockIO"], "pids": str(shown["PIDS"]),
        "wpod": {
            "schema_version": SCHEMA_VERSION, "id": sample.container_id, "kind": shown["Kind"], "image": shown["Image"],
            "status": shown["Status"], "memory": memory_document(sample.memory), "limits": limit_documents(sample),
            "memory_age_seconds": _rounded(sample.memory_age), "cpu_nanoseconds": sample.cpu_nanoseconds,
            "cpu_percent": _rounded(sample.cpu_percent), "average_cpu_percent": _rounded(sample.cpu_average_percent),
            "tasks": sample.processes, "traffic": dict(sample.traffic.__dict__), "problem": sample.problem,
        },
    }  # fmt: skip


def memory_document(memory: Breakdown) -> dict[str, int | None]:
    """The parts in bytes, with their sum."""
    return {"total": memory.total, **{name: memory.__dict__[name] for name in _BREAKDOWN}}


def limit_documents(sample: ContainerSample) -> list[dict[str, object]]:
    """The limits of memory, with what is used as they count."""
    return [{"kind": one.kind.value, "allowed": one.allowed, "used": one.used} for one in sample.limits]


def csv(samples: Sequence[ContainerSample], snapshot: Snapshot, *, heading: bool) -> str:
    """A line for each container (RFC 4180, lines end with a newline alone); numbers are whole bytes."""
    lines = [",".join(_CSV)] if heading else []
    moment = times.rfc3339(snapshot.wall_nanoseconds)
    for sample in samples:
        record, memory, traffic, bite = (
            sample.container.record, sample.memory, sample.traffic, first_to_bite(sample.limits)
        )  # fmt: skip
        cells = (
            moment, record.container_id, record.name, record.plan.kind.name.lower(), record.image_name,
            sample.container.observed.status.value, sample.cpu_nanoseconds, _rounded(sample.cpu_percent),
            _rounded(sample.cpu_average_percent), memory.total, *(memory.__dict__[name] for name in _BREAKDOWN),
            bite.allowed if bite else None, bite.used if bite else None, bite.kind.value if bite else None,
            sample.processes, traffic.read, traffic.written, traffic.received, traffic.sent,
            _rounded(sample.memory_age),
        )  # fmt: skip
        lines.append(",".join(_cell(cell) for cell in cells))
    return "".join(f"{line}\n" for line in lines)


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    if any(character in text for character in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _amount(bytes_: int | None) -> str:
    return sizes.decimal(bytes_, digits=4) if bytes_ is not None else _NONE


def _rounded(value: float | None) -> float | None:
    return round(value, 3) if value is not None else None


def _allowed(sample: ContainerSample, snapshot: Snapshot) -> int:
    """What podman calls the limit: that of the container, or all that the machine has; 0 where it doesn't run."""
    if sample.container.observed.status is not Status.RUNNING:
        return 0
    bite = first_to_bite(sample.limits)
    return bite.allowed if bite is not None else snapshot.host.total


def _usage(sample: ContainerSample, allowed: int, *, binary: bool) -> str:
    shown = sizes.binary if binary else lambda bytes_: sizes.decimal(bytes_, digits=4)
    if not allowed:
        return f"{shown(0)} / {shown(0)}"
    total = sample.memory.total
    return f"{shown(total) if total is not None else _NONE} / {shown(allowed)}"


def _memory_percent(sample: ContainerSample, allowed: int) -> str:
    if not allowed:
        return "0.00%"
    total = sample.memory.total
    return f"{total / allowed * 100:.2f}%" if total is not None else _NONE


def _pair(sample: ContainerSample, first: int | None, second: int | None) -> str:
    if sample.container.observed.status is not Status.RUNNING:
        return "0B / 0B"
    if first is None or second is None:
        return _NO_PAIR
    return f"{sizes.decimal(first, digits=4)} / {sizes.decimal(second, digits=4)}"
