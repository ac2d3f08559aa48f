"""What would save memory: for one container, with the amount where it is known, and the command that does it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from wpod.formats.state_file import Engine, Kind
from wpod.frozen import frozen
from wpod.model.container import Container, Status
from wpod.model.memory import NEAR_ITS_LIMIT, first_to_bite
from wpod.model.sample import ContainerSample
from wpod.sampling import sharing

_NOTICEABLE_BYTES = 16 * 1024


@frozen
class Advice:
    """`saves` is in bytes, None where it can't be known before; `at_most` says that it is a bound."""

    words: str
    command: str
    saves: int | None = None
    at_most: bool = False


def advice(sample: ContainerSample, everybody: Sequence[Container], cgroup: str) -> list[Advice]:
    """The most saving first; what is told without an amount comes last. `cgroup` is its memory cgroup or ""."""
    found = [*_cache(sample, cgroup), *_scale(sample, everybody), *_code(sample), *_limit(sample)]
    found.sort(key=lambda one: -(one.saves or 0))
    return [*found, *_stop(sample)]


def _stop(sample: ContainerSample) -> list[Advice]:
    memory = sample.memory
    if memory.own is None:
        return []
    goes = memory.own + (memory.linear or 0) + (memory.kernel or 0)
    return [Advice("without it, what nobody else needs is free", f"wpod stop {sample.name}", goes)]


def _cache(sample: ContainerSample, cgroup: str) -> list[Advice]:
    cache = sample.memory.cache or 0
    if cache < _NOTICEABLE_BYTES or not cgroup:
        return []
    words = "the page cache goes by itself when memory is needed; at once with"
    unified = "memory" not in cgroup.split("/")
    command = f"echo {cache} > {cgroup}/memory.reclaim" if unified else f"echo 0 > {cgroup}/memory.force_empty"
    return [Advice(words, command, cache, at_most=True)]


def _scale(sample: ContainerSample, everybody: Sequence[Container]) -> list[Advice]:
    """Containers of one module that were started one by one could share more, had one command started them."""
    plan = sample.container.record.plan
    if plan.module is None or _scaled(sample.container):
        return []
    alike = [
        one for one in everybody
        if one.observed.status is Status.RUNNING and one.record.plan.module is not None
        and one.record.plan.module.digest == plan.module.digest and one.record.plan.arguments == plan.arguments
        and not _scaled(one)
    ]  # fmt: skip
    own = sample.memory.own or 0
    if len(alike) < 2 or own < _NOTICEABLE_BYTES:
        return []
    names = [one.record.name for one in alike]
    command = f"wpod rm -f {' '.join(names)} && {_with(sample.container, '-d', '--scale', str(len(alike)))}"
    words = f"{len(alike)} containers run this module alike; started by one command they share what loading it made"
    return [Advice(words, command, own * (len(alike) - 1), at_most=True)]


def _scaled(container: Container) -> bool:
    return any(word.split("=")[0] == "--scale" for word in container.record.create_command)


def _code(sample: ContainerSample) -> list[Advice]:
    state, plan = sample.container.observed.state, sample.container.record.plan
    if state is None or plan.kind is not Kind.WASM:
        return []
    again = f"wpod rm -f {sample.name} && {_with(sample.container, '--wasm-aot=require')}"
    if state.engine is Engine.INTERPRETER:
        words = "the interpreter keeps its own form of the module for each container; compiled code is shared"
        return [Advice(f"{words} ({state.reason})" if state.reason else words, again)]
    private = sharing.private_code_bytes(sample.container)
    if state.engine is Engine.AOT_PRIVATE and private:
        words = "its machine code is a private copy, for the compiled file could not be mapped"
        return [Advice(f"{words} ({state.reason})" if state.reason else words, "wpod info", private)]
    return []


def _limit(sample: ContainerSample) -> list[Advice]:
    """Not to save, but to live."""
    bite = first_to_bite(sample.limits)
    if bite is None or bite.share < NEAR_ITS_LIMIT:
        return []
    wanted = sample.container.record.plan.limits.memory_bytes * 2
    words = f"it is at {bite.share:.0%} of its limit ({bite.kind.value}); with twice as much"
    return [Advice(words, f"wpod rm -f {sample.name} && {_with(sample.container, '--memory', str(wanted))}")]


def _with(container: Container, *options: str) -> str:
    """The command that made the container, with other options; those of the same name are left out."""
    program, *words = container.record.create_command or ("wpod", "run", container.record.image_name)
    verb = next((at for at, word in enumerate(words) if word in ("run", "create")), 0)
    rest = [word for word in words[verb + 1 :] if not (word in ("-d", "--detach") and "-d" in options)]
    if "--memory" in options:
        rest = _without(rest, ("--memory", "-m"))
    return shlex.join([program, *words[: verb + 1], *options, *rest])


def _without(words: Sequence[str], names: tuple[str, ...]) -> list[str]:
    """Before the image only the first one can be meant; a guest's own words of that name stand behind it."""
    for at, word in enumerate(words):
        if word in names:
            return [*words[:at], *words[at + 2 :]]
        if word.split("=")[0] in names:
            return [*words[:at], *words[at + 1 :]]
    return list(words)
