"""What `info` says of a machine with systemd and pure cgroup v2."""

from __future__ import annotations

import pytest

from tests.vm.machine import Machine


@pytest.mark.parametrize("user", ["root", "tester"])
def test_info_names_the_hierarchy_systemd_and_what_is_delegated(machine: Machine, user: str) -> None:
    told = machine.shell(user, "wpod info --format json").ok().json
    assert told["host"]["cgroupVersion"] == "v2"
    assert told["host"]["cgroupManager"] == "systemd"
    assert {"cpu", "memory", "pids"} <= set(told["host"]["cgroupControllers"])
    assert told["Wpod"]["Cgroups"]["Mode"] == "v2"
    assert set(told["Wpod"]["Cgroups"]["Limits"].values()) == {True}
    assert told["Wpod"]["Systemd"] == {"Running": True, "Lingers": True}
    assert told["Wpod"]["Roots"]["Kind"] == "overlay"


def test_info_says_what_a_user_without_lingering_misses(machine: Machine) -> None:
    told = machine.log_in("visitor", "wpod info --format json").ok().json
    assert told["Wpod"]["Systemd"] == {"Running": True, "Lingers": False}
    assert [one["Hint"] for one in told["Wpod"]["Missing"] if one["What"] == "lingering"] == [
        "loginctl enable-linger visitor"
    ]
