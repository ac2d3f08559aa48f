"""What every handler gets: the streams, the store, and the manners of commands with several arguments.

A handler is a function

    def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int

in `wpod/commands/GROUP/VERB.py`, named in the table (`wpod/cli/verbs/`). It returns the exit status and
raises `WpodError`; it never prints errors, never exits, never touches sys.stdout.
"""

from __future__ import annotations

import os

from wpod.enumeration import Enum
from wpod.errors import ExitCode, InUse, NotThere, WpodError

TYPE_CHECKING = False  # not typing's: importing that takes 2 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wpod.commands.options import Options
    from wpod.model.container import ContainerPlan
    from wpod.output.streams import Output
    from wpod.storage.store import Store


class Codes(Enum):
    """Exit status of a command over several objects (podman-rm(1), podman-stop(1)).

    PLAIN: the error's own code, 125 for what isn't there. REMOVAL: 1 for what isn't there, 2 for what is
    in use.
    """

    PLAIN = "plain"
    REMOVAL = "removal"


class Session:
    """One invocation. `command_line` is argv as typed, recorded with new containers.

    `root` is the global --root ("" where absent), `runtime` the global --runtime.
    """

    def __init__(self, output: Output, globals_: Options, command_line: tuple[str, ...] = ()) -> None:
        self.output = output
        self.command_line = command_line
        self.root = globals_.text("root")
        self.runtime = globals_.text("runtime")
        self.debug = globals_.text("log-level") in ("debug", "trace")
        self._store: Store | None = None
        self._warned_of_logout = False

    @property
    def store(self) -> Store:
        """The store that --root or WPOD_ROOT names or the default one, opened at first use. Raises StoreError."""
        if self._store is None:
            from wpod.storage.store import open_store

            self._store = open_store(self.root or None)
        return self._store

    def close(self) -> None:
        """Let go of the store."""
        if self._store is not None:
            self._store.database.close()
            self._store = None

    def warn_of_logout(self, plan: ContainerPlan) -> None:
        """After a detached start: one warning a command where the container may end when the user logs out."""
        if self._warned_of_logout or os.geteuid() == 0 or not os.path.isdir("/run/systemd/system"):
            return
        from wpod.kernel.login_session import logout_warning

        warning = logout_warning(plan.limits, plan.network)
        if warning is not None:
            self._warned_of_logout = True
            self.output.warning(warning)

    def complain(self, error: WpodError) -> None:
        """One `error:` line, and its hint."""
        self.output.error(error.message, error.hint)

    def for_each(
        self,
        arguments: Sequence[str],
        action: Callable[[str], str | None],
        codes: Codes = Codes.PLAIN,
    ) -> int:
        """Do it for each argument and go on past failures; returns the worst exit status, 0 where all went well.

        Each success is one line on stdout: what `action` returns, the argument as typed where that is None,
        nothing where it is "". Each WpodError is one `error:` line (and its hint) on stderr.
        """
        worst = int(ExitCode.SUCCESS)
        for argument in arguments:
            try:
                shown = action(argument)
            except WpodError as error:
                self.complain(error)
                worst = max(worst, exit_code(error, codes))
            else:
                line = argument if shown is None else shown
                if line:
                    self.output.line(line)
        return worst


def exit_code(error: WpodError, codes: Codes = Codes.PLAIN) -> int:
    """The status that an error gives under these rules."""
    if codes is Codes.REMOVAL:
        if isinstance(error, NotThere):
            return ExitCode.NOT_THERE
        if isinstance(error, InUse):
            return ExitCode.IN_USE
    return int(error.code)
