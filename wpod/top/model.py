"""What `wpod top` shows at this time and how: the moments taken in, the view, the cursor, tags. No terminal here.

Theory of operation. A moment comes in by `take`; each key changes the view by one method. `rows` is computed at most
once for each change. The cursor is a key of a row (an ID), never a number of a line: rows that move take it along.
While something is open on top of the table (`hold`), or it is frozen, moments go into the history and not on the
screen: what was seen when a key was pressed is what the key is about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from wpod.enumeration import Enum
from wpod.frozen import replace
from wpod.model.memory import UNKNOWN, Breakdown
from wpod.model.sample import HostSample
from wpod.top.bar import Scale
from wpod.top.filter import Filter
from wpod.top.history import PLACES, STEP_SECONDS, History
from wpod.top.moment import Facts, Item, Moment, State
from wpod.top.rows import Arrangement, Group, Row, Sort, arranged

HELPERS = "helpers"  # the kind of their rows
_VANISHED_SECONDS = 5.0
_SERVED_NAMED = 3
_FRESH_MEMBERS = 16
_BILLION = 1_000_000_000
_NO_CGROUPS = "no memory cgroups (--memory): cache, pressure and a part of kernel memory are unknown"

T = TypeVar("T", bound=Enum)


class Columns(Enum):
    """Which columns are shown."""

    MEMORY = "memory"
    PARTS = "parts"
    WORK = "work"
    IDENTITY = "identity"


class Model:
    """One session. `moment` is None before the first one came."""

    def __init__(self) -> None:
        self.history = History()
        self.moment: Moment | None = None
        self.arrangement = Arrangement()
        self.columns = Columns.MEMORY
        self.scale = Scale.COMMON
        self.exact = False
        self.shows_helpers = False
        self.follows = True
        self.cursor = ""
        self.figure = ""  # the title of the focused column
        self.tags: set[str] = set()
        self.frozen = False
        self.steps_back = 0
        self.baseline: int | None = None
        self._live: Moment | None = None
        self._held = 0
        self._lingering: dict[str, tuple[Item, int]] = {}
        self._filter = ""
        self._rows: list[Row] | None = None

    # --- what comes in

    def take(self, moment: Moment) -> bool:
        """A new moment; whether what is shown has changed."""
        self._note_vanished(moment)
        self._live = moment
        self.history.add(moment)
        if self.frozen or self._held or self.steps_back:
            return False
        self.moment = moment
        self._rows = None
        self.tags &= {item.container_id for item in moment.items}
        return True

    def _note_vanished(self, moment: Moment) -> None:
        now = moment.wall_nanoseconds
        present = {item.container_id for item in moment.items}
        for item in self._live.items if self._live is not None else ():
            if item.container_id not in present and item.container_id not in self._lingering:
                until = now + int(_VANISHED_SECONDS * _BILLION)
                self._lingering[item.container_id] = (item, until)
        self._lingering = {
            key: (item, until) for key, (item, until) in self._lingering.items() if until > now and key not in present
        }

    def hold(self) -> None:
        """Something opens on top of the rows: they stay as they are until as many `release` have come."""
        self._held += 1

    def release(self) -> None:
        """It has closed."""
        self._held = max(0, self._held - 1)
        self._show_newest()

    def _show_newest(self) -> None:
        if not (self.frozen or self._held or self.steps_back) and self._live is not None:
            self.moment = self._live
            self._rows = None

    # --- what is shown

    @property
    def rows(self) -> list[Row]:
        """The rows in their order."""
        if self._rows is None:
            self._rows = self._computed()
        return self._rows

    def _computed(self) -> list[Row]:
        moment = self.moment
        if moment is None:
            return []
        items = [*moment.items, *self._vanished(moment)]
        if self.shows_helpers:
            items += helper_items(moment)
        chosen = Filter(self._filter, self._growth_of, moment.wall_nanoseconds).chosen(items)
        rows = arranged(chosen, self.arrangement, self._growth)
        gone = {item.container_id for item in self._vanished(moment)}
        return [replace(row, vanished=True) if row.key in gone else row for row in rows] if gone else rows

    def _vanished(self, moment: Moment) -> list[Item]:
        """Those that linger and aren't in what is shown, which may be held or frozen."""
        if self.steps_back or not self._lingering:
            return []
        present = {item.container_id for item in moment.items}
        return [item for key, (item, _) in self._lingering.items() if key not in present]

    def _growth(self, container_ids: Iterable[str]) -> float | None:
        return self.history.growth(container_ids, self.baseline)

    def _growth_of(self, item: Item) -> float | None:
        return self._growth((item.container_id,))

    def machine_growth(self, of: Callable[[HostSample], int]) -> float | None:
        """The slope of a figure of the machine, in bytes a minute."""
        return self.history.machine_growth(of, self.baseline)

    @property
    def position(self) -> int:
        """The line that the cursor is on. Where its row has gone, the next best one takes it over.

        That is the one in which its container is now: folded with a replica that has come, or alone again.
        """
        rows = self.rows
        number = next((at for at, row in enumerate(rows) if row.key == self.cursor), None)
        if number is None and self._under_cursor is not None:
            before = _ids((self._under_cursor,))
            number = next((at for at, row in enumerate(rows) if not before.isdisjoint(_ids((row,)))), None)
        if number is None:
            number = min(self._last_position, max(0, len(rows) - 1))
        if rows:
            self._put_cursor(number)
        return number

    def _put_cursor(self, number: int) -> None:
        row = self.rows[number]
        self.cursor, self._last_position, self._under_cursor = row.key, number, row

    _last_position = 0
    _under_cursor: Row | None = None  # as it was last seen

    @property
    def selected(self) -> Row | None:
        """The row under the cursor."""
        position = self.position
        return self.rows[position] if self.rows else None

    def wanted(self, lines: Iterable[Row]) -> set[str]:
        """The containers whose figures shall be fresh, for these rows; members of large groups come in turns."""
        return {item.container_id for row in lines if len(row.items) <= _FRESH_MEMBERS for item in row.items}

    @property
    def seconds_back(self) -> float:
        """How far in the past the shown moment is."""
        return self.steps_back * STEP_SECONDS

    # --- moving

    def move(self, lines: int) -> None:
        """The cursor goes down, or up for less than 0, and stops at the ends."""
        self.move_to(self.position + lines)

    def move_to(self, line: int) -> None:
        """The cursor goes to a line, or the nearest that there is."""
        if self.rows:
            self._put_cursor(max(0, min(line, len(self.rows) - 1)))

    # --- the view

    @property
    def filter_text(self) -> str:
        """The words that rows are filtered by."""
        return self._filter

    def set_filter(self, text: str) -> None:
        """Raises UsageError for one that can't be understood; then the one before stays."""
        Filter(text, self._growth_of, 0)
        self._filter = text
        self._rows = None

    def sort_by(self, sort: Sort) -> None:
        """The same one again inverts."""
        before = self.arrangement
        inverted = not before.inverted if before.sort is sort else False
        self._arrange(replace(before, sort=sort, inverted=inverted))

    def invert(self) -> None:
        """Least first, or greatest first again."""
        self._arrange(replace(self.arrangement, inverted=not self.arrangement.inverted))

    def group_next(self) -> None:
        """The next way to group."""
        self._arrange(replace(self.arrangement, group=_after(Group, self.arrangement.group)))

    def hide_ended(self) -> None:
        """Hide those that don't run, or show them again."""
        self._arrange(replace(self.arrangement, hides_ended=not self.arrangement.hides_ended))

    def unfold(self, row: Row, *, unfolded: bool) -> None:
        """Show the members of a group, or no more. Of a member, the group is folded and gets the cursor."""
        if not row.is_group:
            owner = next((one for one in self.rows if one.is_group and row.item in one.items), None)
            if unfolded or owner is None or not row.depth:
                return
            row = owner
            self.cursor = row.key
        keys = self.arrangement.unfolded
        self._arrange(replace(self.arrangement, unfolded=keys | {row.key} if unfolded else keys - {row.key}))

    def _arrange(self, arrangement: Arrangement) -> None:
        self.arrangement = arrangement
        self._rows = None

    def show_helpers(self) -> None:
        """Show the helpers as rows of their own, or only as the pinned one."""
        self.shows_helpers = not self.shows_helpers
        self._rows = None

    def next_columns(self) -> None:
        """The next set of columns."""
        self.columns = _after(Columns, self.columns)
        self.figure = ""

    def focus_figure(self, steps: int, titles: Sequence[str]) -> None:
        """So many columns on among these, which are on the screen; past either end none is focused."""
        places = ["", *titles]
        at = places.index(self.figure) if self.figure in places else 0
        self.figure = places[(at + steps) % len(places)]

    def next_scale(self) -> None:
        """The next meaning of the bars' length."""
        self.scale = _after(Scale, self.scale)

    def mark(self) -> None:
        """Growth counts from here on; again: over five minutes."""
        self.baseline = self.history.step if self.baseline is None else None
        self._rows = None

    def freeze(self) -> None:
        """Hold the screen, or let it go on."""
        self.frozen = not self.frozen
        self._show_newest()

    def step(self, steps: int) -> None:
        """Go back in time by so many steps, or forth for less than 0; at 0 it is live again."""
        if self._live is None:
            return
        oldest = min(PLACES - 1, self.history.step - min(self.history.moments, default=self.history.step))
        self.steps_back = max(0, min(self.steps_back + steps, oldest))
        if self.steps_back:
            self.moment = self.history.past(self._live, self.steps_back)
            self._rows = None
        else:
            self._show_newest()

    # --- those that an action is about

    def toggle_tag(self) -> None:
        """Tag the row under the cursor, all its members, or take that back; the cursor goes on."""
        row = self.selected
        if row is None:
            return
        own = _ids((row,))
        self.tags = self.tags - own if own <= self.tags else self.tags | own
        self.move(1)

    def tag_all(self) -> None:
        """Tag all that the filter lets through."""
        self.tags = _ids(self.rows)

    def untag(self) -> None:
        """No one is tagged any more."""
        self.tags = set()

    @property
    def acted_on(self) -> list[Item]:
        """The tagged ones, else those of the row under the cursor; none that has gone."""
        if self.moment is None:
            return []
        row = self.selected
        keys = self.tags or (_ids((row,)) if row is not None and not row.vanished else set())
        return [item for item in self.moment.items if item.container_id in keys]

    def trouble(self) -> str:
        """What can't be read, in one line: records, memory that is another user's; "" where all can."""
        if self.moment is None:
            return ""
        if self.moment.problems:
            return self.moment.problems[0]
        found = [item for item in self.moment.items if item.problem]
        if not found:
            return ""
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        return f"{found[0].facts.name}{more}: {found[0].problem}"

    def notice(self) -> str:
        """Worth saying once: parts that are known of no native container here; "" where there is none of that."""
        return _NO_CGROUPS if self.moment is not None and not _has_cgroups(self.moment) else ""

    def counts(self) -> tuple[int, int, int]:
        """How many wasm and native ones run, and how many have failed."""
        items = self.moment.items if self.moment is not None else ()
        running = [item.facts.kind for item in items if item.facts.state is State.RUNNING]
        failed = sum(item.facts.state is State.FAILED for item in items)
        return running.count("wasm"), running.count("native"), failed


def _has_cgroups(moment: Moment) -> bool:
    """Whether one of the native containers that run has a memory cgroup, where there are any."""
    read = [item.memory for item in moment.items if item.facts.kind == "native" and item.memory.own is not None]
    return not read or any(one.cache is not None for one in read)


def _ids(rows: Iterable[Row]) -> set[str]:
    return {item.container_id for row in rows for item in row.items}


def helper_items(moment: Moment) -> list[Item]:
    """The processes that serve containers, as if each was one; the image says whom it serves."""
    names = {item.container_id: item.facts.name for item in moment.items}
    found = []
    for one in moment.helpers:
        served = [names.get(container_id, container_id[:12]) for container_id in one.serves]
        more = f" and {len(served) - _SERVED_NAMED} more" if len(served) > _SERVED_NAMED else ""
        words = ", ".join(served[:_SERVED_NAMED]) + more
        facts = Facts(f"helper:{one.name}:{one.pid}", one.name, HELPERS, f"for {words}", "", one.name,
                      started_nanoseconds=one.started_nanoseconds, pid=one.pid)  # fmt: skip
        memory = Breakdown(own=one.memory) if one.memory is not None else UNKNOWN
        found.append(Item(facts, memory, cpu_percent=one.cpu_percent, processes=1))
    return found


def _after(kind: type[T], value: T) -> T:
    members = list(kind)
    return members[(members.index(value) + 1) % len(members)]
