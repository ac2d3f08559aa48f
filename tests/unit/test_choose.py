"""Wasm or native: what decides, in which order, and what never does (wpod.runtime.choose)."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from wpod.errors import UsageError
from wpod.formats.state_file import Kind
from wpod.runtime import choose
from wpod.runtime.choose import ImageFacts

PLAIN = ImageFacts(
    user_kind="",
    user_annotations={},
    image_annotations={},
    config_media_type="application/vnd.oci.image.config.v1+json",
    layer_media_types=("application/vnd.oci.image.layer.v1.tar+gzip",),
    os="linux",
    architecture="amd64",
)
VARIANT = "module.wasm.image/variant"
# From the strongest to the weakest; each alone selects wasm, and its reason names it.
WASM_SIGNS: dict[str, dict[str, Any]] = {
    "--kind=wasm": {"user_kind": "wasm"},
    f"{VARIANT}=compat given by the user": {"user_annotations": {VARIANT: "compat"}},
    "config media type": {"config_media_type": "application/vnd.wasm.config.v0+json"},
    "layer media type": {"layer_media_types": ("application/wasm",)},
    f"image annotation {VARIANT}=compat-smart": {"image_annotations": {VARIANT: "compat-smart"}},
    "platform wasip1/wasm": {"os": "wasip1", "architecture": "wasm"},
}


def chosen(**changes: Any) -> choose.Choice | None:
    return choose.from_metadata(dataclasses.replace(PLAIN, **changes))


@pytest.mark.parametrize(("reason", "sign"), WASM_SIGNS.items(), ids=WASM_SIGNS.keys())
def test_each_sign_alone_is_enough(reason: str, sign: dict[str, Any]) -> None:
    choice = chosen(**sign)
    assert choice is not None
    assert choice.kind is Kind.WASM
    assert reason in choice.reason


def test_the_strongest_sign_is_the_reason() -> None:
    signs = list(WASM_SIGNS.items())
    for number in range(len(signs)):
        together: dict[str, Any] = {}
        for _, sign in reversed(signs[number:]):
            together.update(sign)
        choice = chosen(**together)
        assert choice is not None
        assert signs[number][0] in choice.reason


@pytest.mark.parametrize(("reason", "sign"), list(WASM_SIGNS.items())[1:], ids=list(WASM_SIGNS)[1:])
def test_the_user_s_kind_wins_over_everything(reason: str, sign: dict[str, Any]) -> None:
    choice = chosen(**{**sign, "user_kind": "native"})
    assert choice == choose.Choice(Kind.NATIVE, "--kind=native")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"user_annotations": {VARIANT: "native", "run.oci.handler": "krun"}},
        {"image_annotations": {VARIANT: "something", "run.oci.handler": "krun"}},
        {"image_annotations": {"variant": "compat"}},
        {"config_media_type": "application/wasm"},
        {"layer_media_types": ()},
        {"os": "", "architecture": ""},
        {"os": "windows"},
        {"os": "WASI", "architecture": "WASM"},
    ],
)
def test_nothing_else_decides_without_the_program(changes: dict[str, Any]) -> None:
    assert chosen(**changes) is None


@pytest.mark.parametrize(
    "platform",
    [
        ("wasi", "wasm"),
        ("wasip1", "wasm"),
        ("wasip2", "wasm"),
        ("linux", "wasm"),
        ("linux", "wasm32"),
        ("wasi", "amd64"),
    ],
)
def test_platforms_of_wasm(platform: tuple[str, str]) -> None:
    choice = chosen(os=platform[0], architecture=platform[1])
    assert choice is not None
    assert choice.reason == f"platform {platform[0]}/{platform[1]}"


@pytest.mark.parametrize("media_type", sorted(choose.WASM_LAYER_TYPES))
def test_a_raw_module_among_the_layers(media_type: str) -> None:
    choice = chosen(layer_media_types=("application/vnd.oci.image.layer.v1.tar", media_type))
    assert choice is not None
    assert (choice.kind, choice.reason) == (Kind.WASM, f"layer media type {media_type}")


@pytest.mark.parametrize("handler", ["wasm", "compat"])
def test_the_older_annotation_s_name(handler: str) -> None:
    choice = chosen(user_annotations={"run.oci.handler": handler})
    assert choice is not None
    assert choice.kind is Kind.WASM


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0asm\x01\0\0\0", Kind.WASM),
        (b"\0asm\x0d\0\x01\0", Kind.WASM),
        (b"\0asm", Kind.WASM),
        (b"\0as", Kind.NATIVE),
        (b"", Kind.NATIVE),
        (b"\x7fELF\x02\x01", Kind.NATIVE),
        (b"#!/bin/sh", Kind.NATIVE),
        (b"\0aot\x01\0\0\0", Kind.NATIVE),
        (b"asm\0", Kind.NATIVE),
    ],
)
def test_the_first_bytes_decide_last(head: bytes, kind: Kind) -> None:
    choice = choose.from_program(head)
    assert choice.kind is kind
    assert ("is a WebAssembly module" in choice.reason) == (kind is Kind.WASM)


@pytest.mark.parametrize("kind", ["Wasm", "wasm ", "crun", "auto", "1"])
def test_a_kind_that_is_none(kind: str) -> None:
    with pytest.raises(UsageError, match="wasm or native"):
        chosen(user_kind=kind)


def test_an_image_can_only_select_wasm() -> None:
    """Whatever an image says of itself, nothing but wasm comes of it: no runtime, no handler, no privilege."""
    assert {field.name for field in dataclasses.fields(choose.Choice)} == {"kind", "reason"}
    hostile = {key: value for key in (VARIANT, "run.oci.handler", "run.oci.privileged") for value in ("native", "krun")}
    assert chosen(image_annotations=hostile) is None
    assert choose.from_program(b"\x7fELF").kind is Kind.NATIVE
