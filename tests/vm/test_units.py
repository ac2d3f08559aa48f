"""Containers as services: `wpod run` without -d as the process of a unit."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.vm.machine import Machine
from tests.vm.scripts import KINDS, facts, scopes


@dataclass(frozen=True)
class Place:
    """Where units are: whose manager, and which user runs `wpod` there. `name`: the journal remembers used ones."""

    name: str
    manager: str
    user: str
    settings: str = ""

    @property
    def systemctl(self) -> str:
        return "systemctl --user" if self.manager == "tester" else "systemctl"

    @property
    def journal(self) -> str:
        return "journalctl --user-unit" if self.manager == "tester" else "journalctl --unit"

    @property
    def directory(self) -> str:
        return "$XDG_RUNTIME_DIR/systemd/user" if self.manager == "tester" else "/run/systemd/system"


_NOTHING_SET = "UnsetEnvironment=HOME XDG_RUNTIME_DIR USER LOGNAME SHELL"
PLACES = {
    "root": Place("plain", "root", "root"),
    "root, nothing set": Place("bare", "root", "root", _NOTHING_SET),
    "tester": Place("own", "tester", "tester"),
    "tester's, nothing set": Place("own-bare", "tester", "tester", _NOTHING_SET),
    "system's as tester, nothing set": Place("lent", "root", "tester", f"User=tester\n{_NOTHING_SET}"),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_a_unit_starts_lists_stops_and_starts_again(machine: Machine, place: Place) -> None:
    """Without SuccessExitStatus=, so that systemd remembers the unit's end: 143, the guest's own by SIGTERM."""
    script = f"""
        mkdir -p {place.directory}
        for kind in wasm native; do
            printf '%s\\n' '[Service]' '{place.settings}' \\
                "ExecStart=/usr/local/bin/wpod run --rm --name unit-$kind localhost/probe-$kind line hello + idle" \\
                > {place.directory}/{place.name}-$kind.service
        done
        {place.systemctl} daemon-reload
        for turn in 1 2; do
            {place.systemctl} start {place.name}-wasm {place.name}-native
            for kind in wasm native; do
                said() {{ {place.journal} {place.name}-$kind -o cat | grep -c '^hello$' | grep -q $turn; }}
                await said
                echo "$turn $kind is=$({place.systemctl} is-active {place.name}-$kind)"
            done
            {_AS[place.manager, place.user]} wpod ps --format "$turn {{{{.Names}}}}=up"
            {place.systemctl} stop {place.name}-wasm {place.name}-native
            for kind in wasm native; do
                echo "$turn $kind status=$({place.systemctl} show -P ExecMainStatus {place.name}-$kind)"
            done
        done
        echo "left=$({_AS[place.manager, place.user]} wpod ps --all --quiet)"
        {place.systemctl} reset-failed {place.name}-wasm {place.name}-native
        rm {place.directory}/{place.name}-*.service
        {place.systemctl} daemon-reload
        """
    done = machine.shell(place.manager, script).ok()
    expected = {"left": ""}
    for turn in (1, 2):
        for kind in KINDS:
            expected[f"{turn} {kind} is"] = "active"
            expected[f"{turn} unit-{kind}"] = "up"
            expected[f"{turn} {kind} status"] = "143"
    assert facts(done.out) == expected, done.explain()
    _nothing_is_left(machine, place.user)


# A manager's own user needs no more words.
_AS = {
    ("root", "root"): "",
    ("tester", "tester"): "",
    ("root", "tester"): "setpriv --reuid=tester --regid=tester --init-groups --reset-env env --chdir=/",
}


@pytest.mark.parametrize("user", ["root", "tester"])
def test_the_unit_that_is_installed(machine: Machine, user: str) -> None:
    """wpod@.service: configured by a file, ended by SIGTERM without having failed, started again after a crash."""
    systemctl = "systemctl --user" if user == "tester" else "systemctl"
    journal = "journalctl --user-unit" if user == "tester" else "journalctl --unit"
    script = f"""
        directory={"$HOME/.config" if user == "tester" else "/etc"}/wpod
        mkdir -p $directory
        for kind in wasm native; do
            printf '%s\\n' IMAGE=localhost/probe-$kind OPTIONS="--env GREETING=hello --label a=b" \\
                'ARGUMENTS=report + idle' > $directory/$kind.conf
        done
        {systemctl} daemon-reload
        {systemctl} start wpod@wasm wpod@native
        for kind in wasm native; do
            said() {{ [ $({journal} wpod@$kind -o cat | grep -c GREETING=hello) = $times ]; }}
            times=1; await said
            {systemctl} kill --signal=KILL wpod@$kind
            times=2; await said
            echo "$kind restarts=$({systemctl} show -P NRestarts wpod@$kind)"
        done
        wpod ps --format '{{{{.Names}}}}=up'
        {systemctl} stop wpod@wasm wpod@native
        echo "failed=$({systemctl} list-units --failed --plain --no-legend 'wpod*')"
        echo "left=$(wpod ps --all --quiet)"
        rm -r $directory
        """
    done = machine.shell(user, script).ok()
    expected = {"failed": "", "left": ""}
    for kind in KINDS:
        expected |= {f"{kind} restarts": "1", kind: "up"}
    found = facts(done.out)
    assert {name: found.get(name) for name in expected} == expected, done.explain()
    _nothing_is_left(machine, user)


@pytest.mark.parametrize("user", ["root", "tester"])
def test_limits_of_a_container_that_is_a_unit(machine: Machine, user: str) -> None:
    """The scope is the user's, the process the unit's: systemd stops it all the same."""
    script = """
        for kind in wasm native; do
            printf '%s\\n' '[Service]' User=USER 'UnsetEnvironment=HOME XDG_RUNTIME_DIR' \\
                "ExecStart=/usr/local/bin/wpod run --rm --memory 64m localhost/probe-$kind line hello + idle" \\
                > /run/systemd/system/limited-$kind.service
        done
        systemctl daemon-reload
        systemctl start limited-wasm limited-native
        for kind in wasm native; do
            pid=$(systemctl show -P MainPID limited-$kind)
            placed() { grep -q /wpod- /proc/$pid/cgroup; }
            await placed
            echo "$kind limit=$(cat /sys/fs/cgroup$(sed -n 's/^0:://p' /proc/$pid/cgroup)/memory.max)"
            said() { journalctl _PID=$pid -o cat | grep -q '^hello$'; }
            await said
        done
        systemctl stop limited-wasm limited-native
        for kind in wasm native; do
            echo "$kind status=$(systemctl show -P ExecMainStatus limited-$kind)"
        done
        systemctl reset-failed limited-wasm limited-native
        rm /run/systemd/system/limited-*.service
        systemctl daemon-reload
        """
    done = machine.shell("root", script.replace("USER", user)).ok()
    expected = {f"{kind} {what}": value for kind in KINDS for what, value in (("limit", "67108864"), ("status", "143"))}
    assert facts(done.out) == expected, done.explain()
    _nothing_is_left(machine, user)


def _nothing_is_left(machine: Machine, user: str) -> None:
    store = "/var/lib/wpod" if user == "root" else "~tester/.local/share/wpod"
    # The next command that writes removes what ended containers with --rm leave.
    machine.shell(user, "wpod rm --all").ok()
    script = f"""
        gone() {{ ! pgrep wpod-; }}; await gone
        gone() {{ ! ls -d {scopes(user)}/wpod-*; }}; await gone
        ls {store}/containers; grep {store} /proc/mounts || true
        """
    assert machine.shell("root", script).ok().out == ""
