"""docs/compatibility.md, made from the option table and from podman's command line as facts."""

from __future__ import annotations

from collections.abc import Iterator

from wpod.cli import podman_surface, verbs
from wpod.cli.table import Option, Status, Verb

_TITLES = {
    "container": "Containers",
    "image": "Images and registries",
    "volume": "Volumes",
    "network": "Networks",
    "system": "The system",
    "pod": "Pods",
    "kube": "Kubernetes and systemd files",
    "manifest": "Manifest lists",
    "secret": "Secrets",
    "machine": "Virtual machines",
}
_IMAGE_WORDS = (
    "build", "history", "image", "images", "import", "load", "login", "logout", "pull", "push", "rmi", "save",
    "search", "tag", "untag",
)  # fmt: skip
_SYSTEM_WORDS = ("auto-update", "events", "info", "system", "unshare", "version")
_OTHER_WORDS = {"generate": "kube", "kube": "kube"}

_INTRODUCTION = """# Compatibility with podman

What of podman {version}'s command line wpod has. This file is made from wpod's option table by `make docs`.

- **works**: the same meaning, output and exit status.
- **differs**: it is there, with the difference that is noted.
- **not there yet**: refused by its name with exit status 125 (`error: --add-host is not supported yet`). A
  flag of podman's is never ignored.

The JSON of wpod has podman's keys; what only wpod knows stands under one key, `Wpod`.
"""


class _Command:
    """One command of podman's and what wpod makes of it. `verb` None: not there yet."""

    def __init__(self, words: str) -> None:
        self.words = words
        self.verb: Verb | None = verbs.table_of(words) if verbs.is_command(words) else None
        self.theirs = podman_surface.FLAGS[words].split()
        self.own: dict[str, Option] = {option.key: option for option in self.verb.options} if self.verb else {}

    @property
    def status(self) -> Status:
        return self.verb.status if self.verb else Status.NOT_YET

    def flags(self, status: Status) -> list[str]:
        """Podman's flags with this status, as podman spells them."""
        found = []
        for flag in self.theirs:
            option = self.own.get(_long(flag))
            if (option.status if option else Status.NOT_YET) is status:
                found.append(flag)
        return found

    @property
    def has_section(self) -> bool:
        """Whether there is anything to say beyond its row in the table."""
        return self.verb is not None and bool(self.theirs or self.extra)

    @property
    def extra(self) -> list[Option]:
        """What wpod has beyond podman."""
        known = {_long(flag) for flag in self.theirs}
        return [option for option in self.own.values() if option.key not in known]


def document() -> str:
    """The whole text."""
    commands = [_Command(words) for words in podman_surface.FLAGS if words]
    groups = {group: [one for one in commands if _group(one.words) == group] for group in _TITLES}
    lines = [_INTRODUCTION.format(version=podman_surface.VERSION), *_summary(groups)]
    for group, members in groups.items():
        lines += [f"## {_TITLES[group]}", "", *_commands(members)]
        for one in members:
            if one.has_section:
                lines += _flags(one)
    lines += _everywhere()
    lines += _beyond()
    return "\n".join(lines).rstrip("\n") + "\n"


def _summary(groups: dict[str, list[_Command]]) -> Iterator[str]:
    yield "## Summary"
    yield ""
    yield "Commands, and the flags of those commands that are there:"
    yield ""
    yield "| | commands | work | differ | not there yet | flags | work | differ | not there yet |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    rows = [(f"[{_TITLES[group]}](#{_anchor(_TITLES[group])})", members) for group, members in groups.items()]
    rows.append(("all", [one for members in groups.values() for one in members]))
    for title, members in rows:
        there = [one for one in members if one.verb is not None]
        by_command = [sum(one.status is status for one in members) for status in Status]
        by_flag = [sum(len(one.flags(status)) for one in there) for status in Status]
        numbers = [len(members), *by_command, sum(by_flag), *by_flag]
        yield f"| {title} | " + " | ".join(str(number) for number in numbers) + " |"
    yield ""


def _commands(members: list[_Command]) -> Iterator[str]:
    there = [one for one in members if one.verb is not None]
    if there:
        yield "| command | | also typed as | |"
        yield "|---|---|---|---|"
        for one in there:
            assert one.verb is not None
            others = ", ".join(f"`{words}`" for words in verbs.aliases(one.verb))
            name = f"[`{one.words}`](#{_anchor(one.words)})" if one.has_section else f"`{one.words}`"
            yield f"| {name} | {one.status.value} | {others} | {_cell(one.verb.note)} |"
        yield ""
    absent = [f"`{one.words}`" for one in members if one.verb is None]
    if absent:
        yield f"Not there yet: {', '.join(absent)}."
        yield ""


def _flags(one: _Command) -> Iterator[str]:
    yield f"### {one.words}"
    yield ""
    working, absent = one.flags(Status.WORKS), one.flags(Status.NOT_YET)
    if working:
        yield f"Works: {_listed(working)}."
        yield ""
    differing = one.flags(Status.DIFFERS)
    if differing:
        yield "| differs | how |"
        yield "|---|---|"
        for flag in differing:
            yield f"| `{_spelled(flag)}` | {_cell(one.own[_long(flag)].note)} |"
        yield ""
    if absent:
        yield f"Not there yet: {_listed(absent)}."
        yield ""
    if one.extra:
        yield "Only in wpod:"
        yield ""
        for option in one.extra:
            yield f"- `--{option.key}`: {option.help}"
        yield ""


def _everywhere() -> Iterator[str]:
    theirs = podman_surface.FLAGS[""].split()
    own = {option.key for option in verbs.GLOBALS} | {"version"}
    yield "## Flags before the command"
    yield ""
    yield f"Works: {_listed([flag for flag in theirs if _long(flag) in own])}."
    yield ""
    yield f"Not there yet: {_listed([flag for flag in theirs if _long(flag) not in own])}."
    yield ""


def _beyond() -> Iterator[str]:
    yield "## Only in wpod"
    yield ""
    for _, verb in verbs.all_verbs():
        words = " ".join(verb.words)
        if not podman_surface.has_command(words):
            yield f"- `wpod {words}`: {verb.summary}"


def _group(words: str) -> str:
    first = words.partition(" ")[0]
    if first in _IMAGE_WORDS:
        return "image"
    if first in _SYSTEM_WORDS:
        return "system"
    return _OTHER_WORDS.get(first, first if first in _TITLES else "container")


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _long(flag: str) -> str:
    return flag.rstrip("=").rpartition("/")[2]


def _spelled(flag: str) -> str:
    short, slash, long = flag.rstrip("=").rpartition("/")
    return f"-{short}, --{long}" if slash else f"--{long}"


def _listed(flags: list[str]) -> str:
    return ", ".join(f"`{_spelled(flag)}`" for flag in flags)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
