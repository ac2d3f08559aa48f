"""Every form in which registries hold a module, pulled and run with no extra flag; and modules that can't be run."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support import content, guests, leftovers
from tests.support.command import Wpod, eventually
from tests.support.content import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Content
from tests.support.images import File, layer_tar
from tests.support.registry import Registry

COMPAT = {"module.wasm.image/variant": "compat"}
# Prints its arguments, each in a line of its own, and exits with 42.
ARGUMENTS = r"""(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $arguments (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $at i32)
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (drop (call $arguments (i32.const 16) (i32.const 1024)))
    (loop $each
      (if (i32.eqz (i32.load8_u (i32.add (i32.const 1024) (local.get $at))))
        (then (i32.store8 (i32.add (i32.const 1024) (local.get $at)) (i32.const 10))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $each (i32.lt_u (local.get $at) (i32.load (i32.const 4)))))
    (i32.store (i32.const 8) (i32.const 1024))
    (i32.store (i32.const 12) (i32.load (i32.const 4)))
    (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))
    (call $exit (i32.const 42))))"""


def module() -> bytes:
    return guests.wasm_from_text(ARGUMENTS, name="arguments").read_bytes()


def in_layer(config: Mapping[str, Any] | None = None, name: str = "hello.wasm", **more: Any) -> Content:
    """The module in a tar layer, as `FROM scratch` images have it."""
    return content.image([layer_tar({name: File(module())})], {"Entrypoint": [f"/{name}"], **(config or {})}, **more)


def raw(config_type: str, config: Any, layer_type: str, title: str = "") -> Content:
    """The module as the one layer, not packed into anything."""
    made = Content()
    described = made.blob(config_type, config if isinstance(config, bytes) else content.encode(config))
    made.config_digest = described["digest"]
    annotations = {"annotations": {"org.opencontainers.image.title": title}} if title else {}
    made.manifest(content.manifest_of(described, [made.blob(layer_type, module(), **annotations)]))
    return made


def docker_image() -> Content:
    made = in_layer()
    _, data = made.manifests.popitem()[1]
    text = data.decode()
    for old, new in (
        (OCI_MANIFEST, content.DOCKER_MANIFEST),
        (OCI_CONFIG, "application/vnd.docker.container.image.v1+json"),
        (f"{OCI_LAYER}+gzip", "application/vnd.docker.image.rootfs.diff.tar.gzip"),
    ):
        text = text.replace(old, new)
    made.manifest(text.encode(), content.DOCKER_MANIFEST)
    return made


def runwasi_image() -> Content:
    """An image config whose layers are modules: the diff_id of a raw layer is its digest."""
    config = content.config_of([module()], {"Entrypoint": ["/hello.wasm"]}, "wasip1/wasm")
    return raw(OCI_CONFIG, config, "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm")


CNCF = {
    "created": "2024-09-25T12:00:00Z",
    "architecture": "wasm",
    "os": "wasip1",
    "layerDigests": [content.digest_of(b"whatever")],
}
WASM_TO_OCI = ("application/vnd.wasm.config.v1+json", "application/vnd.wasm.content.layer.v1+wasm")
WASME = ("application/vnd.module.wasm.config.v1+json", "application/vnd.module.wasm.content.layer.v1+wasm")

# Each with argv[0] as the guest sees it.
FORMS: dict[str, tuple[Callable[[], Content], str]] = {
    "compat": (lambda: in_layer(annotations=COMPAT), "/hello.wasm"),
    "compat-smart": (lambda: in_layer(annotations={"module.wasm.image/variant": "compat-smart"}), "/hello.wasm"),
    "handler": (lambda: in_layer(annotations={"run.oci.handler": "wasm"}), "/hello.wasm"),
    "wasi-wasm": (lambda: in_layer(platform="wasi/wasm"), "/hello.wasm"),
    "wasip1-wasm": (lambda: in_layer(platform="wasip1/wasm"), "/hello.wasm"),
    "wasi-wasm32": (lambda: in_layer(platform="wasi/wasm32"), "/hello.wasm"),
    "linux": (lambda: in_layer(name="program"), "/program"),
    "linux-relative": (
        lambda: in_layer({"Entrypoint": ["main.wasm"], "WorkingDir": "/app"}, "app/main.wasm"), "main.wasm"
    ),
    "linux-command": (lambda: in_layer({"Entrypoint": None, "Cmd": ["/hello.wasm"]}), "/hello.wasm"),
    "zstd": (lambda: in_layer(annotations=COMPAT, compression="zstd"), "/hello.wasm"),
    "docker": (docker_image, "/hello.wasm"),
    "index": (lambda: content.index_of({"wasi/wasm": in_layer(platform="wasi/wasm")}), "/hello.wasm"),
    "index-artifact": (
        lambda: content.index_of({"wasip1/wasm": raw("application/vnd.wasm.config.v0+json", CNCF, "application/wasm")}),
        "/main.wasm",
    ),
    "cncf": (lambda: raw("application/vnd.wasm.config.v0+json", CNCF, "application/wasm"), "/main.wasm"),
    "cncf-title": (
        lambda: raw("application/vnd.wasm.config.v0+json", {}, "application/wasm", "target/release/hello.wasm"),
        "/hello.wasm",
    ),
    "runwasi": (runwasi_image, "/hello.wasm"),
    "wasm-to-oci": (lambda: raw(WASM_TO_OCI[0], {}, WASM_TO_OCI[1], "hello.wasm"), "/hello.wasm"),
    "wasme": (lambda: raw(WASME[0], {"type": "envoy_proxy"}, WASME[1]), "/main.wasm"),
    "oras": (lambda: raw("application/vnd.oci.empty.v1+json", b"{}", "application/wasm", "hello.wasm"), "/hello.wasm"),
    "old-oras": (lambda: raw("application/vnd.unknown.config.v1+json", b"{}", "application/wasm"), "/main.wasm"),
}  # fmt: skip


@pytest.fixture
def wpod(fresh: Wpod, plain_registry: Registry) -> Wpod:
    """wpod whose registries.conf knows that the registry has no TLS."""
    place = fresh.scratch / "home" / ".config" / "containers"
    place.mkdir(parents=True)
    (place / "registries.conf").write_text(f'[[registry]]\nlocation = "{plain_registry.host}"\ninsecure = true\n')
    return fresh


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_pulled_and_run(wpod: Wpod, plain_registry: Registry, form: str) -> None:
    make, name = FORMS[form]
    plain_registry.publish(f"forms/{form}", make())
    image = plain_registry.name(f"forms/{form}")
    arguments = () if form == "linux-command" else ("one", "two words")
    result = wpod("run", "--rm", image, *arguments).exits(42)
    assert result.out.splitlines() == [name, *arguments]


@pytest.mark.parametrize(
    ("platform", "words"), [("linux/amd64", "native"), ("wasi/wasm", "wasi"), ("wasip1/wasm", "wasip1"), ("", "native")]
)
def test_an_index_for_several_platforms_gives_the_wanted_one(
    wpod: Wpod, plain_registry: Registry, platform: str, words: str
) -> None:
    native = guests.native_from_c(guests.SOURCES / "probe.c").read_bytes()
    several = {
        "linux/amd64": content.image([layer_tar({"probe": File(native)})],
                                     {"Entrypoint": ["/probe"], "Cmd": ["line", "native", "+", "exit", "42"]}),
        "wasi/wasm": in_layer({"Entrypoint": ["/wasi.wasm"]}, "wasi.wasm", platform="wasi/wasm"),
        "wasip1/wasm": in_layer({"Entrypoint": ["/wasip1.wasm"]}, "wasip1.wasm", platform="wasip1/wasm"),
    }  # fmt: skip
    plain_registry.publish("several", content.index_of(several))
    options = ("--platform", platform) if platform else ()
    result = wpod("run", "--rm", *options, plain_registry.name("several")).exits(42)
    assert words in result.out


@pytest.fixture
def compilers(wpod: Wpod) -> Iterator[Callable[[], list[int]]]:
    """The compilers at work on this store; what is left of them at the end is ended."""

    def found() -> list[int]:
        return [pid for pid, command in leftovers.processes_of(wpod.store).items() if "wpod-aot-compiler" in command]

    yield found
    for pid in found():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: not found())


def test_the_first_run_does_not_wait_for_the_compiler(
    wpod: Wpod, plain_registry: Registry, compilers: Callable[[], list[int]]
) -> None:
    """A Go program of some MB: many seconds to compile."""
    try:
        program = guests.wasm_from_go(guests.SOURCES / "go")
    except guests.MissingCompiler as missing:
        pytest.skip(str(missing))
    layer = layer_tar({"main.wasm": File(program.read_bytes())})
    plain_registry.publish("go", content.image([layer], {"Entrypoint": ["/main.wasm"]}, annotations=COMPAT))
    result = wpod("run", "--rm", plain_registry.name("go"), "a", "b").exits(7)
    assert compilers(), "it ended before the guest did"
    assert list((wpod.store / "aot").glob("*.waot")) == []
    lines = result.out.splitlines()
    assert lines[0] == "args a b"
    assert {"read absolute", "missing true", "from goroutine true"} <= set(lines)
    assert result.err.endswith("to stderr\n")


# -- what can't be run ---------------------------------------------------------------------------------------------

START = '(func (export "_start"))'


def text(source: str, *flags: str) -> Callable[[], bytes]:
    return lambda: guests.wasm_from_text(source, *flags).read_bytes()


def probe_head() -> bytes:
    return guests.native_from_c(guests.SOURCES / "probe.c").read_bytes()[:4096]


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "a WASI 0.2 component": (lambda: b"\0asm\x0d\0\x01\0" + bytes(100), "component"),
    "a module that is cut": (lambda: module()[:-20], "malformed"),
    "a header that is cut": (lambda: b"\0asm\x01", "truncated"),
    "an ELF program": (probe_head, "not a WebAssembly module"),
    "text": (lambda: b"hello\n", "not a WebAssembly module"),
    "the text format": (lambda: b"(module)", "not a WebAssembly module"),
    "nothing": (lambda: b"", "empty"),
    "a compiled file": (lambda: b"\0aot\x06\0\0\0" + bytes(100), "not a WebAssembly module"),
    "unknown imports": (text(f'(module (import "env" "one" (func)) (import "env" "two" (func)) {START})'),
                        "env.one, env.two"),
    "no _start": (text('(module (func (export "main")))'), "_start"),
    "threads": (text(f"(module (memory 1 1 shared) {START})", "--enable-threads"), "threads"),
}  # fmt: skip


ARTIFACTS = ("a WASI 0.2 component", "nothing", "unknown imports")


@pytest.mark.parametrize(
    ("what", "form"), [*((what, "layer") for what in REFUSED), *((what, "artifact") for what in ARTIFACTS)]
)
def test_what_is_no_module_to_run_is_one_error(wpod: Wpod, plain_registry: Registry, what: str, form: str) -> None:
    make, words = REFUSED[what]
    if form == "layer":
        made = content.image([layer_tar({"x.wasm": File(make())})], {"Entrypoint": ["/x.wasm"]}, annotations=COMPAT)
    else:
        made = Content()
        config = made.blob("application/vnd.wasm.config.v0+json", content.encode(CNCF))
        title = {"org.opencontainers.image.title": "x.wasm"}
        made.manifest(content.manifest_of(config, [made.blob("application/wasm", make(), annotations=title)]))
    plain_registry.publish("refused", made)
    image = plain_registry.name("refused")
    result = wpod("run", "--rm", image).fails(126, "x.wasm", words)
    assert result.stdout == b""
    assert wpod("run", "--detach", image).fails(126, "x.wasm", words).stdout == b""
    assert leftovers.containers_of(wpod.store) == []


def test_a_module_that_is_not_there_is_127(wpod: Wpod, plain_registry: Registry) -> None:
    plain_registry.publish("empty", in_layer({"Entrypoint": ["/other.wasm"]}, annotations=COMPAT))
    wpod("run", "--rm", plain_registry.name("empty")).fails(127, "/other.wasm")


def test_an_elf_named_as_a_module_is_a_native_program(wpod: Wpod, plain_registry: Registry) -> None:
    """The bytes tell where nothing else does."""
    whole = guests.native_from_c(guests.SOURCES / "probe.c").read_bytes()
    for name, data in (("elf", whole), ("text", b"no program\n")):
        made = content.image([layer_tar({"x.wasm": File(data)})], {"Entrypoint": ["/x.wasm"]})
        plain_registry.publish(name, made)
    wpod("run", "--rm", plain_registry.name("elf"), "exit", "42").exits(42)
    said = wpod("run", "--rm", plain_registry.name("text")).exits(1).err  # as podman with crun
    assert "/x.wasm`: Exec format error" in said


def test_a_module_that_wants_more_memory_than_it_may_have(wpod: Wpod, plain_registry: Registry) -> None:
    big = guests.wasm_from_text(f'(module (memory (export "memory") 1024) {START})').read_bytes()
    made = content.image([layer_tar({"big.wasm": File(big)})], {"Entrypoint": ["/big.wasm"]}, annotations=COMPAT)
    plain_registry.publish("big", made)
    wpod("run", "--rm", "--memory", "32m", plain_registry.name("big")).fails(126, "67108864", "big.wasm")
    wpod("run", "--rm", "--memory", "80m", plain_registry.name("big")).ok()


def test_a_trap_is_134_and_named(wpod: Wpod, plain_registry: Registry) -> None:
    trap = guests.wasm_from_text('(module (func (export "_start") unreachable))').read_bytes()
    made = content.image([layer_tar({"t.wasm": File(trap)})], {"Entrypoint": ["/t.wasm"]}, annotations=COMPAT)
    plain_registry.publish("trap", made)
    wpod("run", "--rm", plain_registry.name("trap")).fails(134, "unreachable")


@pytest.mark.parametrize(
    ("config_type", "layers", "words"),
    [
        ("application/vnd.wasm.config.v0+json", ["application/wasm"] * 2, "one raw wasm layer"),
        ("application/vnd.wasm.config.v0+json", [], "not an image"),
        ("application/vnd.cncf.helm.config.v1+json", ["application/wasm"], "not an image"),
        ("application/vnd.wasm.config.v0+json", ["text/plain"], "unknown media type"),
        ("application/vnd.oci.empty.v1+json", [f"{OCI_LAYER}+gzip"], "not an image"),
        (OCI_CONFIG, ["application/wasm", f"{OCI_LAYER}+gzip"], "one raw wasm layer"),
    ],
)
def test_other_artifacts_are_refused(
    fresh_one: Wpod, plain_registry: Registry, config_type: str, layers: list[str], words: str
) -> None:
    made = Content()
    config = made.blob(config_type, content.encode(content.config_of([b""] * len(layers))))
    made.manifest(
        content.manifest_of(config, [made.blob(kind, module() + bytes([i])) for i, kind in enumerate(layers)])
    )
    plain_registry.publish("other", made)
    fresh_one("pull", "--tls-verify=false", plain_registry.name("other")).fails(125, words)


@pytest.mark.parametrize(
    "title", ["../../../etc/passwd", "/etc/cron.d/x.wasm", "..", ".", "a\nb.wasm", "-rf", "x" * 300, "\x1b[2J"]
)
def test_a_title_is_never_a_path(fresh_one: Wpod, plain_registry: Registry, title: str) -> None:
    plain_registry.publish("titled", raw("application/vnd.wasm.config.v0+json", CNCF, "application/wasm", title))
    fresh_one("pull", "--tls-verify=false", plain_registry.name("titled")).ok()
    result = fresh_one("run", "--rm", plain_registry.name("titled")).exits(42)
    name = result.line
    assert name.startswith("/") and name.count("/") == 1 and name.isprintable() and len(name) <= 101
    (place,) = (fresh_one.store / "unpacked").glob("*/*/fs")
    assert [f"/{path.name}" for path in Path(place).iterdir()] == [name]
