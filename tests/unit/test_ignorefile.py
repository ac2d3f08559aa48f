""".containerignore and .dockerignore (wpod.build.ignorefile), held against what docker's documentation says."""

from __future__ import annotations

import pytest

from wpod.build.ignorefile import parse
from wpod.errors import UsageError


def excluded(rules: str, *paths: str) -> list[str]:
    found = parse(rules.encode(), "ignore")
    return [path for path in paths if found.excludes(path)]


@pytest.mark.parametrize(
    ("rules", "out", "kept"),
    [
        ("temp", ["temp", "temp/a", "temp/a/b"], ["temporary", "a/temp"]),
        ("/temp", ["temp", "temp/a"], ["a/temp"]),
        ("temp/", ["temp", "temp/a"], []),
        ("./a//b", ["a/b"], ["a"]),
        ("*/temp*", ["a/temporary.txt", "a/temp", "a/temp/x"], ["temp", "a/b/temp"]),
        ("*/*/temp*", ["a/b/temporary.txt"], ["a/temp"]),
        ("temp?", ["tempa", "tempb"], ["temp", "tempaa"]),
        ("**/*.go", ["a.go", "a/b.go", "a/b/c.go"], ["a.go.txt"]),
        ("**/x", ["x", "a/x", "a/b/x", "a/x/y"], ["ax"]),
        ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["z", "az"]),
        ("a/**", ["a/b", "a/b/c"], ["b"]),
        ("**", ["a", "a/b"], []),
        ("*.md\n!README.md", ["a.md"], ["README.md"]),
        ("*.md\n!README*.md\nREADME-secret.md", ["README-secret.md", "a.md"], ["README-a.md"]),
        ("*.md\nREADME-secret.md\n!README*.md", ["a.md"], ["README-secret.md"]),
        ("dir\n!dir/kept", ["dir", "dir/x"], ["dir/kept", "dir/kept/x"]),
        ("# comment\n\n  a  \n#b", ["a"], ["#b", "b"]),
        ("a\r\nb", ["a", "b"], []),
        ("[ab].txt", ["a.txt", "b.txt"], ["c.txt"]),
        (r"a\*", ["a*"], ["ab"]),
        (".", [], ["a"]),
        ("", [], ["a"]),
        ("../x", [], ["x"]),
        ("\ufeffa", ["a"], []),
        ("caf\u00e9", ["caf\u00e9"], ["cafe"]),
    ],
)
def test_which_files_are_left_out(rules: str, out: list[str], kept: list[str]) -> None:
    assert excluded(rules, *out, *kept) == out


def test_the_same_answer_whatever_was_asked_before() -> None:
    rules = parse(b"dir\n!dir/a/kept", "ignore")
    assert not rules.excludes("dir/a/kept/x")
    assert rules.excludes("dir/a")
    assert rules.excludes("dir/a/other")
    assert rules.takes_back
    assert not parse(b"dir", "ignore").takes_back


def test_a_deep_path_is_no_problem() -> None:
    assert excluded("a", "a/" * 2000 + "b") != []


@pytest.mark.parametrize(
    ("rules", "words"),
    [("ok\n!", "ignore:2: illegal exclusion pattern"), ("a\nb\n[", "ignore:3: syntax error in pattern")],
)
def test_a_mistake_names_the_line(rules: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(rules.encode(), "ignore")
    assert words in str(caught.value)


def test_size_and_number_of_patterns_are_bounded() -> None:
    with pytest.raises(UsageError, match="larger than 1 MiB"):
        parse(b"a" * ((1 << 20) + 1), "ignore")
    with pytest.raises(UsageError, match="ignore:10001: more than 10000 patterns"):
        parse(b"a\n" * 10_001, "ignore")
