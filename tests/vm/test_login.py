"""Containers and the end of a login session: `tester` lingers, `visitor` doesn't."""

from __future__ import annotations

import pytest

from tests.vm.machine import Machine
from tests.vm.scripts import KINDS, facts

# Logind ends a user's manager ten seconds after the last session.
_MANAGER_GONE = "gone() { ! systemctl is-active user@1001.service; }; await gone"
_ENDED = "wpod ps --all --format '{{.Names}}={{.ExitCode}} {{.Exited}}'"


@pytest.mark.parametrize("user", ["root", "tester"])
def test_detached_containers_outlive_the_session_of_root_and_of_one_who_lingers(machine: Machine, user: str) -> None:
    start = """
        echo "session=$XDG_SESSION_ID"
        for kind in wasm native; do
            wpod run -d --name $kind localhost/probe-$kind idle
            wpod run -d --name $kind-limited --pids-limit 9 localhost/probe-$kind idle
        done
        """
    started = machine.log_in(user, start).ok()
    assert started.err == "", started.explain()
    session = facts(started.out)["session"]
    # What was started in the session keeps its scope, which is of no session that logind still counts on.
    machine.shell(
        "root", f'closed() {{ [ "$(loginctl show-session {session} -P State)" != active ]; }}; await closed'
    ).ok()
    listed = machine.shell(user, "wpod ps --format '{{.Names}}'; wpod rm --force --all --time 0 >&2").ok()
    assert sorted(listed.out.split()) == sorted([*KINDS, *(f"{kind}-limited" for kind in KINDS)])


def test_who_does_not_linger_is_warned_once(machine: Machine) -> None:
    """And the warning is true of what is in a scope of the user's manager."""
    script = """
        wpod run -d --name plain localhost/probe-wasm line 1
        wpod run -d --name limited --network none --pids-limit 9 localhost/probe-native idle
        wpod wait plain >&2
        echo --- >&2
        wpod start plain limited
        wpod wait plain
        """
    done = machine.log_in("visitor", script).ok()
    first, second = done.err.split("---\n")
    assert [line.partition("lingering is off: this container ")[2] for line in _warnings(first)] == [
        "may end with your session (loginctl enable-linger visitor keeps it)",
        "ends with your last session (loginctl enable-linger visitor keeps it)",
    ], done.explain()
    assert len(_warnings(second)) == 1, done.explain()
    machine.shell("root", _MANAGER_GONE).ok()
    after = machine.log_in("visitor", f"{_ENDED}; wpod rm --all >&2").ok()
    assert facts(after.out) == {"plain": "0 true", "limited": "143 true"}


def test_enabling_lingering_is_what_the_warning_says(machine: Machine) -> None:
    machine.shell("root", "loginctl enable-linger visitor").ok()
    done = machine.log_in("visitor", "wpod run -d --name limited --pids-limit 9 localhost/probe-native idle").ok()
    assert done.err == "", done.explain()
    # Longer than logind waits before it ends the manager of a user without lingering.
    machine.shell("root", "sleep 12; systemctl is-active user@1001.service").ok()
    after = machine.log_in("visitor", "wpod ps --format '{{.Names}}'; wpod rm --force --all --time 0 >&2").ok()
    assert after.out == "limited\n"
    machine.shell("root", "loginctl disable-linger visitor").ok()


def test_a_session_that_is_killed_takes_its_containers_along(machine: Machine) -> None:
    """Where the administrator wants it so (logind.conf(5), KillUserProcesses=); "may end" in the warning."""
    configuration = """
        mkdir -p /run/systemd/logind.conf.d
        printf '[Login]\\nKillUserProcesses=yes\\n' > /run/systemd/logind.conf.d/kill.conf
        systemctl restart systemd-logind.service
        """
    machine.shell("root", configuration).ok()
    done = machine.log_in("visitor", "wpod run -d --name plain localhost/probe-wasm idle")
    machine.shell(
        "root", f"{_MANAGER_GONE}; rm -r /run/systemd/logind.conf.d; systemctl restart systemd-logind.service"
    ).ok()
    assert len(_warnings(done.ok().err)) == 1
    after = machine.log_in("visitor", f"{_ENDED}; wpod rm --all >&2").ok()
    assert facts(after.out) == {"plain": "143 true"}


def _warnings(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("warning:")]
