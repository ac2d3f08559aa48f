"""The three shells as people use them: a line is typed at a prompt, a key is pressed, and the line is looked at.

bash and zsh run interactively on a pseudo-terminal. A key of its own makes them write the edited line to a
FIFO, so nothing is read off the screen. fish says what it would offer (`complete -C`).
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PATIENCE_SECONDS = 30.0
_KILL_LINE = b"\x15"  # Ctrl-U
_SHOW = b"\x14"  # Ctrl-T, bound to a function that writes the line to the FIFO
TAB = b"\t"
ALL = b"\x1b*"  # Meta-*: put all candidates into the line

# {fifo} and {scripts} are filled in. Both load the script of wpod as an installed one: when it is wanted.
_BASH_START = """
PS1='> '; set +o history
bind 'set completion-query-items 0'; bind 'set page-completions off'; bind 'set bell-style none'
source /usr/share/bash-completion/bash_completion
BASH_COMPLETION_USER_DIR={scripts}
show_line() {{ printf '%s\\n' "$READLINE_LINE" > {fifo}; }}
bind -x '"\\C-t": show_line'
echo ready > {fifo}
"""
_ZSH_START = """
PS1='> '; unsetopt prompt_cr prompt_sp beep; LISTMAX=100000
fpath=({scripts} $fpath)
autoload -Uz compinit && compinit -u -D
zle -C all-matches complete-word _generic
bindkey '\\e*' all-matches
zstyle ':completion:all-matches:*' insert true
zstyle ':completion:all-matches::::' completer _all_matches _complete
show_line() {{ print -r -- "$BUFFER" > {fifo}; BUFFER=''; }}
zle -N show_line
bindkey '^T' show_line
bindkey '^U' kill-whole-line
echo ready > {fifo}
"""


@dataclass
class Shell:
    """A shell at its prompt."""

    terminal: int
    fifo: int

    def line(self, typed: str, key: bytes = ALL) -> str:
        """The line after typing this and pressing the key, as it stands, blank at its end included."""
        os.write(self.terminal, _KILL_LINE + typed.encode() + key + _SHOW)
        return self.answer()

    def candidates(self, typed: str) -> list[str]:
        """What the shell puts in place of the last word, all candidates one after the other."""
        before = shlex.split(typed) if typed.endswith(" ") else shlex.split(typed)[:-1]
        words = shlex.split(self.line(typed))
        return [] if words == shlex.split(typed) else words[len(before) :]

    def answer(self) -> str:
        """The next line from the FIFO; the screen is read meanwhile, and thrown away."""
        text, deadline = b"", time.monotonic() + _PATIENCE_SECONDS
        screen = b""
        while not text.endswith(b"\n"):
            ready, _, _ = select.select([self.terminal, self.fifo], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"the shell doesn't answer: {screen!r}"
            if self.terminal in ready:
                screen += os.read(self.terminal, 65536)
            if self.fifo in ready:
                text += os.read(self.fifo, 65536)
        return text.decode()[:-1]


@contextmanager
def bash(scripts: Path, environment: Mapping[str, str], directory: Path) -> Iterator[Shell]:
    """bash with bash-completion, which finds `completions/wpod` below `scripts`, and nobody's own settings."""
    with _interactive(["bash", "--norc", "--noprofile", "-i"], _BASH_START, (scripts, environment, directory)) as shell:
        yield shell


@contextmanager
def zsh(scripts: Path, environment: Mapping[str, str], directory: Path) -> Iterator[Shell]:
    """zsh with its completion system, which finds `_wpod` in `scripts`."""
    with _interactive(["zsh", "-f", "-i"], _ZSH_START, (scripts, environment, directory)) as shell:
        yield shell


def fish_offers(script: Path, environment: Mapping[str, str], directory: Path, typed: str) -> list[str]:
    """The words (without their descriptions) that fish would offer for this line, in its order."""
    code = f"source {shlex.quote(str(script))}; complete -C {shlex.quote(typed)}"
    done = subprocess.run(
        ["fish", "--no-config", "-c", code], env=dict(environment), cwd=directory, capture_output=True, check=True
    )
    assert done.stderr == b"", done.stderr
    return [line.partition("\t")[0] for line in done.stdout.decode().splitlines()]


@contextmanager
def _interactive(program: list[str], start: str, setting: tuple[Path, Mapping[str, str], Path]) -> Iterator[Shell]:
    scripts, environment, directory = setting
    with tempfile.TemporaryDirectory() as scratch:
        fifo_path = Path(scratch, "line")
        os.mkfifo(fifo_path)
        start_path = Path(scratch, "start")
        start_path.write_text(start.format(scripts=shlex.quote(str(scripts)), fifo=fifo_path))
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(directory)
            os.execvpe(program[0], program, {**environment, "TERM": "dumb"})
        fifo = os.open(fifo_path, os.O_RDWR)  # for writing too: a FIFO without a writer would always be at its end
        try:
            shell = Shell(terminal, fifo)
            os.write(terminal, f". {start_path}\n".encode())
            assert shell.answer() == "ready"
            yield shell
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(terminal)
            os.close(fifo)
