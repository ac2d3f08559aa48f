"""`.containerignore` and `.dockerignore`: which files of the context can't be copied (containerignore(5)).

A line is a pattern; `#` begins a comment, `!` takes files back in; the last line that fits decides. A pattern
fits what it names and all below it; `**` stands for any number of directories. Patterns count from the
context's root, a leading `/` means nothing.
"""

from __future__ import annotations

import posixpath

from wpod.build.glob import Dialect, Glob
from wpod.errors import UsageError

LARGEST_FILE_BYTES = 1 << 20
_MOST_PATTERNS = 10_000


class IgnoreRules:
    """The patterns of one ignore file; without any, nothing is excluded."""

    def __init__(self, rules: list[tuple[bool, Glob]] | None = None) -> None:
        """`rules`: whether the pattern takes back in, and the pattern, in the order of the file."""
        self._rules = rules or []
        self._memory: dict[str, tuple[bool, ...]] = {"": (False,) * len(self._rules)}

    @property
    def takes_back(self) -> bool:
        """Whether there may be wanted files below an excluded directory."""
        return any(included for included, _ in self._rules)

    def excludes(self, path: str) -> bool:
        """Whether a file or directory is left out; `path` is relative to the context, with single slashes."""
        excluded = False
        for (included, _), fits in zip(self._rules, self._fitting(path), strict=True):
            if fits:
                excluded = not included
        return excluded

    def _fitting(self, path: str) -> tuple[bool, ...]:
        """For each pattern, whether it fits the path or a directory above it."""
        parts = path.split("/")
        fitting = self._memory[""]
        for count in range(1, len(parts) + 1):
            part = "/".join(parts[:count])
            found = self._memory.get(part)
            if found is None:
                found = tuple(
                    above or glob.matches(part) for above, (_, glob) in zip(fitting, self._rules, strict=True)
                )
                if count < len(parts):
                    self._memory[part] = found
            fitting = found
        return fitting


def parse(data: bytes, name: str) -> IgnoreRules:
    """Raises UsageError that names FILE:LINE."""
    if len(data) > LARGEST_FILE_BYTES:
        raise UsageError(f"{name} is larger than {LARGEST_FILE_BYTES >> 20} MiB")
    rules: list[tuple[bool, Glob]] = []
    text = data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    for number, line in enumerate(text.split("\n"), 1):
        pattern = "" if line.startswith("#") else line.strip()
        included = pattern.startswith("!")
        pattern = pattern[1:].strip() if included else pattern
        if included and not pattern:
            raise UsageError(f"{name}:{number}: illegal exclusion pattern: !")
        if not pattern:
            continue
        cleaned = posixpath.normpath(pattern).lstrip("/")
        if cleaned in ("", "."):
            continue  # the context itself is never excluded
        if len(rules) == _MOST_PATTERNS:
            raise UsageError(f"{name}:{number}: more than {_MOST_PATTERNS} patterns")
        try:
            rules.append((included, Glob(cleaned, Dialect.PATH)))
        except ValueError as error:
            raise UsageError(f"{name}:{number}: {error}") from None
    return IgnoreRules(rules)
