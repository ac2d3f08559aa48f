"""The keys that change something: what is done to containers, and the question before it.

The targets are taken when the key is pressed; while a menu or question is open the rows are held, and what has been
started anew meanwhile is left alone.
"""

from __future__ import annotations

import asyncio
from typing import Any

from textual.screen import Screen

from wpod.top.moment import Item
from wpod.tui.actions import Action, Outcome, Target, carry_out, fitting, still_same, targets_of
from wpod.tui.dialogs import ActionMenu, Confirm
from wpod.tui.feed import Source
from wpod.tui.view_actions import ViewActions


class ContainerActions(ViewActions, inherit_bindings=False):
    """`source` is where the rows come from: nothing can be done to those of a recording."""

    source: Source

    def __init__(self) -> None:
        super().__init__()
        self._errands: set[asyncio.Task[None]] = set()

    def look_soon(self) -> None:
        """Something has changed: look at once."""
        raise NotImplementedError

    @property
    def root(self) -> str:
        """The global --root, "" where it was not given."""
        return self.source.root or ""

    def open_dialog(self, dialog: Screen[Any], answered: Any = None) -> None:
        """Open something above the rows, which stay as they are until it closes."""
        self.model.hold()

        def closed(answer: Any) -> None:
            self.model.release()
            if answered is not None:
                answered(answer)
            self.draw()

        self.push_screen(dialog, closed)

    def action_menu(self) -> None:
        """What can be done to the tagged ones, or to the selected one."""
        items = self.model.acted_on
        if not self._may_act(items):
            return
        targets = targets_of(items)
        self.open_dialog(ActionMenu(items), lambda action: self._ask(action, items, targets) if action else None)

    def action_act(self, name: str) -> None:
        items = self.model.acted_on
        if self._may_act(items):
            self._ask(Action[name], items, targets_of(items))

    def _may_act(self, items: list[Item]) -> bool:
        if self.source.replay:
            self.say("a recording can't be changed")
        elif self.model.steps_back:
            self.say("this is the past: 0 goes back to live")
        elif not items:
            self.say("there is no container here")
        else:
            return True
        return False

    def _ask(self, action: Action, items: list[Item], targets: tuple[Target, ...]) -> None:
        fit = {item.container_id for item in fitting(action, items)}
        chosen = tuple(one for one in targets if one.container_id in fit)
        if not chosen:
            self.say(f"{action.label}: {action.unfit or 'fits none of them'}")
        elif action.destroys:
            self.open_dialog(Confirm.of(action, chosen, self.root),
                             lambda yes: self.errand(self._do(action, chosen)) if yes else None)  # fmt: skip
        else:
            self.errand(self._do(action, chosen))

    async def _do(self, action: Action, targets: tuple[Target, ...]) -> None:
        now = self.model.moment.items if self.model.moment is not None else ()
        kept, dropped = still_same(targets, now)
        if not kept:
            self.say(f"{action.label}: gone meanwhile")
            return
        self.say(f"{action.label}: {len(kept)} …")
        outcome = await carry_out(action, kept, self.root)
        self.model.untag()
        self.say(_outcome_words(outcome, len(dropped)))
        self.look_soon()

    def errand(self, work: Any) -> None:
        """Something that takes time, beside everything else."""
        task = asyncio.ensure_future(work)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)


def _outcome_words(outcome: Outcome, dropped: int) -> str:
    if outcome.failures:
        first = outcome.failures[0]
        more = f" (and {len(outcome.failures) - 1} more)" if len(outcome.failures) > 1 else ""
        return f"error: {first.text}{more}" + (f"; hint: {first.hint}" if first.hint else "")
    gone = f", {dropped} were gone" if dropped else ""
    return f"{outcome.action.label}: {', '.join(outcome.done[:4]) or 'nothing'}{gone}"
