"""The processes of one container as a list: who they are and what they do, by psutil.

For views of a single container (its process tree); what is summed over all comes from `wpod.sampling.process`.
"""

from __future__ import annotations

from collections.abc import Sequence

import psutil

from wpod.model.sample import ProcessRow

_BILLION = 1_000_000_000


class ProcessList:
    """Asked again and again, it tells how much processor time each has used since it was asked before."""

    def __init__(self) -> None:
        self._known: dict[int, psutil.Process] = {}

    def rows(self, pids: Sequence[int]) -> list[ProcessRow]:
        """In the order of `pids`; what has ended, or is another process by now, is left out."""
        self._known = {pid: one for pid, one in self._known.items() if pid in set(pids)}
        found = [self._row(pid) for pid in pids]
        return [row for row in found if row is not None]

    def _row(self, pid: int) -> ProcessRow | None:
        try:
            process = self._known.get(pid)
            if process is None or not process.is_running():
                process = self._known[pid] = psutil.Process(pid)
            with process.oneshot():
                times, memory = process.cpu_times(), process.memory_info()
                return ProcessRow(
                    pid=pid,
                    parent=process.ppid(),
                    command=tuple(_command(process)),
                    user=process.username(),
                    state=str(process.status()),
                    threads=process.num_threads(),
                    started_nanoseconds=int(process.create_time() * _BILLION),
                    cpu_nanoseconds=int((times.user + times.system) * _BILLION),
                    cpu_percent=process.cpu_percent(),
                    resident=memory.rss,
                )
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            self._known.pop(pid, None)
            return None


def _command(process: psutil.Process) -> list[str]:
    """Its words; the name in brackets where they can't be read or there are none, as ps(1) has it."""
    try:
        words = process.cmdline()
    except psutil.AccessDenied:
        words = []
    return words or [f"[{process.name()}]"]
