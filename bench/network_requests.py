"""Requests through a published port of a user's container: how many, how long each takes, how fast bulk is.

The same server (guests/server.c) answers everywhere, and wrk asks it on the machine's loopback: behind wpod's holder,
behind podman's two ways, as a wasm guest of wpod's, which has the listening socket itself, and natively with no
container and no network at all. All take turns.
"""

from __future__ import annotations

import contextlib
import enum
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import commands, images, network_peers, paired
from bench.figures import Figure, Scale, Section, of_ratio
from bench.network_peers import PASTA, SLIRP, WASM, WPOD
from bench.workplace import Workplace

NAME = "network-requests"
_TITLE = "Requests through a published port of an unprivileged user"
GOAL = 1.0
BARE = "the server alone"
_BARE_PORT = 25_500
_SOURCE = Path(__file__).parent / "guests" / "server.c"
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_NUMBER = 0  # of each one's only container


class Kind(enum.Enum):
    """What is asked: the connections at once, and the bytes of an answer."""

    REQUESTS = ("time per request, 8 connections", 8, 100)
    LATENCY = ("latency, 1 connection", 1, 100)
    BULK = ("time per MB, 4 connections", 4, 1_000_000)

    def __init__(self, words: str, connections: int, size: int) -> None:
        self.words = words
        self.connections = connections
        self.size = size


@dataclass(frozen=True)
class _Turns:
    counted: int
    seconds: int


_TURNS = {Scale.FULL: _Turns(7, 2), Scale.GUARD: _Turns(5, 2), Scale.QUICK: _Turns(2, 1)}


def measure(place: Workplace, scale: Scale) -> Section:
    """All servers run all the time; one at a time is asked. Raises CommandFailed."""
    if os.geteuid() != 0:
        return Section(NAME, _TITLE, skipped=("only root can start as another user",))
    skipped: list[str] = []
    raw: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        try:
            images.require("wrk", "gcc", "pasta", "nft")
            images.require_wasm_compiler(place)
            ports = _servers(place, stack, skipped)
        except images.Missing as missing:
            return Section(NAME, _TITLE, skipped=(str(missing),))
        found: list[Figure] = []
        for kind in Kind:
            asked = [paired.Contestant(label, _asking(kind, port, _TURNS[scale])) for label, port in ports.items()]
            times = paired.alternate(asked, _TURNS[scale].counted, warm_up=1)
            raw[kind.words] = times
            found += _figures(kind, times)
    return Section(NAME, _TITLE, tuple(found), tuple(skipped), raw)


def _servers(place: Workplace, stack: contextlib.ExitStack, skipped: list[str]) -> dict[str, int]:
    """Start all; the port of each by its label."""
    program = place.new_directory("modules") / "server"
    commands.run(("gcc", "-O2", "-static", "-o", str(program), str(_SOURCE)))
    native = images.build_modules(place, "server-native", [program])
    wasm = images.build_modules(place, "server-wasm", [images.compile_module(place, _SOURCE)])
    inner, archives = network_peers.user_place(place, stack, (native, wasm))
    images.fill_cache(inner, wasm)
    stack.enter_context(_alone(program))
    ports = {BARE: _BARE_PORT}
    own = (network_peers.wpod_published(inner, native, ()), network_peers.wasm_published(inner, wasm))
    others = stack.enter_context(network_peers.podmans(inner, archives[0], native, (), skipped))
    for containers in (*own, *others):
        stack.enter_context(network_peers.running(containers, _NUMBER))
        ports[containers.label] = network_peers.port_of(containers.label, _NUMBER)
    return ports


@contextlib.contextmanager
def _alone(program: Path) -> Iterator[None]:
    with subprocess.Popen([str(program), str(_BARE_PORT)], stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            if server.stdout.readline() != b"ready\n":
                raise commands.CommandFailed(f"the server can't listen on port {_BARE_PORT}")
            yield
        finally:
            server.kill()


def _asking(kind: Kind, port: int, turns: _Turns) -> Callable[[int], float]:
    """One turn: seconds per request or per MB, or the median of the seconds that a request took."""
    size = ("-t", "1", "-c", str(kind.connections), "-d", f"{turns.seconds}s", "--latency")
    command = ("wrk", *size, f"http://127.0.0.1:{port}/{kind.size}")

    def measure(_turn: int) -> float:
        median, rate = told(commands.output_of(command))
        return median if kind is Kind.LATENCY else 1 / rate

    return measure


def told(output: str) -> tuple[float, float]:
    """The median latency in seconds and the requests per second that wrk tells. Raises CommandFailed for errors."""
    median = re.search(r"^\s+50%\s+([\d.]+)(us|ms|s)$", output, re.MULTILINE)
    rate = re.search(r"^Requests/sec:\s+([\d.]+)$", output, re.MULTILINE)
    errors = re.search(r"^\s+(Socket errors|Non-2xx).*$", output, re.MULTILINE)
    if median is None or rate is None or errors is not None or float(rate[1]) == 0:
        raise commands.CommandFailed(f"wrk: {errors[0].strip() if errors else output.strip() or 'no answers'}")
    return float(median[1]) * _UNITS[median[2]], float(rate[1])


def _figures(kind: Kind, times: dict[str, list[float]]) -> list[Figure]:
    pairs = {(WPOD, SLIRP): GOAL, (WPOD, PASTA): GOAL, (WPOD, BARE): None, (WASM, BARE): None}
    return [_ratio(kind, pair, times, goal) for pair, goal in pairs.items() if pair[1] in times]


def ratio_name(kind: Kind, ours: str, theirs: str) -> str:
    """The name of a figure: what one takes beside the other."""
    return f"{kind.words}, {ours} to {theirs}"


def _ratio(kind: Kind, pair: tuple[str, str], times: dict[str, list[float]], goal: float | None) -> Figure:
    rows = [times[label] for label in pair]
    medians = " and ".join(f"{paired.spread(row).median * 1e6:.0f}" for row in rows)
    return of_ratio(ratio_name(kind, *pair), paired.ratio(rows[0], rows[1]), goal, f"medians {medians} µs")
