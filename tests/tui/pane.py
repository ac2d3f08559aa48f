"""A terminal for `wpod top` that tells what is on it: the pane of a tmux server."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.command import Wpod

PROMPT = "the-shell$"
_PATIENCE_SECONDS = 60.0


class Pane:
    """The only pane of a tmux server that is this test's alone, with a shell in it. `socket` is where the server is."""

    def __init__(self, socket: str, environment: dict[str, str], terminal: str) -> None:
        self._tmux = ("tmux", "-u", "-S", socket, "-f", "/dev/null")
        self._environment = environment
        self._server = subprocess.Popen([*self._tmux, "-D"], env=environment)  # no daemon: its end can be waited for
        until(lambda: Path(socket).is_socket(), lambda: "tmux has not started")
        self._ask("set-option", "-g", "default-terminal", terminal)
        self._ask("new-session", "-d", "-x", "100", "-y", "30", "exec sh")

    def _ask(self, *words: str) -> str:
        command = [*self._tmux, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=self._environment).stdout

    @property
    def lines(self) -> list[str]:
        """What is on the screen, each line without the blanks at its end."""
        return self._ask("capture-pane", "-p").splitlines()

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def modes(self) -> str:
        """Whether the other screen is shown, the mouse is asked for, the cursor is visible."""
        return self._ask("display-message", "-p", "#{alternate_on} #{mouse_any_flag} #{cursor_flag}").strip()

    def press(self, *names: str) -> None:
        self._ask("send-keys", *names)

    def type(self, text: str) -> None:
        self._ask("send-keys", "-l", text)

    def resize(self, width: int, height: int) -> None:
        self._ask("resize-window", "-x", str(width), "-y", str(height))

    def shows(self, words: str) -> None:
        """Wait until they are on the screen."""
        until(lambda: words in self.text, lambda: self.text)

    def fits(self, width: int, height: int) -> None:
        """Wait until the table fills a window of that size, and nothing of another size is left."""

        def holds() -> bool:
            lines = self.lines
            whole = len(lines) == height and lines[0].startswith("wpod top") and len(lines[0]) == width
            once = all(self.text.count(words) == 1 for words in ("adds up", "unattributed", "limit 77.0M"))
            return whole and once and lines[-1] != "" and " own 41.0M" in lines[-3]

        until(holds, lambda: self.text)

    def filter(self) -> None:
        """Have the table filtered, see that it is, and have all of it again."""
        self.type("/kind:native db")
        until(lambda: "api" not in self.text, lambda: self.text)
        self.press("Enter")
        self.shows("filter: kind:native db")
        self.press("Escape")
        self.shows("api")

    def close(self) -> None:
        """End the server with all that runs in it."""
        self._ask("kill-server")
        self._server.wait(_PATIENCE_SECONDS)


def until(holds: Callable[[], object], told: Callable[[], str]) -> None:
    """Wait until it is so; what `told` says is why it failed."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, told()
        time.sleep(0.05)


def in_tmux(wpod: Wpod, terminal: str, part: Callable[[Pane], None], **environment: str) -> None:
    """Play a part in a pane whose TERM is this one."""
    with tempfile.TemporaryDirectory(prefix="tmux-") as directory:  # a socket's path has 107 characters at most
        given = {"SHELL": "/bin/sh", "PS1": f"{PROMPT} ", "ENV": "", **environment}
        pane = Pane(f"{directory}/socket", wpod.variables(dict(given)), terminal)
        try:
            part(pane)
        finally:
            pane.close()
