"""The network's helpers in the figures: rows of their own, and divided among those whom they serve."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from tests.support.command import Wpod, eventually


def _helper_bytes(text: str) -> dict[str, int]:
    """Memory of helpers by name, out of OpenMetrics text; monitors together."""
    found: dict[str, int] = {}
    for name, amount in re.findall(r'^wpod_helper_memory_bytes\{name="([^"]+)".*\} (\d+)$', text, re.MULTILINE):
        found[name] = found.get(name, 0) + int(amount)
    return found


def _parts(text: str, part: str) -> dict[str, int]:
    pattern = rf'^wpod_container_memory_bytes\{{.*name="([^"]+)",part="{part}"\}} (\d+)$'
    return {name: int(amount) for name, amount in re.findall(pattern, text, re.MULTILINE)}


def test_helpers_are_divided_among_those_whom_they_serve(networked: Wpod) -> None:
    image = networked("images", "--quiet").ok().line
    networked("network", "create", "named").ok()
    networked("run", "-d", "--name", "one", "--network", "named", image, "idle").ok()
    networked("run", "-d", "--name", "two", "--network", "named", image, "idle").ok()
    networked("run", "-d", "--name", "alone", "--network", "none", image, "idle").ok()
    text = networked("stats", "--format", "openmetrics").ok().out
    helpers, shares = _helper_bytes(text), _parts(text, "helpers")
    assert set(helpers) == {
        "monitor", "aardvark-dns", *(["network holder", "pasta"] if networked.account.uid else []),
    }  # fmt: skip
    assert sum(helpers.values()) == sum(shares.values()), "divided, and nothing is left"
    common = sum(amount for name, amount in helpers.items() if name != "monitor")
    monitor = shares["alone"]
    assert 16 << 10 < monitor < 1 << 20
    for name in ("one", "two"):
        assert abs(shares[name] - monitor - common // 2) <= 64 << 10
    host = dict(re.findall(r'^wpod_host_memory_bytes\{part="([a-z]+)"\} (-?\d+)$', text, re.MULTILINE))
    assert int(host["helpers"]) == sum(helpers.values())
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert sum(int(amount) for amount in host.values()) == total


def test_looking_keeps_no_helper_alive(networked: Wpod) -> None:
    """A sampler that goes on sees the last container go, and the helpers with it."""
    image = networked("images", "--quiet").ok().line
    networked("run", "-d", "--name", "one", "--network", "bridge", image, "idle").ok()
    process = networked.start("stats", "--all", "--interval", "1", "--output", "csv")
    eventually(lambda: networked("stats", "--format", "openmetrics").ok().out.count("wpod_helper_memory_bytes{"))
    networked("rm", "--force", "--time", "0", "one").ok()

    def helpers() -> int:
        text = networked("stats", "--format", "openmetrics").ok().out
        return text.count("wpod_helper_memory_bytes{")

    eventually(lambda: helpers() == 0)
    process.terminate()
    rows = list(csv.DictReader(io.StringIO(networked.finish(process, ("stats",)).out)))
    assert all(row["name"] == "one" for row in rows)
