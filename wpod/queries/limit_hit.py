"""The limit of memory that a container has hit: in this run, or in the last earlier one where it hit one."""

from __future__ import annotations

from wpod import times
from wpod.errors import StoreError
from wpod.formats import state_file
from wpod.formats.state_file import Cause, Kind, LimitHit, StateFile
from wpod.frozen import frozen
from wpod.model.container import Observation
from wpod.paths import ContainerPaths

_PAGE_BYTES = 65536
_NAMES = {LimitHit.GUEST_PAGES: "guest pages", LimitHit.CGROUP: "cgroup"}


@frozen
class Hit:
    """What is known of it; `state` is of the run that it was in.

    `guest_pages` is how large a wasm guest's linear memory was, as its keeper had heard last, and None for a native
    one. `parts` is what the cgroup counted when it was last near its limit: anonymous, file, kernel bytes; None where
    nobody noted that.
    """

    name: str
    state: StateFile
    this_run: bool
    guest_pages: int | None
    parts: tuple[int, int, int] | None


def limit_hit(own: ContainerPaths, observed: Observation) -> Hit | None:
    """None where no run that is remembered has hit any."""
    state = observed.state
    if state is not None and state.limit_hit is not LimitHit.NONE:
        return _hit(state, this_run=True)
    try:
        earlier = state_file.read(own.limit_state)[0]
    except StoreError:
        return None  # there is none; one that can't be read tells nothing
    return _hit(earlier, this_run=False) if earlier.limit_hit is not LimitHit.NONE else None


def document(hit: Hit | None) -> dict[str, object] | None:
    """As `inspect` and `ps` show it under `MemoryLimitHit`."""
    if hit is None:
        return None
    state = hit.state
    parts = zip(("AnonymousBytes", "FileBytes", "KernelBytes"), hit.parts, strict=True) if hit.parts else None
    return {
        "Limit": hit.name,
        "Times": state.limit_hits,
        "UsedBytes": state.limit_used_bytes,
        "LimitBytes": state.limit_bytes,
        "GuestPages": hit.guest_pages,
        "Breakdown": dict(parts) if parts else None,
        "Killed": state.cause is Cause.OUT_OF_MEMORY,
        "ExitCode": state.status,
        "FinishedAt": times.rfc3339(state.finished_nanoseconds),
        "ThisRun": hit.this_run,
    }


def _hit(state: StateFile, *, this_run: bool) -> Hit:
    parts = (state.near_anonymous_bytes, state.near_file_bytes, state.near_kernel_bytes)
    return Hit(_NAMES[state.limit_hit], state, this_run, _guest_pages(state), parts if any(parts) else None)


def _guest_pages(state: StateFile) -> int | None:
    if state.limit_hit is LimitHit.GUEST_PAGES:
        return state.limit_used_bytes // _PAGE_BYTES
    return state.linear_used_bytes // _PAGE_BYTES if state.kind is Kind.WASM else None
