"""Our own JSON texts, read without the module: what it gives and refuses is the same."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from wpod.formats import json_text

TEXTS = [
    "{}", "[]", "null", "true", '"a"', '"\\u00e9\\n\\ud83d\\ude00"', "0", "-12", "1.5e3", "123456789012345678901",
    '{"a":[1,{"b":null}],"c":""}', ' {"a" : 1}\n', '{"a":1,"a":2}', "[NaN,-Infinity]",
]  # fmt: skip
DAMAGED = [
    "", " ", "[1,", "nul", '"a', '{"a"}', "{a:1}", "[1,]", "1 2", "{}x", "'a'", '"\\x"', '"\n"', "01", "\0", "\ufeff{}",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_the_same_as_json(text: str) -> None:
    assert repr(json_text.loads(text)) == repr(json.loads(text))


@pytest.mark.parametrize("text", DAMAGED)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - in the module's own words
        json_text.loads(text)


def test_nested_too_deeply() -> None:
    with pytest.raises(RecursionError):
        json_text.loads("[" * 100_000)


@pytest.mark.parametrize("text", DAMAGED)
def test_refused_where_json_was_never_imported(text: str) -> None:
    """As in a command: the scanner needs that module to word its errors."""
    script = (
        "import sys\nfrom wpod.deferred import defer\ndefer('json', 're')\nfrom wpod.formats import json_text\n"
        "try:\n    json_text.loads(sys.stdin.read())\nexcept ValueError:\n    print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], input=text.encode(), capture_output=True, check=True)
    assert done.stdout == b"refused\n"
