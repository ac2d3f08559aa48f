"""Times compared side by side: commands in turns (A B A B …), their ratio, and how sure it is.

A machine's speed drifts, and other things run on it; in turns, that hits all alike. So a time is never quoted
alone, only as the ratio of two medians out of one row of turns. Its spread is a bootstrap interval: turns are
drawn again and again with replacement, and 90 % of the ratios that come out lie between `low` and `high`
(Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13). A turn is drawn as a whole, for what
disturbed it disturbed both.

As a command, for any two:

    python -m bench.paired -n 20 'podman ps' 'wpod ps'
    python -m bench.paired -n 20 --after 'podman rm -f a{i}; wpod rm -f b{i}' \\
        'podman run -d --name a{i} IMAGE' 'wpod run -d --name b{i} IMAGE'
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from bench import commands

_RESAMPLES = 2000
_SEED = 20_230_817  # the same samples give the same interval


@dataclass(frozen=True)
class Contestant:
    """One of those compared. `measure` does turn number i and returns its time; warm-up turns count from -1 down."""

    name: str
    measure: Callable[[int], float]


@dataclass(frozen=True)
class Ratio:
    """The first one's median divided by the second one's, and the 90 % interval of that."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Spread:
    """Least, middle and greatest of a row of times, in the unit of the times."""

    minimum: float
    median: float
    maximum: float


def alternate(contestants: Sequence[Contestant], turns: int, warm_up: int) -> dict[str, list[float]]:
    """All in turns; each one's times in the order in which they were taken, without those of the warm-up."""
    times: dict[str, list[float]] = {contestant.name: [] for contestant in contestants}
    for turn in range(-warm_up, turns):
        for contestant in contestants:
            time = contestant.measure(turn)
            if turn >= 0:
                times[contestant.name].append(time)
    return times


def ratio(first: Sequence[float], second: Sequence[float]) -> Ratio:
    """How the first one's times compare with the second one's of the same turns. Raises ValueError without any."""
    return geometric_mean([(first, second)])


def geometric_mean(pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Ratio:
    """The mean of the ratios of several pairs of rows; for its interval, the turns of each are drawn by themselves.

    Raises ValueError without any pair or where one has no times.
    """
    rows = [list(zip(first, second, strict=True)) for first, second in pairs]
    chance = random.Random(_SEED)
    drawn = sorted(_mean_of([chance.choices(turns, k=len(turns)) for turns in rows]) for _ in range(_RESAMPLES))
    return Ratio(_mean_of(rows), drawn[_RESAMPLES // 20], drawn[-_RESAMPLES // 20])


def _mean_of(rows: Sequence[Sequence[tuple[float, float]]]) -> float:
    return statistics.geometric_mean(_ratio_of_medians(turns) for turns in rows)


def _ratio_of_medians(turns: Sequence[tuple[float, float]]) -> float:
    return statistics.median(a for a, _ in turns) / statistics.median(b for _, b in turns)


def spread(times: Sequence[float]) -> Spread:
    """What to show beside a ratio. Raises ValueError (StatisticsError) without any times."""
    return Spread(min(times), statistics.median(times), max(times))


def _shell(command: str, turn: int) -> list[str]:
    return ["sh", "-c", command.replace("{i}", str(turn))]


def _contestant(name: str, command: str, after: str) -> Contestant:
    def measure(turn: int) -> float:
        return commands.seconds(_shell(command, turn))

    def measure_and_clean(turn: int) -> float:
        time = measure(turn)
        commands.run(_shell(after, turn))
        return time

    return Contestant(name, measure_and_clean if after else measure)


def main() -> int:
    """The command. Prints one JSON object; exit status 1 where a command failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=20, help="how many turns (default 20)")
    parser.add_argument("--warm-up", type=int, default=2, help="turns before them that don't count (default 2)")
    parser.add_argument("--after", default="", help="shell command after each turn, not timed; {i} is the turn")
    parser.add_argument("first", help="shell command; {i} is the turn, below 0 in the warm-up")
    parser.add_argument("second", help="what the first one is divided by")
    given = parser.parse_args()
    # What is left of a turn is removed after its second command.
    pair = [_contestant("first", given.first, ""), _contestant("second", given.second, given.after)]
    try:
        times = alternate(pair, given.n, given.warm_up)
    except commands.CommandFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    shown = {name: asdict(spread([time * 1000 for time in row])) for name, row in times.items()}
    print(json.dumps({"ratio": asdict(ratio(times["first"], times["second"])), "milliseconds": shown}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
