"""wpod network update"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode, UsageError


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """Without a word, as podman."""
    from wpod.operations import network_records
    from wpod.operations.sweep import sweep

    added, dropped = options.texts("dns-add"), options.texts("dns-drop")
    if not (added or dropped):
        raise UsageError("--dns-add or --dns-drop must be given")
    sweep(session.store)
    network_records.update(session.store, arguments[0], added, dropped)
    return ExitCode.SUCCESS
