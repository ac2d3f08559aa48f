"""wpod system check"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode, UsageError


def execute(session: Session, options: Options, _arguments: tuple[str, ...]) -> int:
    """One line for each finding on stdout; 0 where no damage stays, 1 where some does."""
    from wpod.operations.check import CheckOptions, check

    chosen = CheckOptions(options.flag("quick"), options.flag("repair"), options.flag("force"))
    if chosen.force and not chosen.repair:
        raise UsageError("--force needs --repair")
    report = check(session.store, chosen)
    for line in report.lines:
        session.output.line(line)
    if report.damaged and not chosen.repair:
        session.output.talk("hint: wpod system check --repair mends what can be mended")
    return int(ExitCode.NOT_THERE if report.damaged else ExitCode.SUCCESS)
