"""From a Containerfile to instructions, stages and settings (wpod.build)."""

from __future__ import annotations

from typing import Any

import pytest

from wpod.build import stages
from wpod.build.containerfile import Heredoc, parse
from wpod.build.image_settings import Arguments, ImageSettings
from wpod.build.stages import CopyStep
from wpod.errors import NotSupportedYet, UsageError
from wpod.model.image import Platform

LINUX = Platform("linux", "amd64")


def instructions(text: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.name, one.words) for one in parse(text.encode(), "File").instructions]


def settings_after(text: str, user: dict[str, str] | None = None) -> ImageSettings:
    """What the last stage of a file without COPY says of the image."""
    file = parse(text.encode(), "File")
    arguments = Arguments(user or {}, {"TARGETPLATFORM": "linux/amd64"})
    plan = stages.plan(file, arguments)
    done: dict[int, ImageSettings] = {}
    for index in plan.needed:
        stage = plan.stages[index]
        done[index] = ImageSettings(LINUX) if stage.base_stage is None else done[stage.base_stage].derived()
        for instruction in stage.instructions:
            try:
                done[index].apply(instruction, arguments, file.escape)
            except ValueError as error:
                raise stages.located(error, instruction, file.name) from None
    return done[plan.needed[-1]]


def copied(line: str, before: str = "") -> CopyStep:
    file = parse(f"FROM scratch\n{before}\n{line}\n".encode(), "File")
    settings = ImageSettings(LINUX)
    for instruction in file.instructions[1:-1]:
        settings.apply(instruction, Arguments({}, {}), file.escape)
    return stages.copy_step(file.instructions[-1], settings, file.escape)


def refused(text: str, kind: type[UsageError] = UsageError) -> str:
    with pytest.raises(kind) as caught:
        file = parse(text.encode(), "File")
        stages.plan(file, Arguments({}, {}))
        settings_after(text)
    return caught.value.message


def test_comments_continuations_and_blanks() -> None:
    text = (
        "\ufeff# a comment\n\n  from scratch\n"
        "LABEL a=1 \\\n# between\n\n   b=2 \\  \n c=3\n"
        "\tenv X=1 # not a comment\n".replace(" # not a comment", "")
        + "CMD echo hi   # part of it\n"
    )
    assert instructions(text) == [
        ("FROM", ("scratch",)),
        ("LABEL", ("a", "1", "b", "2", "c", "3")),
        ("ENV", ("X", "1")),
        ("CMD", ("echo hi   # part of it",)),
    ]


def test_lines_are_counted_where_an_instruction_begins() -> None:
    found = parse(b"# one\nFROM scratch\n\nLABEL a=1 \\\n  b=2\nCOPY <<EOF /x\ntext\nEOF\nUSER x\n", "File")
    assert [one.line for one in found.instructions] == [2, 4, 6, 9]


def test_windows_line_ends() -> None:
    assert instructions("FROM scratch\r\nLABEL a=1 \\\r\n b=2\r\n") == [
        ("FROM", ("scratch",)),
        ("LABEL", ("a", "1", "b", "2")),
    ]


def test_parser_directives() -> None:
    found = parse(b"# syntax=docker/dockerfile:1\n#Escape = `\nFROM scratch\nLABEL a=1 `\n b=\\\n", "File")
    assert found.escape == "`"
    assert found.instructions[1].words == ("a", "1", "b", "\\")
    assert parse(b"# other\n# escape=`\nFROM scratch\n", "File").escape == "\\"
    assert refused("# escape=x\nFROM scratch\n").startswith("File:1: invalid escape character")
    assert refused("# escape=`\n# escape=`\nFROM scratch\n").startswith("File:2: only one escape")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('ENV a=1 b=\'two words\' c="q\\"q" d=x\\ y', ("a", "1", "b", "'two words'", "c", '"q\\"q"', "d", "x\\ y")),
        ("ENV name all of it  ", ("name", "all of it")),
        ('LABEL "a b"=c', ('"a b"', "c")),
        ("ARG a b=2", ("a", "b=2")),
        ('CMD ["a", "b c"]', ("a", "b c")),
        ("CMD [ not json", ("[ not json",)),
        ("ENTRYPOINT exec  top -b", ("exec  top -b",)),
        ('COPY ["a b", "/c d/"]', ("a b", "/c d/")),
        ("COPY a\t b  /c", ("a", "b", "/c")),
        ('VOLUME ["/a", "/b"]', ("/a", "/b")),
        ("VOLUME /a /b", ("/a", "/b")),
        ("HEALTHCHECK CMD curl -f x", ("CMD", "curl -f x")),
        ('HEALTHCHECK CMD ["curl", "x"]', ("CMD", "curl", "x")),
        ("ONBUILD COPY --chown=1 a /b", ("COPY --chown=1 a /b",)),
    ],
)
def test_arguments_as_each_instruction_splits_them(line: str, words: tuple[str, ...]) -> None:
    assert instructions(f"FROM scratch\n{line}\n")[1][1] == words


def test_flags_come_before_the_arguments_only() -> None:
    (one,) = parse(b"COPY --from=a --chown='x y' src --not=flag\n", "File").instructions
    assert one.flags == ("--from=a", "--chown=x y")
    assert one.words == ("src", "--not=flag")


def test_heredocs() -> None:
    text = "COPY <<ONE <<-'TWO' /x/\na $b\n\nONE\n\t\ttabs $c\n\tTWO\nUSER x\n"
    first, second = parse(text.encode(), "File").instructions
    assert first.heredocs == (Heredoc("ONE", "a $b\n\n", True), Heredoc("TWO", "tabs $c\n", False))
    assert second.name == "USER"
    assert copied("COPY <<EOF /f\n$v\nEOF", "ENV v=7").files == (("EOF", b"7\n"),)
    assert copied("COPY <<'EOF' /f\n$v\nEOF", "ENV v=7").files == (("EOF", b"$v\n"),)
    assert refused("FROM scratch\nCOPY <<EOF /x\ntext\n").startswith("File:2: the here-document <<EOF has no end")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("FROM scratch\nFRUM x\n", "File:2: unknown instruction 'FRUM'"),
        ("FROM scratch\n\nENV A\n", "File:3: ENV: A has no value"),
        ("FROM scratch\nENV A=1 B\n", "File:2: ENV: can't find = in 'B'"),
        ("FROM scratch\nCMD [1]\n", "File:2: CMD: when using JSON array syntax"),
        ("FROM scratch\nCOPY x\n", "File:2: COPY: requires at least two"),
        ("FROM scratch\nCOPY --what=x a /b\n", "File:2: COPY: unknown flag --what"),
        ("FROM scratch\nCOPY --from a /b\n", "File:2: COPY: --from needs a value"),
        ("FROM scratch\nUSER\n", "File:2: USER: requires an argument"),
        ("FROM scratch\nCMD\n", "File:2: CMD: requires an argument"),
        ("FROM scratch\nUSER --x=1 me\n", "File:2: USER: unknown flag --x"),
        ("FROM scratch\nSHELL /bin/bash -c\n", "File:2: SHELL: requires a JSON array"),
        ("FROM scratch\nEXPOSE 70000\n", "File:2: EXPOSE"),
        ("FROM scratch\nSTOPSIGNAL NOPE\n", "File:2: STOPSIGNAL: 'NOPE' is not a signal"),
        ("FROM scratch\nHEALTHCHECK --interval=x CMD a\n", "File:2: HEALTHCHECK: 'x' is not a duration"),
        ("FROM scratch\nHEALTHCHECK --retries=0 CMD a\n", "File:2: HEALTHCHECK: --retries must be at least 1"),
        ("FROM scratch\nONBUILD FROM x\n", "File:2: FROM isn't allowed as an ONBUILD trigger"),
        ("FROM scratch\nONBUILD ONBUILD USER x\n", "File:2: ONBUILD isn't allowed"),
        ("FROM scratch\nONBUILD NOPE\n", "File:2: unknown instruction 'NOPE'"),
        ("FROM scratch\nLABEL a=${b\n", "File:2: LABEL: syntax error: missing '}'"),
        ("FROM a b\n", "File:1: FROM: requires either one or three"),
        ("FROM a AS -x\n", "File:1: FROM: invalid stage name"),
        ("FROM ${NOT_SET}\n", "File:1: FROM: the base image's name (${NOT_SET}) is empty"),
        ("USER x\nFROM scratch\n", "File:1: USER before the first FROM"),
        ("ARG X\n", "File: no FROM"),
        ("FROM scratch\nLABEL a=\"\x00\"\n", "File:2: the line holds a NUL"),
        ("FROM scratch\n" * 501, "File:501: more than 500 stages"),
        ("FROM scratch\n" + "USER x\n" * 20_000, "File:20001: more than 20000 instructions"),
    ],
)  # fmt: skip
def test_mistakes_name_file_and_line(text: str, words: str) -> None:
    assert words in refused(text)


def test_what_is_not_utf8_names_its_line() -> None:
    with pytest.raises(UsageError, match="File:2: the line is not UTF-8"):
        parse(b"FROM scratch\nLABEL a=\xff\n", "File")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("RUN apt-get update", "RUN apt-get update"),
        ('RUN ["/x"]', "RUN"),
        ("RUN <<EOF\necho\nEOF", "RUN <<EOF"),
        ("COPY --link a /b", "COPY --link"),
        ("COPY --parents a /b", "COPY --parents"),
        ("COPY --exclude=x a /b", "COPY --exclude"),
        ("ADD --checksum=x a /b", "ADD --checksum"),
        ("ADD https://example.invalid/x /", "ADD https://example.invalid/x"),
        ("ADD git@example.invalid:x /", "ADD git@example.invalid:x"),
    ],
)
def test_what_cannot_be_done_yet_is_refused_by_name(line: str, named: str) -> None:
    message = refused(f"FROM scratch\nLABEL a=b\n{line}\n", NotSupportedYet)
    assert message.startswith(f"File:3: {named}")
    assert message.endswith("is not supported yet")


def test_only_what_the_target_needs_is_checked() -> None:
    text = "FROM scratch AS tools\nRUN make\nFROM scratch AS base\nFROM base\nCOPY --from=base a /\nUSER x\n"
    plan = stages.plan(parse(text.encode(), "File"), Arguments({}, {}))
    assert plan.needed == (1, 2)
    assert stages.plan(parse(text.encode(), "File"), Arguments({}, {}), "BASE").needed == (1,)
    assert stages.plan(parse(text.encode(), "File"), Arguments({}, {}), "1").needed == (1,)
    with pytest.raises(NotSupportedYet):
        stages.plan(parse(text.encode(), "File"), Arguments({}, {}), "tools")
    with pytest.raises(UsageError, match="target 'nope' was not found"):
        stages.plan(parse(text.encode(), "File"), Arguments({}, {}), "nope")


def test_stages_are_found_by_name_and_by_number() -> None:
    text = "FROM scratch AS One\nFROM one AS two\nFROM 0\nCOPY --from=TWO a /\nCOPY --from=7 a /\n"
    plan = stages.plan(parse(text.encode(), "File"), Arguments({}, {}))
    assert [stage.base_stage for stage in plan.stages] == [None, 0, 0]
    assert plan.needed == (0, 1, 2)
    assert plan.earlier_stage("tWo", 2) == 1
    assert plan.earlier_stage("two", 1) is None
    assert plan.earlier_stage("2", 2) is None
    assert plan.is_stage("7") and not plan.is_stage("debian")


def test_arg_before_from() -> None:
    text = "ARG BASE=one\nARG TAG=${BASE}-1\nFROM registry/$BASE:$TAG\n"
    assert stages.plan(parse(text.encode(), "File"), Arguments({}, {})).stages[0].base == "registry/one:one-1"
    given = Arguments({"TAG": "2"}, {})
    assert stages.plan(parse(text.encode(), "File"), given).stages[0].base == "registry/one:2"
    text = "FROM --platform=$BUILDPLATFORM x\n"
    built_in = Arguments({}, {"BUILDPLATFORM": "linux/arm64"})
    assert stages.plan(parse(text.encode(), "File"), built_in).stages[0].platform == "linux/arm64"


@pytest.mark.parametrize(
    ("text", "user", "label"),
    [
        ("FROM scratch\nARG X=1\nLABEL l=$X", {}, "1"),
        ("FROM scratch\nARG X=1\nLABEL l=$X", {"X": "2"}, "2"),
        ("FROM scratch\nLABEL l=$X\nARG X=1", {"X": "2"}, ""),
        ("FROM scratch\nARG X\nLABEL l=${X-unset}", {}, "unset"),
        ("ARG X=1\nFROM scratch\nLABEL l=$X", {}, ""),
        ("ARG X=1\nFROM scratch\nARG X\nLABEL l=$X", {}, "1"),
        ("ARG X=1\nFROM scratch\nARG X=3\nLABEL l=$X", {}, "3"),
        ("FROM scratch\nARG X=1\nENV X=2\nLABEL l=$X", {"X": "3"}, "2"),
        ("FROM scratch\nENV X=2\nARG X=1\nLABEL l=$X", {}, "2"),
        ("FROM scratch\nARG X=1\nFROM scratch\nLABEL l=$X", {}, ""),
        ("FROM scratch\nARG X=1\nFROM 0\nLABEL l=$X", {}, "1"),
        ("FROM scratch\nARG TARGETPLATFORM\nLABEL l=$TARGETPLATFORM", {}, "linux/amd64"),
        ("FROM scratch\nENV abc=hello\nENV abc=bye def=$abc\nLABEL l=$abc-$def", {}, "bye-hello"),
    ],
)
def test_scope_of_variables(text: str, user: dict[str, str], label: str) -> None:
    assert settings_after(text, user).labels["l"] == label


def test_build_args_that_nothing_asked_for_are_told() -> None:
    arguments = Arguments({"USED": "1", "UNUSED": "1", "HTTP_PROXY": "x"}, {})
    file = parse(b"ARG USED\nFROM scratch\n", "File")
    stages.plan(file, arguments)
    assert arguments.unused == ["UNUSED"]


@pytest.mark.parametrize(
    ("lines", "field", "value"),
    [
        ("CMD a b", "command", ("/bin/sh", "-c", "a b")),
        ('SHELL ["/bin/bash", "-c"]\nCMD a b', "command", ("/bin/bash", "-c", "a b")),
        ('CMD ["a", "$b"]', "command", ("a", "$b")),
        ("ENTRYPOINT a b", "entrypoint", ("/bin/sh", "-c", "a b")),
        ('ENTRYPOINT ["/m"]\nENTRYPOINT []', "entrypoint", ()),
        ('CMD ["x"]\nENTRYPOINT ["/m"]', "command", ("x",)),
        ("EXPOSE 80 53/udp 9000-9002", "ports", {"80/tcp", "53/udp", "9000/tcp", "9001/tcp", "9002/tcp"}),
        ('ENV P="1 2"\nEXPOSE $P', "ports", {"1/tcp", "2/tcp"}),
        ("WORKDIR /a\nWORKDIR b/./c\nWORKDIR ../d", "working_directory", "/a/b/d"),
        ("WORKDIR ../../../x", "working_directory", "/x"),
        ("ENV D=/q\nWORKDIR $D/w", "working_directory", "/q/w"),
        ("USER me:us", "user", "me:us"),
        ('VOLUME ["/a", "/b"]\nVOLUME /c', "volumes", {"/a", "/b", "/c"}),
        ("STOPSIGNAL SIGRTMIN+3", "stop_signal", "SIGRTMIN+3"),
        ("STOPSIGNAL 9", "stop_signal", "9"),
        ("MAINTAINER Some One <a@b>", "author", "Some One <a@b>"),
        ("ONBUILD COPY . /\nONBUILD RUN make", "triggers", ("COPY . /", "RUN make")),
        ("LABEL a=1 b='x y'\nLABEL a=2", "labels", {"a": "2", "b": "x y"}),
        ("ENV old form of it", "environment", {"old": "form of it"}),
        ("HEALTHCHECK NONE", "healthcheck", {"Test": ["NONE"]}),
        (
            'HEALTHCHECK --interval=1m30s --timeout=500ms --retries=2 CMD ["/h"]',
            "healthcheck",
            {"Test": ["CMD", "/h"], "Interval": 90_000_000_000, "Timeout": 500_000_000, "Retries": 2},
        ),
        ("HEALTHCHECK CMD x || y", "healthcheck", {"Test": ["CMD-SHELL", "x || y"]}),
    ],
)
def test_settings(lines: str, field: str, value: Any) -> None:
    assert getattr(settings_after(f"FROM scratch\n{lines}\n"), field) == value


def test_an_entrypoint_takes_the_base_images_command_away() -> None:
    found = settings_after('FROM scratch\nCMD ["a"]\nFROM 0\nENTRYPOINT ["/m"]\n')
    assert (found.entrypoint, found.command) == (("/m",), ())


def test_triggers_are_not_inherited() -> None:
    assert settings_after("FROM scratch\nONBUILD USER x\nFROM 0\n").triggers == ()


def test_a_stage_does_not_change_the_one_it_is_based_on() -> None:
    base = settings_after("FROM scratch\nENV A=1\nLABEL a=1\nEXPOSE 1\nVOLUME /a\n")
    child = base.derived()
    child.environment["A"] = child.labels["a"] = "2"
    child.ports.clear()
    child.volumes.clear()
    assert (base.environment, base.labels, base.ports, base.volumes) == ({"A": "1"}, {"a": "1"}, {"1/tcp"}, {"/a"})


def test_settings_are_bounded() -> None:
    lines = "".join(f"ENV A{number}=$X\n" for number in range(50))
    with pytest.raises(UsageError, match=r"File:4[0-9]: ENV: variables and labels are more than 4 MiB together"):
        settings_after(f"FROM scratch\nARG X={'x' * 100_000}\n{lines}")


@pytest.mark.parametrize(
    ("shown", "destination"),
    [
        ("/", "/"),
        ("/a", "/a"),
        ("/a/", "/a/"),
        ("b", "/w/b"),
        (".", "/w/"),
        ("./", "/w/"),
        ("..", "/"),
        ("../../../etc/x", "/etc/x"),
        ("/a//b/./", "/a/b/"),
    ],
)
def test_destinations_never_leave_the_root(shown: str, destination: str) -> None:
    assert copied(f"COPY x {shown}", "WORKDIR /w").destination == destination


def test_variables_in_a_copy() -> None:
    step = copied("COPY --chown=$O --chmod=${M} --from=$F $S /d/$S", "ENV O=me:us M=0640 F=stage S=file")
    assert (step.chown, step.mode, step.source, step.sources, step.destination) == (
        "me:us", 0o640, "stage", ("file",), "/d/file"
    )  # fmt: skip
    assert not step.unpacks and copied("ADD x /").unpacks


@pytest.mark.parametrize("mode", ["9", "a+x", "-1", "77777", "+755"])
def test_modes_are_octal(mode: str) -> None:
    with pytest.raises(ValueError, match="is not an octal mode"):
        copied(f"COPY --chmod={mode} x /")


def test_a_remote_source_behind_a_variable_is_refused_too() -> None:
    with pytest.raises(NotSupportedYet, match="ADD http://x/y"):
        copied("ADD $U /", "ENV U=http://x/y")
