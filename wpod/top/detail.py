"""One row in detail, as lines: its memory with formulas, its history, limits, processes, log, network."""

from __future__ import annotations

import time
from collections.abc import Sequence

from wpod.enumeration import Enum
from wpod.frozen import frozen
from wpod.model.memory import DEFINITIONS, NEAR_ITS_LIMIT, SWAP, LimitKind, Part, first_to_bite
from wpod.model.sample import Pressure, ProcessRow
from wpod.top import plot
from wpod.top.bar import BLOCKS, LETTERS, Segment, bar_of
from wpod.top.board import numbers, running_age, whole_bar
from wpod.top.columns import Drawing, drawing, shown_bytes
from wpod.top.history import STEP_SECONDS, window
from wpod.top.model import Model
from wpod.top.rows import Row
from wpod.top.text import Line, Span, amount, fit, percent, signed_amount
from wpod.top.verdict import verdict

_PLOT_HEIGHT = 8
_PANEL_PLOT_HEIGHT = 6
_MEMBERS_SHOWN = 8
_LOG_LINES = 1000
_COUNTS = {
    LimitKind.GUEST_PAGES: "the linear memory as large as the guest has made it; growth beyond fails inside",
    LimitKind.CGROUP: "what its processes and their file pages take; beyond, cache is given back, then it is killed",
}


class Tab(Enum):
    """The pages of the detail. The number is the key."""

    MEMORY = "1 memory"
    HISTORY = "2 history"
    LIMITS = "3 limits"
    PROCESSES = "4 processes"
    LOGS = "5 logs"
    INSPECT = "6 inspect"
    NETWORK = "7 network"

    @property
    def title(self) -> str:
        return self.value[2:]


@frozen
class Closeup:
    """What is read for one container alone, while its detail is open."""

    container_id: str
    processes: tuple[ProcessRow, ...] = ()
    log: tuple[str, ...] = ()


@frozen
class Page:
    """How wide the detail is and what it may be made of."""

    width: int
    height: int
    letters: bool = False
    ascii_only: bool = False


class Detail:
    """The lines about one row of a model."""

    def __init__(self, model: Model, row: Row, closeup: Closeup | None, page: Page) -> None:
        self._model, self._row, self._page = model, row, page
        self._closeup = closeup if closeup is not None and closeup.container_id == row.key else None
        self._drawn: Drawing = drawing(model, LETTERS if page.letters else BLOCKS, ascii_only=page.ascii_only)
        self._now = model.moment.wall_nanoseconds if model.moment is not None else time.time_ns()

    def lines(self, tab: Tab) -> list[Line]:
        """One page of it, as long as it is."""
        made = {
            Tab.MEMORY: self.memory, Tab.HISTORY: lambda: self.history(max(_PLOT_HEIGHT, self._page.height - 8)),
            Tab.LIMITS: self.limits, Tab.PROCESSES: self.processes, Tab.LOGS: lambda: self.log(_LOG_LINES),
            Tab.INSPECT: lambda: [self._note("Enter opens the tree")], Tab.NETWORK: self.network,
        }  # fmt: skip
        return made[tab]()

    def panel(self) -> list[Line]:
        """All at once, for the right side of a wide screen."""
        found = self.memory()
        for title, lines in (
            ("history", self.history(_PANEL_PLOT_HEIGHT)),
            ("limits and pressure", self.limits()),
            ("processes", self.processes()),
        ):
            found += [(), self._title(title), *lines]
        room = self._page.height - len(found) - 2
        if room > 0:
            found += [(), self._title("log"), *self.log(room)]
        return found[: self._page.height]

    def memory(self) -> list[Line]:
        """The bar, each part with what it is and where the figure comes from, and the sentence."""
        row, width = self._row, self._page.width
        said = verdict(row, self._now)
        found: list[Line] = [((" ", ""), *whole_bar(row, width - 2, self._drawn)), numbers(row, self._model, width), ()]
        if row.memory.own is not None:
            greatest = max(1, *(row.memory.part(part) or 0 for part in Part))
            for part in Part:
                found += self._part(part, greatest)
            found += self._swap(greatest)
            total = row.memory.total
            age = row.item.memory_age
            read = f"   read {age:.0f} s ago" if age is not None and not row.is_group else ""
            found.append(((f" {'total':<8}", "title"), (f"{shown_bytes(total, self._model):>8}", "title"),
                          (read, "dim")))  # fmt: skip
            found += self._linear()
        if row.is_group:
            found += [(), *self._members()]
        found += [(), ((" " + fit(said.words, width - 1, ascii_only=self._page.ascii_only), said.role),)]
        return found

    def _part(self, part: Part, greatest: int) -> list[Line]:
        value = self._row.memory.part(part)
        definition = DEFINITIONS[part]
        cells = self._graph_cells
        segment: list[Segment] = [(definition.letter, part.value, value or 0)]
        graph = bar_of(segment, cells, greatest, self._drawn.style)
        head: Line = (
            (f" {part.value:<8}", part.value), (f"{shown_bytes(value, self._model):>8} ", "text" if value else "dim"),
            *graph, (" " + fit(definition.meaning, max(0, self._page.width - 19 - cells),
                               ascii_only=self._page.ascii_only), "text"),
        )  # fmt: skip
        room = max(0, self._page.width - 10)
        source = fit(f"{definition.source}: {definition.formula}", room, ascii_only=self._page.ascii_only)
        return [head, (("          " + source, "dim"),)]

    def _swap(self, greatest: int) -> list[Line]:
        """On the scale of the parts, but none of them: it isn't memory."""
        value = self._row.memory.swap
        cells = self._graph_cells
        role = "warn" if value else "dim"
        graph = bar_of([(SWAP.letter, "warn", value or 0)], cells, greatest, self._drawn.style)
        text = fit(SWAP.formula, max(0, self._page.width - 19 - cells), ascii_only=self._page.ascii_only)
        return [
            ((f" {'swap':<8}", role), (f"{shown_bytes(value, self._model):>8} ", role), *graph, (" " + text, "dim"))
        ]

    @property
    def _graph_cells(self) -> int:
        return max(0, min(20, self._page.width - 40))

    def _linear(self) -> list[Line]:
        memory = self._row.memory
        if memory.linear_size is None:
            return []
        words = (f" linear memory: {amount(memory.linear)} touched of {amount(memory.linear_size)} that the guest has;"
                 f" may grow to {amount(memory.linear_limit)}")  # fmt: skip
        return [((words, "dim"),)]

    def _members(self) -> list[Line]:
        """The largest members of a group."""
        known = sorted(self._row.items, key=lambda item: item.memory.total or 0, reverse=True)
        lines: list[Line] = [self._title(f"largest of {len(known)}")]
        for item in known[:_MEMBERS_SHOWN]:
            name = fit(item.facts.name, max(8, self._page.width - 24), ascii_only=self._page.ascii_only)
            lines.append(((" " + name, "text"), (f" {shown_bytes(item.memory.total, self._model):>8}", "title")))
        return lines

    def history(self, height: int) -> list[Line]:
        """The parts over the last ten minutes, stacked, with the limit and marks; then the processor."""
        series = [one for one in (self._model.history.series(item.container_id) for item in self._row.items) if one]
        width = max(10, self._page.width - 8)
        end = self._model.history.step - self._model.steps_back
        steps = range(end - width + 1, end + 1)
        if not series:
            return [self._note("No history yet")]
        seen = window(series, steps)
        columns = [_segments(values) if values is not None else None for values in seen.parts]
        limit = min((one.allowed for one in self._row.item.limits), default=None) if not self._row.is_group else None
        scale = plot.plot_scale(columns, limit)
        style = plot.LETTERS if self._page.letters else plot.BLOCKS
        marks = {step - steps.start: sign for one in series for step, sign in one.marks if step in steps}
        drawn = plot.stacked(columns, height, style, plot.Frame(scale, limit, marks))
        lines: list[Line] = []
        for number, line in enumerate(drawn):
            label = amount(scale) if number == 0 else "0" if number == height - 1 else ""
            lines.append(((f"{label:>6} ", "dim"), *line))
        cpu = seen.cpu_percent
        busiest = max((value for value in cpu if value is not None), default=0.0)
        lines.append((("   CPU ", "dim"), (plot.sparkline(cpu, width, style), "text")))
        minutes = width * STEP_SECONDS / 60
        legend = f"last {minutes:.0f} min; CPU up to {percent(busiest)}%; ^ start, ! OOM, = limit changed"
        lines.append((("       " + fit(legend, width, ascii_only=self._page.ascii_only), "dim"),))
        return lines

    def limits(self) -> list[Line]:
        """What holds it, how full that is, and pressure."""
        row = self._row
        lines: list[Line] = []
        shown = row.item.limits if not row.is_group else ()
        bite = first_to_bite(shown)
        for one in shown:
            role = "bad" if one.share > NEAR_ITS_LIMIT else "text"
            first = "  bites first" if one is bite and len(shown) > 1 else ""
            lines.append(((f" {one.kind.value:<12}", "title"),
                          (f"{amount(one.used)} of {amount(one.allowed)}, {one.share:.0%}{first}", role)))  # fmt: skip
            lines.append((("   " + fit(_COUNTS[one.kind], max(0, self._page.width - 3)), "dim"),))
        if not shown:
            words = "each has limits of its own" if row.is_group else "no limit of memory holds it (--memory)"
            lines.append(self._note(words))
        growth = signed_amount(row.growth)
        lines.append(((f" {'growth':<12}", "title"), (f"{growth}/min" if growth else "not known yet", "text")))
        lines.append(_pressure_line("pressure", row.item.pressure if not row.is_group else None))
        if self._model.moment is not None:
            lines.append(_pressure_line("the machine", self._model.moment.host.pressure))
        return lines

    def processes(self) -> list[Line]:
        """Its processes as a tree."""
        closeup = self._closeup
        if self._row.is_group:
            return [self._note("choose one container of the group")]
        if closeup is None or not closeup.processes:
            return [self._note("it has no processes" if not self._row.item.facts.pid else "…")]
        lines: list[Line] = [((f" {'PID':>7} {'CPU%':>5} {'RSS':>6} {'THR':>4}  COMMAND", "key"),)]
        for depth, process in process_tree(closeup.processes):
            command = "  " * depth + self._command(process)
            figures = (f" {process.pid:>7} {percent(process.cpu_percent):>5} {amount(process.resident):>6}"
                       f" {process.threads:>4}  ")  # fmt: skip
            text = fit(command, max(0, self._page.width - len(figures)), ascii_only=self._page.ascii_only)
            lines.append(((figures, "text"), (text, "title" if not depth else "text")))
        return lines

    def _command(self, process: ProcessRow) -> str:
        """Its words; of a wasm container those of the guest, for the runner's own say nothing."""
        facts = self._row.item.facts
        if facts.kind == "wasm" and process.pid == facts.pid:
            return f"wpod-runner: {facts.command}"
        return " ".join(process.command)

    def log(self, height: int) -> list[Line]:
        """The last lines of its log."""
        if self._row.is_group:
            return [self._note("choose one container of the group")]
        texts = self._closeup.log if self._closeup is not None else ()
        if not texts:
            return [self._note("it has written nothing")]
        return [((" " + fit(one, max(0, self._page.width - 1), ascii_only=self._page.ascii_only), "text"),)
                for one in texts[-height:]]  # fmt: skip

    def network(self) -> list[Line]:
        """Networks, ports, traffic, and who it is."""
        row, facts = self._row, self._row.item.facts
        rates = row.item.rates
        pairs = [
            ("ID", facts.container_id), ("image", facts.image), ("command", facts.command), ("kind", facts.kind),
            ("networks", ", ".join(facts.networks) or "none"), ("ports", facts.ports or "none"),
            ("received", f"{amount(row.item.traffic.received)}, {amount(_whole(rates.received))}/s"),
            ("sent", f"{amount(row.item.traffic.sent)}, {amount(_whole(rates.sent))}/s"),
            ("read", f"{amount(row.item.traffic.read)}, {amount(_whole(rates.read))}/s"),
            ("written", f"{amount(row.item.traffic.written)}, {amount(_whole(rates.written))}/s"),
            ("labels", ", ".join(facts.labels) or "none"), ("runs for", running_age(row, self._now)),
        ]  # fmt: skip
        if row.is_group:
            pairs = pairs[1:4]
        lines: list[Line] = []
        for name, value in pairs:
            spans: list[Span] = [(f" {name:<10}", "dim")]
            spans.append((fit(value, max(0, self._page.width - 11), ascii_only=self._page.ascii_only), "text"))
            lines.append(tuple(spans))
        return lines

    def _title(self, words: str) -> Line:
        rule = "-" if self._page.ascii_only else "─"
        return ((rule * 2, "dim"), (f" {words} ", "title"), (rule * max(0, self._page.width - len(words) - 4), "dim"))

    def _note(self, words: str) -> Line:
        return ((" " + fit(words, max(0, self._page.width - 1), ascii_only=self._page.ascii_only), "dim"),)


def _whole(value: float | None) -> int | None:
    return int(value) if value is not None else None


def _segments(values: Sequence[int]) -> list[Segment]:
    return [(DEFINITIONS[part].letter, part.value, value) for part, value in zip(Part, values, strict=True)]


def _pressure_line(name: str, pressure: Pressure | None) -> Line:
    if pressure is None:
        return ((f" {name:<12}", "title"), ("-", "dim"))
    words = (f"some {percent(pressure.some_10)}% of 10 s, {percent(pressure.some_60)}% of 60 s;"
             f" all {percent(pressure.full_10)}%, {percent(pressure.full_60)}%")  # fmt: skip
    return ((f" {name:<12}", "title"), (words, "warn" if pressure.some_10 >= 1 else "text"))


def process_tree(processes: Sequence[ProcessRow]) -> list[tuple[int, ProcessRow]]:
    """Each with its depth below the first one; those whose parent isn't among them stand at the top."""
    children: dict[int, list[ProcessRow]] = {}
    present = {one.pid for one in processes}
    for one in processes:
        children.setdefault(one.parent if one.parent in present and one.parent != one.pid else 0, []).append(one)
    found: list[tuple[int, ProcessRow]] = []
    waiting = [(0, one) for one in reversed(children.get(0, []))]
    while waiting:
        depth, process = waiting.pop()
        found.append((depth, process))
        waiting += [(depth + 1, one) for one in reversed(children.get(process.pid, []))]
    return found
