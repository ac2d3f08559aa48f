"""Facts about this machine that a native container's configuration depends on."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable, Mapping

from wpod.errors import MissingProgram, StoreError
from wpod.model.container import ContainerPlan
from wpod.runtime.names import host_file

TYPE_CHECKING = False  # not typing's: importing that takes 2 ms
if TYPE_CHECKING:
    from typing import Any

# The containers project's profile, as podman reads it; the administrator's own one wins.
_PROFILES = ("/etc/containers/seccomp.json", "/usr/share/containers/seccomp.json")
_LIMIT_BYTES = 4 * 1024 * 1024


def seccomp_profile(plan: ContainerPlan) -> Mapping[str, Any] | None:
    """The profile that the container asks for; None for unconfined. Raises MissingProgram, StoreError."""
    if plan.privileged or plan.seccomp_profile == "unconfined":
        return None
    if plan.seccomp_profile:
        return _profile(plan.seccomp_profile)
    path = default_profile()
    if path is not None:
        return _profile(path)
    raise MissingProgram(
        f"the seccomp profile {_PROFILES[-1]} is not installed",
        hint="apt-get install golang-github-containers-common, or --security-opt seccomp=unconfined",
    )


def default_profile() -> str | None:
    """The profile that containers get unless they ask for another one; None where none is installed."""
    return next((path for path in _PROFILES if os.path.exists(path)), None)


@functools.cache
def _profile(path: str) -> Mapping[str, Any]:
    try:
        with open(path, "rb") as file:
            content = json.loads(file.read(_LIMIT_BYTES))
    except OSError as error:
        raise StoreError(f"seccomp profile {path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise StoreError(f"seccomp profile {path} is not JSON") from None
    if not isinstance(content, dict):
        raise StoreError(f"seccomp profile {path} is not a profile")
    return content


def existing_paths(paths: Iterable[str]) -> frozenset[str]:
    """Those that this kernel has."""
    return frozenset(path for path in paths if os.path.lexists(path))


@functools.cache
def last_capability() -> int:
    """The kernel's highest capability number."""
    return int(host_file("/proc/sys/kernel/cap_last_cap") or 40)
