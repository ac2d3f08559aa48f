"""Writing down the end of a container whose keeper could not.

A keeper that is killed stores nothing: that its container has ended is told by its lock, and why by its cgroup, which
goes with the next start and with a clean-up (queries/containers.py). So before it goes, the end is stored as the keeper
would have stored it. A reboot that comes first takes what the cgroup knew.
"""

from __future__ import annotations

import contextlib

from wpod.formats import state_file
from wpod.formats.state_file import Phase
from wpod.frozen import replace
from wpod.model.container import Observation, Status
from wpod.paths import ContainerPaths
from wpod.queries import containers as queries


def record_end(own: ContainerPaths) -> Observation:
    """Store the end that is observed where no keeper has; call it with the container's lock held, and again at will.

    Returns what was observed, which is no end where the container runs or never did.

    What can't be written is left: it is told to people, and nothing fails for it.
    """
    observed = queries.observe(own)
    state = observed.state
    if observed.status is not Status.EXITED or state is None or state.phase is Phase.EXITED:
        return observed
    ended = replace(state, phase=Phase.EXITED, status=observed.exit_code, cause=observed.cause)
    with contextlib.suppress(OSError):
        state_file.write(own.state, ended)
    return observed
