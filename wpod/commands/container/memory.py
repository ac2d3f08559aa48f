"""wpod memory"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import WpodError
from wpod.formats.state_file import Kind
from wpod.frozen import frozen
from wpod.kernel import cgroup_counters
from wpod.model.container import Container, Status
from wpod.model.memory import DEFINITIONS, SWAP, Limit, LimitKind, Part, first_to_bite
from wpod.model.sample import ContainerSample
from wpod.output import sizes
from wpod.queries import containers as queries
from wpod.sampling import advice as advising
from wpod.sampling import sharing
from wpod.sampling.advice import Advice
from wpod.sampling.once import samples_of
from wpod.sampling.sharing import MappedFile

_FILES_SHOWN = 5
_NAMES_SHOWN = 4
_COUNTED = {
    LimitKind.GUEST_PAGES: "counts the linear memory as large as the guest has made it, touched or not;"
    " growth beyond fails inside of the guest",
    LimitKind.CGROUP: "counts what its processes have taken since the start: own, linear and kernel memory, and each"
    " file page that it was the first to read; beyond, page cache is given back, then the kernel kills",
}


@frozen
class _Found:
    """Everything about one container."""

    sample: ContainerSample
    files: tuple[MappedFile, ...]
    advice: tuple[Advice, ...]
    names: dict[str, str]


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """Where the memory of a container is, in words; several are told one after the other."""
    chosen = [queries.latest(session.store).record.container_id] if options.flag("latest") else list(arguments)
    documents: list[dict[str, object]] = []
    as_json = options.text("format") == "json"

    def tell(name: str) -> str:
        found = _look(session, queries.find(session.store, name))
        if as_json:
            documents.append(_document(found))
            return ""
        return "\n".join(_lines(found))

    status = session.for_each(chosen, tell)
    if as_json:
        from wpod.output import json

        session.output.line(json.document(documents))
    return status


def _look(session: Session, container: Container) -> _Found:
    """Raises WpodError for one that doesn't run, or whose memory is another user's."""
    record = container.record
    if container.observed.status is not Status.RUNNING:
        raise WpodError(f"container {record.name} doesn't run: it has no memory", hint=f"wpod start {record.name}")
    everybody = queries.all_containers(session.store)
    sample = samples_of(session.store, (record.container_id,)).get(record.container_id)
    if sample is None or sample.memory.own is None:
        reason = sample.problem if sample is not None and sample.problem else "it has ended meanwhile"
        raise WpodError(f"container {record.name}: {reason}")
    state = container.observed.state
    group = cgroup_counters.own_directories(record.container_id, state.pid).memory if state is not None else ""
    return _Found(
        sample,
        tuple(sharing.mapped_files(container, everybody, session.store.paths)),
        tuple(advising.advice(sample, everybody, group)),
        {one.record.container_id: one.record.name for one in everybody},
    )


def _lines(found: _Found) -> list[str]:
    sample, memory = found.sample, found.sample.memory
    kind = sample.container.record.plan.kind.name.lower()
    return [
        f"{sample.name} ({kind}) has {_amount(memory.total)} of memory:",
        *(f"  {part.value:<8}{_amount(memory.part(part)):>9}  {_about(part, found)}" for part in Part),
        f"  {'swap':<8}{_amount(memory.swap):>9}  {SWAP.meaning}",
        *_sharing_lines(found),
        *_limit_lines(sample),
        *_advice_lines(found.advice),
    ]


def _about(part: Part, found: _Found) -> str:
    memory = found.sample.memory
    if part is Part.LINEAR and memory.linear is None:
        return "a native container has none"
    if part is Part.LINEAR and memory.linear_size is not None:
        return (f"touched of the {_amount(memory.linear_size)} that the guest has;"
                f" it may grow to {_amount(memory.linear_limit)}, and what is not touched costs nothing")  # fmt: skip
    if part is Part.CACHE and memory.cache is None:
        return "can't be told without a memory cgroup of its own (--memory)"
    if part is Part.HELPERS and not memory.helpers and found.sample.container.record.plan.kind is Kind.WASM:
        return "none: no other process works for it"
    return DEFINITIONS[part].meaning


def _sharing_lines(found: _Found) -> list[str]:
    shown = [one for one in found.files if one.others][:_FILES_SHOWN]
    if not shown:
        return ["It shares no mapped file with another container of this store."]
    lines = ["Shared with other containers, by the file that is mapped (its share counts here):"]
    for one in shown:
        names = sorted(found.names.get(other, other) for other in one.others)
        listed = ", ".join(names[:_NAMES_SHOWN])
        if len(names) > _NAMES_SHOWN:
            listed += f" and {len(names) - _NAMES_SHOWN} more"
        lines.append(f"  {_amount(one.share)} of {_amount(one.resident)}  {one.path}  with {listed}")
    return lines


def _limit_lines(sample: ContainerSample) -> list[str]:
    bite = first_to_bite(sample.limits)
    if bite is None:
        return ["No limit of memory holds it."]
    lines = []
    for one in sample.limits:
        first = ", the one that bites first" if one is bite and len(sample.limits) > 1 else ""
        lines.append(f"Limit ({one.kind.value}{first}): {_amount(one.used)} of {_amount(one.allowed)}, {one.share:.0%}")
        lines.append(f"  {_COUNTED[one.kind]}")
    return lines


def _advice_lines(advice: tuple[Advice, ...]) -> list[str]:
    lines = ["What would help most:"]
    for one in advice:
        amount = f"{'up to ' if one.at_most else ''}{_amount(one.saves)}: " if one.saves is not None else ""
        lines += [f"  {amount}{one.words}", f"    {one.command}"]
    return lines


def _document(found: _Found) -> dict[str, object]:
    from wpod.output import figures

    sample = found.sample
    return {
        "Id": sample.container_id,
        "Name": sample.name,
        "Kind": sample.container.record.plan.kind.name.lower(),
        "Memory": figures.memory_document(sample.memory),
        "Sources": {part.value: DEFINITIONS[part].formula for part in Part},
        "Files": [
            {"Path": one.path, "ResidentBytes": one.resident, "ShareBytes": one.share, "SharedWith": list(one.others)}
            for one in found.files
        ],
        "Limits": [_limit_document(one) for one in sample.limits],
        "Advice": [
            {"Words": one.words, "Command": one.command, "SavesBytes": one.saves, "AtMost": one.at_most}
            for one in found.advice
        ],
    }


def _limit_document(limit: Limit) -> dict[str, object]:
    return {"Kind": limit.kind.value, "AllowedBytes": limit.allowed, "UsedBytes": limit.used,
            "Counts": _COUNTED[limit.kind]}  # fmt: skip


def _amount(bytes_: int | None) -> str:
    return sizes.decimal(bytes_, digits=4) if bytes_ is not None else "-"
