"""Images built from Containerfiles: what is in them, and that they run."""

from __future__ import annotations

import gzip
import json
import os
import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Places
from tests.storage.contexts import COMPRESSED, FORTY_TWO, archive, build, saved, write
from tests.support import accounts_available, content, guests
from tests.support.command import Wpod
from tests.support.images import File, ImageSource, layer_tar
from tests.support.registry import Registry

_HEX = "[0-9a-f]{64}"


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


@pytest.mark.parametrize("suffix", list(COMPRESSED))
def test_an_archive_is_told_by_its_content(fresh_one: Wpod, suffix: str) -> None:
    context = write(fresh_one, {"x": COMPRESSED[suffix](archive()), "not.tar.gz": "text", "empty.tar": "",
                                "text.gz": gzip.compress(b"text")})  # fmt: skip
    build(fresh_one, "FROM scratch\nADD x /a/\nADD not.tar.gz empty.tar text.gz /b/\n", context=context).ok()
    made = saved(fresh_one)
    assert made.names(0) == ["a", "a/d", "a/d/f", "a/h", "a/l"]
    assert made.names(1) == ["b", "b/empty.tar", "b/not.tar.gz", "b/text.gz"]


def test_an_archive_says_what_the_root_is_like(fresh_one: Wpod) -> None:
    top = tarfile.TarInfo("./")
    top.type, top.mode, top.uid = tarfile.DIRTYPE, 0o750, 9
    context = write(fresh_one, {"x.tar": archive(top)})
    build(fresh_one, "FROM scratch\nADD x.tar /\n", context=context).ok()
    assert saved(fresh_one).lines()[0] == ". 5 750 9:0"


def test_a_manifest_that_other_tools_read(fresh_one: Wpod) -> None:
    build(fresh_one, "FROM scratch\nCOPY <<EOF /f\nx\nEOF\n").ok()
    made = saved(fresh_one)
    assert list(made.manifest) == ["schemaVersion", "mediaType", "config", "layers"]
    assert made.manifest["layers"][0]["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip"
    assert json.dumps(made.config, separators=(",", ":")).encode() == made.config_bytes
