"""The keys that open something about one container: the pages of its detail, its inspect as a tree, why it has that."""

from __future__ import annotations

import shlex
from typing import Any

from textual.screen import Screen

from wpod.top.detail import Tab
from wpod.tui.actions import where
from wpod.tui.container_actions import ContainerActions
from wpod.tui.reading import Tree, why
from wpod.tui.views import DetailView

_COMMANDS = {Tab.LOGS: "logs -f", Tab.INSPECT: "inspect", Tab.PROCESSES: "top", Tab.MEMORY: "memory"}


class DetailActions(ContainerActions, inherit_bindings=False):
    """`_detail` shows the selected container."""

    _detail: DetailView

    @property
    def _main(self) -> Screen[Any]:
        """The screen below all dialogs."""
        return self.screen_stack[0]

    @property
    def _is_detailed(self) -> bool:
        """Whether a page of the detail is open."""
        return self._main.has_class("-detailed")

    def _show_detail(self, tab: Tab) -> None:
        self._detail.tab, self._detail.scrolled = tab, 0
        self._main.add_class("-detailed")
        self._detail.focus()
        self.look_soon()
        self.call_after_refresh(self.draw)

    def action_tab(self, name: str) -> None:
        if self.model.selected is not None:
            self._show_detail(Tab[name])
            if Tab[name] is Tab.INSPECT:
                self._open_tree()

    def action_tab_number(self, number: int) -> None:
        self.action_tab(list(Tab)[number - 1].name)

    def action_next_tab(self, steps: int) -> None:
        tabs = list(Tab)
        self._show_detail(tabs[(tabs.index(self._detail.tab) + steps) % len(tabs)])

    def _open_tree(self) -> None:
        row = self.model.selected
        if row is not None and not row.is_group:
            self.errand(self._show_tree(row.key, row.name))

    async def _show_tree(self, container_id: str, name: str) -> None:
        if self.source.replay:
            self.say("a recording has no inspect")
            return
        self.open_dialog(Tree(name, await Tree.read(container_id, self.root)))

    def action_why(self) -> None:
        """What `wpod memory` says about the selected one."""
        row = self.model.selected
        if row is None or row.is_group:
            self.say("w is about one container")
        elif self.source.replay:
            self.say("a recording can't be asked why")
        else:
            self.errand(self._show_why(row.key, row.name))

    async def _show_why(self, container_id: str, name: str) -> None:
        self.open_dialog(await why(container_id, name, self.root))

    def action_copy(self) -> None:
        """The command for what is shown."""
        items = self.model.acted_on
        verb = _COMMANDS.get(self._detail.tab, "stats") if self._is_detailed else "stats"
        text = shlex.join(("wpod", *where(self.root), *verb.split(), *(one.facts.name for one in items)))
        self.copy_to_clipboard(text)
        self.say(f"copied: {text}")
