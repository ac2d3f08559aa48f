"""Go templates: what podman prints, recorded, and what wpod does otherwise on purpose (wpod.output.template)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wpod.errors import UsageError
from wpod.output import template

RECORDED = json.loads((Path(__file__).parent.parent / "fixtures" / "templates.json").read_text(encoding="utf-8"))
ROWS = [
    {"Names": "tpl", "Image": "localhost/t:latest", "Pod": "", "Mounts": [], "Labels": {"a.b": "1"}},
    {"Names": "second", "Image": "localhost/t:latest", "Pod": "", "Mounts": ["/a", "/b"], "Labels": {}},
]
TITLES = {"Names": "NAMES", "Image": "IMAGE", "Pod": "POD", "Mounts": "MOUNTS", "Labels": "LABELS"}


@pytest.mark.parametrize(("text", "expected"), RECORDED["cases"], ids=[case[0] for case in RECORDED["cases"]])
def test_as_podman_prints_it(text: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(UsageError) as error:
            template.each(text, [RECORDED["object"]])
        assert error.value.message.startswith("template: ")
        assert "\n" not in error.value.message
    else:
        assert template.each(text, [RECORDED["object"]]) == expected


# podman 4.3, `ps -a --format` over two containers.
LISTS = {
    "{{.Names}}": "tpl\nsecond\n",
    "{{.Names}}\\n": "tpl\nsecond\n",
    "{{println .Names}}": "tpl\n\nsecond\n\n",
    "{{.Names}}\\t{{.Image}}": "tpl\tlocalhost/t:latest\nsecond\tlocalhost/t:latest\n",
    "{{.Names}}  x": "tpl  x\nsecond  x\n",
    "table {{.Names}}": "NAMES\ntpl\nsecond\n",
    "table {{.Names}}\\n": "NAMES\ntpl\nsecond\n",
    "table {{.Names}}\\t{{.Pod}}x": "NAMES       PODx\ntpl         x\nsecond      x\n",
    "table {{.Names}} {{.Pod}}x": "NAMES       PODx\ntpl         x\nsecond      x\n",
    "table {{upper .Names}}": "NAMES\nTPL\nSECOND\n",
    "table{{.Names}}": "tabletpl\ntablesecond\n",
    "{{range .}}{{.Names}};{{end}}": "tpl;second;\n",
    "{{if .Pod}}a{{end}}{{.Names}}": "tpl\nsecond\n",
}


@pytest.mark.parametrize(("text", "expected"), LISTS.items())
def test_lists_as_podman_prints_them(text: str, expected: str) -> None:
    assert template.rows(text, ROWS, TITLES) == expected


def test_without_heading_or_rows() -> None:
    assert template.rows("table {{.Names}}", ROWS, TITLES, heading=False) == "tpl\nsecond\n"
    assert template.rows("table {{.Names}}", [], TITLES) == "NAMES\n"
    assert template.rows("{{.Names}}", [], TITLES) == ""


def test_a_title_stays_itself_under_every_function() -> None:
    text = 'table {{join .Mounts ","}} {{len .Names}} {{index .Labels "a.b"}} {{json .Names}} {{.Pod}}'
    assert template.rows(text, [], TITLES).split() == ["MOUNTS", "NAMES", "LABELS", "NAMES", "POD"]


@pytest.mark.parametrize(
    "text",
    [
        "{{.Nosuch}}", "table {{.Nosuch}}", "{{.Names}}{{if .Nosuch}}{{end}}", "{{range .Nosuch}}{{end}}",
        "{{json .Nosuch}}", "{{if .Pod}}{{else}}{{.Nosuch}}{{end}}", "{{with .Nosuch}}{{end}}", "{{len (.Nosuch)}}",
        "{{range .Mounts}}{{$.Nosuch}}{{end}}", "{{$x := .Nosuch}}", '{{index .Nosuch "a"}}', "{{.names}}",
    ],
)  # fmt: skip
def test_an_unknown_field_is_found_before_the_rows_and_names_the_others(text: str) -> None:
    if text.startswith("{{range"):
        text = "x" + text  # alone it would go over the list itself
    with pytest.raises(UsageError, match="unknown field") as error:
        template.rows(text, [], TITLES)
    assert error.value.hint == "known fields: Image, Labels, Mounts, Names, Pod"


def test_inside_range_and_with_the_dot_is_another_one() -> None:
    assert template.rows("x{{range .Mounts}}{{.}}{{end}}", ROWS, TITLES) == "x\nx/a/b\n"
    assert template.rows("{{with .Labels}}{{.x}}{{end}}", ROWS, TITLES) == "<no value>\n\n"


def test_the_dollar_is_the_object_everywhere() -> None:
    """podman 4.3 wraps the template into a range of its own, in which `$` is the list."""
    assert template.each("{{range .A}}{{.}}{{$.B}} {{end}}", [{"A": [1, 2], "B": "x"}]) == "1x 2x \n"
    assert template.each("{{with .A}}{{.}} {{$.B}}{{end}}", [{"A": [1], "B": "x"}]) == "[1] x\n"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "<nil>"), (True, "true"), (0, "0"), (-1, "-1"), (1.5, "1.5"), (2.0, "2"), (1e21, "1e+21"),
        (1e-7, "1e-07"),        (123456789.0, "123456789"), ("", ""), ([], "[]"), ([1, "a", None], "[1 a <nil>]"),
        ({"B": 1, "A": 2}, "{1 2}"),
        ([[1], [2, 3]], "[[1] [2 3]]"), ({"Labels": {"b": 1, "a": 2}}, "{map[a:2 b:1]}"), ({"Labels": None}, "{map[]}"),
    ],
)  # fmt: skip
def test_go_s_way_to_print(value: Any, shown: str) -> None:
    assert template.each("{{.V}}", [{"V": value}]) == f"{shown}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{$x := 1}}{{range .L}}{{$x = .}}{{end}}{{$x}}", "3\n"),
        ("{{$x := 1}}{{range .L}}{{$x := .}}{{end}}{{$x}}", "1\n"),
        ("{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}", "21\n"),
        ("{{$x := 1}}{{with 5}}{{$x = .}}{{end}}{{$x}}", "5\n"),
        ("{{if $x := .N}}{{$x}}{{else}}none{{end}}", "7\n"),
        ("{{range $i, $x := .L}}{{$i}}{{$x}}{{end}}", "011223\n"),
        ("{{$x := .}}{{range .L}}{{$x.N}}{{end}}", "777\n"),
    ],
)
def test_variables_and_their_scopes(text: str, expected: str) -> None:
    assert template.each(text, [{"L": [1, 2, 3], "N": 7}]) == expected


@pytest.mark.parametrize(
    "text", ["{{$x = 1}}", "{{if true}}{{$x := 1}}{{end}}{{$x}}", "{{range $x := .L}}{{end}}{{$x}}"]
)
def test_variables_that_are_not_there(text: str) -> None:
    with pytest.raises(UsageError, match=r"undefined variable \$x"):
        template.each(text, [{"L": [1]}])


@pytest.mark.parametrize("deep", ["(" * 3000 + "1" + ")" * 3000, "not " * 3000 + "1"])
def test_depth_is_bounded(deep: str) -> None:
    with pytest.raises(UsageError, match="template"):
        template.each("{{" + deep + "}}", [{}])


def test_deep_blocks_are_bounded() -> None:
    with pytest.raises(UsageError, match="nested"):
        template.each("{{if 1}}" * 3000 + "{{end}}" * 3000, [{}])
    assert template.each("{{if 1}}" * 20 + "x" + "{{end}}" * 20, [{}]) == "x\n"


def test_a_failing_object_prints_nothing_of_the_others() -> None:
    with pytest.raises(UsageError, match="unknown field B"):
        template.each("{{.A}} {{.B}}", [{"A": 1, "B": 2}, {"A": 1}])


def test_surrogates_and_control_characters_pass_through() -> None:
    assert template.each("{{.A}}", [{"A": "\udcff\x1b"}]) == "\udcff\x1b\n"
    assert template.each("{{json .A}}", [{"A": "\udcff\x1b"}]) == '"\ufffd\\u001b"\n'


@pytest.mark.parametrize(("text", "is_json"), [("json", True), (" json ", True), ("{{json .}}", True),
                                               ("{{ json . }}", True), ("{{json .A}}", False), ("JSON", False),
                                               ("", False)])  # fmt: skip
def test_which_formats_are_json(text: str, is_json: bool) -> None:
    assert template.wants_json(text) is is_json


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{{printf "%s"}}', None), ('{{printf "%z" 1}}', None), ('{{printf "%d" "x"}}', None), ("{{printf 5}}", None),
        ('{{index .M "a" "b"}}', "1\n"), ("{{index .L 0 0}}", None), ("{{index .L true}}", None),
        ('{{len "ü"}}', "2\n"),        ("{{upper 5}}", None), ("{{truncate .M 2}}", None),
        ('{{truncate "abc" "x"}}', None), ("{{pad 5 1 1}}", None),
        ("{{and}}", None), ("{{not}}", None), ('{{lt 1 "a"}}', None), ("{{lt .M .M}}", None), ("{{print}}", "\n"),
    ],
)  # fmt: skip
def test_wrong_operands_are_one_error(text: str, expected: str | None) -> None:
    data = {"M": {"a": {"b": 1}}, "L": [1]}
    if expected is not None:
        assert template.each(text, [data]) == expected
        return
    with pytest.raises(UsageError, match="template: "):
        template.each(text, [data])
