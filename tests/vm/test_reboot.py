"""A power cut: what ran has ended, and can be started again."""

from __future__ import annotations

from tests.vm.machine import Machine
from tests.vm.scripts import KINDS, facts

USERS = ("root", "tester")


def test_containers_after_a_reboot(machine: Machine) -> None:
    start = """
        for kind in wasm native; do
            wpod run -d --name $kind localhost/probe-$kind idle >&2
            wpod run -d --rm --name gone-$kind localhost/probe-$kind idle >&2
        done
        echo "running=$(wpod ps --quiet | wc -l)"
        sync
        """
    for user in USERS:
        assert facts(machine.shell(user, start).ok().out) == {"running": "4"}
    machine.reset()
    again = """
        wpod ps --all --format '{{.Names}}={{.ExitCode}} {{.Exited}}'
        wpod start wasm native >&2
        for kind in wasm native; do
            echo "$kind again=$(wpod inspect --format '{{.State.Status}}' $kind)"
        done
        wpod rm --force --all --time 0 >&2
        wpod system check >&2
        """
    for user in USERS:
        done = machine.shell(user, again).ok()
        expected = dict.fromkeys(KINDS, "137 true") | {f"{kind} again": "running" for kind in KINDS}
        assert facts(done.out) == expected, done.explain()
