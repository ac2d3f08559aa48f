"""From what the sampler finds to what `wpod top` shows and records."""

from __future__ import annotations

import re

from wpod.formats.state_file import Cause, LimitHit, StateFile
from wpod.model.container import Container, ContainerRecord, Observation, Status
from wpod.model.sample import ContainerSample, Snapshot
from wpod.output import sizes
from wpod.queries.networks import port_texts
from wpod.top.moment import Facts, Item, Moment, State

_NUMBERED = re.compile(r"(.+)-[0-9]+")
_CAUSES = {Cause.TIMEOUT: "time limit reached", Cause.TRAP: "trap", Cause.ENGINE: "could not be executed"}


class Observer:
    """Turns one look after the other into moments. What has not changed is the same object as before."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[ContainerSample, Item]] = {}

    def moment(self, snapshot: Snapshot) -> Moment:
        """One look."""
        before, self._known = self._known, {}
        for sample in snapshot.containers:
            known = before.get(sample.container_id)
            item = known[1] if known is not None and known[0] is sample else _item(sample, known)
            self._known[sample.container_id] = sample, item
        return Moment(
            items=tuple(item for _, item in self._known.values()),
            helpers=snapshot.helpers,
            host=snapshot.host,
            wall_nanoseconds=snapshot.wall_nanoseconds,
            interval=snapshot.interval,
            problems=snapshot.problems,
        )


def _item(sample: ContainerSample, before: tuple[ContainerSample, Item] | None) -> Item:
    same = before is not None and before[0].container is sample.container
    return Item(
        facts=before[1].facts if before is not None and same else facts(sample.container), memory=sample.memory,
        memory_age=sample.memory_age, limits=sample.limits, cpu_percent=sample.cpu_percent,
        processes=sample.processes, traffic=sample.traffic, rates=sample.rates, pressure=sample.pressure,
        problem=sample.problem,
    )  # fmt: skip


def facts(container: Container) -> Facts:
    """What seldom changes about a container."""
    record, observed = container.record, container.observed
    state = observed.state
    running = observed.status is Status.RUNNING
    return Facts(
        container_id=record.container_id,
        name=record.name,
        kind=record.plan.kind.name.lower(),
        image=record.image_name,
        command=" ".join(record.plan.arguments),
        family=_family(record),
        labels=tuple(f"{name}={value}" for name, value in sorted(record.labels.items())),
        networks=tuple(one.network for one in record.plan.networking.attachments),
        ports=", ".join(port_texts(record.plan.networking.ports)),
        created_nanoseconds=record.created_nanoseconds,
        started_nanoseconds=state.started_nanoseconds if state is not None else 0,
        finished_nanoseconds=state.finished_nanoseconds if state is not None and not running else 0,
        pid=state.pid if state is not None and running else 0,
        state=_state(observed),
        exit_code=observed.exit_code,
        ending=_ending(observed),
    )


def _family(record: ContainerRecord) -> str:
    scaled = any(word.split("=")[0] == "--scale" for word in record.create_command)
    found = _NUMBERED.fullmatch(record.name) if scaled else None
    return found[1] if found is not None else ""


def _state(observed: Observation) -> State:
    match observed.status:
        case Status.RUNNING:
            return State.RUNNING
        case Status.CREATED | Status.INITIALIZED:
            return State.CREATED
        case Status.EXITED:
            return State.FAILED if observed.exit_code else State.ENDED
    return State.UNREADABLE


def _ending(observed: Observation) -> str:
    """Why it ended, as one would say it; "" for a usual end and for what has not ended."""
    state = observed.state
    if observed.status is Status.UNKNOWN:
        return observed.problem
    if observed.status is not Status.EXITED or state is None:
        return ""
    if observed.cause is Cause.OUT_OF_MEMORY or (state.limit_hit is not LimitHit.NONE and observed.exit_code):
        return f"OOM: limit {sizes.binary(state.limit_bytes)}" if state.limit_bytes else "OOM"
    if observed.cause is Cause.SIGNAL:
        return f"signal {state.signal}"
    return _reason(state) or _CAUSES.get(observed.cause, "")


def _reason(state: StateFile) -> str:
    return state.reason if state.cause in (Cause.TRAP, Cause.ENGINE) else ""
