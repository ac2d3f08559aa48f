"""Every error that a user can see.

Raised where the cause is known, worded once, printed and mapped to an exit status once, in
`wpod.__main__`. The message is one line without a trailing full stop; the hint says what to do. The
exit codes are podman's (podman-run(1), "Exit Status").
"""

from __future__ import annotations

import contextlib

from wpod.enumeration import IntEnum

TYPE_CHECKING = False  # not typing's: importing that takes 2 ms
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeVar

    T = TypeVar("T")


class ExitCode(IntEnum):
    """What wpod itself ends with; anything else is the guest's own."""

    SUCCESS = 0
    NOT_THERE = 1
    IN_USE = 2
    FAILED = 125
    CANNOT_INVOKE = 126
    NOT_FOUND = 127
    TRAPPED = 134
    KILLED = 137
    INTERRUPTED = 130


class WpodError(Exception):
    """A failure that is told to the user as `error: MESSAGE` and, where it helps, `hint: HINT`.

    `code` is the exit status: 125 unless the subclass or the caller says otherwise.
    """

    code: int = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str | None = None, code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code


def value_of(outcome: T | WpodError) -> T:
    """What came of one of several things that were done together: its error is raised here, where its turn comes."""
    if isinstance(outcome, WpodError):
        raise outcome
    return outcome


class UsageError(WpodError):
    """The command line is wrong: unknown flag, bad value, missing argument."""


class NotSupportedYet(UsageError):
    """A flag, mode or instruction that podman has and wpod doesn't; refused by its name, never ignored."""

    def __init__(self, what: str, *, hint: str | None = None) -> None:
        super().__init__(f"{what} is not supported yet", hint=hint)


class NotThere(WpodError):
    """No such container, image, volume or network. Commands that remove map it to 1."""


class AmbiguousName(WpodError):
    """An ID prefix that fits more than one object; the message lists them."""


class InUse(WpodError):
    """The object is needed by another one or is running. Commands that remove map it to 2."""


class PortInUse(InUse):
    """A port of the host that is to be published is somebody's already. `run` ends with 126 for it, as podman's."""


class NameTaken(WpodError):
    """A container, volume or network of that name exists."""


class CannotInvoke(WpodError):
    """The guest's program or module is there but can't be run."""

    code = ExitCode.CANNOT_INVOKE


class ProgramNotFound(WpodError):
    """The guest's program or module isn't in the image."""

    code = ExitCode.NOT_FOUND


class InvalidImage(WpodError):
    """An image, archive or document that breaks its specification or a documented limit."""


class DigestMismatch(InvalidImage):
    """Content that isn't what its digest or size says."""


class RegistryError(WpodError):
    """A registry is down, slow, refuses, or answers against the distribution specification."""


class AccessDenied(RegistryError):
    """A registry wants a user and a password, or other ones."""


class StoreError(WpodError):
    """The store can't be read or written: permissions, full disk, damage. Names the file."""


@contextlib.contextmanager
def system_failures() -> Iterator[None]:
    """What the system refuses within (a full disk, no descriptors left) is raised as StoreError that names the file.

    Around a whole step or as the decorator of one, where there is no better sentence for a single call.
    """
    try:
        yield
    except OSError as error:
        names = " -> ".join(str(name) for name in (error.filename, error.filename2) if name)
        reason = error.strerror or str(error)
        raise StoreError(f"{names}: {reason}" if names else reason) from error


class MissingProgram(WpodError):
    """A program that wpod uses isn't installed; the hint names the package."""


class NoNetworks(WpodError):
    """This machine lacks what networks of containers need, or forbids it; the message names that."""


class CannotEnforce(WpodError):
    """A limit or confinement that was asked for and that this machine can't hold."""
