"""`make demo`: builds two example images, runs a wasm and a native container side by side, shows their memory.

Needs no registry. The containers stay; running it again replaces them. Uses the default store, so `wpod ps`
shows them afterwards.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_TOP = Path(__file__).parents[1]
_WPOD = str(Path(sys.executable).parent / "wpod")
_KERNEL_STACK_KB = 16  # of each thread on 64-bit Linux


@dataclass(frozen=True)
class Example:
    """One container of the demonstration."""

    name: str
    image: str
    arguments: tuple[str, ...]


EXAMPLES = (
    Example("demo-wasm", "hello-c", ()),
    Example("demo-native", "busybox", ("sh", "-c", "echo hello, world; exec sleep 1000000")),
)


@dataclass(frozen=True)
class Memory:
    """In kB (1024 bytes), summed over processes."""

    processes: int
    own: int
    files: int
    page_tables: int
    kernel_stacks: int

    @property
    def total(self) -> int:
        return self.own + self.files + self.page_tables + self.kernel_stacks


def main() -> int:
    """Exit status 0 where both containers run."""
    for example in EXAMPLES:
        _build(example.image)
        _start(example)
    print("\n$ wpod ps", flush=True)
    subprocess.run([_WPOD, "ps", "--filter", "name=^demo-"], check=True)
    for example in EXAMPLES:
        print(f"\n$ wpod logs {example.name}", flush=True)
        subprocess.run([_WPOD, "logs", example.name], check=True)
    print("\nMemory, every process of the container counted, wpod's own included (kB of 1024 bytes):\n")
    print(_table([(example, _memory(example.name)) for example in EXAMPLES]))
    names = " ".join(example.name for example in EXAMPLES)
    print(
        "\ntotal = PSS of /proc/PID/smaps_rollup (own pages, and the proportional share of file pages: those of"
        "\n        programs and code, which further containers share) + page tables (VmPTE of /proc/PID/status)"
        f"\n        + {_KERNEL_STACK_KB} kB kernel stack for each thread."
        f"\n\nThe containers go on running; remove them with: {_WPOD} rm -f {names}"
    )
    return 0


def _build(image: str) -> None:
    prepared = subprocess.run([str(_TOP / "examples" / "prepare.sh"), image], check=True, stdout=subprocess.PIPE)
    context = prepared.stdout.decode().strip()
    print(f"$ wpod build -t {image} {os.path.relpath(context)}", flush=True)
    subprocess.run([_WPOD, "build", "--quiet", "-t", image, context], check=True, stdout=subprocess.DEVNULL)


def _start(example: Example) -> None:
    words = ("run", "-d", "--replace", "--name", example.name, example.image, *example.arguments)
    print(f"$ wpod {' '.join(words)}", flush=True)
    subprocess.run([_WPOD, *words], check=True, stdout=subprocess.DEVNULL)


def _memory(name: str) -> Memory:
    shown = subprocess.run([_WPOD, "container", "inspect", name], check=True, stdout=subprocess.PIPE).stdout
    state = json.loads(shown)[0]["State"]
    processes = {pid for top in (state["Pid"], state["ConmonPid"]) for pid in _with_descendants(top)}
    everything = sum(_field(pid, "smaps_rollup", "Pss:") for pid in processes)
    files = sum(_field(pid, "smaps_rollup", "Pss_File:") for pid in processes)
    tables = [_field(pid, "status", "VmPTE:") for pid in processes]
    threads = [_field(pid, "status", "Threads:") for pid in processes]
    stacks = sum(threads) * _KERNEL_STACK_KB
    return Memory(len(processes), everything - files, files, sum(tables), stacks)


def _with_descendants(pid: int) -> list[int]:
    found = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        children = Path(f"/proc/{pid}/task/{task}/children").read_text()
        found += [one for child in children.split() for one in _with_descendants(int(child))]
    return found


def _field(pid: int, file: str, name: str) -> int:
    lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def _table(rows: list[tuple[Example, Memory]]) -> str:
    lines = [("", "processes", "own pages", "file pages", "page tables", "kernel stacks", "total")]
    for example, memory in rows:
        stacks = memory.kernel_stacks
        figures = (memory.processes, memory.own, memory.files, memory.page_tables, stacks, memory.total)
        lines.append((example.name, *map(str, figures)))
    return "\n".join(f"  {first:<12}" + "".join(f"{cell:>14}" for cell in rest) for first, *rest in lines)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: {' '.join(map(str, error.cmd[:3]))} … ended with {error.returncode}")
