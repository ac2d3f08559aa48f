"""One entry of a container's log (docs/formats.md): CRI's format, podman's `k8s-file`."""

from __future__ import annotations

from wpod.enumeration import Enum
from wpod.frozen import frozen


class Stream(Enum):
    """Which of the guest's outputs an entry came from."""

    STDOUT = "stdout"
    STDERR = "stderr"


@frozen
class LogEntry:
    """`time` is the stamp as written (RFC 3339, nanoseconds, UTC); `content` the guest's bytes without newline."""

    time: str
    stream: Stream
    complete: bool
    content: bytes

    @property
    def output(self) -> bytes:
        """The guest's bytes, exactly."""
        return self.content + b"\n" if self.complete else self.content


_STREAMS = {b"stdout": Stream.STDOUT, b"stderr": Stream.STDERR}


def decode(line: bytes) -> LogEntry | None:
    """The entry in one line (its newline may be there or not); None where it isn't one (a torn write)."""
    parts = line.rstrip(b"\n").split(b" ", 3) if line.endswith(b"\n") else line.split(b" ", 3)
    if len(parts) != 4 or parts[1] not in _STREAMS or parts[2] not in (b"F", b"P"):
        return None
    try:
        time = parts[0].decode("ascii")
    except UnicodeDecodeError:
        return None
    return LogEntry(time, _STREAMS[parts[1]], parts[2] == b"F", parts[3])


def encode(entry: LogEntry) -> bytes:
    """The line with its newline. Raises ValueError where the content holds one."""
    if b"\n" in entry.content:
        raise ValueError("a newline inside an entry")
    tag = b"F" if entry.complete else b"P"
    return b" ".join((entry.time.encode("ascii"), entry.stream.value.encode("ascii"), tag, entry.content)) + b"\n"
