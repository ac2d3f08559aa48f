"""The figures of `stats` where cgroup v2 counts: each column against a known allocation, their sum against the kernel.

tests/contract/test_memory.py has the same for every kind and user without this hierarchy.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.breakdown import grew, memories, unchanged
from tests.vm.machine import Machine
from tests.vm.scripts import KINDS, facts

users = pytest.mark.parametrize("user", ["root", "tester"])
_KIB = 1 << 10
_SIZE = 8192
_LOAD = """
    for kind in wasm native; do wpod load --quiet --input /mnt/load-$kind.tar; done
    """
_STARTED = """
    started() { name=$1; shift; kind=$1; shift
        wpod run -d --name $name --memory 64m localhost/load-$kind "$@" >/dev/null
        await sh -c "wpod logs $name | grep -q ready"; }
    """


def _memories(text: str) -> dict[str, dict[str, Any]]:
    return memories(json.loads(facts(text)["stats"]))


@users
def test_each_column_is_what_was_allocated(machine: Machine, user: str) -> None:
    script = f"""{_LOAD}{_STARTED}
        started first native; started second wasm
        started sockets native sockets 4096
        set -- $(wpod logs sockets); echo "held=$2"
        started without native pairs $3
        started touched native anonymous 8192
        started shared native shared 8192
        started cached native cache /tmp/file 8192
        started wasm-without wasm
        started wasm-touched wasm anonymous 8192
        started wasm-reserved wasm reserve 8192
        echo "stats=$(wpod stats --no-stream --format json | tr -d '\\n')"
        wpod rm --force --all --time 0
        """
    out = machine.shell(user, script).ok().out
    memory, held = _memories(out), int(facts(out)["held"])
    without = memory["without"]
    for name, part, amount in (
        ("touched", "own", _SIZE), ("shared", "shared", _SIZE), ("cached", "cache", _SIZE), ("sockets", "kernel", held),
    ):  # fmt: skip
        grew(memory[name], without, part, amount)
        unchanged(memory[name], without, part)
    without = memory["wasm-without"]
    grew(memory["wasm-touched"], without, "linear", _SIZE)
    unchanged(memory["wasm-touched"], without, "linear")
    unchanged(memory["wasm-reserved"], without)
    for name in ("wasm-touched", "wasm-reserved"):
        grew(memory[name], without, "linear_size", _SIZE)


@users
def test_the_sum_is_what_the_cgroup_counts(machine: Machine, user: str) -> None:
    """What a container has alone is charged to its cgroup; shared files may be charged to another one."""
    script = f"""{_LOAD}{_STARTED}
        started first native; started second wasm
        started native native anonymous 8192; started wasm wasm anonymous 8192
        for kind in wasm native; do
            pid=$(wpod inspect --format '{{{{.State.Pid}}}}' $kind)
            cgroup=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/$pid/cgroup)
            echo "$kind current=$(cat $cgroup/memory.current)"
            echo "$kind anon=$(sed -n 's/^anon //p' $cgroup/memory.stat)"
        done
        echo "stats=$(wpod stats --no-stream --format json | tr -d '\\n')"
        wpod rm --force --all --time 0
        """
    out = machine.shell(user, script).ok().out
    memory, told = _memories(out), facts(out)
    for kind in KINDS:
        alone = memory[kind]["own"] + (memory[kind]["linear"] or 0)
        assert abs(alone - int(told[f"{kind} anon"])) <= max(alone // 50, 64 * _KIB), kind
        whole = memory[kind]["total"] - memory[kind]["helpers"]
        assert abs(whole - int(told[f"{kind} current"])) <= 1 << 20, kind


@users
def test_what_filled_a_container_before_the_kill_is_kept(machine: Machine, user: str) -> None:
    """It comes near its limit by what can be given back, then step by step by what can't.

    Without the former the kernel tells of the limit and kills in one go here, and nobody gets to look in between
    (docs/memory.md).
    """
    script = f"""{_LOAD}
        steps=$(mktemp -d)
        wpod run -d --name full --memory 32m -v $steps:/steps localhost/load-native \\
            cache /tmp/file 40960 step /steps/step
        cgroup=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/$(wpod inspect -f '{{{{.State.Pid}}}}' full)/cgroup)
        seen() {{ echo "watches=$(ls -l /proc/$(pgrep -n wpod-monitor)/fd | grep -c memory.events)" \
            "$(cat $cgroup/memory.max $cgroup/memory.events 2>/dev/null | tr '\n' ' ')"; }}
        for step in $(seq 64); do
            touch $steps/step
            for moment in $(seq 100); do [ -e $steps/step ] || break; sleep 0.05; done
            [ ! -e $steps/step ] || break  # nobody takes it away any more
            last=$(seen)
        done
        echo "seen=$last"
        echo "status=$(wpod wait full)"
        echo "hit=$(wpod inspect --format '{{{{json .Wpod.MemoryLimitHit}}}}' full)"
        wpod rm --all
        """
    found = facts(machine.shell(user, script).ok().out)
    assert found["status"] == "137"
    hit = json.loads(found["hit"])
    assert hit["LimitBytes"] == 32 << 20
    assert hit["Breakdown"], found["seen"]  # that was so once, and nobody knows why
    assert 24 << 20 <= hit["Breakdown"]["AnonymousBytes"] <= 32 << 20
    assert sum(hit["Breakdown"].values()) <= 33 << 20
