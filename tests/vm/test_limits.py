"""Limits where systemd keeps the cgroups: in a scope of the container's own, below what is delegated to the user."""

from __future__ import annotations

import pytest

from tests.support.command import Result
from tests.vm.machine import Machine
from tests.vm.scripts import AS_VISITOR, KINDS, facts, scopes

users = pytest.mark.parametrize("user", ["root", "tester"])
MIB = 1 << 20


@users
def test_the_values_are_in_the_container_s_cgroup(machine: Machine, user: str) -> None:
    script = """
        for kind in wasm native; do
            wpod run -d --name $kind --memory 64m --memory-swap 96m --cpus 0.5 --pids-limit 20 \\
                localhost/probe-$kind idle
            pid=$(wpod inspect --format '{{.State.Pid}}' $kind)
            cgroup=$(sed -n 's/^0:://p' /proc/$pid/cgroup)
            echo "$kind cgroup=$cgroup"
            for file in memory.max memory.swap.max cpu.max pids.max; do
                echo "$kind $file=$(cat /sys/fs/cgroup$cgroup/$file)"
            done
        done
        echo "exec=$(wpod exec native /main read /proc/self/cgroup)"
        wpod exec native /main memory 100 || echo "exec status=$?"
        wpod rm --force --all --time 0
        """
    found = facts(machine.shell(user, script + _no_scopes(user)).ok().out)
    for kind in KINDS:
        assert found[f"{kind} cgroup"].startswith(scopes(user).removeprefix("/sys/fs/cgroup") + "/wpod-")
        assert found[f"{kind} memory.max"] == str(64 * MIB)
        assert found[f"{kind} memory.swap.max"] == str(32 * MIB)
        assert found[f"{kind} cpu.max"] == "50000 100000"
        assert found[f"{kind} pids.max"] == "20"
    assert found["exec"] == "0::/"
    assert found["exec status"] == "137"


@users
def test_memory_ends_at_the_limit(machine: Machine, user: str) -> None:
    """The kernel kills a native guest; in a wasm guest memory.grow fails before."""
    script = """
        for kind in wasm native; do
            wpod run -d --name $kind --memory 32m localhost/probe-$kind memory 100
            echo "$kind status=$(wpod wait $kind)"
            echo "$kind killed=$(wpod inspect --format '{{.State.OOMKilled}}' $kind)"
            echo "$kind said=$(wpod logs $kind)"
        done
        wpod rm --all
        """
    found = facts(machine.shell(user, script + _no_scopes(user)).ok().out)
    assert (found["native status"], found["native killed"], found["native said"]) == ("137", "true", "")
    assert (found["wasm status"], found["wasm killed"]) == ("0", "false")
    assert found["wasm said"].startswith("refused after")


def test_without_a_manager_of_the_user_limits_are_refused(machine: Machine) -> None:
    script = f"""
        cd /; systemctl stop user@1001.service
        {AS_VISITOR} wpod run -d --memory 64m localhost/probe-native idle || echo "status=$?"
        {AS_VISITOR} wpod run -d --cpus 1 localhost/probe-wasm idle || echo "status=$?"
        echo "left=$({AS_VISITOR} wpod ps --all --quiet)"
        """
    done = machine.shell("root", script).ok()
    assert done.out.splitlines() == ["status=125", "status=125", "left="], done.explain()
    errors = _errors(done)
    assert ["--memory" in errors[0], "--cpus" in errors[1]] == [True, True], done.explain()
    assert all("no manager for user 1001" in line for line in errors), done.explain()


def test_what_is_not_delegated_is_refused_by_its_name(machine: Machine) -> None:
    """Here the processor's time, which older systems don't delegate."""
    delegate = """
        mkdir -p /run/systemd/system/user@1001.service.d
        printf '[Service]\\nDelegate=\\nDelegate=memory pids\\n' > /run/systemd/system/user@1001.service.d/less.conf
        systemctl daemon-reload; systemctl stop user@1001.service
        """
    machine.shell("root", delegate).ok()
    script = """
        for kind in wasm native; do
            wpod run -d --memory 64m --cpus 1 localhost/probe-$kind idle || echo "status=$?"
        done
        wpod run --rm --memory 64m --pids-limit 5 localhost/probe-native read /sys/fs/cgroup/pids.max
        echo "left=$(wpod ps --all --quiet)"
        wpod info --format '{{.Host.CgroupControllers}} {{.Wpod.Cgroups.Limits}}'
        """
    done = machine.log_in("visitor", script)
    machine.shell("root", "rm -r /run/systemd/system/user@1001.service.d; systemctl daemon-reload").ok()
    assert done.ok().out.splitlines() == [
        "status=125", "status=125", "5", "left=",
        "[memory pids] map[cpu-shares:false cpus:false memory:true memory-swap:true pids-limit:true]",
    ], done.explain()  # fmt: skip
    assert all("--cpus" in line and "controller cpu is not delegated" in line for line in _errors(done))


def _errors(done: Result) -> list[str]:
    lines = [line for line in done.err.splitlines() if line.startswith("error:")]
    assert len(lines) == 2, done.explain()
    return lines


def _no_scopes(user: str) -> str:
    """A scope goes with its last process; this waits for it."""
    return f"\ngone() {{ ! ls -d {scopes(user)}/wpod-*; }}; await gone\n"
