"""Container IDs and names."""

from __future__ import annotations

import os

from wpod.errors import UsageError

SHORT_LENGTH = 12
_HEX = frozenset("0123456789abcdef")
_BEGINNING = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_NAME = _BEGINNING | frozenset("_.-")
_MOODS = [
    "able",
    "bold",
    "brave",
    "bright",
    "brisk",
    "busy",
    "calm",
    "clever",
    "cosy",
    "deft",
    "eager",
    "fair",
    "fast",
    "fine",
    "fond",
    "frank",
    "free",
    "fresh",
    "gentle",
    "glad",
    "grand",
    "happy",
    "hardy",
    "honest",
    "jolly",
    "keen",
    "kind",
    "light",
    "lively",
    "loyal",
    "lucky",
    "mellow",
    "merry",
    "mild",
    "modest",
    "neat",
    "nimble",
    "patient",
    "plucky",
    "polite",
    "proud",
    "quick",
    "quiet",
    "ready",
    "robust",
    "serene",
    "sharp",
    "shy",
    "silent",
    "simple",
    "sleek",
    "smart",
    "snug",
    "solid",
    "spry",
    "steady",
    "still",
    "sturdy",
    "subtle",
    "sunny",
    "swift",
    "tidy",
    "tiny",
    "trusty",
    "upbeat",
    "vivid",
    "warm",
    "wise",
    "witty",
    "young",
    "zesty",
]
_CREATURES = [
    "ant",
    "badger",
    "bat",
    "bear",
    "beaver",
    "bee",
    "bison",
    "boar",
    "bunting",
    "carp",
    "cat",
    "cod",
    "crab",
    "crane",
    "cricket",
    "crow",
    "deer",
    "dipper",
    "dove",
    "duck",
    "eagle",
    "eel",
    "egret",
    "elk",
    "falcon",
    "ferret",
    "finch",
    "fox",
    "frog",
    "gecko",
    "goose",
    "gull",
    "hare",
    "hawk",
    "heron",
    "hornet",
    "ibis",
    "jackdaw",
    "jay",
    "kite",
    "lark",
    "linnet",
    "lizard",
    "lynx",
    "magpie",
    "martin",
    "marten",
    "mink",
    "mole",
    "moth",
    "mouse",
    "newt",
    "otter",
    "owl",
    "ox",
    "perch",
    "pike",
    "plover",
    "puffin",
    "rabbit",
    "raven",
    "robin",
    "rook",
    "salmon",
    "seal",
    "shrew",
    "shrike",
    "snail",
    "snipe",
    "sparrow",
    "squid",
    "stoat",
    "stork",
    "swan",
    "swift",
    "tern",
    "thrush",
    "toad",
    "trout",
    "vole",
    "wagtail",
    "wasp",
    "weasel",
    "whale",
    "wolf",
    "wren",
]


def new_container_id() -> str:
    """64 random hex digits. Never only decimal digits in the first 12: those read as numbers in tools."""
    while True:
        candidate = os.urandom(32).hex()  # the module `secrets` is an import of 7 ms
        if not candidate[:SHORT_LENGTH].isdecimal():
            return candidate


def new_name() -> str:
    """A random `mood_creature`; the caller tries again where it is taken."""
    return f"{_choice(_MOODS)}_{_choice(_CREATURES)}"


def _choice(words: list[str]) -> str:
    return words[int.from_bytes(os.urandom(4), "little") % len(words)]


def short(identifier: str) -> str:
    """The 12 characters shown in tables; the algorithm's name is left out."""
    return identifier.removeprefix("sha256:")[:SHORT_LENGTH]


def check_name(name: str, what: str = "container") -> str:
    """The name itself. Raises UsageError where podman's rule [a-zA-Z0-9][a-zA-Z0-9_.-]* is broken."""
    if not 1 <= len(name) <= 255 or name[0] not in _BEGINNING or not _NAME.issuperset(name):
        raise UsageError(f"{what} name {name!r} is invalid: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*")
    return name


def is_full_id(text: str) -> bool:
    """Whether this has the form of a whole container ID or an anonymous volume's name: 64 lower-case hex digits."""
    return len(text) == 64 and is_id_prefix(text)


def is_id_prefix(text: str) -> bool:
    """Whether this could be the beginning of an ID."""
    return 1 <= len(text) <= 64 and _HEX.issuperset(text)
