"""How `info` prints: YAML for people, and objects with two names for each field."""

from __future__ import annotations

import pytest

from wpod.errors import UsageError
from wpod.output import json, template, yaml
from wpod.output.go_struct import GoStruct
from wpod.output.template_values import GoMap


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": 1}, "a: 1\n"),
        ({"a": None, "b": True, "c": 1.5}, "a: null\nb: true\nc: 1.5\n"),
        ({"a": {"b": {"c": "d"}}}, "a:\n  b:\n    c: d\n"),
        ({"a": ["b", "c"]}, "a:\n- b\n- c\n"),
        ({"a": [{"b": 1, "c": [2]}, {"d": 3}]}, "a:\n- b: 1\n  c:\n  - 2\n- d: 3\n"),
        ({"a": {}, "b": [], "c": ""}, 'a: {}\nb: []\nc: ""\n'),
        ({"a": [{}, []]}, "a:\n- {}\n- []\n"),
    ],
)
def test_yaml(value: dict[str, object], text: str) -> None:
    assert yaml.document(value) == text


@pytest.mark.parametrize("text", ["/usr/bin/crun", "Wed Nov 25 03:23:40 2026", "a b", "x86-64", "it is (much) more"])
def test_yaml_without_quotes(text: str) -> None:
    assert yaml.document({"a": text}) == f"a: {text}\n"


@pytest.mark.parametrize(
    "text",
    ["", " a", "a ", "yes", "No", "null", "~", "12", "1.5", "4.3.1", "a: b", "a #b", "a:", "- a", "*a", "'a'", "a\nb"],
)
def test_yaml_with_quotes(text: str) -> None:
    """Everything that YAML would read as something else than this text."""
    assert yaml.document({"a": text}) == f"a: {json.compact(text)}\n"


def test_templates_find_the_go_names_and_json_keeps_the_keys() -> None:
    value = GoStruct({"host": {"cpus": 2, "names": ["a"]}, "Own": 1}, {"cpus": "CPUs"})
    assert template.each("{{.Host.CPUs}} {{.Host.Names}} {{.Own}}", [value]) == "2 [a] 1\n"
    assert template.each("{{json .Host}}", [value]) == '{"cpus":2,"names":["a"]}\n'
    assert json.document(value, 1) == '{\n "host": {\n  "cpus": 2,\n  "names": [\n   "a"\n  ]\n },\n "Own": 1\n}'


def test_a_wrong_field_names_the_go_names() -> None:
    value = GoStruct({"host": {"cpus": 2}}, {"cpus": "CPUs"})
    with pytest.raises(UsageError) as caught:
        template.each("{{.Host.cpus}}", [value])
    assert caught.value.hint == "known fields: CPUs"


def test_maps_whose_keys_are_data_are_left_alone() -> None:
    value = GoStruct({"registries": GoMap({"search": ["a"]})}, {})
    assert template.each('{{index .Registries "search"}} {{.Registries}}', [value]) == "[a] map[search:[a]]\n"
