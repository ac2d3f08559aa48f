"""Draws what the comparison found: `python3 bench/plots.py RESULTS.json DIRECTORY` writes PNG and SVG files there.

    summary    memory and start-up at the greatest number of containers, as bars, for the README
    memory     memory per container over the number of containers
    start      start-up per container at each number
    flat       wpod's memory per container from 10 to 2000

Needs matplotlib and nothing of this project, so that the system's interpreter can run it beside any environment: the
only module here that imports matplotlib. Colours are mostly Okabe and Ito's, which the colour-blind tell apart; wpod's
lines are solid, the others' dashed, and each has a marker of its own.
"""

from __future__ import annotations

import json
import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Colour and marker by contestant; one that isn't listed is grey.
_STYLES = {
    "wpod wasm by one command": ("#003A5C", "v"),
    "wpod wasm": ("#0072B2", "o"),
    "wpod mixed": ("#56B4E9", "s"),
    "wpod native": ("#009E73", "D"),
    "wpod Python": ("#000000", "^"),
    "crun native": ("#E69F00", "P"),
    "runc native": ("#CC79A7", "X"),
    "podman native": ("#D55E00", "o"),
    "containerd native": ("#7A5C00", "s"),
    "podman Python": ("#000000", "v"),
}
_OTHER_STYLE = ("#777777", "o")
_NAMES = {
    "wpod wasm by one command": "wpod, wasm, by one command",
    "wpod wasm": "wpod, wasm",
    "wpod mixed": "wpod, half wasm, half native",
    "wpod native": "wpod, native busybox",
    "wpod Python": "wpod, Python on Debian",
    "crun native": "crun alone, busybox",
    "runc native": "runc alone, busybox",
    "podman native": "podman, busybox",
    "containerd native": "containerd, busybox",
    "podman Python": "podman, Python on Debian",
}
_NAME = re.compile(r"(?P<label>.+), (?P<count>\d+): (?P<what>.+)")
_MEMORY, _LINE = "memory", "line in the log"
_WIDTH_INCHES = 9.0


@dataclass(frozen=True)
class Point:
    """One figure with its spread."""

    count: int
    value: float
    low: float
    high: float


Series = dict[str, list[Point]]


def series_of(document: dict[str, Any], section: str, what: str) -> Series:
    """Points by contestant, in the order of their numbers; what isn't above zero can't be drawn and is left out."""
    found: Series = {}
    for figure in document["sections"].get(section, {}).get("figures", []):
        name = _NAME.fullmatch(figure["name"])
        if name is None or name["what"] != what or min(figure["value"], figure["low"]) <= 0:
            continue
        point = Point(int(name["count"]), figure["value"], figure["low"], figure["high"])
        found.setdefault(name["label"], []).append(point)
    return {label: sorted(points, key=lambda point: point.count) for label, points in found.items()}


def apart(positions: list[float], least: float) -> list[float]:
    """The same positions moved as little as needed for neighbours to be `least` apart, in the same order."""
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    clusters: list[list[int]] = []

    def places(cluster: list[int]) -> list[float]:
        middle = sum(positions[index] for index in cluster) / len(cluster)
        return [middle + (number - (len(cluster) - 1) / 2) * least for number in range(len(cluster))]

    for index in order:
        clusters.append([index])
        while len(clusters) > 1 and places(clusters[-1])[0] - places(clusters[-2])[-1] < least:
            clusters[-2:] = [clusters[-2] + clusters[-1]]
    moved = list(positions)
    for cluster in clusters:
        for index, place in zip(cluster, places(cluster), strict=True):
            moved[index] = place
    return moved


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 20 else f"{value:.1f}"


def _errors(points: list[Point]) -> list[list[float]]:
    return [[point.value - point.low for point in points], [point.high - point.value for point in points]]


class Drawing:
    """The pictures of one document, in one directory."""

    def __init__(self, document: dict[str, Any], directory: Path) -> None:
        import matplotlib  # type: ignore[import-not-found,unused-ignore]

        matplotlib.use("Agg")
        from matplotlib import pyplot  # type: ignore[import-not-found,unused-ignore]

        self._plot: Any = pyplot
        # The same figures give the same files.
        pyplot.rcParams.update(
            {
                "svg.hashsalt": "wpod",
                "font.size": 10.5,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "figure.facecolor": "white",
            }
        )
        self._document = document
        self._directory = directory
        machine = document["machine"]
        quick = "" if document["scale"] == "full" else "  SMALL NUMBERS: THESE FIGURES MEAN NOTHING"
        self._where = (
            f"{machine['processor']}, {machine['cores']} cores, Linux {machine['kernel'].split('-')[0]}, "
            f"{machine['distribution']}, {document['taken'][:10]}.{quick}"
        )

    def all(self) -> list[str]:
        """Draw what there are figures for; the names of the files."""
        memory = series_of(self._document, "comparison", _MEMORY)
        start = series_of(self._document, "comparison", _LINE)
        flat = series_of(self._document, "scale2000", _MEMORY)
        written: list[str] = []
        if memory and start:
            written += self._save("summary", self._summary(memory, start))
            written += self._save("memory", self._lines(memory, "OS memory per idle container"))
            written += self._save("start", self._start(start))
        if flat:
            written += self._save("flat", self._flat(flat))
        return written

    def _save(self, name: str, figure: Any) -> list[str]:
        figure.text(0.01, 0.008, self._where, fontsize=8, color="#555555", ha="left", va="bottom")
        files = [f"{name}.png", f"{name}.svg"]
        for file in files:
            metadata = {"Date": None} if file.endswith(".svg") else {"Software": None}
            figure.savefig(self._directory / file, dpi=150, metadata=metadata)
        self._plot.close(figure)
        return files

    def _summary(self, memory: Series, start: Series) -> Any:
        """Bars at the greatest number of containers, the least memory on top."""
        most = max(point.count for points in memory.values() for point in points)
        last = {label: points[-1] for label, points in memory.items() if points[-1].count == most}
        labels = sorted(last, key=lambda label: last[label].value)
        times = {label: points[-1] for label, points in start.items() if points[-1].count == most}
        figure, (left, right) = self._plot.subplots(
            1, 2, sharey=True, figsize=(_WIDTH_INCHES, 0.42 * len(labels) + 1.3), width_ratios=(4, 3)
        )
        panels = (
            (left, last, f"OS memory per container, {most} idle (kB)"),
            (right, times, "start-up to the line in the log (ms)"),
        )
        for axes, found, title in panels:
            self._bars(axes, labels, found)
            axes.set_title(title, fontsize=10, loc="left")
        left.set_yticks(range(len(labels)), [_NAMES.get(label, label) for label in labels])
        for text, label in zip(left.get_yticklabels(), labels, strict=True):
            text.set_fontweight("bold" if label.startswith("wpod wasm") else "normal")
        left.invert_yaxis()
        figure.tight_layout(rect=(0, 0.03, 1, 1))
        return figure

    def _bars(self, axes: Any, labels: list[str], found: dict[str, Point]) -> None:
        there = [(row, found[label], label) for row, label in enumerate(labels) if label in found]
        points = [point for _, point, _ in there]
        colours = ["#0072B2" if label.startswith("wpod") else "#B5B5B5" for _, _, label in there]
        axes.barh(
            [row for row, _, _ in there], [point.value for point in points], xerr=_errors(points),
            color=colours, height=0.66, error_kw={"ecolor": "#333333", "capsize": 2.5, "lw": 1},
        )  # fmt: skip
        most = max(point.high for point in points)
        for row, point, _ in there:
            axes.text(point.high + 0.015 * most, row, _number(point.value), va="center", fontsize=9.5)
        axes.set_xlim(0, most * 1.14)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="#E4E4E4", lw=0.7)
        axes.set_axisbelow(True)

    def _lines(self, series: Series, title: str) -> Any:
        """Lines over the number of containers, both axes logarithmic, each named at its end."""
        figure, axes = self._plot.subplots(figsize=(_WIDTH_INCHES, 5.6))
        for label, points in series.items():
            colour, marker = _STYLES.get(label, _OTHER_STYLE)
            axes.errorbar(
                [point.count for point in points], [point.value for point in points], yerr=_errors(points),
                color=colour, marker=marker, ms=6, lw=2 if label.startswith("wpod") else 1.4, capsize=3,
                ls="-" if label.startswith("wpod") else (0, (4, 2)),
            )  # fmt: skip
        self._logarithmic(axes, series)
        axes.set_ylabel("kB per container (logarithmic)")
        axes.set_title(title, loc="left")
        figure.tight_layout(rect=(0, 0.03, 0.68, 1))
        self._name_ends(figure, axes, series)
        return figure

    def _logarithmic(self, axes: Any, series: Series) -> None:
        counts = sorted({point.count for points in series.values() for point in points})
        values = [value for points in series.values() for point in points for value in (point.low, point.high)]
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.set_xticks([], minor=True)
        axes.set_xlabel("containers (logarithmic)")
        axes.set_ylim(min(values) / 1.25, max(values) * 1.25)
        ticks = [one * 10**power for power in range(1, 7) for one in (1, 2, 5)]
        shown = [tick for tick in ticks if min(values) / 1.25 <= tick <= max(values) * 1.25]
        axes.set_yticks(shown, [f"{tick:,}" for tick in shown])
        axes.set_yticks([], minor=True)
        axes.grid(color="#E4E4E4", lw=0.7)
        axes.set_axisbelow(True)

    def _name_ends(self, figure: Any, axes: Any, series: Series) -> None:
        """Names with the last value beside the axes, moved apart, with a thin line to where each belongs."""
        low, high = axes.get_ylim()
        span = math.log(high / low)
        ends = [points[-1] for points in series.values()]
        wanted = [math.log(point.value / low) / span for point in ends]
        line = {"arrowstyle": "-", "lw": 0.8, "shrinkA": 1, "shrinkB": 6, "relpos": (0, 0.5)}
        height = figure.get_size_inches()[1] * axes.get_position().height
        places = apart(wanted, 0.2 / height)
        for (label, points), wish, place in zip(series.items(), wanted, places, strict=True):
            colour = _STYLES.get(label, _OTHER_STYLE)[0]
            axes.annotate(
                f"{_NAMES.get(label, label)}: {_number(points[-1].value)}",
                xy=(points[-1].count, low * math.exp(wish * span)), xytext=(1.045, place), textcoords="axes fraction",
                color="#222222", va="center", fontsize=9.5, annotation_clip=False,
                fontweight="bold" if label.startswith("wpod wasm") else "normal",
                arrowprops={**line, "color": colour},
            )  # fmt: skip

    def _start(self, series: Series) -> Any:
        """A point for each number of containers; a logarithmic axis, so no bars."""
        counts = sorted({point.count for points in series.values() for point in points})
        labels = sorted(series, key=lambda label: series[label][-1].value)
        figure, axes = self._plot.subplots(figsize=(_WIDTH_INCHES, 0.46 * len(labels) + 1.7))
        shades, markers = ("#56B4E9", "#0072B2", "#D55E00", "#000000"), ("o", "s", "D", "^")
        for number, count in enumerate(counts):
            # A little above one another, for points of one contestant lie close together.
            shift = (number - (len(counts) - 1) / 2) * 0.22
            there = [
                (row + shift, point)
                for row, label in enumerate(labels)
                for point in series[label]
                if point.count == count
            ]
            axes.errorbar(
                [point.value for _, point in there], [row for row, _ in there],
                xerr=_errors([point for _, point in there]), ls="none", marker=markers[number % 4], ms=5.5,
                color=shades[number % 4], capsize=2.5, lw=1, label=f"{count} containers",
            )  # fmt: skip
        axes.set_yticks(range(len(labels)), [_NAMES.get(label, label) for label in labels])
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.set_xscale("log")
        values = [value for points in series.values() for point in points for value in (point.low, point.high)]
        axes.set_xlim(min(values) / 1.3, max(values) * 1.3)
        ticks = [one * 10**power for power in range(-1, 5) for one in (1, 2, 5)]
        shown = [tick for tick in ticks if min(values) / 1.3 <= tick <= max(values) * 1.3]
        axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
        axes.set_xticks([], minor=True)
        axes.set_xlabel("ms per container, until its line is in its log (logarithmic)")
        axes.set_title("Start-up of detached containers, one after another or by one command", loc="left")
        axes.grid(axis="x", color="#E4E4E4", lw=0.7)
        axes.set_axisbelow(True)
        for row in range(len(labels) - 1):
            axes.axhline(row + 0.5, color="#EEEEEE", lw=0.7)
        figure.legend(loc="upper right", ncols=len(counts), frameon=False, fontsize=9.5, bbox_to_anchor=(0.995, 0.075))
        figure.tight_layout(rect=(0, 0.05, 1, 1))
        return figure

    def _flat(self, series: Series) -> Any:
        """From none on, so that a slope would be seen."""
        figure, axes = self._plot.subplots(figsize=(_WIDTH_INCHES, 3.8))
        for label, points in series.items():
            colour, marker = _STYLES.get(label, _OTHER_STYLE)
            axes.errorbar(
                [point.count for point in points], [point.value for point in points], yerr=_errors(points),
                color=colour, marker=marker, ms=6, lw=2, capsize=3, label=_NAMES.get(label, label),
            )  # fmt: skip
        counts = sorted({point.count for points in series.values() for point in points})
        axes.set_xscale("log")
        axes.set_xticks(counts, [f"{count:,}" for count in counts])
        axes.set_xticks([], minor=True)
        axes.set_ylim(0, max(point.high for points in series.values() for point in points) * 1.2)
        axes.set_xlabel("containers (logarithmic)")
        axes.set_ylabel("kB per container")
        axes.set_title("OS memory per idle wasm container of wpod", loc="left")
        axes.grid(color="#E4E4E4", lw=0.7)
        axes.set_axisbelow(True)
        axes.legend(loc="lower left", frameon=False)
        figure.tight_layout(rect=(0, 0.04, 1, 1))
        return figure


def main() -> int:
    """The command. Prints the names of the files, one a line."""
    if len(sys.argv) != 3:
        print("usage: plots.py RESULTS.json DIRECTORY", file=sys.stderr)
        return 2
    document = json.loads(Path(sys.argv[1]).read_text())
    print("\n".join(Drawing(document, Path(sys.argv[2])).all()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
