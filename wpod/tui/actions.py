"""What can be done to containers from the screen: always by wpod's own command line, as a child process.

So errors, locks and what is undone after a failure are the command line's, and a failure here can't harm the screen.
"""

from __future__ import annotations

import enum
import os
import shlex
from collections.abc import Iterable, Sequence

from wpod import programs
from wpod.errors import WpodError
from wpod.frozen import frozen, replace
from wpod.output.streams import visible
from wpod.top.moment import Item, State

_SHORT_ID = 12
_ANY = frozenset(State)
_RUNNING = frozenset({State.RUNNING})
_STARTABLE = frozenset({State.CREATED, State.ENDED, State.FAILED})


class Action(enum.Enum):
    """One thing that can be done. `key` chooses it in the menu, `verb` is the word of the command line.

    `destroys` tells that it is asked about first; `unfit` says why it can't be done to what is not in `states`.
    """

    START = ("s", "Start", "start", False, _STARTABLE, "runs already")
    STOP = ("t", "Stop", "stop", True, _RUNNING, "does not run")
    RESTART = ("r", "Restart", "restart", True, _ANY, "")
    KILL = ("k", "Kill", "kill", True, _RUNNING, "does not run")
    REMOVE = ("d", "Remove", "rm", True, _ANY, "")
    PULL = ("u", "Pull image", "pull", False, _ANY, "has no image name")

    def __init__(self, key: str, label: str, verb: str, destroys: bool, states: frozenset[State], unfit: str) -> None:
        self.key = key
        self.label = label
        self.verb = verb
        self.destroys = destroys
        self.states = states
        self.unfit = unfit

    def applies(self, item: Item) -> bool:
        """Whether it can be done to this one as it is now."""
        return item.facts.state in self.states and (self is not Action.PULL or bool(item.facts.image))


@frozen
class Target:
    """One container as it was at the key press: what is done is done to this run of it or not at all."""

    container_id: str
    name: str
    started_nanoseconds: int
    image: str
    running: bool = False


@frozen
class Failure:
    """One `error:` line of the command line without that word, and its hint or "". IDs of targets are names here."""

    text: str
    hint: str = ""


@frozen
class Outcome:
    """What came of an action: the names of those it was done to, and what was said of the others.

    The names are images' where the action was to pull.
    """

    action: Action
    done: tuple[str, ...]
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...] = ()


def fitting(action: Action, items: Iterable[Item]) -> tuple[Item, ...]:
    """Those that the action can be done to, in their order."""
    return tuple(item for item in items if action.applies(item))


def targets_of(items: Iterable[Item]) -> tuple[Target, ...]:
    """What is kept of the items until the question has been answered."""
    return tuple(
        Target(
            container_id=item.container_id,
            name=item.facts.name or item.container_id[:_SHORT_ID],
            started_nanoseconds=item.facts.started_nanoseconds,
            image=item.facts.image,
            running=item.facts.state is State.RUNNING,
        )
        for item in items
    )


def still_same(targets: Iterable[Target], items_now: Iterable[Item]) -> tuple[tuple[Target, ...], tuple[Target, ...]]:
    """Those that are there as they were seen, and those that are gone or have been started since, each in order."""
    starts = {item.container_id: item.facts.started_nanoseconds for item in items_now}
    kept: list[Target] = []
    dropped: list[Target] = []
    for target in targets:
        same = starts.get(target.container_id) == target.started_nanoseconds
        (kept if same else dropped).append(target)
    return tuple(kept), tuple(dropped)


def object_names(action: Action, targets: Iterable[Target]) -> tuple[str, ...]:
    """What the action is about, for people: names of containers, or of images, each of these once."""
    if action is Action.PULL:
        return tuple(dict.fromkeys(target.image for target in targets))
    return tuple(target.name for target in targets)


def question(action: Action, targets: Sequence[Target]) -> str:
    """What is asked before it is done, in one line: `Remove 3 containers, 2 of them running?`"""
    names = object_names(action, targets)
    kind = "image" if action is Action.PULL else "container"
    # "Pull image 2 images" would say it twice.
    what = f"{action.label.split()[0]} {len(names)} {kind}{'' if len(names) == 1 else 's'}"
    running = sum(target.running for target in targets)
    if action is not Action.REMOVE or not running:
        return f"{what}?"
    return f"{what}, {'which runs' if len(names) == 1 else f'{running} of them running'}?"


def command_words(action: Action, targets: Sequence[Target], root: str = "") -> tuple[str, ...]:
    """The command line with names, to be shown. `root` is the global --root, "" where it wasn't given."""
    return ("wpod", *_words(action, targets, root), *object_names(action, targets))


def command_text(action: Action, targets: Sequence[Target], root: str = "") -> str:
    """As `command_words`, as one would type it into a shell."""
    return shlex.join(command_words(action, targets, root))


def executed_words(action: Action, targets: Sequence[Target], root: str = "") -> tuple[str, ...]:
    """The arguments that wpod gets: as `command_words` but with IDs, for a name may be another one's by now."""
    objects = object_names(action, targets) if action is Action.PULL else [target.container_id for target in targets]
    return (*_words(action, targets, root), *objects)


def where(root: str) -> tuple[str, ...]:
    """The global option that names the store, nothing for the default one."""
    return ("--root", root) if root else ()


def _words(action: Action, targets: Sequence[Target], root: str) -> tuple[str, ...]:
    # Without need --force would end one that was started since, and would be silent about one that is gone.
    force = ("-f",) if action is Action.REMOVE and any(target.running for target in targets) else ()
    return (*where(root), action.verb, *force)


async def carry_out(action: Action, targets: Sequence[Target], root: str = "") -> Outcome:
    """Do it, and tell what came of it; never raises WpodError. Cancelled, it goes on unseen."""
    if not targets:
        return Outcome(action, (), ())
    if action is not Action.PULL:
        return await _one_command(action, targets, root)
    done: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    warnings: tuple[str, ...] = ()
    # One by one: what `pull` prints are IDs, which don't tell whose image it was that failed.
    for one in {target.image: target for target in targets}.values():
        outcome = await _one_command(action, (one,), root)
        done, failures = done + outcome.done, failures + outcome.failures
        warnings += outcome.warnings
    return Outcome(action, done, failures, warnings)


async def run_own(words: Sequence[str]) -> programs.Finished:
    """This very wpod with these arguments, to its end. Raises WpodError where it can't be started."""
    return await programs.run_apart((*programs.own_command(), *words), environment=os.environ)


async def _one_command(action: Action, targets: Sequence[Target], root: str) -> Outcome:
    try:
        finished = await run_own(executed_words(action, targets, root))
    except WpodError as error:
        return Outcome(action, (), (Failure(error.message, error.hint or ""),))
    return outcome_of(action, targets, finished)


def outcome_of(action: Action, targets: Sequence[Target], finished: programs.Finished) -> Outcome:
    """What an ended command says of itself: successes are lines on stdout, failures `error:` lines on stderr."""
    failures, warnings = _told(finished.stderr, targets)
    if finished.status != 0 and not failures:
        failures = (Failure(visible(f"wpod {action.verb}: {finished.complaint}")),)
    if finished.status == 0:
        # Also those of whom --force says nothing, because they were gone already.
        return Outcome(action, object_names(action, targets), failures, warnings)
    echoed = set(finished.stdout.decode(errors="replace").split("\n"))
    done = tuple(target.name for target in targets if target.container_id in echoed)
    return Outcome(action, done, failures, warnings)


def _told(stderr: bytes, targets: Sequence[Target]) -> tuple[tuple[Failure, ...], tuple[str, ...]]:
    """The failures with their hints, and the warnings."""
    failures: list[Failure] = []
    warnings: list[str] = []
    for line in stderr.decode(errors="replace").split("\n"):
        word, _, said = line.partition(": ")
        text = visible(_with_names(said, targets))
        if word == "error":
            failures.append(Failure(text))
        elif word == "hint" and failures:
            failures[-1] = replace(failures[-1], hint=text)
        elif word == "warning":
            warnings.append(text)
    return tuple(failures), tuple(warnings)


def _with_names(text: str, targets: Sequence[Target]) -> str:
    """An ID is 64 characters that say nothing, of a line that has 80."""
    for target in targets:
        text = text.replace(target.container_id, target.name)
    return text
