"""Where the links of networks are: the host's own network namespace, or the one that a user's containers share."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

from wpod import paths, programs
from wpod.errors import WpodError
from wpod.frozen import frozen


@frozen
class NetworkNamespace:
    """`pid` is a process in it; 0 means this process's own, which is root's."""

    pid: int = 0

    @property
    def user_path(self) -> str:
        """The user namespace that owns it; "" where it is this process's own."""
        return f"/proc/{self.pid}/ns/user" if self.pid else ""

    @property
    def network_path(self) -> str:
        return f"/proc/{self.pid}/ns/net" if self.pid else ""

    def entering(self, arguments: Sequence[str]) -> list[str]:
        """The command that runs this one in it. Raises MissingProgram."""
        command = [programs.require(arguments[0]), *arguments[1:]]
        if not self.pid:
            return command
        into = (f"--user={self.user_path}", f"--net={self.network_path}")
        return [programs.require("nsenter"), "--preserve-credentials", *into, "--", *command]

    def run(
        self, arguments: Sequence[str], stdin: bytes | None = None, pass_descriptors: Sequence[int] = ()
    ) -> programs.Finished:
        """Run a program in it to its end. Raises MissingProgram, WpodError."""
        environment = {"PATH": programs.SEARCH_PATH}
        return programs.run(
            self.entering(arguments), stdin=stdin, environment=environment, pass_descriptors=pass_descriptors
        )

    def apply(self, file: str, pid: int = 0) -> None:
        """Send the link messages in a file; `pid` is the container whose namespace some of them are for.

        Raises WpodError with the kernel's reason.
        """
        self._network_program("apply", file, *([str(pid)] if pid else []))

    def apply_in(self, file: str, namespace: int) -> None:
        """As `apply`; what is for a container's namespace is sent into this one, an open file of it."""
        self._network_program("apply", file, f"/proc/self/fd/{namespace}", pass_descriptors=(namespace,))

    def share(self, file: str) -> int:
        """Make a network namespace for several containers, with the links in a file, and open it.

        It lives as long as somebody has it open or is in it. Raises WpodError with the kernel's reason.
        """
        own, other = socket.socketpair()
        with own, other:
            self._network_program("share", file, str(other.fileno()), pass_descriptors=(other.fileno(),))
            _, descriptors, _, _ = socket.recv_fds(own, 1, 1)
        os.set_inheritable(descriptors[0], False)
        return descriptors[0]

    def _network_program(self, *words: str, pass_descriptors: Sequence[int] = ()) -> None:
        done = self.run([paths.part("wpod-network"), *words], pass_descriptors=pass_descriptors)
        if done.status != 0:
            raise WpodError(done.complaint.removeprefix("wpod-network: "))
