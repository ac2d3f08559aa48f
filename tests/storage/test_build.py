"""Images built from Containerfiles: what is in them, that they run, and that podman makes the same of it."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import re
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from tests.conftest import Places, session_directory
from tests.storage.contexts import FORTY_TWO, Link, build, saved, write
from tests.support import accounts_available, content, guests, peer
from tests.support.command import Wpod
from tests.support.images import File, ImageSource, layer_tar
from tests.support.registry import Registry

_HEX = "[0-9a-f]{64}"


@pytest.fixture(scope="module")
def podman() -> Iterator[Wpod]:
    """podman with a store for this module's tests."""
    place = Path(tempfile.mkdtemp(prefix="podman-", dir=session_directory()))
    for name in ("home", "runtime", "tmp"):
        (place / name).mkdir()
    with peer.podman(accounts_available()[0], place) as started:
        yield started
        started("rmi", "--all", "--force")


@pytest.fixture(params=["wpod", "podman"] if os.geteuid() == 0 and peer.is_there() else ["wpod"])
def builder(request: pytest.FixtureRequest) -> Wpod:
    """wpod, and podman where it is installed: the proof that a test asks for podman's behaviour."""
    chosen: Wpod = request.getfixturevalue("fresh_one" if request.param == "wpod" else "podman")
    return chosen


# -- wasm ----------------------------------------------------------------------------------------------------------


def test_a_module_from_scratch_runs(fresh: Wpod) -> None:
    context = write(fresh, {"main.wasm": guests.wasm_from_text(FORTY_TWO).read_bytes()})
    (context / "Containerfile").write_text('FROM scratch\nCOPY main.wasm /\nENTRYPOINT ["/main.wasm"]\n')
    result = fresh("build", "--tag", "answer", context).ok()
    assert re.fullmatch(_HEX, result.line)
    assert fresh("images", "--quiet", "--no-trunc").ok().line.removeprefix("sha256:") == result.line
    fresh("run", "--rm", "answer").exits(42)
    assert fresh("image", "inspect", "--format", "{{.Os}}/{{.Architecture}}", "answer").ok().line.startswith("linux/")


@pytest.mark.parametrize("platform", ["wasi/wasm", "wasip1/wasm"])
def test_platform_and_annotation_of_a_wasm_image(fresh_one: Wpod, platform: str) -> None:
    context = write(fresh_one, {"main.wasm": guests.wasm_from_text(FORTY_TWO).read_bytes()})
    text = 'FROM scratch\nARG TARGETPLATFORM\nLABEL p=$TARGETPLATFORM\nCOPY main.wasm /\nCMD ["/main.wasm"]\n'
    build(fresh_one, text, "--platform", platform, "--annotation", "module.wasm.image/variant=compat",
          context=context).ok()  # fmt: skip
    made = saved(fresh_one)
    assert f"{made.config['os']}/{made.config['architecture']}" == platform
    assert made.manifest["annotations"] == {"module.wasm.image/variant": "compat"}
    assert made.config["config"]["Labels"] == {"p": platform}
    fresh_one("run", "--rm", "made").exits(42)


# -- what podman makes of it, too ----------------------------------------------------------------------------------

_TREE: dict[str, bytes | str | Link | None] = {
    "a.txt": "a", "b.txt": "b", ".hidden.txt": "h", "tool.sh": "#!/bin/sh\n",
    "passwd": "root:x:0:0::/:/bin/sh\napp:x:1000:1007::/:/bin/sh\n", "group": "root:x:0:\napp:x:1007:\nstaff:x:50:\n",
    "src/inner/two": "two", "src/one": "one", "src/rel": Link("one"), "src/abs": Link("/etc/passwd"),
    "src/up": Link("../a.txt"), "to-src": Link("src"), "empty": None,
    "base/usr/lib/f": "f", "base/lib": Link("usr/lib"), "base/abs": Link("/usr/lib"), "base/out": Link("../../../etc"),
    "base/dangling": Link("/made/here"),
}  # fmt: skip


def _tree(wpod: Wpod) -> Path:
    context = write(wpod, _TREE)
    os.link(context / "src" / "one", context / "src" / "again")
    (context / "tool.sh").chmod(0o6755)
    (context / "src" / "one").chmod(0o640)
    (context / "empty").chmod(0o1777)
    return context


_PLAIN = [
    ("COPY a.txt /", ["a.txt 0 644 0:0"]),
    ("COPY a.txt /x", ["x 0 644 0:0"]),
    ("COPY a.txt /x1/", ["x1 5 755 0:0", "x1/a.txt 0 644 0:0"]),
    ("COPY *.txt /t1/", ["t1 5 755 0:0", "t1/.hidden.txt 0 644 0:0", "t1/a.txt 0 644 0:0", "t1/b.txt 0 644 0:0"]),
    ("COPY [ab].tx? src/../b.txt /t2/", ["t2 5 755 0:0", "t2/a.txt 0 644 0:0", "t2/b.txt 0 644 0:0"]),
    ("COPY a.txt b.txt /t3", ["t3 5 755 0:0", "t3/a.txt 0 644 0:0", "t3/b.txt 0 644 0:0"]),
    ("COPY tool.sh /", ["tool.sh 0 755 0:0"]),
    ("COPY src/up /x2", ["x2 0 644 0:0"]),
    ("COPY empty /e", ["e 5 755 0:0"]),
    ("COPY --chown=5:6 --chmod=0600 src/inner /i/j", ["i 5 755 5:6", "i/j 5 755 5:6", "i/j/two 0 600 5:6"]),
    ("COPY --chown=5 a.txt /x3", ["x3 0 644 5:5"]),
    ("COPY passwd group /etc/", ["etc 5 755 0:0", "etc/group 0 644 0:0", "etc/passwd 0 644 0:0"]),
    ("COPY --chown=app a.txt /x4", ["x4 0 644 1000:1007"]),
    ("COPY --chown=app:staff a.txt /x5", ["x5 0 644 1000:50"]),
    ("COPY src /s",
     ["s 5 755 0:0", "s/abs 2 777 0:0 /etc/passwd", "s/again 0 640 0:0", "s/inner 5 755 0:0",
      "s/inner/two 0 644 0:0", "s/one 1 640 0:0 s/again", "s/rel 2 777 0:0 one", "s/up 2 777 0:0 ../a.txt"]),
    ("COPY to-src /s2/",
     ["s2 5 755 0:0", "s2/abs 2 777 0:0 /etc/passwd", "s2/again 0 640 0:0", "s2/inner 5 755 0:0",
      "s2/inner/two 0 644 0:0", "s2/one 1 640 0:0 s2/again", "s2/rel 2 777 0:0 one", "s2/up 2 777 0:0 ../a.txt"]),
    ("ADD a.txt /x6", ["x6 0 644 0:0"]),
    ("ADD archive.tar.gz /a1",
     ["a1 5 755 0:0", "a1/d 5 755 7:8", "a1/d/f 0 600 7:8", "a1/h 1 600 7:8 a1/d/f", "a1/l 2 777 7:8 d"]),
    ("ADD --chown=5:5 archive.tar.xz archive.tar.bz2 archive.tar a.txt /a2/",
     ["a2 5 755 5:5", "a2/a.txt 0 644 5:5", "a2/d 5 755 7:8", "a2/d/f 0 600 7:8", "a2/h 1 600 7:8 a2/d/f",
      "a2/l 2 777 7:8 d"]),
    ("COPY archive.tar.gz /x7", ["x7 0 644 0:0"]),
    ("WORKDIR /w/d\nCOPY a.txt .", ["w 5 755 0:0", "w/d 5 755 0:0", "w/d/a.txt 0 644 0:0"]),
    ("COPY a.txt ../../x8", ["x8 0 644 0:0"]),
]  # fmt: skip
_LINKED = [
    ("COPY base /", ["abs 2 777 0:0 /usr/lib", "dangling 2 777 0:0 /made/here", "lib 2 777 0:0 usr/lib",
                     "out 2 777 0:0 ../../../etc", "usr 5 755 0:0", "usr/lib 5 755 0:0", "usr/lib/f 0 644 0:0"]),
    ("COPY a.txt /lib/", ["usr 5 755 0:0", "usr/lib 5 755 0:0", "usr/lib/a.txt 0 644 0:0"]),
    ("COPY a.txt /abs/x", ["usr 5 755 0:0", "usr/lib 5 755 0:0", "usr/lib/x 0 644 0:0"]),
    ("COPY a.txt /out/x", ["etc 5 755 0:0", "etc/x 0 644 0:0"]),
    ("COPY a.txt /dangling/", ["made 5 755 0:0", "made/here 5 755 0:0", "made/here/a.txt 0 644 0:0"]),
    ("COPY a.txt /lib/f", ["usr 5 755 0:0", "usr/lib 5 755 0:0", "usr/lib/f 0 644 0:0"]),
    ("COPY src/inner /lib", ["usr 5 755 0:0", "usr/lib 5 755 0:0", "usr/lib/two 0 644 0:0"]),
]  # fmt: skip
_STAGED = [
    ("COPY --from=0 /i /j", ["j 5 755 0:0", "j/t 0 755 4:5", "j/two 0 644 4:5"]),
    ("COPY --from=one /i/t* /k/", ["k 5 755 0:0", "k/t 0 755 4:5", "k/two 0 644 4:5"]),
    ("COPY --from=one --chown=9 i/t /t", ["t 0 755 9:9"]),
]


@pytest.mark.parametrize(
    ("before", "steps"),
    [
        ("FROM scratch\n", _PLAIN),
        ("FROM scratch\n", _LINKED),
        ("FROM scratch AS one\nCOPY --chown=4:5 src/inner /i\nCOPY --chown=4:5 tool.sh /i/t\nFROM scratch\n", _STAGED),
    ],
    ids=["plain", "linked", "staged"],
)
def test_entries_of_layers(builder: Wpod, before: str, steps: list[tuple[str, list[str]]]) -> None:
    context = _tree(builder)
    for suffix, compress in _COMPRESSED.items():
        (context / f"archive.tar{suffix}").write_bytes(compress(_archive()))
    text = before + "\n".join(line for line, _ in steps)
    build(builder, text, "--timestamp", "1000", context=context).ok()
    made = saved(builder)
    assert dict(zip((line for line, _ in steps), map(made.lines, range(99)), strict=False)) == dict(steps)
    assert {one.mtime for layer in made.layers for one in layer} == {1000}


def _archive(*more: tarfile.TarInfo) -> bytes:
    """A directory, a file in it, a hard link and a symbolic link, of 7:8."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind, mode, target in (
            ("d", tarfile.DIRTYPE, 0o755, ""), ("d/f", tarfile.REGTYPE, 0o600, ""), ("l", tarfile.SYMTYPE, 0o777, "d"),
            ("h", tarfile.LNKTYPE, 0o600, "d/f"),
        ):  # fmt: skip
            header = tarfile.TarInfo(name)
            header.type, header.mode, header.linkname, header.uid, header.gid = kind, mode, target, 7, 8
            header.size = 4 if kind == tarfile.REGTYPE else 0
            archive.addfile(header, io.BytesIO(b"text") if header.size else None)
        for header in more:
            archive.addfile(header, io.BytesIO(bytes(header.size)))
    return buffer.getvalue()


_COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


def test_settings_in_the_config(builder: Wpod) -> None:
    context = write(builder, {"f": "f"})
    text = """
        ARG GREETING=hello
        FROM scratch AS base
        ARG GREETING
        ENV A=1 B="two words" G=$GREETING
        LABEL k=v "q w"='e r' v="$A-${A:+set}-${NOT_SET:-unset}"
        WORKDIR /w/d
        USER 1000:50
        EXPOSE 80 443/udp
        VOLUME /vol /v2
        STOPSIGNAL SIGINT
        CMD ["a", "$B"]
        ENTRYPOINT ["/main"]
        MAINTAINER me
        FROM base
        LABEL k=w
        COPY f /f
    """
    build(builder, text, "--timestamp", "5", "--build-arg", "GREETING=hi", "--label", "more=x", "--env", "Z=1",
          "--annotation", "an=no", context=context).ok()  # fmt: skip
    made = saved(builder)
    config = made.config
    process = config["config"]
    process["Labels"].pop("io.buildah.version", None)
    process["Env"] = [one for one in process["Env"] if not one.startswith("PATH=")]  # podman adds one
    assert process == {
        "User": "1000:50",
        "ExposedPorts": {"443/udp": {}, "80/tcp": {}},
        "Env": ["A=1", "B=two words", "G=hi", "Z=1"],
        "Entrypoint": ["/main"],
        "Cmd": ["a", "$B"],
        "Volumes": {"/v2": {}, "/vol": {}},
        "WorkingDir": "/w/d",
        "Labels": {"k": "w", "more": "x", "q w": "e r", "v": "1-set-unset"},
        "StopSignal": "SIGINT",
    }
    assert list(config) == ["created", "author", "architecture", "os", "config", "rootfs", "history"]
    assert list(process) == [
        "User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal",
    ]  # fmt: skip
    assert (config["created"], config["author"]) == ("1970-01-01T00:00:05Z", "me")
    assert made.manifest["annotations"]["an"] == "no"
    words = [re.sub(_HEX, "HEX", one["created_by"]) for one in config["history"]]
    assert words[1:3] == [
        "/bin/sh -c #(nop) ENV A=1 B=\"two words\" G=$GREETING",
        "/bin/sh -c #(nop) LABEL k=v \"q w\"='e r' v=\"$A-${A:+set}-${NOT_SET:-unset}\"",
    ]  # fmt: skip
    assert words[-2:] == ["/bin/sh -c #(nop) COPY file:HEX in /f ", '/bin/sh -c #(nop) LABEL "more"="x"']
    assert sum(not one.get("empty_layer") for one in config["history"]) == len(config["rootfs"]["diff_ids"]) == 1


def test_the_steps_are_told_in_podmans_words(builder: Wpod) -> None:
    context = write(builder, {"f": "f"})
    text = 'FROM scratch AS one\nENV A=1\nFROM scratch\nCOPY --from=one . /\nCOPY  f \\\n  /f\nCMD ["x"]\n'
    result = build(builder, text, "--label", "k=v", "--tag", "other:1", context=context).ok()
    told = [line for line in (result.out + result.err).splitlines()
            if "STEP" in line or "COMMIT" in line or line.startswith("Success")]  # fmt: skip
    assert told == [
        "[1/2] STEP 1/2: FROM scratch AS one",
        "[1/2] STEP 2/2: ENV A=1",
        "[2/2] STEP 1/5: FROM scratch",
        "[2/2] STEP 2/5: COPY --from=one . /",
        "[2/2] STEP 3/5: COPY  f   /f",
        '[2/2] STEP 4/5: CMD ["x"]',
        '[2/2] STEP 5/5: LABEL "k"="v"',
        "[2/2] COMMIT made",
        "Successfully tagged localhost/made:latest",
        "Successfully tagged localhost/other:1",
    ]
    assert result.out.splitlines()[-1] == builder("images", "--quiet", "--no-trunc", "made").ok().out.splitlines()[
        0
    ].removeprefix("sha256:")


@pytest.mark.parametrize("reader", ["wpod", "podman"] if os.geteuid() == 0 and peer.is_there() else ["wpod"])
def test_others_read_what_was_built(request: pytest.FixtureRequest, fresh_one: Wpod, reader: str) -> None:
    context = _tree(fresh_one)
    result = build(fresh_one, 'FROM scratch\nCOPY src /s\nCMD ["x"]\n', "--tag", f"for-{reader}", context=context).ok()
    archive = fresh_one.scratch / "image.tar"
    fresh_one("save", "--quiet", "--output", archive, f"for-{reader}").ok()
    other = Wpod(fresh_one.program, fresh_one.account, fresh_one.scratch / "other", fresh_one.scratch)
    reading = request.getfixturevalue("podman") if reader == "podman" else other
    reading("load", "--quiet", "--input", archive).ok()
    name = f"localhost/for-{reader}:latest"
    assert reading("image", "inspect", "--format", "{{.Id}}", name).ok().line.removeprefix("sha256:") == result.line


# -- base images of a registry -------------------------------------------------------------------------------------


def test_a_base_image_is_pulled_with_the_password_given(fresh: Wpod, locked_registry: Registry) -> None:
    repository = fresh.scratch.name.lower().replace("_", "")
    locked_registry.publish(repository, content.image([layer_tar({"base": File(b"base", 0o644)})], {"User": "7"}), "1")
    text = (
        f"FROM {locked_registry.name(repository, '1')}\nCOPY --from={locked_registry.name(repository, '1')} base /b\n"
    )
    options = ("--tls-verify=false", "--creds", locked_registry.creds)
    build(fresh, text, *options, "--pull=never").fails(125, "standard input:1: FROM", "image not known")
    build(fresh, text, "--tls-verify=false").fails(125, "standard input:1: FROM", "wants a user and a password")
    result = build(fresh, text, *options).ok()
    assert "Trying to pull" in result.err
    made = saved(fresh)
    assert [made.names(0), made.names(1), made.config["config"]] == [["base"], ["b"], {"User": "7"}]
    assert "Trying to pull" not in build(fresh, text, "--pull=never").ok().err
    assert "Trying to pull" in build(fresh, text, *options, "--pull").ok().err


def test_the_platform_chooses_the_base(fresh_one: Wpod, plain_registry: Registry) -> None:
    repository = fresh_one.scratch.name.lower().replace("_", "")
    variants = {one: content.image([layer_tar({one[:4]: File(b"x", 0o644)})], platform=one)
                for one in ("wasi/wasm", "linux/arm64")}  # fmt: skip
    plain_registry.publish(repository, content.index_of(variants))
    name = plain_registry.name(repository)
    build(fresh_one, f"FROM {name}\n", "--tls-verify=false", "--platform", "linux/arm64").ok()
    assert saved(fresh_one).config["architecture"] == "arm64"
    build(fresh_one, f"FROM --platform=wasi/wasm {name}\n", "--tls-verify=false").ok()
    assert saved(fresh_one).config["os"] == "wasi"
    build(fresh_one, f"FROM --platform=linux/s390x {name}\n", "--tls-verify=false").fails(
        125, "standard input:1: FROM", "is not there for linux/s390x"
    )


def test_a_wasm_artifact_can_be_copied_from_but_is_no_base(fresh_one: Wpod, plain_registry: Registry) -> None:
    repository = fresh_one.scratch.name.lower().replace("_", "")
    module = guests.wasm_from_text(FORTY_TWO).read_bytes()
    made = content.Content()
    config = made.blob("application/vnd.wasm.config.v0+json", b"{}")
    title = {"org.opencontainers.image.title": "tool.wasm"}
    made.manifest(content.manifest_of(config, [made.blob("application/wasm", module, annotations=title)]))
    plain_registry.publish(repository, made)
    name = plain_registry.name(repository)
    build(fresh_one, f"FROM {name}\n", "--tls-verify=false").fails(125, ":1: FROM", "is a single wasm module")
    text = f'FROM scratch\nCOPY --from={name} /tool.wasm /m/\nENTRYPOINT ["/m/tool.wasm"]\n'
    build(fresh_one, text, "--tls-verify=false").ok()
    assert saved(fresh_one).files == {"m/tool.wasm": module}
    fresh_one("run", "--rm", "made").exits(42)


# -- what is wpod's own --------------------------------------------------------------------------------------------


def test_only_the_id_is_on_stdout(fresh_one: Wpod) -> None:
    result = build(fresh_one, "FROM scratch\nLABEL a=b\n").ok()
    assert re.fullmatch(f"{_HEX}\n", result.out)
    assert "STEP 2/2: LABEL a=b" in result.err
    assert build(fresh_one, "FROM scratch\nLABEL a=b\n", "--quiet").ok().err == ""


def test_the_same_input_gives_the_same_image(places: Places) -> None:
    """For every user, from another directory, with other times, read in another order."""
    found = set()
    text = "FROM scratch AS one\nCOPY d f /d/\nWORKDIR /w\nFROM one\nCOPY --from=one /d/x /d/f /y/\nLABEL b=1 a=2\n"
    for account in accounts_available():
        for order in (1, -1):
            wpod = places.new(account)
            names = ["d/x", "d/y/z", "d/a", "f"][::order]
            context = write(wpod, dict.fromkeys(names, "text"), f"context{order}")
            os.utime(context / "f", (order * 10 + 100, order * 10 + 100))
            result = build(wpod, text, "--timestamp", "0", context=context).ok()
            found.add((result.line, saved(wpod).manifest["config"]["digest"]))
            account.remove_tree(wpod.scratch)
    assert len(found) == 1


def test_times_of_files_are_kept_without_a_timestamp(fresh_one: Wpod) -> None:
    context = write(fresh_one, {"old": "x"})
    os.utime(context / "old", (1_000_000, 1_000_000))
    build(fresh_one, "FROM scratch\nCOPY old /d/\n", context=context).ok()
    made = saved(fresh_one)
    assert made.entry("d/old").mtime == 1_000_000
    assert made.entry("d").mtime > 1_700_000_000


@pytest.fixture
def debian_like(fresh: Wpod, archives: Callable[[ImageSource], Path]) -> Wpod:
    """wpod with an image whose /lib is a link, with files of several owners, a trigger and a history."""
    files = {
        "usr/lib": File(mode=0o755), "usr/lib/old": File(b"old", 0o4755, uid=3, gid=4), "lib": File(link="usr/lib"),
        "etc/passwd": File(b"root:x:0:0::/:/bin/sh\nweb:x:33:34::/:/bin/sh\n", 0o644),
        "var/mail": File(mode=0o2775, gid=8), "gone": File(b"gone", 0o644),
    }  # fmt: skip
    config = {"Env": ["PATH=/bin", "BASE=yes"], "Labels": {"from": "base"}, "Cmd": ["base"],
              "OnBuild": ["LABEL triggered=$BASE"], "Healthcheck": {"Test": ["CMD", "x"]}}  # fmt: skip
    source = ImageSource("localhost/debian-like:latest", (files, {".wh.gone": File(b"", 0o644)}), config,
                         annotations={"kept": "yes"})  # fmt: skip
    fresh("load", "--quiet", "--input", archives(source)).ok()
    return fresh


def test_an_image_of_the_store_as_base(debian_like: Wpod) -> None:
    context = write(debian_like, {"lib/new": "new", "f": "f"})
    text = "FROM debian-like\nCOPY lib /lib\nCOPY . /\nCOPY --chown=web f /var/mail/\nLABEL mine=1\n"
    build(debian_like, text, context=context).ok()
    made, base = saved(debian_like), saved(debian_like, "debian-like")
    assert made.manifest["layers"][:2] == base.manifest["layers"]
    assert made.config["rootfs"]["diff_ids"][:2] == base.config["rootfs"]["diff_ids"]
    assert made.config["history"][:2] == base.config["history"]
    assert made.config["history"][2]["comment"] == "FROM debian-like"
    assert made.config["config"]["Labels"] == {"from": "base", "triggered": "yes", "mine": "1"}
    assert made.config["config"]["Healthcheck"] == {"Test": ["CMD", "x"]}
    assert "OnBuild" not in made.config["config"]
    assert made.manifest["annotations"] == {
        "kept": "yes",
        "org.opencontainers.image.base.name": "localhost/debian-like:latest",
        "org.opencontainers.image.base.digest": debian_like(
            "image", "inspect", "--format", "{{.Digest}}", "debian-like"
        ).ok().line,
    }  # fmt: skip
    assert made.names(2) == ["usr", "usr/lib", "usr/lib/new"]
    # A directory of the context doesn't take the place of the base's link.
    assert made.names(3) == ["f", "usr", "usr/lib", "usr/lib/new"]
    assert made.lines(4) == ["var 5 755 0:0", "var/mail 5 2775 0:8", "var/mail/f 0 644 33:34"]


def test_files_of_an_image_with_the_owners_it_gives(debian_like: Wpod) -> None:
    """As an unprivileged user too, whose own copy of the image couldn't have such owners."""
    build(debian_like, "FROM scratch\nCOPY --from=debian-like /lib /var /x/\n").ok()
    assert saved(debian_like).lines() == ["x 5 755 0:0", "x/mail 5 2775 0:8", "x/old 0 4755 3:4"]
    build(debian_like, "FROM scratch\nCOPY --from=debian-like / /\n").ok()
    made = saved(debian_like)
    assert made.names() == ["etc", "etc/passwd", "lib", "usr", "usr/lib", "usr/lib/old", "var", "var/mail"]
    assert made.files["usr/lib/old"] == b"old"
    error = "File:2: COPY: /gone: no such file or directory in image debian-like".removeprefix("File")
    build(debian_like, "FROM scratch\nCOPY --from=debian-like /gone /\n").fails(125, error)


def test_stages_that_are_not_needed_are_not_built(fresh_one: Wpod) -> None:
    text = "FROM localhost/not-there AS unused\nFROM scratch AS wanted\nLABEL a=1\nFROM localhost/not-there\n"
    result = build(fresh_one, text, "--target", "wanted").ok()
    assert "[2/3] STEP 2/2: LABEL a=1" in result.err
    assert "not-there" not in result.err


def test_triggers_are_recorded_and_executed_once(fresh_one: Wpod) -> None:
    context = write(fresh_one, {"f": "f"})
    build(fresh_one, "FROM scratch\nONBUILD COPY f /t\nONBUILD LABEL t=1\n", context=context).ok()
    assert saved(fresh_one).config["config"] == {"OnBuild": ["COPY f /t", "LABEL t=1"]}
    fresh_one("tag", "made", "parent").ok()
    build(fresh_one, "FROM parent\nCOPY f /u\n", context=context).ok()
    made = saved(fresh_one)
    assert [made.names(0), made.names(1)] == [["t"], ["u"]]
    assert made.config["config"] == {"Labels": {"t": "1"}}


def test_health_checks_and_the_shell_are_recorded(fresh_one: Wpod) -> None:
    build(fresh_one, 'FROM scratch\nSHELL ["/bin/bash", "-c"]\nHEALTHCHECK --interval=5s CMD x\nCMD y z\n').ok()
    assert saved(fresh_one).config["config"] == {
        "Cmd": ["/bin/bash", "-c", "y z"],
        "Healthcheck": {"Test": ["CMD-SHELL", "x"], "Interval": 5_000_000_000},
        "Shell": ["/bin/bash", "-c"],
    }


def test_heredocs(fresh_one: Wpod) -> None:
    text = (
        "FROM scratch\nENV V=x\nCOPY <<one <<'two' /d/\na $V\none\nb $V\ntwo\nCOPY --chmod=755 <<EOF /run.sh\n#!\nEOF\n"
    )
    build(fresh_one, text).ok()
    made = saved(fresh_one)
    assert made.files == {"d/one": b"a x\n", "d/two": b"b $V\n", "run.sh": b"#!\n"}
    assert made.entry("run.sh").mode == 0o755


def test_names_that_are_not_utf8_and_long_ones(fresh_one: Wpod) -> None:
    context = write(fresh_one, {f"{'n' * 100}/{'m' * 200}": "long"})
    with open(os.fsencode(context) + b"/caf\xe9", "wb") as file:
        file.write(b"latin")
    build(fresh_one, "FROM scratch\nCOPY . /\n", context=context).ok()
    assert set(saved(fresh_one).names()) == {"caf\udce9", "n" * 100, f"{'n' * 100}/{'m' * 200}"}


@pytest.mark.parametrize("name", [".containerignore", ".dockerignore"])
def test_the_ignore_file(fresh_one: Wpod, name: str) -> None:
    rules = "# secrets\n*.key\n!public.key\nbuild\n!build/keep\n**/deep\n"
    files = {"a.key": "", "public.key": "", "build/x": "", "build/keep/y": "", "c/deep/z": "", "c/d": "", name: rules}
    context = write(fresh_one, files)
    build(fresh_one, "FROM scratch\nCOPY . /\n", context=context).ok()
    assert saved(fresh_one).names() == [name, "build", "build/keep", "build/keep/y", "c", "c/d", "public.key"]
    build(fresh_one, "FROM scratch\nCOPY *.key /k/\n", context=context).ok()
    assert saved(fresh_one).names() == ["k", "k/public.key"]
    build(fresh_one, "FROM scratch\nCOPY a.key /\n", context=context).fails(125, ":2: COPY: a.key: excluded by", name)
    other = write(fresh_one, {"other": "public.key\n"}, "elsewhere") / "other"
    build(fresh_one, "FROM scratch\nCOPY *.key /k/\n", "--ignorefile", str(other), context=context).ok()
    assert saved(fresh_one).names() == ["k", "k/a.key"]


def test_an_ignore_file_of_one_containerfile(fresh_one: Wpod) -> None:
    context = write(fresh_one, {"one.file": "FROM scratch\nCOPY . /\n", "one.file.dockerignore": "x\none*",
                                ".containerignore": "y", "x": "", "y": ""})  # fmt: skip
    fresh_one("build", "--tag", "made", "--file", "one.file", context).ok()
    assert saved(fresh_one).names() == [".containerignore", "y"]


def test_where_the_containerfile_is_found(fresh_one: Wpod) -> None:
    context = write(fresh_one, {"Dockerfile": "FROM scratch\nLABEL l=docker\n", "sub/Containerfile": "FROM scratch\n"})

    def label(*arguments: str | Path, cwd: Path = context) -> str:
        fresh_one("build", "--tag", "made", *arguments, cwd=cwd).ok()
        return str(saved(fresh_one).config["config"].get("Labels", {}).get("l"))

    assert label() == label(context, cwd=context.parent) == "docker"
    (context / "Containerfile").write_text("FROM scratch\nLABEL l=container\n")
    assert label(".") == "container"
    assert label("-f", "Dockerfile", ".") == "docker"
    assert label("-f", context / "Dockerfile", cwd=context.parent) == "docker"
    assert label("-f", "sub/Containerfile", context, cwd=context.parent) == "None"
    fresh_one("build", "-f", "nope", context).fails(125, "nope: no such file or directory")
    fresh_one("build", context / "sub" / "..", "-f", "-").fails(125, "no contents in standard input")
    fresh_one("build", write(fresh_one, {}, "nothing")).fails(125, "no Containerfile or Dockerfile in")


def test_files_written_and_values_from_the_environment(fresh: Wpod) -> None:
    place = fresh.scratch / "home" / "id"
    result = build(fresh, "FROM scratch\nARG A\nLABEL a=$A\n", "--build-arg", "A", "--env", "B", "--env", "NOT_SET",
                   "--iidfile", str(place), environment={"A": "1", "B": "2"}).ok()  # fmt: skip
    assert place.read_text() == f"sha256:{result.line}"
    assert saved(fresh).config["config"] == {"Env": ["B=2"], "Labels": {"a": "1"}}
    result = build(fresh, "FROM scratch\n", "--build-arg", "UNKNOWN=1").ok()
    assert "warning: one or more build args were not consumed: [UNKNOWN]" in result.err


def test_a_name_moves_to_the_new_image(fresh_one: Wpod) -> None:
    first = build(fresh_one, "FROM scratch\nLABEL a=1\n").ok().line
    second = build(fresh_one, "FROM scratch\nLABEL a=2\n", "--tag", "reg.test:5000/x/y:3").ok().line
    listed = fresh_one("images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}").ok().out
    assert sorted(listed.replace("sha256:", "").splitlines()) == sorted(
        [f"{first} <none>:<none>", f"{second} localhost/made:latest", f"{second} reg.test:5000/x/y:3"]
    )


@pytest.mark.parametrize("suffix", list(_COMPRESSED))
def test_an_archive_is_told_by_its_content(fresh_one: Wpod, suffix: str) -> None:
    context = write(fresh_one, {"x": _COMPRESSED[suffix](_archive()), "not.tar.gz": "text", "empty.tar": "",
                                "text.gz": gzip.compress(b"text")})  # fmt: skip
    build(fresh_one, "FROM scratch\nADD x /a/\nADD not.tar.gz empty.tar text.gz /b/\n", context=context).ok()
    made = saved(fresh_one)
    assert made.names(0) == ["a", "a/d", "a/d/f", "a/h", "a/l"]
    assert made.names(1) == ["b", "b/empty.tar", "b/not.tar.gz", "b/text.gz"]


def test_an_archive_says_what_the_root_is_like(fresh_one: Wpod) -> None:
    top = tarfile.TarInfo("./")
    top.type, top.mode, top.uid = tarfile.DIRTYPE, 0o750, 9
    context = write(fresh_one, {"x.tar": _archive(top)})
    build(fresh_one, "FROM scratch\nADD x.tar /\n", context=context).ok()
    assert saved(fresh_one).lines()[0] == ". 5 750 9:0"


def test_a_manifest_that_other_tools_read(fresh_one: Wpod) -> None:
    build(fresh_one, "FROM scratch\nCOPY <<EOF /f\nx\nEOF\n").ok()
    made = saved(fresh_one)
    assert list(made.manifest) == ["schemaVersion", "mediaType", "config", "layers"]
    assert made.manifest["layers"][0]["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip"
    assert json.dumps(made.config, separators=(",", ":")).encode() == made.config_bytes
