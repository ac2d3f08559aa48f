"""The keys that change only how the model is shown: sorting, grouping, columns, tags, the past."""

from __future__ import annotations

from textual.app import App

from wpod.top.columns import layout
from wpod.top.figures import focusable
from wpod.top.model import Model
from wpod.top.rows import Sort


class ViewActions(App[int], inherit_bindings=False):
    """What each key does is said in the table of keys (wpod/tui/keys.py)."""

    model: Model

    @property
    def board_width(self) -> int:
        """The cells of a line of the table."""
        raise NotImplementedError

    def draw(self) -> None:
        """Show the model as it is."""
        raise NotImplementedError

    def say(self, words: str) -> None:
        """A line at the bottom for some seconds; draws."""
        raise NotImplementedError

    def action_sort(self, name: str) -> None:
        self.model.sort_by(Sort(name))
        self.say(f"sorted by {name}{', least first' if self.model.arrangement.inverted else ''}")

    def action_invert(self) -> None:
        self.model.invert()
        self.draw()

    def action_group(self) -> None:
        self.model.group_next()
        self.say(f"grouped by {self.model.arrangement.group.value}")

    def action_unfold(self, unfolded: bool) -> None:
        row = self.model.selected
        if row is not None:
            self.model.unfold(row, unfolded=unfolded)
        self.draw()

    def action_hide_ended(self) -> None:
        self.model.hide_ended()
        self.draw()

    def action_helpers(self) -> None:
        self.model.show_helpers()
        self.draw()

    def action_columns(self) -> None:
        self.model.next_columns()
        self.draw()

    def action_scale(self) -> None:
        self.model.next_scale()
        self.say(f"bars: {self.model.scale.value}")

    def action_exact(self) -> None:
        self.model.exact = not self.model.exact
        self.say("every byte" if self.model.exact else "amounts are binary: 1K is 1024 bytes")

    def action_figure(self, steps: int) -> None:
        self.model.focus_figure(steps, focusable(layout(self.model, self.board_width)))
        self.draw()

    def action_follow(self) -> None:
        self.model.follows = not self.model.follows
        self.say("follows the row" if self.model.follows else "the view stays where it is")

    def action_tag(self) -> None:
        self.model.toggle_tag()
        self.draw()

    def action_tag_all(self) -> None:
        self.model.tag_all()
        self.draw()

    def action_untag(self) -> None:
        self.model.untag()
        self.draw()

    def action_step(self, steps: int) -> None:
        self.model.step(steps)
        self.draw()

    def action_live(self) -> None:
        self.model.frozen = False
        self.model.step(-self.model.steps_back)
        self.draw()

    def action_mark(self) -> None:
        self.model.mark()
        self.say("±/min counts since this mark" if self.model.baseline is not None else "±/min is over 5 minutes")
