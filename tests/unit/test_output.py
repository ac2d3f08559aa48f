"""Tables, sizes, JSON and the two streams (wpod.output)."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from wpod.errors import WpodError
from wpod.output import json, sizes, tables
from wpod.output.streams import Output, OutputError, visible

# --- tables -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "rows", "expected"),
    [
        (["A", "B"], [["x", "y"]], "A           B\nx           y\n"),
        (["NAME", "B"], [["n" * 10, "y"]], f"NAME        B\n{'n' * 10}  y\n"),
        (["NAME", "B"], [["n" * 11, "y"]], f"NAME         B\n{'n' * 11}  y\n"),
        (["A"], [["long " * 30]], f"A\n{'long ' * 30}\n"),
        (["A", "B"], [], "A           B\n"),
        (["A", "B"], [["", ""]], "A           B\n            \n"),
        (["A", "B"], [["a\nb", "c\td\r"]], "A           B\na\\nb        c\\td\\r\n"),
        (["Ä", "B"], [["ü", "y"]], "Ä           B\nü           y\n"),
    ],
)
def test_tables(headers: list[str], rows: list[list[str]], expected: str) -> None:
    assert tables.table(headers, rows) == expected


def test_a_table_without_heading_and_rows_is_nothing() -> None:
    assert tables.table(["A"], [], heading=False) == ""
    assert tables.table(["A", "B"], [["x", "y"]], heading=False) == "x           y\n"


def test_a_column_ends_where_a_line_has_no_cell_for_it() -> None:
    """Go's tabwriter: a column is a block of lines that follow one another."""
    lines = [["a" * 20, "x"], ["b", "y"], ["alone"], ["c", "z"], []]
    assert tables.align(lines) == f"{'a' * 20}  x\n{'b':22}y\nalone\n{'c':12}z\n\n"


# --- sizes --------------------------------------------------------------------------------------------------------

SIZES = {
    0: "0B", 1: "1B", 999: "999B", 1000: "1kB", 1001: "1kB", 1234: "1.23kB", 12345: "12.3kB", 123456: "123kB",
    999_499: "999kB", 999_500: "1MB", 999_999: "1MB", 7_050_000: "7.05MB", 10**9: "1GB", 1_500_000_000: "1.5GB",
    10**12: "1TB", 10**18: "1EB", 123 * 10**18: "123EB",
}  # fmt: skip


@pytest.mark.parametrize(("bytes_", "shown"), SIZES.items())
def test_decimal_sizes(bytes_: int, shown: str) -> None:
    assert sizes.decimal(bytes_) == shown


def test_binary_sizes() -> None:
    assert sizes.decimal(7_050_000, " ") == "7.05 MB"
    assert [sizes.kibibytes(n) for n in (0, 1, 1024, 1025)] == ["0", "1", "1", "2"]
    assert [sizes.mebibytes(n) for n in (0, 1 << 20, 3 << 19)] == ["0.0", "1.0", "1.5"]


# --- JSON ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([], "[]"), ({}, "{}"), (None, "null"), ({"b": 1, "a": 2}, '{"b":1,"a":2}'), ("ü<&>", '"ü<&>"'),
        ("\udcff", '"\ufffd"'), ("\ud800", '"\ufffd"'), ("\0\x1b\n", '"\\u0000\\u001b\\n"'),
        (2**63 - 1, "9223372036854775807"),
        ({"ü\udc80": "😀"}, '{"ü\ufffd":"😀"}'),
    ],
)  # fmt: skip
def test_compact_json(value: Any, text: str) -> None:
    assert json.compact(value) == text
    json.compact(value).encode("utf-8")


def test_documents_are_indented_as_podman_s() -> None:
    assert json.document([{"A": [1]}]) == '[\n    {\n        "A": [\n            1\n        ]\n    }\n]'
    assert json.document({"A": 1}, json.INSPECT_INDENT) == '{\n     "A": 1\n}'
    assert json.document([]) == "[]"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": -float("inf")}])
def test_what_json_does_not_have_is_refused(value: Any) -> None:
    for made in (json.compact, json.document):
        with pytest.raises(ValueError, match="JSON compliant"):
            made(value)


# --- what a terminal may see --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 😀", "plain ü 😀"), ("two\nlines\tand", "two\nlines\tand"), ("\x1b[31mred", "\\x1b[31mred"),
        ("\x07\x08\x0c\x7f", "\\x07\\x08\\x0c\\x7f"), ("\r", "\\x0d"), ("\x9b31m", "\\x9b31m"),
        ("\u202etxt", "\\x202etxt"),
        ("\udcff", "\udcff"), ("\u2028", "\\x2028"), ("\0", "\\x00"), ("\ue000", "\\xe000"), ("a\u200bb", "a\\x200bb"),
    ],
)  # fmt: skip
def test_control_characters_are_shown_and_not_obeyed(text: str, shown: str) -> None:
    assert visible(text) == shown


# --- the streams --------------------------------------------------------------------------------------------------


@dataclass
class Ends:
    """An Output over two pipes."""

    output: Output
    read: Callable[[], tuple[bytes, bytes]]


@pytest.fixture
def ends() -> Iterator[Ends]:
    pairs = [os.pipe(), os.pipe()]

    def read() -> tuple[bytes, bytes]:
        found = []
        for reader, writer in pairs:
            os.close(writer)
            with os.fdopen(reader, "rb") as file:
                found.append(file.read())
        return found[0], found[1]

    yield Ends(Output(pairs[0][1], pairs[1][1]), read)
    for descriptor in (descriptor for pair in pairs for descriptor in pair):
        try:
            os.close(descriptor)
        except OSError:
            continue


def test_data_goes_to_one_and_talk_to_the_other(ends: Ends) -> None:
    ends.output.write(b"\x00\xff\x1b")
    ends.output.line("line \x1b")
    ends.output.talk("talk")
    ends.output.warning("careful")
    ends.output.error("it failed", "try again")
    ends.output.error("alone")
    ends.output.write_error(b"\xfe\n")
    data, talk = ends.read()
    assert data == b"\x00\xff\x1bline \x1b\n"
    assert talk == b"talk\nwarning: careful\nerror: it failed\nhint: try again\nerror: alone\n\xfe\n"


def test_what_hostile_content_puts_into_an_error_stays_in_its_line(ends: Ends) -> None:
    ends.output.error("name 'a\nerror: b\x1b[2J'", "c\nd")
    ends.output.warning("e\nf")
    assert ends.read()[1] == b"error: name 'a\\x0aerror: b\\x1b[2J'\nhint: c\\x0ad\nwarning: e\\x0af\n"


def test_bytes_that_are_no_text_come_back(ends: Ends) -> None:
    ends.output.line(os.fsdecode(b"\xff\xfe"))
    ends.output.error(os.fsdecode(b"\xff"))
    assert ends.read() == (b"\xff\xfe\n", b"error: \xff\n")


def test_a_pipe_is_no_terminal(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert (ends.output.terminal, ends.output.error_terminal, ends.output.width, ends.output.colour) == (
        False, False, None, False,
    )  # fmt: skip


def test_a_terminal_gets_colour_and_no_control_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    keeper, terminal = os.openpty()
    try:
        output = Output(terminal, terminal)
        assert output.terminal
        assert output.error_terminal
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.delenv("NO_COLOR", raising=False)
        assert output.colour
        monkeypatch.setenv("NO_COLOR", "1")
        assert not output.colour
        monkeypatch.delenv("NO_COLOR")
        for dumb in ("", "dumb"):
            monkeypatch.setenv("TERM", dumb)
            assert not output.colour
        output.line("\x1b[2Jgone")
        assert os.read(keeper, 100) == b"\\x1b[2Jgone\r\n"
    finally:
        os.close(keeper)
        os.close(terminal)


def test_a_full_device_is_an_error_and_not_success() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        output = Output(full, full)
        with pytest.raises(OutputError, match="No space left"):
            output.line("data")
        output.error("nobody hears it")
        output.talk("nor this")
    finally:
        os.close(full)


def test_a_closed_descriptor_is_an_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    with pytest.raises(OutputError):
        Output(writer, writer).line("data")


def test_a_reader_that_has_gone_is_told_from_an_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        with pytest.raises(BrokenPipeError):
            Output(writer, writer).line("data")
        Output(writer, writer).talk("must not matter")
    finally:
        os.close(writer)


def test_a_descriptor_in_non_blocking_mode_loses_nothing() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    data = os.urandom(1 << 20)
    found = bytearray()

    def take() -> None:
        while chunk := os.read(reader, 4096):
            found.extend(chunk)

    taker = threading.Thread(target=take)
    taker.start()
    Output(writer, writer).write(data)
    os.close(writer)
    taker.join()
    os.close(reader)
    assert bytes(found) == data


# --- questions ----------------------------------------------------------------------------------------------------


@pytest.fixture
def standard_input() -> Iterator[Callable[[bytes], None]]:
    """Puts bytes on descriptor 0 for the time of a test."""
    kept = os.dup(0)

    def give(data: bytes) -> None:
        reader, writer = os.pipe()
        os.write(writer, data)
        os.close(writer)
        os.dup2(reader, 0)
        os.close(reader)

    yield give
    os.dup2(kept, 0)
    os.close(kept)


@pytest.mark.parametrize(
    ("answer", "yes"),
    [
        (b"y\n", True), (b"Y\n", True), (b"yes\n", True), (b" YES \r\n", True), (b"y", True), (b"n\n", False),
        (b"\n", False),
        (b"yess\n", False), (b"ye\n", False), (b"\xff\n", False), (b"n\ny\n", False), (b"x" * 10000, False),
    ],
)  # fmt: skip
def test_only_yes_is_a_yes(answer: bytes, yes: bool, ends: Ends, standard_input: Callable[[bytes], None]) -> None:
    standard_input(answer)
    assert ends.output.confirm("Really? \x1b") is yes
    assert ends.read() == (b"", b"Really? \\x1b")


def test_what_follows_the_answer_is_left_for_the_next_reader(
    ends: Ends, standard_input: Callable[[bytes], None]
) -> None:
    standard_input(b"y\nrest")
    assert ends.output.confirm("?")
    assert os.read(0, 100) == b"rest"


def test_no_answer_is_an_error(ends: Ends, standard_input: Callable[[bytes], None]) -> None:
    standard_input(b"")
    with pytest.raises(WpodError, match="not answered") as error:
        ends.output.confirm("?")
    assert error.value.hint is not None
