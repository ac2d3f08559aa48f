"""The screen as lines: its size, what it says in each state, and that it adds up."""

from __future__ import annotations

import random

import pytest

from tests.top.feed import MEGABYTE, SECOND, START, breakdown, item, limited, moment, village
from wpod.frozen import replace
from wpod.model.sample import HelperSample
from wpod.top.bar import Scale
from wpod.top.board import HINTS, Board, Look, hint_at, text_of
from wpod.top.columns import heading, layout, sort_at
from wpod.top.detail import Closeup, Detail, Page, Tab
from wpod.top.figures import explained, focusable
from wpod.top.model import Columns, Model
from wpod.top.moment import Item, State
from wpod.top.rows import Row, Sort
from wpod.top.text import line_width, plain
from wpod.top.verdict import verdict

SIZES = ((80, 24), (200, 60), (60, 15), (59, 14), (40, 10), (20, 5), (320, 90))


def model_of(items: list[Item], seconds: float = 0.0) -> Model:
    model = Model()
    model.take(moment(items, seconds, [HelperSample("pasta", 9, (items[0].container_id,), MEGABYTE)] if items else ()))
    model.cursor = model.rows[0].key if model.rows else ""
    return model


def screen(model: Model, width: int = 80, height: int = 24, **look: object) -> list[str]:
    lines = Board(model, replace(Look(width, height, "LIVE 1s"), **look)).lines()
    assert len(lines) == height
    assert {line_width(line) for line in lines} == {width}
    return [plain(line) for line in lines]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("columns", Columns)
@pytest.mark.parametrize("exact", [False, True])
def test_every_size_is_filled_exactly(width: int, height: int, columns: Columns, exact: bool) -> None:
    for items in ([], village()):
        model = model_of(items)
        model.columns, model.exact = columns, exact
        for scale in Scale:
            model.scale = scale
            for letters in (False, True):
                screen(model, width, height, letters=letters)


def test_the_first_screen_answers_the_four_questions() -> None:
    text = "\n".join(screen(model_of(village())))
    assert "adds up 100%" in text or "adds up 99%" in text
    for wanted in ("api ×40", "db", "41 wasm  2 native", "1 failed", "OOM: limit 64MiB", "helpers: pasta",
                   "not containers", "unattributed", "LIVE 1s"):  # fmt: skip
        assert wanted in text, wanted


def test_what_is_pinned_has_growth_and_a_bar() -> None:
    model = Model()
    for second in range(0, 62, 2):
        one = moment(village(), second, [HelperSample("pasta", 9, (village()[0].container_id,), MEGABYTE, 0.2,
                                                             START - 7200 * SECOND)])  # fmt: skip
        host = replace(one.host, others=one.host.others + second * (50 << 10), helpers=8 * MEGABYTE)
        model.take(replace(one, host=host))
    lines = screen(model, letters=True)
    helpers = next(line for line in lines if "helpers: pasta" in line)
    others = next(line for line in lines if "not containers" in line)
    assert helpers.split()[2:] == ["0.2", "8.0M", "0", "hhhh", "2h"]
    assert others.split()[-2:] == ["2.0G", "+2.9M"]
    model.exact = True
    assert f"{8 * MEGABYTE:,}" in next(line for line in screen(model, width=200) if "helpers: pasta" in line)


@pytest.mark.parametrize("columns", Columns)
@pytest.mark.parametrize("width", [59, 80, 200])
def test_a_title_sorts_by_its_column(columns: Columns, width: int) -> None:
    """Every cell of a title by the same, which is what its figures are; cells beyond the last one by nothing."""
    model = model_of(village())
    model.columns = columns
    shape = layout(model, width)
    line = plain(heading(shape, model, ascii_only=False))
    for column in (*shape.before, *shape.behind):
        at = line.index(f" {column.title}") + 1 if column.align == "left" else line.index(f"{column.title}")
        assert {sort_at(shape, at + cell) for cell in range(len(column.title))} == {column.sort}, column.title
    assert sort_at(shape, 1) is Sort.NAME
    assert sort_at(shape, len(line)) is None


def test_each_word_of_the_last_line_stands_for_an_action() -> None:
    line = screen(model_of(village()))[-1]
    for words, action in HINTS:
        start = line.index(words)
        assert {hint_at(start + cell) for cell in range(len(words))} == {action}
        assert hint_at(start - 1) == ""
    assert hint_at(79) == ""


def test_ascii_screens_hold_nothing_but_ascii() -> None:
    model = model_of([item("caf\u00e9", image="\u0431\u0430\u0437\u0430"), *village()])
    text = "".join(screen(model, letters=True, ascii_only=True))
    assert text.isascii()
    assert "+/min" in text
    assert "api x40" in text


def test_the_focused_figure_has_formula_source_and_age() -> None:
    model = model_of([replace(item("db"), memory_age=4.2)])
    model.figure = "TOTAL"
    for width, height in SIZES:
        text = "\n".join(screen(model, width, height))
        assert ("TOTAL 4.7M (see each part, 4 s ago)" in text) == (height >= 15 and width > 40)
    model.columns = Columns.PARTS
    shown = layout(model, 200)
    for title in focusable(shown):
        words = explained(model.rows[0], title, model, shown)
        assert words.startswith(f"{title} ")
        assert ("4 s ago" in words) == (title != "LIM%")
    assert explained(model.rows[0], "PSI", model, shown) == ""


def test_an_exit_status_is_told_as_one_and_only_where_it_is_known() -> None:
    text = "\n".join(screen(model_of([*village(), item("odd", state=State.FAILED, exit_code=3, pid=0)])))
    for wanted in (" exit 3 ", " exit 0 ", " 137 OOM", "       its state file"):
        assert wanted in text, wanted


def test_names_cannot_paint() -> None:
    hostile = item("evil", image="\x1b[31mred\x1b]0;title\x07\u202eabc\nnext", labels=("\x9b2J",))
    for width, height in SIZES:
        for line in screen(model_of([hostile]), width, height):
            assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in line)
            assert "\u202e" not in line


def test_wide_characters_are_counted_as_they_are() -> None:
    """A name is told whole where there is room, and no line is longer than the screen."""
    name = "\u30c7\u30fc\u30bf\u30d9\u30fc\u30b9"
    for width, height in SIZES:
        lines = screen(model_of([item("web", image=name)]), width, height)
        if width >= 80:
            assert any(f"web  {name}  pid" in line for line in lines)


def test_empty_store_shows_the_way_to_the_first_container() -> None:
    text = "\n".join(screen(model_of([])))
    assert "wpod run -d" in text


def test_a_filter_that_hides_all_says_so() -> None:
    model = model_of(village())
    model.set_filter("nobody")
    assert any("No container matches" in line for line in screen(model))


def test_the_rows_that_fit_are_shown_and_scrolled() -> None:
    model = model_of([item(f"c{number:03}", image=str(number)) for number in range(300)])
    board = Board(model, Look(80, 24, "LIVE 1s"), top=290)
    assert board.top == 300 - board.table_height
    assert len(board.rows_shown) == board.table_height


def row_of(one: Item, growth: float | None = None) -> Row:
    return Row(one.container_id, one.facts.name, (one,), one.memory, growth)


@pytest.mark.parametrize(
    ("row", "words", "role"),
    [
        (row_of(item("a", state=State.FAILED, exit_code=137, ending="OOM: limit 64MiB")), "Killed: OOM", "bad"),
        (row_of(item("a", state=State.FAILED, exit_code=3, finished_nanoseconds=START)), "Failed 0s ago with 3", "bad"),
        (row_of(item("a", state=State.CREATED, started_nanoseconds=0)), "wpod start a", "text"),
        (row_of(item("a", state=State.UNREADABLE, ending="damaged")), "damaged", "warn"),
        (row_of(limited(item("a"), 100, 95)), "95% of its limit", "bad"),
        (row_of(limited(item("a"), 60 * MEGABYTE, 28 * MEGABYTE), 2.0 * MEGABYTE), "in about 16m", "warn"),
        (row_of(item("a"), 5.0 * MEGABYTE), "no limit holds it", "warn"),
        (row_of(item("a"), -5.0 * MEGABYTE), "Shrinks", "text"),
        (row_of(replace(item("a"), cpu_percent=0.0)), "Idle", "text"),
        (row_of(replace(item("a"), cpu_percent=40.0)), "Works at 40.0%", "text"),
    ],
)
def test_the_most_useful_sentence(row: Row, words: str, role: str) -> None:
    said = verdict(row, START)
    assert words in said.words
    assert said.role == role


def test_a_group_names_who_stands_out() -> None:
    members = [item(f"w-{number}", image="w") for number in range(9)]
    members[4] = item("w-4", image="w", memory=breakdown(60 * MEGABYTE))
    model = model_of(members)
    assert "w-4 far above" in verdict(model.rows[0], START).words


@pytest.mark.parametrize("tab", Tab)
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_details_fit_every_size(tab: Tab, width: int, height: int) -> None:
    model = model_of(village())
    for second in range(2, 40, 2):
        model.take(moment(village(), second))
    for row in model.rows:
        closeup = Closeup(row.key, (), tuple(f"line {number} " * 40 for number in range(200)))
        detail = Detail(model, row, closeup, Page(width, height))
        for line in (*detail.lines(tab), *detail.panel()):
            assert "\n" not in plain(line)
        assert len(detail.panel()) <= height


def test_random_moments_never_break_a_screen() -> None:
    chosen = random.Random(6)
    for _ in range(150):
        items = []
        for number in range(chosen.randrange(0, 30)):
            parts = {name: chosen.choice((None, 0, chosen.randrange(1 << chosen.randrange(1, 42)))) for name in
                     ("linear", "kernel", "code", "shared", "helpers", "cache", "swap", "linear_size")}  # fmt: skip
            one = item(f"n{number}", chosen.choice(("wasm", "native")), breakdown(chosen.randrange(1 << 40), **parts),
                       state=chosen.choice(list(State)))  # fmt: skip
            if chosen.random() < 0.3:
                one = limited(one, chosen.choice((0, 1, chosen.randrange(1 << 40))), chosen.randrange(1 << 40))
            items.append(one)
        model = model_of(items, chosen.random() * 100)
        model.columns, model.scale = chosen.choice(list(Columns)), chosen.choice(list(Scale))
        screen(model, chosen.randrange(20, 300), chosen.randrange(5, 90), letters=chosen.random() < 0.5)


def test_text_for_pipes_has_no_trailing_blanks() -> None:
    text = text_of(Board(model_of(village()), Look(80, 24, "ONCE", letters=True)).lines())
    assert not any(line.endswith(" ") for line in text.splitlines())
