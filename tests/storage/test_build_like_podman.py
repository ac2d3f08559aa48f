"""Builds by wpod and by podman, held against the same expectations."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import session_directory
from tests.storage.contexts import COMPRESSED, Link, archive, build, saved, write
from tests.support import accounts_available, peer
from tests.support.command import Wpod

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
    for suffix, compress in COMPRESSED.items():
        (context / f"archive.tar{suffix}").write_bytes(compress(archive()))
    text = before + "\n".join(line for line, _ in steps)
    build(builder, text, "--timestamp", "1000", context=context).ok()
    made = saved(builder)
    assert dict(zip((line for line, _ in steps), map(made.lines, range(99)), strict=False)) == dict(steps)
    assert {one.mtime for layer in made.layers for one in layer} == {1000}


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
    place = fresh_one.scratch / "image.tar"
    fresh_one("save", "--quiet", "--output", place, f"for-{reader}").ok()
    other = Wpod(fresh_one.program, fresh_one.account, fresh_one.scratch / "other", fresh_one.scratch)
    reading = request.getfixturevalue("podman") if reader == "podman" else other
    reading("load", "--quiet", "--input", place).ok()
    name = f"localhost/for-{reader}:latest"
    assert reading("image", "inspect", "--format", "{{.Id}}", name).ok().line.removeprefix("sha256:") == result.line
