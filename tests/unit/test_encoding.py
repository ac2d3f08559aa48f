"""Recorded facts as JSON and back (wpod.state.encoding)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support import records
from wpod.formats.state_file import Kind
from wpod.model.container import ContainerPlan, ModulePlan, MountPlan, RootKind, RootPlan, UserPlan
from wpod.model.image import Descriptor, Image, ImageConfig, Platform
from wpod.model.network import NetworkMode
from wpod.model.request import AotPolicy, LimitOptions, UlimitRequest
from wpod.state.encoding import from_json, to_json

FULL_PLAN = records.plan(
    kind=Kind.WASM,
    arguments=("/main.wasm", "two words", "\udcff", "ü\n\0"),
    user=UserPlan(1000, 50, (1, 2), "app:staff", "/home/app"),
    root=RootPlan(RootKind.COPY, ("/a", "/b"), "ranges-0123"),
    mounts=(
        MountPlan("bind", "/s", "/t", True, False, options=("noexec",)),
        MountPlan("tmpfs", "tmpfs", "/x", mode=0, size_bytes=5),
        MountPlan("volume", "/v", "/y", volume="v"),
    ),
    limits=LimitOptions(memory_bytes=1 << 40, ulimits=(UlimitRequest("nofile", -1, -1),)),
    network=NetworkMode.HOST,
    module=ModulePlan("/m", records.DIGEST, AotPolicy.REQUIRE),
    warnings=("careful",),
)
FULL_IMAGE = records.image(
    config=ImageConfig(
        Platform("wasip1", "wasm", "v1"), ("A=1",), ("/e",), (), "/w", "u", {"a.b": "ü"}, ("/v",), ("80",)
    ),
    layers=(Descriptor("t", records.DIGEST, 5, {"k": "v"}),),
    diff_ids=(records.DIGEST,),
    annotations={"x": ""},
)


@pytest.mark.parametrize("value", [FULL_PLAN, records.plan(), FULL_IMAGE, records.image("localhost/a:b")])
def test_what_is_written_is_read(value: Any) -> None:
    text = to_json(value)
    assert text.isascii()
    assert from_json(text, type(value)) == value
    assert to_json(from_json(text, type(value))) == text


def test_enums_go_by_name() -> None:
    written = json.loads(to_json(FULL_PLAN))
    assert (written["kind"], written["network"], written["root"]["kind"]) == ("WASM", "HOST", "COPY")
    assert written["module"]["aot"] == "REQUIRE"


def test_maps_and_lists() -> None:
    assert from_json(to_json({"a": "1"}), dict) == {"a": "1"}
    assert from_json(to_json(("a", "b")), list) == ["a", "b"]


def test_an_older_version_s_record_gets_the_defaults() -> None:
    written = json.loads(to_json(FULL_PLAN))
    defaulted = [field.name for field in dataclasses.fields(ContainerPlan) if field.default is not dataclasses.MISSING]
    assert {"module", "no_hosts", "warnings", "privileged"} <= set(defaulted)
    for name in defaulted:
        del written[name]
    found = from_json(json.dumps(written), ContainerPlan)
    assert (found.module, found.no_hosts, found.warnings, found.privileged) == (None, False, (), False)
    assert found.arguments == FULL_PLAN.arguments


def changed(**changes: Any) -> str:
    written: dict[str, Any] = json.loads(to_json(FULL_PLAN))
    return json.dumps({**written, **changes})


def without(name: str) -> str:
    written: dict[str, Any] = json.loads(to_json(FULL_PLAN))
    del written[name]
    return json.dumps(written)


MISFITS = {
    "no JSON": "{",
    "nothing": "",
    "a list": "[]",
    "null": "null",
    "a number": "5",
    "a text": '"x"',
    "a newer version's field": changed(invented=1),
    "a missing field": without("arguments"),
    "an unknown enum": changed(kind="QUANTUM"),
    "an enum that is a number": changed(kind=1),
    "an enum that is a list": changed(kind=[]),
    "an enum that is null": changed(network=None),
    "a text for a tuple": changed(arguments="abc"),
    "a map for a tuple": changed(arguments={"a": 1}),
    "null for a tuple": changed(arguments=None),
    "numbers for texts": changed(arguments=[1]),
    "a list for a text": changed(hostname=[]),
    "null for a text": changed(hostname=None),
    "a text for a number": changed(stop_signal="15"),
    "a fraction for a number": changed(stop_signal=1.5),
    "a number for a truth": changed(terminal=1),
    "a list for an object": changed(user=[]),
    "null for an object": changed(root=None),
    "a text for an object": changed(user="root"),
    "an unknown field inside": changed(user={"user_id": 1, "invented": 2}),
    "a wrong item": changed(mounts=[{"kind": "bind"}]),
    "a wrong type inside": changed(limits={"memory_bytes": "1g"}),
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("text", MISFITS.values(), ids=MISFITS.keys())
def test_what_does_not_fit_is_one_kind_of_error(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        from_json(text, ContainerPlan)


@pytest.mark.parametrize(("text", "kind"), [("[]", dict), ("{}", list), ("null", dict), ('"a"', list), ("5", dict)])
def test_plain_kinds_are_checked_too(text: str, kind: type) -> None:
    with pytest.raises((ValueError, TypeError)):
        from_json(text, kind)


@pytest.mark.parametrize("labels", [5, "ab", None, [["a", "b"]], ["ab"], {"a": 1}, {"a": None}])
def test_a_string_map_holds_strings(labels: Any) -> None:
    written = json.loads(to_json(FULL_IMAGE))
    written["annotations"] = labels
    with pytest.raises((ValueError, TypeError)):
        from_json(json.dumps(written), Image)


def test_a_map_is_a_map_again() -> None:
    found = from_json(to_json(FULL_IMAGE), Image)
    assert isinstance(found.config.labels, Mapping)
    assert found.config.labels == {"a.b": "ü"}
