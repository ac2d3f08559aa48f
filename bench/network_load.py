"""Many containers and many changes on one network of a user: what is right, what is left, how long it takes.

Containers that are all started at once on one network must get distinct addresses and names that all resolve; a
container that is connected and disconnected a thousand times must leave nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench import commands, figures, images, managers, network_peers, os_memory
from bench.figures import Figure, Scale, Section
from bench.managers import IDLE, Manager
from bench.os_memory import Cost, Load, Starts
from bench.workplace import Workplace

NAME = "network-load"
_TITLE = "Many containers and many changes on one network"
_NETWORK, _OTHER = "bench", "bench-other"
_COUNTS = {Scale.FULL: 200, Scale.QUICK: 6}
_ROUNDS = {Scale.FULL: 1000, Scale.QUICK: 3}
_AT_ONCE = 50  # commands at a time: each is a Python of 20 MB
_HELPERS = 3  # the holder, pasta, aardvark-dns
_SETTLE_SECONDS = 5.0
_SUBNET = "10.211.0.0/16"


def measure(place: Workplace, scale: Scale) -> Section:
    """Both. Raises CommandFailed."""
    if os.geteuid() != 0:
        return Section(NAME, _TITLE, skipped=("only root can drop the kernel's caches, and start as another user",))
    raw: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        try:
            images.require("pasta", "nft", "dig", "ip", "nsenter")
            busybox = images.busybox(place)
            inner, _ = network_peers.user_place(place, stack, (busybox,))
        except images.Missing as missing:
            return Section(NAME, _TITLE, skipped=(str(missing),))
        inner.wpod("network", "create", "--subnet", _SUBNET, _NETWORK)
        inner.wpod("network", "create", _OTHER)
        manager = managers.wpod(inner, "wpod", busybox, IDLE, ("--network", _NETWORK))
        found = _in_parallel(inner, manager, _COUNTS[scale], raw)
        found += _rounds(inner, manager, _ROUNDS[scale], raw)
    return Section(NAME, _TITLE, tuple(found), (), raw)


def _in_parallel(place: Workplace, manager: Manager, count: int, raw: dict[str, Any]) -> list[Figure]:
    """A start that fails ends the benchmark: none may."""
    seconds: list[float] = []
    wrong: list[str] = []

    def start(number: int) -> None:
        begin = time.perf_counter()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(manager.start, range(number)))
        seconds.append(time.perf_counter() - begin)
        wrong.extend(_wrong_names(place, manager, number))

    cost = os_memory.measure(Load(count, start, manager.remove, starts=Starts.AT_ONCE, helpers=_HELPERS))
    raw["in parallel"] = {"seconds": seconds, "wrong": wrong, **cost.as_json()}
    started = f"start of {count} on one network, {_AT_ONCE} commands at a time"
    judged = f"no address twice, each name leads to its container; {'; '.join(wrong[:3])}".rstrip("; ")
    return [
        Figure(started, seconds[0], "s", note="none failed"),
        Figure(f"wrong addresses or names of {count}", len(wrong), "", 0.0, note=judged),
        _memory(cost, count),
    ]


def _memory(cost: Cost, count: int) -> Figure:
    note = f"not judged: {cost.doubt}" if cost.doubt else f"once; {cost.processes} processes"
    return Figure(f"OS memory of each of {count} on a network with names", cost.total, "kB", note=note)


def _wrong_names(place: Workplace, manager: Manager, count: int) -> list[str]:
    """Addresses that several have, and names that don't lead to their container, in words."""
    names = [manager.name(number) for number in range(count)]
    told = json.loads(place.wpod("inspect", *names))
    addresses = {one["Name"].lstrip("/"): one["NetworkSettings"]["Networks"][_NETWORK]["IPAddress"] for one in told}
    wrong = [f"{name} has no address of its own" for name in names if _is_shared(addresses[name], addresses)]
    gateway = told[0]["NetworkSettings"]["Networks"][_NETWORK]["Gateway"]
    questions = place.new_directory("questions") / "names"
    questions.write_text("".join(f"{name}.dns.podman A\n" for name in names))
    options = ("+noall", "+answer", "+tries=2", "+time=2")
    dig = ("dig", f"@{gateway}", *options, "-f", str(questions))
    answer = commands.output_of(_inside(told[0]["State"]["Pid"], *dig))
    found = {words[0].removesuffix(".dns.podman."): words[4] for words in map(str.split, answer.splitlines()) if words}
    wrong += [f"{name} resolves to {found.get(name)}" for name in names if found.get(name) != addresses[name]]
    return wrong


def _is_shared(address: str, addresses: dict[str, str]) -> bool:
    return not address or list(addresses.values()).count(address) > 1


def _inside(pid: int, *command: str) -> tuple[str, ...]:
    """A command of root's in the network namespace of a process."""
    return ("nsenter", f"--net=/proc/{pid}/ns/net", *command)


def _rounds(place: Workplace, manager: Manager, rounds: int, raw: dict[str, Any]) -> list[Figure]:
    """The first round makes the other network's bridge, and starts what stays."""
    times: list[float] = []
    try:
        manager.start(0)
        pid = int(place.wpod("inspect", "--format", "{{.State.Pid}}", manager.name(0)))
        _round(manager)
        time.sleep(_SETTLE_SECONDS)
        before = _present(place, pid)
        for _ in range(rounds):
            times.append(_round(manager))
        time.sleep(_SETTLE_SECONDS)
        left = differences(before, _present(place, pid))
    finally:
        manager.remove(1)
    raw["rounds"] = {"seconds": times, "left": left}
    what = "interfaces, rules, leases, processes"
    return [
        figures.of_repeats("connect and disconnect", [one * 1000 for one in times], "ms", note=f"{rounds} rounds"),
        Figure(f"left by {rounds} rounds", len(left), "", 0.0, note="; ".join(left[:3]) or f"no {what}"),
    ]


def _round(manager: Manager) -> float:
    return sum(manager.seconds("network", verb, _OTHER, manager.name(0)) for verb in ("connect", "disconnect"))


def _present(place: Workplace, pid: int) -> dict[str, list[str]]:
    """What there is of each sort, as lines that can be compared."""
    (holder,) = _processes_named(place, "wpod-network")
    links = [_links(one) for one in (pid, holder)]
    rules = json.loads(commands.output_of(_inside(holder, "nft", "-j", "list", "ruleset")))["nftables"]
    with contextlib.closing(sqlite3.connect(f"file:{place.store}/wpod.db?mode=ro", uri=True)) as database:
        leases = database.execute("SELECT * FROM lease ORDER BY 1, 2").fetchall()
    return {
        "interface of the container": links[0],
        "interface of the shared namespace": links[1],
        "rule": sorted(json.dumps(one, sort_keys=True) for one in rules),
        "lease": [str(one) for one in leases],
        "process": sorted(str(one) for one in _processes_named(place, "")),
    }


def _links(pid: int) -> list[str]:
    found = json.loads(commands.output_of(_inside(pid, "ip", "-j", "link")))
    return sorted(one["ifname"] for one in found)


def _processes_named(place: Workplace, part: str) -> list[int]:
    """Processes of this place: those that name it on their command line, as all of them do."""
    needle = os.fsencode(place.directory.parent)
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{name}/cmdline").read_bytes()
            if needle in line and os.fsencode(part) in line and int(name) != os.getpid():
                found.append(int(name))
    return found


def differences(before: dict[str, list[str]], after: dict[str, list[str]]) -> list[str]:
    """What is there now and wasn't, and what is gone, in words."""
    words = []
    for what, lines in before.items():
        words += [f"{what} left: {one}" for one in after[what] if one not in lines]
        words += [f"{what} gone: {one}" for one in lines if one not in after[what]]
    return words
