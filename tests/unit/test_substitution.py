"""Variables, quotes and patterns in instructions (wpod.build.substitution, wpod.build.glob)."""

from __future__ import annotations

import pytest

from wpod.build.glob import Dialect, Glob, has_wildcard
from wpod.build.substitution import LARGEST_VALUE_BYTES, expand, expand_text, expand_words

VALUES = {"A": "foo", "EMPTY": "", "S": "foobarbaz", "PORTS": "80 90/udp", "P": "/usr/lib/x.tar.gz"}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("plain", "plain"),
        ("$A", "foo"),
        ("${A}bar", "foobar"),
        ("$Abar", ""),
        ("x$UNSET.y", "x.y"),
        ("$", "$"),
        ("a$", "a$"),
        ("$$A", "$foo"),
        ("${A:-other}", "foo"),
        ("${EMPTY:-other}", "other"),
        ("${EMPTY-other}", ""),
        ("${UNSET-other}", "other"),
        ("${UNSET:-$A/${S}}", "foo/foobarbaz"),
        ("${UNSET:-\"two words\"}", "two words"),
        ("${A:+set}", "set"),
        ("${EMPTY:+set}", ""),
        ("${EMPTY+set}", "set"),
        ("${UNSET+set}", ""),
        ("${A:?must be set}", "foo"),
        ("${S#f*b}", "arbaz"),
        ("${S##f*b}", "az"),
        ("${S%b*}", "foobar"),
        ("${S%%b*}", "foo"),
        ("${S#nothing}", "foobarbaz"),
        ("${P##*/}", "x.tar.gz"),
        ("${S/ba/fo}", "fooforbaz"),
        ("${S//ba/fo}", "fooforfoz"),
        ("${S//a?}", "foobb"),
        (r"\$A", "$A"),
        (r"\${A}", "${A}"),
        (r"a\ b", "a b"),
        ("'$A'", "$A"),
        ('"$A bar"', "foo bar"),
        (r'"say \"$A\""', 'say "foo"'),
        (r'"C:\dir"', r"C:\dir"),
        (r'"\$A"', "$A"),
        ("'it''s'", "its"),
        ("end\\", "end"),
    ],
)  # fmt: skip
def test_a_word_is_expanded(word: str, value: str) -> None:
    assert expand(word, VALUES) == value


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("${A", "missing '}'"),
        ("${A:-b", "missing '}'"),
        ("${}", "bad substitution"),
        ("${:x}", "bad substitution"),
        ("${A!b}", "unsupported modifier"),
        ("${A:=b}", "unsupported modifier"),
        ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
        ("${UNSET?give it}", "UNSET: give it"),
        ("'open", "single-quote"),
        ('"open', "double-quote"),
        ("${S/}", "no pattern"),
        ("${a:-" * 100, "nested too deeply"),
    ],
)
def test_a_malformed_word_is_refused(word: str, reason: str) -> None:
    with pytest.raises(ValueError, match=None) as caught:
        expand(word, VALUES)
    assert reason in str(caught.value)


def test_the_other_escape_character() -> None:
    assert expand(r"C:\$A`$A", VALUES, "`") == r"C:\foo$A"


def test_only_unquoted_values_are_split_into_words() -> None:
    assert expand_words("$PORTS", VALUES) == ["80", "90/udp"]
    assert expand_words('"$PORTS"', VALUES) == ["80 90/udp"]
    assert expand_words("1$PORTS/tcp", VALUES) == ["180", "90/udp/tcp"]
    assert expand_words("$EMPTY", VALUES) == []


def test_quotes_are_ordinary_in_a_heredoc() -> None:
    assert expand_text('it\'s "$A" \\$A\n', VALUES) == 'it\'s "foo" $A\n'


def test_values_that_double_each_time_end_at_a_limit() -> None:
    values = {"X": "x" * 1000}
    with pytest.raises(ValueError, match=str(LARGEST_VALUE_BYTES)):
        for _ in range(100):
            values["X"] = expand("$X$X", values)
    assert len(values["X"]) <= LARGEST_VALUE_BYTES


@pytest.mark.parametrize(
    ("pattern", "fitting", "others"),
    [
        ("*.txt", ["a.txt", ".txt", ".hidden.txt"], ["a.txt.c", "txt", "dir/a.txt"]),
        ("a?c", ["abc", "aéc"], ["ac", "abbc", "a/c"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "x"]),
        ("[^a-c]x", ["dx"], ["ax"]),
        ("arr[[]0].txt", ["arr[0].txt"], ["arr0.txt"]),
        (r"\*", ["*"], ["a"]),
        ("**", ["", "abc"], ["a/b"]),
    ],
)
def test_patterns_of_names(pattern: str, fitting: list[str], others: list[str]) -> None:
    glob = Glob(pattern, Dialect.NAME)
    assert [text for text in fitting if not glob.matches(text)] == []
    assert [text for text in others if glob.matches(text)] == []


@pytest.mark.parametrize("pattern", ["[", "[]", "[a", "[a-", "[]a]", "a\\"])
def test_malformed_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="syntax error in pattern"):
        Glob(pattern, Dialect.NAME)


def test_a_pattern_without_wildcards_is_told() -> None:
    assert not has_wildcard("plain.txt")
    assert Glob(r"a\[b", Dialect.NAME).literal == "a[b"
    assert Glob("a[b]", Dialect.NAME).literal == "ab"
    assert Glob("a*", Dialect.NAME).literal is None


@pytest.mark.parametrize("dialect", list(Dialect))
def test_a_hostile_pattern_takes_no_longer_than_its_length_says(dialect: Dialect) -> None:
    """With a backtracking matcher this would not end."""
    assert not Glob("*a" * 40 + "b", dialect).matches("a" * 4000)
    assert not Glob("**/" * 40 + "b", Dialect.PATH).matches("a/" * 2000)
