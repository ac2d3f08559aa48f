"""The two streams: data on stdout with its bytes exact, talk on stderr.

Written with os.write: Python's text layer would encode by the locale (LANG=C), buffer past errors and
print its own complaint at exit when the reader has gone.
"""

from __future__ import annotations

import os

from wpod.errors import WpodError

_STANDARD_INPUT = 0
_STANDARD_OUTPUT = 1
_STANDARD_ERROR = 2


class OutputError(WpodError):
    """Standard output can't be written: full device, closed descriptor. Success must not be reported then."""


class Output:
    """Where a command's data and talk go.

    `terminal` and `error_terminal` tell whether a person reads; `width` is the terminal's, None elsewhere
    (nothing is cut then). `colour` obeys NO_COLOR. All `str` methods take text that may hold surrogate
    escapes (file names that aren't UTF-8) and give those bytes back.
    """

    def __init__(self, stdout: int = _STANDARD_OUTPUT, stderr: int = _STANDARD_ERROR) -> None:
        self._stdout = stdout
        self._stderr = stderr
        self.terminal = os.isatty(stdout)
        self.error_terminal = os.isatty(stderr)

    @property
    def input_terminal(self) -> bool:
        """Whether standard input is a terminal."""
        return os.isatty(_STANDARD_INPUT)

    @property
    def width(self) -> int | None:
        """Columns of the terminal on stdout, None where stdout is no terminal."""
        if not self.terminal:
            return None
        try:
            return os.get_terminal_size(self._stdout).columns or None
        except OSError:
            return None

    @property
    def colour(self) -> bool:
        """Whether stdout may be coloured."""
        return self.terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "") not in ("", "dumb")

    def write(self, data: bytes) -> None:
        """Exact bytes to stdout. Raises BrokenPipeError (quiet end in `__main__`), OutputError."""
        _write_all(self._stdout, data)

    def text(self, text: str) -> None:
        """Text to stdout as it is, no newline added; on a terminal control characters are escaped."""
        self.write(_encoded(visible(text) if self.terminal else text))

    def line(self, text: str) -> None:
        """One line to stdout."""
        self.text(text + "\n")

    def talk(self, text: str) -> None:
        """One line to stderr: progress, what is being done."""
        self._say(text)

    def error(self, message: str, hint: str | None = None) -> None:
        """`error: …`, then `hint: …`, on stderr."""
        self._say(f"error: {message}")
        if hint:
            self._say(f"hint: {hint}")

    def warning(self, message: str) -> None:
        """`warning: …` on stderr."""
        self._say(f"warning: {message}")

    def write_error(self, data: bytes) -> None:
        """Exact bytes to stderr: the guest's (`logs` keeps the streams apart)."""
        _write_all(self._stderr, data)

    def confirm(self, question: str) -> bool:
        """Ask on stderr and read one line of standard input; only y and yes are a yes.

        Raises WpodError where nobody answers: `wpod … prune` in a script says --force.
        """
        self.write_error(_encoded(visible(question)))
        answer = _read_line(_STANDARD_INPUT)
        if not answer:
            self._say("")
            raise WpodError("the question was not answered", hint="--force asks none")
        return answer.strip().lower() in (b"y", b"yes")

    def _say(self, text: str) -> None:
        try:
            # A line break in a name that an error quotes must not begin a line of its own.
            _write_all(self._stderr, _encoded(visible(text).replace("\n", "\\x0a") + "\n"))
        except (OutputError, BrokenPipeError):
            return  # nobody listens; what the command does must not depend on it


def visible(text: str) -> str:
    """Control characters as \\xNN but newline and tab: a hostile label must not drive the terminal."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character in "\n\t" or "\udc80" <= character <= "\udcff"
        else f"\\x{ord(character):02x}"
        for character in text
    )


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _read_line(descriptor: int) -> bytes:
    """Byte by byte: what follows the line belongs to the next reader."""
    line = b""
    while not line.endswith(b"\n") and len(line) < 4096:
        try:
            character = os.read(descriptor, 1)
        except OSError:
            break
        if not character:
            break
        line += character
    return line


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BrokenPipeError:
            raise
        except BlockingIOError:
            _wait_writable(descriptor)
        except OSError as error:
            raise OutputError(f"standard output can't be written: {error.strerror}") from None


def _wait_writable(descriptor: int) -> None:
    import select  # a descriptor left in non-blocking mode by another program that shares it

    poller = select.poll()
    poller.register(descriptor, select.POLLOUT)
    poller.poll()
