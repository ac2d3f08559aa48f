"""Which commands there are and where each one's table is made.

Only this index is loaded for every command line; the table of one verb is made when it is called for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from wpod.cli.table import Completes, Kind, Option, Verb
from wpod.cli.values import choice

LOG_LEVELS = ("trace", "debug", "info", "warn", "warning", "error", "fatal", "panic")

# Words as typed -> FUNCTION in wpod/cli/verbs/GROUP.py. The first way of typing a command is its name.
INDEX: dict[str, dict[str, str]] = {
    "container": {
        "run": "run", "create": "create", "ps": "ps", "start": "start", "stop": "stop", "restart": "restart",
        "kill": "kill", "rm": "rm", "wait": "wait", "logs": "logs", "port": "port", "inspect": "inspect",
        "exec": "exec_", "stats": "stats", "memory": "memory", "why": "memory", "top": "top",
        "container run": "run", "container create": "create", "container ps": "ps", "container ls": "ps",
        "container list": "ps", "container start": "start", "container stop": "stop",
        "container restart": "restart", "container kill": "kill", "container rm": "rm",
        "container wait": "wait", "container logs": "logs", "container port": "port", "container exec": "exec_",
        "container stats": "stats", "container memory": "memory", "container top": "top",
        "container inspect": "container_inspect", "container exists": "exists", "container prune": "prune",
        "container cleanup": "cleanup",
    },
    "image": {
        "images": "images", "pull": "pull", "push": "push", "rmi": "rmi", "tag": "tag", "untag": "untag",
        "build": "build", "history": "history", "load": "load", "save": "save", "login": "login",
        "logout": "logout",
        "image ls": "images", "image list": "images", "image pull": "pull", "image push": "push",
        "image rm": "rmi", "image tag": "tag", "image untag": "untag", "image build": "build",
        "image history": "history", "image load": "load", "image save": "save",
        "image inspect": "image_inspect", "image exists": "image_exists", "image prune": "image_prune",
    },
    "volume": {
        "volume create": "create", "volume ls": "ls", "volume list": "ls", "volume inspect": "inspect",
        "volume rm": "rm", "volume prune": "prune", "volume exists": "exists",
    },
    "system": {
        "version": "version", "info": "info", "doctor": "doctor", "completion": "completion", "__complete": "complete",
        "system info": "info", "system check": "check",
    },
    "network": {
        "network create": "create", "network ls": "ls", "network list": "ls", "network inspect": "inspect",
        "network rm": "rm", "network prune": "prune", "network exists": "exists", "network connect": "connect",
        "network disconnect": "disconnect", "network reload": "reload", "network update": "update",
    },
}  # fmt: skip

GROUPS = {
    "container": "Containers",
    "image": "Images",
    "volume": "Named volumes",
    "network": "Networks",
    "system": "wpod itself",
}

GLOBALS = (
    Option(("root",), Kind.VALUE, "Directory of the store (default /var/lib/wpod, as a user ~/.local/share/wpod)",
           metavar="DIR", completes=Completes.DIRECTORIES),
    Option(("runtime",), Kind.VALUE, "OCI runtime for native containers (default crun)", metavar="PROGRAM",
           completes=Completes.FILES),
    Option(("log-level",), Kind.VALUE, "How much to tell; with debug, an unexpected failure shows its traceback",
           parse=choice(*LOG_LEVELS), metavar="LEVEL", default="warn", choices=LOG_LEVELS, completes=Completes.WORDS),
)  # fmt: skip


def table_of(words: str) -> Verb:
    """The table of a command, by words as in INDEX. Raises KeyError."""
    for group, verbs in INDEX.items():
        if words in verbs:
            __import__(f"wpod.cli.verbs.{group}")  # `importlib` is one more import
            made = getattr(sys.modules[f"wpod.cli.verbs.{group}"], verbs[words])()
            assert isinstance(made, Verb)
            return made
    raise KeyError(words)


def is_command(words: str) -> bool:
    """Whether these words are a command."""
    return any(words in verbs for verbs in INDEX.values())


def is_group(words: str) -> bool:
    """Whether longer commands begin with these words."""
    return any(known.startswith(f"{words} ") for verbs in INDEX.values() for known in verbs)


def all_verbs() -> Iterator[tuple[str, Verb]]:
    """Every command once, with its group, in the order of the index; hidden ones (`__complete`) are left out."""
    seen: set[tuple[str, str]] = set()
    for group, verbs in INDEX.items():
        for words, function in verbs.items():
            if (group, function) not in seen and not words.startswith("__"):
                seen.add((group, function))
                yield group, table_of(words)


def aliases(verb: Verb) -> tuple[str, ...]:
    """The other ways to type a command."""
    own = " ".join(verb.words)
    for verbs in INDEX.values():
        if own in verbs:
            return tuple(words for words, function in verbs.items() if function == verbs[own] and words != own)
    return ()
