"""What is read about one container: why it has its memory, and its inspect as a tree; both from the command line."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import rich.text
from textual import widgets
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static
from textual.widgets.tree import TreeNode

from wpod.errors import WpodError
from wpod.output.streams import visible
from wpod.tui.actions import run_own, where
from wpod.tui.dialogs import Dialog, plain
from wpod.tui.scrolling import Scrolling

_LONGEST_VALUE = 2000


async def _asked(words: tuple[str, ...], root: str) -> tuple[bool, str]:
    """What wpod says to these words: whether it is an answer, and the text."""
    try:
        finished = await run_own((*where(root), *words))
    except WpodError as error:
        return False, error.message
    if finished.status:
        return False, finished.stderr.decode(errors="replace").strip()
    return True, finished.stdout.decode(errors="replace")


class Text(Scrolling):
    """Text to read."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("w,enter", "close", "Close", show=False)]

    def __init__(self, title: str, text: str) -> None:
        super().__init__(title, Static(plain(text)))


async def why(container_id: str, name: str, root: str) -> Text:
    """What `wpod memory` says about it."""
    _, text = await _asked(("memory", container_id), root)
    return Text(f"why {name}", text.replace(container_id, name))


class Tree(Dialog[None]):
    """A document as a tree, opened at its first level."""

    DEFAULT_CSS = """
    Tree > #tree {
        width: 100%;
        height: 100%;
        border: round $primary;
        background: $surface;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,d", "close", "Close", show=False)]

    def __init__(self, title: str, document: object) -> None:
        super().__init__()
        self._heading, self._document = title, document

    @staticmethod
    async def read(container_id: str, root: str) -> object:
        """What `wpod inspect` says; an error as a document."""
        answered, text = await _asked(("container", "inspect", container_id), root)
        if not answered:
            return {"error": text}
        found: list[object] = json.loads(text)
        return found[0] if found else {}

    def compose(self) -> ComposeResult:
        """See `textual.widget.Widget.compose`."""
        tree: widgets.Tree[None] = widgets.Tree(_text(self._heading), id="tree")
        tree.border_subtitle = plain("Enter: fold  Esc: close").markup
        ascii_only = self.app.has_class("-ascii")
        if ascii_only:
            tree.show_guides, tree.ICON_NODE, tree.ICON_NODE_EXPANDED = False, "+ ", "- "
        _grow(tree.root, self._document, ascii_only=ascii_only)
        tree.root.expand()
        yield tree

    def on_mount(self) -> None:
        self.query_one("#tree").focus()

    def action_close(self) -> None:
        self.answer(None)


def _text(words: str) -> rich.text.Text:
    """As it is, not markup."""
    return rich.text.Text(visible(words))


def _grow(node: TreeNode[None], value: Any, *, ascii_only: bool) -> None:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        if isinstance(inner, (dict, list)) and inner:
            _grow(node.add(_text(_shown(key, ascii_only=ascii_only))), inner, ascii_only=ascii_only)
        else:
            value_text = json.dumps(inner, ensure_ascii=ascii_only)[:_LONGEST_VALUE]
            node.add_leaf(_text(f"{_shown(key, ascii_only=ascii_only)}: {value_text}"))


def _shown(key: object, *, ascii_only: bool) -> str:
    return json.dumps(str(key))[1:-1] if ascii_only else str(key)
