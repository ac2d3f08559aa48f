"""wpod load"""

from __future__ import annotations

import os

from wpod.commands.image.progress import TransferDisplay
from wpod.commands.image.pull import compile_quietly
from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode, UsageError

_STANDARD_INPUT = 0


def execute(session: Session, options: Options, _arguments: tuple[str, ...]) -> int:
    """`Loaded image: NAME` on stdout for each name, or with the ID where the archive has no name."""
    from wpod.operations.load import load

    path = options.text("input")
    if not path and os.isatty(_STANDARD_INPUT):
        raise UsageError("cannot read from terminal, use command-line redirection or the --input flag")
    display = TransferDisplay(session.output, options.flag("quiet"))
    with os.fdopen(os.dup(_STANDARD_INPUT), "rb", buffering=0) as standard_input:
        loaded = load(session.store, path, standard_input, display)
    for one in loaded:
        for line in one.lines():
            session.output.line(line)
    for one in loaded:
        compile_quietly(session, one.image)
    return ExitCode.SUCCESS
